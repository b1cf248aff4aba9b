# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of a directory (`jitsi_auth: ldap`), a real slapd, seen from the door: who gets in, who is kept waiting, what a dead server costs.

molecule/auth_ldap/directory.py says who is in it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time

import pytest
from conftest import CHECKOUT, JSON, settled, works
from people import Person, XmppError, refused, some_room
from test_access_internal import refuses_the_room

from ansible_collections.campus.jitsi.plugins.module_utils import _xmpp

TEACHER, STUDENT = {"user": "teacher", "password": "teaches algebra"}, {"user": "student", "password": "learns algebra"}
DISABLED, FORMER = {"user": "disabled", "password": "taught algebra"}, {"user": "former", "password": "taught geometry"}
LOG = "/var/log/prosody/prosody.log"
#: Seconds, as in molecule/auth_ldap/molecule.yml.
PERIOD, ATTEMPTS = 3, 5


@pytest.fixture
def campus(site):
    """The installation, when it asks a directory, all of which answers again when the test is over."""
    if site.auth != "ldap":
        pytest.skip("the scenario auth_ldap has a directory")
    log = Log(site)
    yield site
    directory(site, "systemctl kill --signal=CONT directory-one directory-two; systemctl start directory-one directory-two")
    assert comes_true(lambda: refused(site, "any", **TEACHER) == "" and not log.left_out(), 15), log.text()


def directory(site, command):
    site.host("directory").check_output(command)


def comes_true(ask, seconds):
    end = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < end:
        time.sleep(0.5)
    return answer


def timed(site, **who):
    """What becomes of a login, and how many seconds it takes."""
    began = time.monotonic()
    return refused(site, "any", **who), time.monotonic() - began


def up(site):
    """Wait for a Prosody that was restarted: it takes components a moment before people."""
    def opens():
        with contextlib.suppress(OSError, XmppError):
            _xmpp.WebSocketSession(site.connect(), site.domain, "/xmpp-websocket?room=any", None).close()
            return True
        return False

    assert comes_true(opens, 15), "Prosody does not come up"


def guesses(site, *pairs):
    """What becomes of names and passwords, tried one after the other on one connection."""
    session = _xmpp.WebSocketSession(site.connect(), site.domain, "/xmpp-websocket?room=any", None)
    found = []
    for user, password in pairs:
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        session._write(f'<auth xmlns="{_xmpp.SASL}" mechanism="PLAIN">{secret}</auth>')
        found.append(_xmpp.condition(session._one(lambda element: element.tag.startswith(f"{{{_xmpp.SASL}}}"), 20, "a guess")))
    session.close()
    return found


def wrong(count, user="teacher"):
    """So many wrong passwords."""
    return [(user, f"guess {number}") for number in range(count)]


class Log:
    """What Prosody writes from now on."""

    def __init__(self, site):
        self.host = site.of_one("prosody")
        self.mark = int(self.host.check_output(f"stat --format=%s {LOG}"))

    def text(self):
        return self.host.check_output(f"tail -c +{self.mark + 1} {LOG}")

    def left_out(self):
        """The servers that are."""
        found = set()
        for uri, what in re.findall(r"LDAP server (\S+) (is left out|answers again)|No LDAP server answers", self.text()):
            if what == "answers again":
                found.discard(uri)
            else:
                found |= {uri} if uri else {"ldap://ldap1.lab.test", "ldap://ldap2.lab.test:1389"}
        return found


class Elsewhere:
    """The installation, seen from another address: that of this machine in IPv6."""

    def __init__(self, site):
        self.site, self.domain = site, site.domain

    def connect(self):
        reached = self.site.connect()
        reached.address = self.site.addresses(self.site.of("nginx_meet")[0])[1]
        return reached


# --- who gets in -----------------------------------------------------------------------------------------------------


