# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of the server's own, and guests (`jitsi_auth: internal`), seen from the door."""

from __future__ import annotations

import contextlib

import pytest
from conftest import JSON, settled, works
from people import Person, XmppError, refused, some_room
from rights import documented, rights


@pytest.fixture
def campus(single):
    """The installation, when it has accounts of its own."""
    if single.auth != "internal":
        pytest.skip("the scenario auth_internal has accounts")
    return single


def passwords(site):
    return {"ana": site.secret("users/ana"), "luis": "a password of his own"}


def test_who_has_an_account_logs_in_and_nobody_else(campus):
    known = passwords(campus)
    for user, password in known.items():
        assert refused(campus, "any", user=user, password=password) == ""
    assert refused(campus, "any", user="ANA", password=known["ana"]) == "", "XMPP takes upper case for the same"
    for user, password in (("ana", known["luis"]), ("ana", ""), ("eva", "whatever"), ("focus", known["ana"])):
        assert refused(campus, "any", user=user, password=password) != ""
    assert "takes no anonymous users" in refused(campus, "any")


def test_a_guest_waits_for_somebody_with_an_account_and_does_not_moderate(campus):
    room = some_room()
    with Person(campus, room, guest=True) as guest, Person(campus, room, user="ana", password=passwords(campus)["ana"]) as ana, \
            Person(campus, room, user="luis", password=passwords(campus)["luis"]) as luis:
        with pytest.raises(XmppError, match="not-authorized"):
            guest.ask()
        assert refuses_the_room(guest), "nor without asking"
        ana.enter()
        assert ana.becomes("owner")
        assert guest.enter() == "none"
        luis.enter()
        assert luis.becomes("owner"), "whoever logged in moderates"
        assert "done" not in {guest.grants(guest.jid.partition("/")[0], "owner"), guest.grants(f"somebody@{campus.domain}", "owner"), guest.kicks(ana.nick)}
        assert ana.kicks(guest.nick) == "done"


def refuses_the_room(guest) -> bool:
    """Whether a guest who does not ask jicofo stays outside all the same."""
    with contextlib.suppress(XmppError):
        guest.join(guest.room, guest.nick, timeout=3)
        return False
    return True


def test_who_can_do_what_with_accounts_is_as_documented(campus):
    """Raw stanzas, past all buttons of the client."""
    def ana(room):
        return Person(campus, room, user="ana", password=passwords(campus)["ana"])

    people = {
        "somebody with an account": lambda room: Person(campus, room, user="luis", password=passwords(campus)["luis"]),
        "a guest": lambda room: Person(campus, room, guest=True),
        "a wrong password": lambda room: Person(campus, room, user="luis", password="not his"),
        "a stranger": lambda room: Person(campus, room),
    }
    documented("internal", {who: rights(ana, person) for who, person in people.items()})


def test_users_come_and_go_and_those_of_others_stay(campus):
    (name,) = campus.hosts
    host = campus.host(name)
    host.check_output("prosodyctl register %s %s %s >/dev/null", "byhand", campus.domain, "a password by hand")
    more = {"jitsi_users": [{"name": "ana"}, {"name": "luis", "password": "another one of his"}, {"name": "maria", "password": "her password, too"}]}
    try:
        done = campus.playbook("campus.jitsi.site", "--tags", "prosody", variables=more)
        assert done.code == 0 and done.changes == {"Bring the accounts of people to their state"}, done.output[-3000:]
        assert "another one of his" not in done.output and "her password" not in done.output
        assert refused(campus, "any", user="maria", password="her password, too") == ""
        assert refused(campus, "any", user="luis", password="another one of his") == ""
        assert "not-authorized" in refused(campus, "any", user="luis", password=passwords(campus)["luis"])
    finally:
        done = campus.playbook("campus.jitsi.site", "--tags", "prosody")
    assert done.code == 0, done.output[-3000:]
    assert "not-authorized" in refused(campus, "any", user="maria", password="her password, too"), "not in the list any more"
    assert refused(campus, "any", user="luis", password=passwords(campus)["luis"]) == ""
    assert refused(campus, "any", user="byhand", password="a password by hand") == "", "not ours, so it stays"
    host.check_output("prosodyctl deluser byhand@%s", campus.domain)


def test_switching_to_rooms_for_everybody_and_back_is_one_run_each(campus):
    """With people in a room. Nothing is left of the other way, and all components are connected after each."""
    (name,) = campus.hosts
    before = campus.managed(name)
    with Person(campus, some_room(), user="ana", password=passwords(campus)["ana"]) as ana:
        ana.enter()
        done = campus.playbook("campus.jitsi.site", variables={"jitsi_auth": "anonymous", "jitsi_auth_guests": False, "jitsi_users": []})
    assert done.code == 0, done.output[-3000:]
    try:
        settled(campus, policy="anonymous")

        def anybody(room):
            return Person(campus, room)

        documented("anonymous", {"the first in a room": rights(anybody, anybody, first=True), "whoever comes later": rights(anybody, anybody)})
        assert "PLAIN" not in offered(campus)
        host = campus.host(name)
        for path in (f"/etc/prosody/conf.avail/{campus.domain}.cfg.lua", "/etc/jitsi/jicofo/jicofo.conf", f"/etc/jitsi/meet/{campus.domain}-config.js"):
            text = host.file(path).content_string
            assert "guest." not in text and "authentication {" not in text and "filter_iq" not in text, path
        again = campus.playbook("campus.jitsi.site", variables={"jitsi_auth": "anonymous", "jitsi_auth_guests": False, "jitsi_users": []})
        assert again.code == 0 and again.changed == 0, again.output[-3000:]
    finally:
        back = campus.playbook()
    assert back.code == 0, back.output[-3000:]
    assert without_runs(campus.managed(name)) == without_runs(before)
    assert refused(campus, "any", user="luis", password=passwords(campus)["luis"]) == "", "accounts outlive a time without them"
    works(settled(campus))


def without_runs(lines):
    """What is managed, without which run of a service it is."""
    return [line for line in lines if not line.startswith(("prosody ", "jicofo ", "jitsi-videobridge2 ", "nginx "))]


def offered(site) -> str:
    """What the door offers to somebody without a token, in the words of its refusal; empty when it opens."""
    try:
        with Person(site, "any", user="nobody", password="at all"):
            return ""
    except XmppError as error:
        return str(error)


def test_a_door_that_stands_open_is_seen(campus):
    """Somebody's own setting keeps jicofo from asking: the check at the end of that run says that a guest opened a room."""
    config = {"jicofo": {"authentication": {"enabled": False}}}
    try:
        done = campus.playbook("campus.jitsi.site", "--tags", "jicofo,check", variables={"jicofo_config": config}, environment=JSON)
        assert done.code != 0 and len(done.failures) == 1, done.output[-3000:]
        assert all(part in done.failures[0] for part in ("door", "a guest is let in", "`jitsi_auth`")), done.failures
    finally:
        back = campus.playbook("campus.jitsi.site", "--tags", "jicofo")
    assert back.code == 0, back.output[-3000:]
    works(settled(campus))
