# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of rooms that strangers guess, what rooms can do, and who is asked before one is made. Seen from the door."""

from __future__ import annotations

import json
import time

import pytest
from conftest import JSON, settled, wait_for, works
from people import Person, XmppError, some_room
from test_traps import prosody
from test_web import call

from ansible_collections.campus.jitsi.plugins.module_utils import _conference, _xmpp

WORD = "Bearer a-word-for-the-reservation-system"
RESERVATIONS = "http://127.0.0.1:8765/rooms"
#: What leads an installation to which features of rooms.
VARIATIONS = {
    "as it was": {},
    "strict": {
        "prosody_room_policy": True, "prosody_room_refused_names": ["rector*", "claustro"], "prosody_max_occupants": 2, "prosody_lobby": False,
        "prosody_breakout_rooms": False, "prosody_av_moderation": False, "prosody_end_conference": False, "prosody_polls": False,
        "nginx_meet_generated_names": True,
    },
    "booked": {
        "jitsi_auth": "internal", "jitsi_auth_guests": True, "jitsi_users": [{"name": "ana", "password": "a password of her own"}],
        "prosody_lobby_persistent": True, "prosody_reservations_url": RESERVATIONS, "prosody_reservations_headers": {"Authorization": WORD},
        "prosody_reservations_retries": 0,
    },
}
MESSAGE = "The name of this room is easy to guess"
#: A reservation system that takes rooms whose name begins with "lecture".
SYSTEM = f"""
import http.server, json, urllib.parse

class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        name = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["name"][0]
        good = name.startswith("lecture") and self.path == "/rooms/conference" and self.headers["Authorization"] == "{WORD}"
        found = {{"id": 7, "name": name, "mail_owner": "ana", "start_time": "2030-01-01T10:00:00.000Z", "duration": 900000}}
        self.answer(200 if good else 403, found if good else {{"message": "Nobody booked this room"}})

    def do_DELETE(self):
        self.answer(200, {{}})

    def answer(self, code, data):
        text = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

http.server.HTTPServer(("127.0.0.1", 8765), Answer).serve_forever()
"""
#: Ask jicofo past nginx and Prosody, as somebody on its host could.
PAST = """
import json, urllib.request
body = json.dumps({"room": "ROOM", "machineUid": "1", "properties": {}}).encode()
try:
    answer = urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8888/conference-request/v1", body, {"Content-Type": "application/json"}))
    print(json.load(answer).get("ready"))
except OSError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def vary(site):
    """Lead the site to a variation; at the end it is led back, and must be what it was."""
    if len(site.hosts) > 1 or site.auth != "anonymous":
        pytest.skip("is the same wherever the roles are: the scenario default tests it")
    (name,) = site.hosts
    before, now = managed(site, name), ["as it was"]

    def lead(to):
        if now[0] != to:
            now[0] = "on the way"
            # Jicofo knows of no more than who has an account.
            tags = "prosody,nginx_meet" if to == "strict" else "prosody,jicofo,nginx_meet"
            site.shown = site.playbook("campus.jitsi.site", "--tags", tags, "--diff", variables=VARIATIONS[to], environment=JSON)
            assert site.shown.code == 0, site.shown.output[-3000:]
            now[0] = to
        return site

    yield lead
    lead("as it was")
    assert managed(site, name) == before, "what was switched on left something"
    works(settled(site))


def managed(site, name):
    """What is managed, without which run of a service it is."""
    return [line for line in site.managed(name) if not line.startswith(("prosody ", "jicofo ", "jitsi-videobridge2 ", "nginx "))]


def config(site):
    """What the client is told."""
    return _conference.read_config(site.connect().request("GET", "/config.js")[2].decode())


def asks(site, room):
    """The error with which somebody's request for a conference is answered, as XML; None when it is taken."""
    with Person(site, room) as one:
        one._write(f'<iq xmlns="{_xmpp.CLIENT}" type="set" id="asks" to="focus.{site.domain}">'
                   f'<conference xmlns="{_xmpp.FOCUS}" room="{one.room}" machine-uid="1"/></iq>')
        answer = one._one(lambda e: e.get("id") == "asks", 15, "the request")
        return answer.find(f"{{{_xmpp.CLIENT}}}error")


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prueba", "Test1", "saladeprueba", "pepe", "hola", "xkzqv", "12345678", "rectorado", "claustro"])
def test_a_name_that_strangers_guess_is_refused_and_people_are_told_why(vary, name):
    error = asks(vary("strict"), name)
    assert error is not None and error.find(f"{{{_xmpp.STANZAS}}}not-allowed") is not None
    assert error.findtext(f"{{{_xmpp.STANZAS}}}text").startswith(MESSAGE)
    told = error.find(f"{{{_xmpp.FOCUS}}}reservation-error")
    assert told is not None and told.get("error-code") == "403", "the only error whose text Jitsi's client shows"