def test_teachers_log_in_and_nobody_else(campus):
    assert refused(campus, "any", **TEACHER) == ""
    assert refused(campus, "any", **{**TEACHER, "user": "TEACHER"}) == "", "XMPP takes upper case for the same"
    not_let_in = {
        "not in the group": STUDENT, "switched off": DISABLED, "a wrong password": {**TEACHER, "password": "teaches geometry"},
        "of somebody else": {**TEACHER, "password": STUDENT["password"]}, "nobody": {**TEACHER, "user": "nobody"},
        "an asterisk": {**TEACHER, "user": "*"}, "an asterisk behind a letter": {**TEACHER, "user": "t*"},
        "more of a filter": {**TEACHER, "user": "student)(|(uid=teacher"}, "the placeholder": {**TEACHER, "user": "$user"},
    }
    for what, who in not_let_in.items():
        assert "not-authorized" in refused(campus, "any", **who), what
    for password in ("", "\u00ad", "\0", "\0teaches algebra"):
        assert "malformed-request" in refused(campus, "any", user="teacher", password=password), f"{password!r} is empty"
    assert "takes no anonymous users" in refused(campus, "any")


def test_an_empty_password_is_nobodys_also_when_prosody_lets_it_through(campus):
    """A directory takes a name without a password for a login as nobody, and says yes. So does Active Directory; slapd can be told to."""
    directory(campus, "cd /srv/directory; sed 's/^security .*/allow bind_anon_cred bind_anon_dn/' one.conf > loose.conf; systemctl stop directory-one; "
                      "(slapd -d 0 -f loose.conf -h 'ldap://:389' >/dev/null 2>&1 </dev/null & echo $! > loose.pid); sleep 1")
    try:
        script = LUA.replace("CASES", """
            print(login("ldap://ldap1.lab.test", "uid=teacher,ou=people,dc=campus,dc=test", "", true))
            load_module()
            print(login(servers, "uid=teacher,ou=people,dc=campus,dc=test", "", true))
            print(login(servers, "", "teaches algebra", true))
            print(login(servers, "uid=teacher,ou=people,dc=campus,dc=test", "teaches algebra", true))""")
        assert lua(campus, script) == ["yes", "Invalid credentials", "Invalid credentials", "yes"]
    finally:
        directory(campus, "kill $(cat /srv/directory/loose.pid); systemctl start directory-one")


def test_a_guest_waits_for_a_teacher_and_does_not_moderate(campus):
    room = some_room()
    with Person(campus, room, guest=True) as guest, Person(campus, room, **TEACHER) as teacher:
        with pytest.raises(XmppError, match="not-authorized"):
            guest.ask()
        assert refuses_the_room(guest), "nor without asking"
        teacher.enter()
        assert teacher.becomes("owner")
        assert guest.enter() == "none"
        assert "done" not in {guest.grants(guest.jid.partition("/")[0], "owner"), guest.kicks(teacher.nick)}
        assert teacher.kicks(guest.nick) == "done"


# --- passwords that are tried ----------------------------------------------------------------------------------------


def test_twenty_wrong_passwords_are_not_looked_at_and_the_right_one_is_after_a_while(campus):
    log = Log(campus)
    said = guesses(campus, *wrong(20))
    assert ["not-authorized" in text for text in said[:ATTEMPTS]] == [True] * ATTEMPTS
    assert all("temporary-auth-failure (Too many wrong passwords" in text for text in said[ATTEMPTS:]), said
    assert "Too many wrong passwords" in refused(campus, "any", **TEACHER), "the right one is not looked at, either"
    assert refused(Elsewhere(campus), "any", **TEACHER) == "", "nobody locks out a teacher who is elsewhere"
    assert f"Too many wrong passwords for \"teacher\": no further one is looked at for {PERIOD} seconds" in log.text()
    assert "guess" not in log.text() and TEACHER["password"] not in log.text()


def test_every_further_wrong_password_costs_twice_as_long_and_a_right_one_forgives(campus):
    # From elsewhere, so that no test before has any part in it.
    here = Elsewhere(campus)
    assert all("not-authorized" in text for text in guesses(here, *wrong(ATTEMPTS)))
    time.sleep(PERIOD + 0.2)
    first, said = guesses(here, *wrong(2))
    assert "not-authorized" in first
    assert PERIOD < int(re.search(r"try again in (\d+) seconds", said)[1]) <= 2 * PERIOD, said
    time.sleep(2 * PERIOD + 0.2)
    assert refused(here, "any", **TEACHER) == ""
    assert all("not-authorized" in text for text in guesses(here, *wrong(ATTEMPTS - 1))), "it begins anew"
    assert refused(here, "any", **TEACHER) == ""


