# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of a directory (`jitsi_auth: ldap`): a real OpenLDAP with teachers, students and somebody who left."""

from __future__ import annotations

import contextlib
import time

import pytest
from conftest import JSON, settled, works
from people import Person, XmppError, refused, some_room
from rights import documented, rights

PERIOD = 6


def password(user: str) -> str:
    return f"the password of {user}"


@pytest.fixture
def campus(site):
    """The installation, when it asks a directory; nobody is turned away any more."""
    if site.auth != "ldap":
        pytest.skip("the scenario auth_ldap has a directory")
    return site


@pytest.fixture
def directory(campus):
    """The directory's host, as it was afterwards."""
    host = campus.host("directory")
    yield host
    host.check_output("cd /etc/ldap && ln -sf directory.crt served.crt && ln -sf directory.key served.key && nft flush ruleset; "
                      "systemctl restart slapd")


def test_teachers_log_in_and_nobody_else(campus):
    assert refused(campus, "any", user="carmen", password=password("carmen")) == ""
    for user, secret, why in (
        ("diego", password("diego"), "a student is not in the group"), ("elena", password("elena"), "she left"),
        ("carmen", password("diego"), "not her password"), ("carmen", "", "none at all"), ("nobody", "x", "unknown"),
        ("*", password("carmen"), "a filter is no name"), ("carmen)(uid=*", password("carmen"), "nor a part of one"),
        ("reader", "only for reading in the lab", "the account that searches is not a person"),
    ):
        assert refused(campus, "any", user=user, password=secret) != "", why
    assert "takes no anonymous users" in refused(campus, "any")


def test_who_can_do_what_with_a_directory_is_as_documented(campus):
    def carmen(room):
        return Person(campus, room, user="carmen", password=password("carmen"))

    people = {
        "somebody of the group": carmen,
        "somebody else of the directory": lambda room: Person(campus, room, user="diego", password=password("diego")),
        "a guest": lambda room: Person(campus, room, guest=True),
    }
    documented("ldap", {who: rights(carmen, person) for who, person in people.items()})


def test_guessing_is_turned_away_and_does_not_lock_out_for_long(campus):
    """Twenty wrong passwords; then the right one, which has to wait; then it is taken. Others are not concerned."""
    host = campus.host("meet")
    done = campus.playbook("campus.jitsi.site", "--tags", "prosody", variables={"prosody_login_period": PERIOD})
    assert done.code == 0, done.output[-3000:]
    try:
        said = [refused(campus, "any", user="carmen", password=f"guess {number}") for number in range(20)]
        assert ["not-authorized" in text for text in said] == [True] * 10 + [False] * 10, said
        assert all("temporary-auth-failure" in text for text in said[10:])
        assert "temporary-auth-failure" in refused(campus, "any", user="carmen", password=password("carmen"))
        assert "not-authorized" in refused(campus, "any", user="diego", password="whatever"), "others are heard"
        assert "Too many failed logins as carmen" in host.file("/var/log/prosody/prosody.log").content_string
        time.sleep(PERIOD)
        assert refused(campus, "any", user="carmen", password=password("carmen")) == ""
    finally:
        back = campus.playbook("campus.jitsi.site", "--tags", "prosody")
    assert back.code == 0, back.output[-3000:]


def test_a_directory_that_does_not_answer_refuses_logins_and_stops_no_meeting(campus, directory):
    """First it is gone, then it is silent, which would hold Prosody up at every login."""
    room = some_room()
    with Person(campus, room, user="carmen", password=password("carmen")) as carmen, Person(campus, room, guest=True) as guest:
        carmen.enter()
        assert guest.enter() == "none"
        directory.check_output("systemctl stop slapd")
        assert refused(campus, "any", user="carmen", password=password("carmen")) != ""
        directory.check_output("command -v nft >/dev/null || apt-get install -qq --no-install-recommends nftables >/dev/null; systemctl start slapd; "
                               "nft 'add table inet silent; add chain inet silent in { type filter hook input priority 0; }; "
                               "add rule inet silent in tcp dport { 389, 3389 } drop'")
        refused(campus, "any", user="carmen", password=password("carmen"))
        began = time.monotonic()
        said = [refused(campus, "any", user="carmen", password=password("carmen")) for _number in range(5)]
        assert all("temporary-auth-failure" in text for text in said) and time.monotonic() - began < 5, said
        assert carmen.tries(carmen.room, '<query xmlns="http://jabber.org/protocol/disco#info"/>', "get") == "done", "the meeting goes on"
        assert carmen.affiliation(guest) == "none"
    log = campus.host("meet").file("/var/log/prosody/prosody.log").content_string
    assert "The directory does not answer: logins are turned away" in log
    directory.check_output("nft flush ruleset")
    end = time.monotonic() + 40
    while refused(campus, "any", user="carmen", password=password("carmen")) and time.monotonic() < end:
        time.sleep(1)
    works(settled(campus))


def test_a_directory_with_another_certificate_is_not_believed(campus, directory):
    """Neither by Prosody nor by a run, which says so before it touches anything."""
    directory.check_output("cd /etc/ldap && ln -sf other.crt served.crt && ln -sf other.key served.key && systemctl restart slapd")
    assert refused(campus, "any", user="carmen", password=password("carmen")) != ""
    done = campus.playbook(environment=JSON)
    assert done.code != 0 and done.changed == 0
    assert len(done.failures) == 1 and "its certificate is refused" in done.failures[0] and "`jitsi_ldap_ca_file`" in done.failures[0], done.failures


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"jitsi_ldap_group": "cn=techers,ou=groups,dc=campus,dc=test"}, "`jitsi_ldap_group` is cn=techers,ou=groups,dc=campus,dc=test, which directory does not have"),
        ({"jitsi_ldap_base": "ou=peple,dc=campus,dc=test"}, "`jitsi_ldap_base` is ou=peple"),
        ({"jitsi_ldap_bind_password": "not the one"}, "does not let `jitsi_ldap_bind_dn` in or read: the DN or the password is wrong"),
        ({"jitsi_ldap_servers": ["directory:3389", "directory:3390"]}, "No server of `jitsi_ldap_servers` can be used"),
        ({"jitsi_ldap_ca_file": ""}, "its certificate is refused"),
        ({"jitsi_ldap_tls": "none", "jitsi_ldap_insecure": True}, "it wants"),
    ],
)
def test_what_the_directory_says_of_the_settings_is_said_before_anything_is_touched(campus, wish, said):
    done = campus.playbook(variables=wish, environment=JSON)
    assert done.code != 0 and done.changed == 0
    assert len(done.failures) == 1 and said in done.failures[0] and "not the one" not in done.output, done.failures


def test_ldaps_is_the_same(campus):
    done = campus.playbook("campus.jitsi.site", "--tags", "prosody", variables={"jitsi_ldap_tls": "ldaps", "jitsi_ldap_servers": ["directory"]})
    assert done.code == 0, done.output[-3000:]
    try:
        assert refused(campus, "any", user="carmen", password=password("carmen")) == ""
        assert "not-authorized" in refused(campus, "any", user="diego", password=password("diego"))
    finally:
        back = campus.playbook("campus.jitsi.site", "--tags", "prosody")
    assert back.code == 0, back.output[-3000:]


def test_a_guest_follows_a_teacher_and_does_not_lead(campus):
    room = some_room()
    with Person(campus, room, guest=True) as guest, Person(campus, room, user="carmen", password=password("carmen")) as carmen:
        with contextlib.suppress(XmppError):
            guest.ask()
            raise AssertionError("a guest opened a room")
        carmen.enter()
        assert carmen.becomes("owner") and guest.enter() == "none"