def test_a_name_that_they_do_not_guess_is_taken(vary):
    site = vary("strict")
    for name in (some_room(), "salamanca-2", "vicerector"):
        with Person(site, name) as one:
            one.enter()
            assert one.becomes("owner")
    works(settled(site))


def test_nobody_makes_such_a_room_past_the_request(vary):
    """Neither without asking, nor by asking jicofo itself: through the site's HTTP, through its own, and at its own address."""
    site = vary("strict")
    room = f"prueba@conference.{site.domain}"
    with Person(site, "prueba") as one:
        with pytest.raises(XmppError):
            one.join(one.room, one.nick, timeout=3)
        with pytest.raises(XmppError, match=MESSAGE):
            one.iq("set", f"focus@auth.{site.domain}", f'<conference xmlns="{_xmpp.FOCUS}" room="{room}" machine-uid="1"/>')
    status, _headers, _text = site.connect().request("POST", "/conference-request/v1", json.dumps({"room": room}).encode(), "application/json")
    assert status in (404, 405)
    assert "conferenceRequestUrl" not in config(site)
    (name,) = site.hosts
    assert site.on(name, PAST.replace("ROOM", room)).strip() != "True"
    assert "false" in prosody(site, f"require'core.modulemanager'.get_module('conference.{site.domain}', 'muc').get_room_from_jid('{room}') ~= nil")


def test_a_room_that_is_there_stays_open(vary):
    """One that was made before, here while our module was away for a moment."""
    site = vary("strict")
    conference = f"conference.{site.domain}"
    host = site.of_one("prosody")
    host.check_output("prosodyctl shell module unload muc_campus_room_names %s", conference)
    try:
        first = Person(site, "prueba")
        first.enter()
    finally:
        host.check_output("prosodyctl shell module load muc_campus_room_names %s", conference)
    with Person(site, "prueba") as second:
        assert second.enter() in ("none", "member"), "it is there"
    first.leave(first.room, first.nick)
    first.close()
    assert wait_for(lambda: asks(site, "prueba") is not None, 20), "and when it is gone it is not made again"


def test_people_see_the_reason_in_their_browser(vary, tmp_path):
    site = vary("strict")
    result = call(site, tmp_path, "--room", "prueba", "--timeout", "8")
    for browser in result["browsers"].values():
        assert browser["meeting"]["state"] == "failed" and MESSAGE in browser["meeting"]["error"], browser["meeting"]
    assert call(site, tmp_path, "--room", some_room())["ok"]


def test_the_client_warns_of_names_of_ones_own(vary):
    assert config(vary("strict"))["enableInsecureRoomNameWarning"] is True


# --- what rooms can do ---------------------------------------------------------------------------------------------


def test_a_full_room_takes_nobody_and_jicofo_does_not_count(vary):
    site, room = vary("strict"), some_room()
    with Person(site, room) as first, Person(site, room) as second, Person(site, room) as third:
        first.enter()
        second.enter()
        with pytest.raises(XmppError, match="service-unavailable"):
            third.enter()
        second.leave(second.room, second.nick)
        second.see(1)
        third.enter()
        with Person(site, some_room()) as elsewhere:
            elsewhere.enter()


def test_a_password_is_asked_of_everybody_and_moderators_alone_set_it(vary):
    site, room, word = vary("strict"), some_room(), "it's <not> \"easy\""
    with Person(site, room) as first, Person(site, room) as second:
        first.enter()
        assert first.becomes("owner")
        assert first.configures("roomsecret", word) == "done"
        with pytest.raises(XmppError, match="not-authorized"):
            second.enter()
        assert second.opens_with("something else") == "not-authorized"
        assert second.opens_with(word) == "done"
        assert second.configures("roomsecret", "") == "forbidden"
        assert first.configures("roomsecret", "") == "done"
        second.leave(second.room, second.nick)
        second.see(1)
        assert second.enter() in ("none", "member")