def test_names_that_nobody_has_are_counted_for_their_address(campus):
    """The limit of an address is that of a lecture hall."""
    here = Elsewhere(campus)
    said = guesses(here, *((f"name{number}", "algebra") for number in range(25 * ATTEMPTS)))
    assert "not-authorized" in said[15 * ATTEMPTS] and "Too many wrong passwords" in said[-1], said[-1]
    assert refused(campus, "any", **TEACHER) == "", "others come in"
    time.sleep(PERIOD + 0.2)
    assert refused(here, "any", **TEACHER) == ""


# --- servers that do not answer --------------------------------------------------------------------------------------


def test_without_a_directory_logins_are_refused_at_once_and_meetings_go_on(campus):
    (meet,) = campus.of("prosody")
    before, log, room = campus.invocation(meet, "prosody"), Log(campus), some_room()
    with Person(campus, room, **TEACHER) as teacher, Person(campus, room, guest=True) as guest, Person(campus, room, guest=True) as late:
        teacher.enter()
        guest.enter()
        directory(campus, "systemctl stop directory-one directory-two")
        for _attempt in range(3):
            said, seconds = timed(campus, **TEACHER)
            assert "temporary-auth-failure (The directory does not answer" in said and seconds < 1.5, (said, seconds)
        assert teacher.becomes("owner") and late.enter() == "none"
        assert teacher.kicks(guest.nick) == "done", "and he still moderates"
        said = [line for line in log.text().splitlines() if "\terror\tNo LDAP server answers" in line]
        assert len(said) == 1 and "ldap1.lab.test: it cannot be reached" in said[0] and "ldap2.lab.test:1389: " in said[0], said
        assert log.text().count("Login refused: no LDAP server answers") == 2 and log.text().count("auth_ldap\terror") == 1, "the others were not asked for"
        directory(campus, "systemctl start directory-two")
        assert comes_true(lambda: refused(campus, "any", **TEACHER) == "", 8), "it is found by itself"
    assert "ldap2.lab.test:1389 answers again" in log.text()
    assert campus.invocation(meet, "prosody") == before


def test_a_second_server_takes_over_and_nobody_waits_for_the_first(campus):
    log = Log(campus)
    directory(campus, "systemctl stop directory-one")
    for _attempt in range(3):
        said, seconds = timed(campus, **TEACHER)
        assert said == "" and seconds < 1.5, (said, seconds)
    assert "not-authorized" in refused(campus, "any", user="teacher", password="guess")
    assert log.text().count("LDAP server ldap://ldap1.lab.test is left out") == 1 and log.left_out() == {"ldap://ldap1.lab.test"}


def test_servers_that_take_connections_and_say_nothing_cost_one_wait(campus):
    """As behind a balancer, or a host that swaps itself to death. Prosody waits while it asks, so it must not ask again each time."""
    log = Log(campus)
    assert refused(campus, "any", **TEACHER) == ""
    directory(campus, "systemctl kill --signal=STOP directory-one")
    said, seconds = timed(campus, **TEACHER)
    assert said == "" and seconds < 8, (said, seconds)
    said, seconds = timed(campus, **TEACHER)
    assert said == "" and seconds < 1, (said, seconds)
    directory(campus, "systemctl kill --signal=STOP directory-two")
    said, seconds = timed(campus, **TEACHER)
    assert "temporary-auth-failure" in said and seconds < 8, (said, seconds)
    time.sleep(7)
    said, seconds = timed(campus, **TEACHER)
    assert "temporary-auth-failure" in said and seconds < 1, "the look from the side did not take it for alive"
    assert "No LDAP server answers" in log.text() and "answers again" not in log.text()
    directory(campus, "systemctl kill --signal=CONT directory-one directory-two")
    assert comes_true(lambda: refused(campus, "any", **TEACHER) == "", 10)
    assert "answers again" in log.text()


def test_somebody_who_tries_the_account_that_reads_shuts_nobody_out(campus):
    log = Log(campus)
    for _attempt in range(3):
        assert "not-authorized" in refused(campus, "any", user="reader", password="guess")
    assert refused(campus, "any", **TEACHER) == "" and "left out" not in log.text()


