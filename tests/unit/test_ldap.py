# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories: what is asked is LDAP, what is no LDAP is not believed, and a value in a filter stays one."""

from __future__ import annotations

import contextlib
import re
import socket
import threading

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.jitsi.plugins.filter.ldap import ldap_value
from ansible_collections.campus.jitsi.plugins.module_utils import _ldap
from ansible_collections.campus.jitsi.plugins.module_utils._ldap import (
    Connection,
    Directory,
    LdapError,
    ber,
    directory_problems,
    elements,
    filter_to_ber,
    filter_value,
    integer,
    is_dn,
    message,
    number,
    parse,
    read_message,
    text,
    user_filter_problem,
    whole,
    with_user,
)
from ansible_collections.campus.jitsi.plugins.plugin_utils._validate import ldap_problems, limit_problems, type_problems
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


# --- BER -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 30), st.binary(max_size=70000), st.binary(max_size=3))
def test_an_element_comes_back(tag, content, rest):
    assert parse(ber(tag, content) + rest) == (tag, content, rest)
    assert whole(ber(tag, content)) == len(ber(tag, content))


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_comes_back_in_as_few_bytes_as_it_takes(value):
    _tag, content, rest = parse(integer(value))
    assert number(content) == value and not rest
    assert len(content) == 1 or content[:2] not in (b"\0\0", b"\xff\xff") and not (content[0] == 0 and content[1] < 128)


@given(st.binary(max_size=60))
def test_whatever_a_server_sends_is_read_or_refused(data):
    for read in (parse, elements, read_message, number, whole):
        with contextlib.suppress(LdapError):
            read(data)
    with contextlib.suppress(LdapError):
        answer = read_message(data)
        assert answer.words and isinstance(answer.code, int)


@given(st.binary(max_size=80), st.integers(0, 79), st.integers(0, 255))
def test_a_broken_answer_is_read_or_refused(words, place, byte):
    whole_one = message(1, ber(0x65, integer(0, 0x0A) + text(b"") + text(words)))
    broken = bytearray(whole_one)
    broken[place % len(broken)] = byte
    for data in (bytes(broken), whole_one[:place]):
        with contextlib.suppress(LdapError):
            assert read_message(data).words


# --- filters ---------------------------------------------------------------------------------------------------------


@given(TEXTS)
def test_a_value_stays_a_value_whatever_is_in_it(value):
    """As the one value of an equality, byte for byte, also when Prosody has replaced its placeholders."""
    escaped = filter_value(value)
    assert not set(escaped) & set("*()$%\0")
    prosodys = f"(cn={escaped})".replace("%s", "$user", 1).replace("$user", "somebody").replace("$host", "a.host")
    assert filter_to_ber(prosodys) == ber(0xA3, text("cn") + text(value))
    assert ldap_value(value) == escaped


def test_only_texts_are_values():
    with pytest.raises(AnsibleFilterError, match="a text is wanted"):
        ldap_value(["a"])


@given(TEXTS, TEXTS)
def test_a_name_cannot_change_a_filter(name, group):
    wanted = f"(&(uid=$user)(memberOf={filter_value(group)}))"
    equality = ber(0xA3, text("uid") + text(name if name != "*" else "*")) if name != "*" else text("uid", 0x87)
    assert filter_to_ber(with_user(wanted, name)) == ber(0xA0, equality + ber(0xA3, text("memberOf") + text(group)))


@given(st.text("()&|!=*\\a1:<>~$ ", max_size=20))
def test_a_text_is_a_filter_or_refused_with_a_reason(source):
    try:
        assert filter_to_ber(source)
    except ValueError as error:
        assert str(error)


FILTERS = {
    "(cn=a)": "a3070402636e040161",
    "(cn=*)": "8702636e",
    "(cn=a*)": "a4090402636e3003800161",
    "(cn=*a)": "a4090402636e3003820161",
    "(cn=a*b*c)": "a40f0402636e3009800161810162820163",
    "(!(cn=a))": "a209a3070402636e040161",
    "(|(cn=a)(cn=*))": "a10da3070402636e0401618702636e",
    "(n>=1)": "a50604016e040131", "(n<=1)": "a60604016e040131", "(n~=1)": "a80604016e040131",
    "(cn=\\28\\c3\\bc)": "a3090402636e040328c3bc",
    "(m:1.2.840.113556.1.4.1941:=a)": "a91f8117312e322e3834302e3131333535362e312e342e31393431" + "82016d" + "830161",
    "(cn:dn:2.4.6.8:=a)": "a9138107322e342e362e38" + "8202636e" + "830161" + "8401ff",
}