FEATURES = {"lobbyrooms", "breakout_rooms", "end_conference", "av_moderation"}
HOSTS = ("lobby", "breakout", "endconference", "avmoderation", "polls")


def features(site) -> set[str]:
    """What the server tells clients that rooms can do."""
    with Person(site, some_room()) as one:
        answer = one.iq("get", site.domain, f'<query xmlns="{_xmpp.DISCO}"/>')
        return {identity.get("type") for identity in answer.iter(f"{{{_xmpp.DISCO}}}identity")} & FEATURES


def test_features_that_are_off_leave_nothing(vary):
    """Before that, they are there."""
    site = vary("strict")
    assert features(site) == set()
    hosts = prosody(site, "require'util.serialization'.serialize(require'util.iterators'.to_array(pairs(prosody.hosts)))")
    assert f"conference.{site.domain}" in hosts
    assert [name for name in HOSTS if f"{name}.{site.domain}" in hosts] == []
    text = site.of_one("prosody").file(f"/etc/prosody/conf.avail/{site.domain}.cfg.lua").content_string
    settings = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    assert [word for word in ("lobby", "breakout", "end_conference", "av_moderation", "polls", "reservation") if word in settings] == []
    with Person(site, some_room()) as one:
        one.enter()
        assert one.becomes("owner")
        for name in HOSTS:
            assert one.tries(f"{name}.{site.domain}", f'<query xmlns="{_xmpp.DISCO}"/>', "get") != "done", name
    site = vary("as it was")
    assert features(site) == FEATURES
    with Person(site, "prueba") as one:
        one.enter()
    assert not site.of_one("prosody").file("/usr/local/lib/prosody/modules/mod_muc_campus_room_names.lua").exists


# --- a lobby that stays, and reservations ---------------------------------------------------------------------------


@pytest.fixture
def booked(once, vary):
    """With accounts, a lobby that stays, and a reservation system."""
    site = vary("booked")
    host = site.of_one("prosody")
    if host.run("systemctl is-active verify-reservations").rc != 0:
        host.check_output("printf %%s %s > /run/verify-reservations.py", SYSTEM)
        host.check_output("systemd-run --unit=verify-reservations --quiet python3 /run/verify-reservations.py")
        assert wait_for(lambda: host.socket("tcp://127.0.0.1:8765").is_listening, 10)
    yield site
    host.run("systemctl stop verify-reservations")


def ana(site, room):
    return Person(site, room, user="ana", password="a password of her own")


def test_the_reservation_system_is_asked_and_its_words_are_told(booked):
    with ana(booked, some_room()) as one:
        assert one.enter() and one.becomes("owner")
    with ana(booked, "seminar-of-nobody") as one, pytest.raises(XmppError, match="service-unavailable .Nobody booked this room"):
        one.ask()


def test_the_headers_for_the_reservation_system_are_secret(booked):
    assert "reservations_api_prefix" in booked.shown.output, "the change was shown"
    assert WORD not in booked.shown.output and "a-word-for" not in booked.shown.output
    file = booked.of_one("prosody").file(f"/etc/prosody/conf.avail/{booked.domain}.cfg.lua")
    assert WORD in file.content_string and file.mode == 0o640


def test_a_lobby_outlives_an_empty_room(booked):
    room = some_room()
    lobby = f"{room}@lobby.{booked.domain}"
    with Person(booked, room, guest=True) as guest:
        with ana(booked, room) as first:
            first.enter()
            assert first.becomes("owner")
            assert first.lobby(True) == "done"
            assert "registration-required" in guest.waits()
            guest.join(lobby, guest.nick)
            assert guest.nick in guest.occupants(lobby)
            first.leave(first.room, first.nick)
        # jicofo leaves, too.
        time.sleep(8)
        guest.see(1)
        assert guest.nick in guest.occupants(lobby), "who waits goes on waiting"
        with pytest.raises(XmppError, match="registration-required"):
            guest.join(guest.room, guest.nick)
        with ana(booked, room) as again:
            assert again.enter() == "owner", "and the moderator comes back"
            guest.leave(lobby, guest.nick)
            again.leave(again.room, again.nick)
    find = f"require'core.modulemanager'.get_module('conference.{booked.domain}', 'muc').get_room_from_jid('{room}@conference.{booked.domain}') ~= nil"
    assert wait_for(lambda: "false" in prosody(booked, find), 30), "when both are empty, both end"