# --- certificates ----------------------------------------------------------------------------------------------------

#: What Prosody has of libldap, without Prosody: prints `yes` or the error, one line for each case.
LUA = """
local lualdap = require "lualdap"
local servers, reader = "ldap://ldap1.lab.test", "uid=reader,ou=services,dc=campus,dc=test"
local clock = 0
local function stub(name)
    return name == "util.time" and { now = function() return clock end } or setmetatable({}, { __index = function() return {} end })
end
local module = setmetatable({
    get_option_string = function(_, name, other) return ({ ldap_server = servers, ldap_rootdn = reader, ldap_password = "reads names" })[name] or other end,
}, { __index = function() return function() end end })
local function login(...)
    local found, why = lualdap.open_simple(...)
    return found and "yes" or why
end
local function load_module()
    require = function(name) return name == "lualdap" and lualdap or stub(name) end
    assert(loadfile("/usr/local/lib/prosody/modules/mod_campus_ldap.lua", "t", setmetatable({ module = module }, { __index = _G })))()
end
CASES
"""


def lua(site, script, environment=""):
    """The lines that a script prints on Prosody's host, with the environment of Prosody."""
    runner = ("import subprocess, sys\nshow = subprocess.run(['systemctl', 'show', '--property=Environment', '--value', 'prosody'], "
              "stdout=subprocess.PIPE, text=True, check=True).stdout.split()\n"
              f"done = subprocess.run(['env', *show, *{environment.split()!r}, 'lua5.4', '-'], input={script!r}, stdout=subprocess.PIPE, "
              "stderr=subprocess.STDOUT, text=True)\nprint(done.stdout, end='')\nsys.exit(done.returncode)\n")
    return site.on(site.of("prosody")[0], runner).splitlines()


def test_a_connection_that_was_idle_is_not_trusted_and_a_reference_is_nobody(campus):
    """A firewall in between forgets connections and drops what comes on them: each login would wait for nothing."""
    script = LUA.replace("CASES", """
        local opened, original = 0, lualdap.open_simple
        lualdap.open_simple = function(...) opened = opened + 1; return original(...) end
        load_module()
        local ld = lualdap.open_simple(servers, reader, "reads names", true)
        local function find(name)
            local found, why = pcall(function()
                local iterator, invariant, initial = ld.search(ld, { base = "dc=campus,dc=test", scope = "subtree", sizelimit = 1, filter = name })
                return (iterator(invariant, initial))
            end)
            print(opened, found, why)
        end
        find("(uid=student)"); find("(uid=nobody)"); clock = 20; find("(uid=student)"); clock = 51; find("(uid=student)"); find("(uid=student)")""")
    student = "true\tuid=student,ou=people,dc=campus,dc=test"
    assert lua(campus, script) == [f"1\t{student}", "1\ttrue\tnil", f"1\t{student}", f"2\t{student}", f"2\t{student}"]


def test_a_server_with_another_certificate_is_not_believed(campus):
    """Of the same address, by libldap itself with what the role wrote: StartTLS and LDAPS, another name and another authority."""
    good = [("ldap://ldap1.lab.test", True), ("ldaps://ldap1.lab.test", False), ("ldap://ldap2.lab.test:1389", True)]
    bad = [("ldap://ldap1.lab.test:2389", True), ("ldaps://ldap1.lab.test:2636", False), ("ldap://ldap1.lab.test:3389", True),
           ("ldaps://ldap1.lab.test:3636", False), ("ldap://ldap2.lab.test", True), ("ldaps://ldap2.lab.test", False)]
    cases = "\n".join(f'print(login("{uri}", reader, "reads names", {str(tls).lower()}))' for uri, tls in good + bad)
    said = lua(campus, LUA.replace("CASES", cases))
    assert said[: len(good)] == ["yes"] * len(good)
    assert all(text in ("Connect error", "Can't contact LDAP server") for text in said[len(good):]), said
    # It is the certificate and nothing else.
    assert lua(campus, LUA.replace("CASES", cases), "LDAPTLS_REQCERT=never") == ["yes"] * len(good + bad)


# --- before anything is changed --------------------------------------------------------------------------------------