@pytest.mark.parametrize(("source", "encoded"), FILTERS.items())
def test_filters_are_encoded_as_rfc_4511_says(source, encoded):
    assert filter_to_ber(source).hex() == encoded


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "ends too early"), ("uid=$user", "`(` is missing"), ("(uid=$user", "`)` is missing at its end"), ("(uid=$user))", "behind its end"),
        ("(&(uid=$user)(ou=a)", "`)` is missing at its end"), ("(&)", "at least one filter"), ("(!(a=b)(c=d))", "one filter"), ("(uid)", "no `=`"),
        ("(=$user)", "no name of an attribute"), ("(u id=$user)", "no name of an attribute"), ("(uid=a\\zz)", "two hexadecimal digits"),
        ("(uid=a(b)", "must be escaped"), ("(:=a)", "no matching rule"), ("(uid=**)", "nothing between"), ("(" * 60, "`)` is missing"),
        ("(&" * 60 + "(a=b)" + ")" * 60, "too deeply"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_reason(source, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        filter_to_ber(source.replace("$user", "x"))
    if "$user" in source:
        assert user_filter_problem(source)


def test_a_filter_for_users_has_the_name_in_it():
    assert user_filter_problem("(uid=ana)") == "it has no `$user` in it"
    for good in ("(uid=$user)", "(&(objectClass=person)(|(uid=$user)(mail=$user@$host)))", "(uid=%s)"):
        assert user_filter_problem(good) is None


NAMES = ("dc=a", "cn=A B,dc=c", "cn=Teachers (all)\\, $user 100%s *,ou=g,dc=c", "uid=a+cn=b,dc=c", "1.2.3=#04024869", "cn=,dc=a", "cn=\\c3\\bc")


@pytest.mark.parametrize("name", NAMES)
def test_names_of_entries(name):
    assert is_dn(name)


@pytest.mark.parametrize("name", ["", "a", "=a", "cn=a,", ",cn=a", "cn=a,b", "cn=a;dc=b", "cn=a\\", 'cn="a"', "cn=<a>", "cn=a\0b", None, 5])
def test_what_is_no_name_of_an_entry(name):
    assert not is_dn(name)


# --- talking to a server ---------------------------------------------------------------------------------------------


def result(ident, kind, code, words=""):
    return message(ident, ber(kind, integer(code, 0x0A) + text("") + text(words)))


def entry(ident, name="cn=a"):
    return message(ident, ber(0x64, text(name) + ber(0x30, b"")))


@contextlib.contextmanager
def server(*answers):
    """A server on loopback that answers request after request, whatever is asked, and then closes; its port, and what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve():
        with contextlib.suppress(OSError):
            connection, _address = listener.accept()
            with connection:
                for answer in answers:
                    asked.append(connection.recv(65536))
                    connection.sendall(answer)
                connection.recv(65536)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.close()
        thread.join(5)


def look(port, **more):
    return directory_problems(Directory(servers=[f"127.0.0.1:{port}"], **{"tls": "none", "base": "dc=a", "users": "(uid=$user)", **more}), timeout=2)


def test_a_good_server_is_bound_to_asked_and_left():
    with server(result(1, 0x61, 0), entry(2) + result(2, 0x65, 0), entry(3) + result(3, 0x65, 0), entry(4) + result(4, 0x65, 4)) as (port, asked):
        assert look(port, bind_dn="cn=r", bind_password="a password of its", group="cn=g") == ([], [])
    assert asked[0] == message(1, ber(0x60, integer(3) + text("cn=r") + text("a password of its", 0x80)))
    assert asked[3].count(b"uid") == 1 and asked[3].count(b"\x87\x03uid") == 1, "anybody, by presence"


REFERENCE = message(4, ber(0x73, text("ldap://other/")))
BIND, BASE, GROUP = result(1, 0x61, 0), entry(2) + result(2, 0x65, 0), entry(3) + result(3, 0x65, 0)
TALKS = {
    "the password is wrong": ([result(1, 0x61, 49, "no\x07pe")], "refuses `prosody_ldap_bind_dn` cn=r (invalidCredentials: no pe): correct it or"),
    "TLS is wanted": ([result(1, 0x61, 13)], "(confidentialityRequired): correct `prosody_ldap_tls`"),
    "no base": ([BIND, result(2, 0x65, 32)], "`prosody_ldap_base` dc=a is not there (noSuchObject)"),
    "a base that is not to be seen": ([BIND, result(2, 0x65, 0)], "`prosody_ldap_base` dc=a is not there"),
    "no group": ([BIND, BASE, result(3, 0x65, 32)], "`prosody_ldap_group` cn=g is not there"),
    "a search that is refused": ([BIND, BASE, GROUP, result(4, 0x65, 18, "no")], "refuses the search for (uid=*) (inappropriateMatching: no)"),
    "no LDAP": ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "what it sent is no LDAP"),
    "a message without end": ([b"\x30\x84\x7f\xff\xff\xff"], "a message without end"),
    "an answer to another question": ([result(7, 0x61, 0)], "nobody asked for"),
    "a notice of disconnection": ([result(0, 0x78, 52, "bye")], "it ends the connection (unavailable: bye)"),
    "an answer without a result": ([message(1, ber(0x61, b""))], "a response without a result"),
}


@pytest.mark.parametrize(("answers", "said"), TALKS.values(), ids=TALKS)
def test_what_a_server_refuses_or_garbles_is_one_sentence(answers, said):
    with server(*answers) as (port, _asked):
        problems, warnings = look(port, bind_dn="cn=r", bind_password="a password of its", group="cn=g")
    assert len(problems) == 1 and said in problems[0] and problems[0].endswith("."), problems
    assert warnings == [] and "a password of its" not in problems[0]


def test_a_reference_is_nobody():
    with server(BIND, BASE, GROUP, REFERENCE + result(4, 0x65, 0)) as (port, _asked):
        problems, warnings = look(port, group="cn=g")
    assert problems == [] and len(warnings) == 1 and "nobody could log in" in warnings[0]


def test_an_answer_may_come_in_pieces_and_several_at_once():
    with server(BIND[:3], BIND[3:]) as (port, _asked):
        connection = Connection("127.0.0.1", port, "none", timeout=2)
        threading.Timer(0.1, lambda: connection.socket.sendall(b"more")).start()
        connection.bind("", "")
        connection.close()


def test_what_comes_before_tls_begins_is_not_believed():
    """As of somebody in between, who puts answers before the handshake."""
    with server(result(1, 0x78, 0) + result(2, 0x61, 0)) as (port, _asked), pytest.raises(LdapError, match="before TLS began"):
        Connection("127.0.0.1", port, "starttls", timeout=2)
    with server(result(1, 0x78, 2, "unknown")) as (port, _asked), pytest.raises(_ldap.CertificateError, match="refuses StartTLS"):
        Connection("127.0.0.1", port, "starttls", timeout=2)


def test_a_server_that_says_nothing_is_away_and_one_of_several_only_a_warning():
    with socket.create_server(("127.0.0.1", 0)) as silent, server(BIND, BASE, entry(3) + result(3, 0x65, 0)) as (port, _asked):
        directory = Directory(servers=[f"127.0.0.1:{silent.getsockname()[1]}", f"127.0.0.1:{port}"], tls="none", base="dc=a", users="(uid=$user)")
        problems, warnings = directory_problems(directory, timeout=0.5)
        assert problems == [] and len(warnings) == 1 and "cannot be reached from here (timed out)" in warnings[0]
        problems, warnings = directory_problems(directory._replace(servers=directory.servers[:1]), timeout=0.5)
        assert len(problems) == 1 and warnings == []


# --- variables -------------------------------------------------------------------------------------------------------

GOOD = {"prosody_ldap_servers": ["ldap.example.edu"], "prosody_ldap_base": "ou=people,dc=example,dc=edu", "prosody_ldap_user_filter": "(uid=$user)"}
READS = {"prosody_ldap_bind_dn": "cn=jitsi,dc=example,dc=edu", "prosody_ldap_bind_password": "short"}
VARIABLES = {
    "good": ({}, None), "good, with an account": (READS, None),
    "good, two servers": ({"prosody_ldap_servers": ["a.example.edu", "b.example.edu:1636"], "prosody_ldap_tls": "ldaps"}, None),
    "good, on purpose": ({"prosody_ldap_tls": "none", "prosody_ldap_insecure": True}, None),
    "good, Active Directory": ({**READS, "prosody_ldap_kind": "active_directory", "prosody_ldap_bind_dn": "jitsi@example.edu"}, None),
    "no servers": ({"prosody_ldap_servers": []}, "`prosody_ldap_servers` is empty"),
    "a URL": ({"prosody_ldap_servers": ["ldaps://ldap.example.edu"]}, "write the name alone"),
    "an address": ({"prosody_ldap_servers": ["192.0.2.1"]}, "write a full host name"),
    "a port that is none": ({"prosody_ldap_servers": ["ldap.example.edu:99999"]}, "write a full host name"),
    "two in one": ({"prosody_ldap_servers": ["a.example.edu b.example.edu"]}, "write a full host name"),
    "no TLS": ({"prosody_ldap_tls": "none"}, "for all to read"),
    "insecure for nothing": ({"prosody_ldap_insecure": True}, "leave `prosody_ldap_insecure` out"),
    "an authority for nothing": ({"prosody_ldap_tls": "none", "prosody_ldap_insecure": True, "prosody_ldap_ca_file": "ca.crt"}, "there is no certificate"),
    "no base": ({"prosody_ldap_base": ""}, "`prosody_ldap_base` is empty"),
    "a base that is none": ({"prosody_ldap_base": "example.edu"}, "`prosody_ldap_base` is 'example.edu', which is no name of an entry"),
    "a group that is none": ({"prosody_ldap_group": "teachers"}, "`prosody_ldap_group` is 'teachers', which is no name of an entry"),
    "an account without a password": ({"prosody_ldap_bind_dn": "cn=a"}, "`prosody_ldap_bind_password` is not: set both"),
    "a password without an account": ({"prosody_ldap_bind_password": "hunter2"}, "`prosody_ldap_bind_dn` is not: set both"),
    "an address as an account": ({**READS, "prosody_ldap_bind_dn": "jitsi@example.edu"}, "`prosody_ldap_bind_dn` is 'jitsi@example.edu'"),
    "Active Directory as nobody": ({"prosody_ldap_kind": "active_directory"}, "shows nobody's entry to somebody unknown"),
    "parentheses": ({"prosody_ldap_user_filter": "(&(uid=$user)(ou=staff)"}, "a `)` is missing at its end; write it as `(uid=$user)`"),
    "a filter for all": ({"prosody_ldap_user_filter": "(uid=*)"}, "it has no `$user` in it"),
}


@pytest.mark.parametrize(("change", "said"), VARIABLES.values(), ids=VARIABLES)
def test_variables_of_a_directory(change, said):
    problems = ldap_problems({**GOOD, **change})
    assert len(problems) == (1 if said else 0), problems
    assert all(said in problem and problem.endswith(".") and "hunter2" not in problem for problem in problems), problems


def test_limits_are_neither_too_narrow_nor_too_long():
    assert limit_problems({"prosody_login_attempts": 5, "prosody_login_period": 30}) == [] == limit_problems({})
    assert len(limit_problems({"prosody_login_attempts": 1, "prosody_login_period": 86400})) == 2


def test_a_password_that_others_chose_may_be_short_and_must_be_text():
    option = {"type": "str", "no_log": True, "default": ""}
    assert type_problems("prosody_ldap_bind_password", "short", option) == [] == type_problems("prosody_ldap_bind_password", "", option)
    for bad in (12345, "two\nlines"):
        (problem,) = type_problems("prosody_ldap_bind_password", bad, option)
        assert "12345" not in problem and "two" not in problem
    assert type_problems("another_password", "short", option) != []