BASIC = {"servers": ["ldap1.lab.test", "ldap2.lab.test:1389"], "base": "dc=campus,dc=test", "bind_dn": "uid=reader,ou=services,dc=campus,dc=test",
         "bind_password": "reads names", "filter": "(uid=$user)"}
#: What is different, and what must be said: a part of the one problem, or of the one warning, or nothing.
LOOKS = {
    "as it should be": ({}, "", ""),
    "LDAPS": ({"servers": ["ldap1.lab.test", "ldap2.lab.test:1636"], "tls": "ldaps"}, "", ""),
    "one of two is down": ({"servers": ["ldap1.lab.test", "ldap2.lab.test:4389"]}, "", "LDAP server ldap2.lab.test:4389 cannot be reached from here"),
    "all are down": ({"servers": ["ldap1.lab.test:4389"]}, "LDAP server ldap1.lab.test:4389 cannot be reached from here (Connection refused)", ""),
    "another name": ({"servers": ["ldap1.lab.test:2389"]}, "ldap1.lab.test:2389: its certificate is not accepted (Hostname mismatch", ""),
    "another name, LDAPS": ({"servers": ["ldap1.lab.test:2636"], "tls": "ldaps"}, "its certificate is not accepted (Hostname mismatch", ""),
    "another authority": ({"servers": ["ldap1.lab.test:3389"]}, "its certificate is not accepted (", ""),
    "only the system's authorities": ({"ca": "", "servers": ["ldap1.lab.test"]}, "its certificate is not accepted (", ""),
    "no TLS where it wants some": ({"tls": "none", "servers": ["ldap1.lab.test"]}, "(confidentialityRequired", ""),
    "TLS where there is none": ({"tls": "ldaps", "servers": ["ldap1.lab.test:389"]}, "ldap1.lab.test:389", ""),
    "a wrong password": ({"servers": ["ldap1.lab.test"], "bind_password": "a wrong one"}, "refuses `prosody_ldap_bind_dn` uid=reader", ""),
    "as nobody": ({"servers": ["ldap1.lab.test"], "bind_dn": "", "bind_password": ""}, "`prosody_ldap_base` dc=campus,dc=test is not there", ""),
    "no such base": ({"servers": ["ldap1.lab.test"], "base": "dc=other,dc=test"}, "`prosody_ldap_base` dc=other,dc=test is not there (noSuchObject", ""),
    "no such group": ({"servers": ["ldap1.lab.test"], "group": "cn=Staff,dc=campus,dc=test"}, "`prosody_ldap_group` cn=Staff,dc=campus,dc=test is not", ""),
    "a group of nobody": ({"servers": ["ldap1.lab.test"], "filter": "(&(uid=$user)(memberOf=cn=Nobody,ou=groups,dc=campus,dc=test))"}, "",
                          "nobody could log in"),
}


def test_what_is_wrong_with_a_directory_is_said_in_one_sentence(campus, tmp_path):
    """By the module that the site playbook asks; none of the sentences has a password in it, also at -vvv."""
    ca = (campus.place / "directory-ca.crt").read_text(encoding="utf-8")
    cases = [{"ca": ca, "tls": "starttls", "group": "", **BASIC, **change} for change, _problem, _warning in LOOKS.values()]
    tasks = [{"campus.jitsi.ldap_check": case, "register": f"found_{number}"} for number, case in enumerate(cases)]
    told = ", ".join(f"found_{number}.problems" for number in range(len(cases)))
    play = [{"hosts": "jitsi", "gather_facts": False, "tasks": [*tasks, {"ansible.builtin.debug": {"msg": f"{{{{ [{told}] | to_json }}}}"}}]}]
    (tmp_path / "look.yml").write_text(json.dumps(play), encoding="utf-8")
    done = campus.playbook(str(tmp_path / "look.yml"), "-vvv", environment=JSON)
    assert done.code == 0, done.output[-3000:]
    (problems,) = (json.loads(json.loads(f'"{text}"')) for text in re.findall(r'"msg": "(\[.*\])"', done.output))
    for (what, (_change, problem, _warning)), said in zip(LOOKS.items(), problems):
        assert len(said) == (1 if problem else 0) and all(problem in text for text in said), (what, said)
    warnings = re.findall(r"\[WARNING\]: (LDAP server .*)", done.output)
    for what, (_change, _problem, warning) in LOOKS.items():
        assert not warning or any(warning in text for text in warnings), (what, done.output)
    assert len(warnings) == sum(bool(warning) for _change, _problem, warning in LOOKS.values())
    assert "a wrong one" not in done.output and BASIC["bind_password"] not in done.output


def test_a_group_that_is_not_there_is_refused_before_anything_is_touched(campus):
    (meet,) = campus.of("prosody")
    before, group = campus.managed(meet), "cn=Staff,ou=groups,dc=campus,dc=test"
    done = campus.playbook("campus.jitsi.site", variables={"prosody_ldap_group": group, "jitsi_auth_guests": False}, environment=JSON)
    assert done.code != 0 and len(done.failures) == 1, done.output[-3000:]
    assert re.fullmatch(f"LDAP server ldap1[^\n]*: `prosody_ldap_group` {group} is not there \\(noSuchObject\\): correct it[^\n]*\n"
                        f"LDAP server ldap2[^\n]*: `prosody_ldap_group` {group} is not there[^\n]*", done.failures[0]), done.failures
    assert campus.managed(meet) == before and "reads names" not in done.output


# --- other directories, and none -------------------------------------------------------------------------------------


#: Prosody alone, as the site playbook does it, in a third of the time.
PROSODY = [
    {"hosts": "jitsi", "gather_facts": False, "tasks": [
        {"ansible.builtin.add_host": {"name": "{{ item.1 }}", "groups": ["jitsi_{{ item.0.key }}"]}, "changed_when": False,
         "loop": "{{ groups | campus.jitsi.place_roles | ansible.builtin.dict2items | ansible.builtin.subelements('value') }}"}]},
    {"hosts": "jitsi_prosody", "gather_facts": False, "vars_files": [str(CHECKOUT / "playbooks" / "vars" / "wiring.yml")], "roles": ["campus.jitsi.prosody"]},
]


def test_active_directory_over_ldaps_and_then_no_directory_at_all(campus, tmp_path):
    """Names and switched-off accounts as Active Directory has them, by slapd, which knows no nested groups. Then nothing of it is left."""
    (meet,) = campus.of("prosody")
    host, before, play = campus.host(meet), campus.managed(meet), tmp_path / "prosody.yml"
    play.write_text(json.dumps(PROSODY), encoding="utf-8")
    assert refused(campus, "any", **FORMER) == "", "what Active Directory says is nothing to OpenLDAP"
    other = {"prosody_ldap_kind": "active_directory", "prosody_ldap_tls": "ldaps", "prosody_ldap_servers": ["ldap1.lab.test", "ldap2.lab.test:1636"],
             "prosody_ldap_group": ""}
    try:
        done = campus.playbook(str(play), "--diff", variables=other)
        assert done.code == 0 and "reads names" not in done.output, done.output[-3000:]
        up(campus)
        assert refused(campus, "any", **TEACHER) == "" and refused(campus, "any", **STUDENT) == ""
        assert "not-authorized" in refused(campus, "any", **FORMER)
        done = campus.playbook(str(play), variables={"jitsi_auth": "anonymous", "jitsi_auth_guests": False})
        assert done.code == 0, done.output[-3000:]
        assert host.run("grep -ril ldap /etc/prosody /etc/systemd/system/prosody.service.d /usr/local/lib/prosody").stdout == ""
        up(campus)
        assert refused(campus, "any") == ""
    finally:
        back = campus.playbook(str(play))
    assert back.code == 0, back.output[-3000:]
    up(campus)
    assert [line for line in campus.managed(meet) if not line.startswith("prosody ")] == [line for line in before if not line.startswith("prosody ")]
    works(settled(campus))


def test_prosody_starts_without_a_complaint(campus):
    log = Log(campus)
    log.host.check_output("systemctl restart prosody")
    up(campus)
    assert refused(campus, "any", **TEACHER) == ""
    complaints = [line for line in log.text().splitlines() if "\twarn\t" in line or "\terror\t" in line]
    assert [line for line in complaints if not line.endswith("Received SIGTERM")] == []
    works(settled(campus))
