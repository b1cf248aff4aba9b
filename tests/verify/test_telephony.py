# SPDX-License-Identifier: GPL-3.0-or-later
"""Telephones, through a real registrar (kamailio) and real calls (sipp): who is registered, who gets into which room, and who is called."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import subprocess
import time
import uuid

import pytest
from conftest import JSON
from people import Person

RAYO = "urn:xmpp:rayo:1"
ANSWERS, BUSY, FOREIGN = "+34600000001", "+34600000002", "+900123456789"


class Telephony:
    """The exchange, the gateway, and what they say."""

    def __init__(self, site):
        self.site = site
        self.pbx = site.host("pbx")
        self.gateway = site.host("gateway")
        self.address = site.address("pbx")

    def contacts(self) -> dict[str, str]:
        """The accounts that are registered, each with where."""
        shown = self.pbx.check_output("kamcmd ul.dump")
        return dict(re.findall(r"AoR: (\S+)(?:(?!AoR:)[\s\S])*?Address: (\S+)", shown))

    def registered(self, *accounts: str, seconds: float = 30) -> dict[str, str]:
        """Wait until these accounts are registered."""
        end = time.monotonic() + seconds
        while not set(accounts) <= set(found := self.contacts()):
            assert time.monotonic() < end, f"only {found} of {accounts} after {seconds} s\n{self.log('main')}\n{self.log('secure')}"
            time.sleep(0.5)
        return found

    def log(self, account: str) -> str:
        name = "jigasi.log" if account == "main" else f"jigasi-{account}.log"
        return self.gateway.check_output("tail -n 60 /var/log/jitsi/%s", name)

    def exchange_log(self, since: str) -> str:
        return self.pbx.check_output("journalctl --unit=kamailio --since=@%s --output=cat --no-pager", since)

    def now(self) -> str:
        return self.pbx.check_output("date +%s")

    def sipp(self, scenario: str, *words: str) -> subprocess.Popen:
        """One run of sipp on the exchange's host."""
        command = ["sipp", f"{self.address}:5060", "-i", self.address, "-sf", f"/srv/pbx/{scenario}.xml", "-m", "1", "-timeout", "40",
                   "-timeout_error", "-nostdin", *words]
        return subprocess.Popen(self.site.ssh("pbx", *command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def call(self, number: str, room: str = "", seconds: float = 4, port: int = 5090) -> subprocess.Popen:
        """A telephone that calls and hangs up after some seconds."""
        extra = f"Jitsi-Conference-Room: {room}" if room else "Subject: none"
        return self.sipp("call", "-s", number, "-p", str(port), "-mp", str(port + 1000), "-d", str(int(seconds * 1000)), "-key", "extra", extra)

    def refused(self, number: str, status: int, room: str = "") -> None:
        """A telephone whose call must be refused with a status."""
        extra = f"Jitsi-Conference-Room: {room}" if room else "Subject: none"
        self.pbx.check_output("sed s/STATUS/%s/ /srv/pbx/refused.xml > /srv/pbx/refused-%s.xml", str(status), str(status))
        finished(self.sipp(f"refused-{status}", "-s", number, "-p", "5095", "-key", "extra", extra))

    def conferences(self, port: int = 8788) -> int:
        shown = json.loads(self.gateway.check_output("python3 -c %s", f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/about/stats').read().decode())"))
        return shown["conferences"]


def finished(process: subprocess.Popen, seconds: float = 60) -> None:
    out, _err = process.communicate(timeout=seconds)
    assert process.returncode == 0, out[-3000:]


@pytest.fixture(scope="module")
def telephony(site) -> Telephony:
    if not site.groups.get("jitsi_jigasi"):
        pytest.skip("has no gateway: the scenario jigasi tests it")
    # The exchange asks the mapper of the installation, whose certificate its authority signed.
    authority = pathlib.Path(site.ca_file).read_text(encoding="utf-8")
    site.on("pbx", f"open('/usr/local/share/ca-certificates/meet.crt', 'w').write({authority!r})")
    site.host("pbx").check_output("update-ca-certificates")
    found = Telephony(site)
    found.registered("4420", "4421", seconds=60)
    return found


@pytest.fixture
def person(site):
    """Somebody in a new room, with a browser."""
    one = Person(site, f"telephony{uuid.uuid4().hex[:8]}")
    one.enter()
    yield one
    one.close()


def callers(person: Person) -> dict[str, str]:
    """The nicks of others than the focus and oneself, with the names that they show."""
    shown = {}
    for element in person.received:
        room, _slash, nick = (element.get("from") or "").partition("/")
        if element.tag.endswith("}presence") and room == person.room and nick in person.occupants(person.room) and nick not in ("focus", person.nick):
            name = element.find("{http://jabber.org/protocol/nick}nick")
            shown[nick] = name.text if name is not None else shown.get(nick, "")
    return shown


def comes(person: Person, name: str, seconds: float = 20) -> str:
    """Wait for a telephone in the room; its nick."""
    end = time.monotonic() + seconds
    while name not in (there := callers(person)).values():
        assert time.monotonic() < end, f"{name} is not there: {there}"
        person.see(0.3)
    return next(nick for nick, shown in there.items() if shown == name)


def goes(person: Person, nick: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while nick in person.occupants(person.room):
        assert time.monotonic() < end, f"{nick} is still there"
        person.see(0.3)


def statuses(person: Person, nick: str) -> list[str]:
    return [status.text for element in person.received if element.get("from") == f"{person.room}/{nick}"
            for status in element.findall("{jabber:client}status")]


def dial(person: Person, number: str) -> str:
    """Have a number called into the room, as the client does."""
    return person.tries(f"{person.room}/focus", f'<dial xmlns="{RAYO}" from="fromnumber" to="{number}">'
                        f'<header name="JvbRoomName" value="{person.room}"/></dial>')


def test_accounts_are_registered_over_udp_and_over_verified_tls(telephony):
    contacts = telephony.registered("4420", "4421")
    assert "transport=udp" in contacts["4420"] and "transport=tls" in contacts["4421"]
    address = telephony.site.address("gateway")
    assert address in contacts["4420"] and address in contacts["4421"]


def test_accounts_come_back_after_the_registrar_restarts(telephony):
    telephony.pbx.check_output("systemctl restart kamailio")
    # UDP with the next registration, which the registrar wants within 20 s; TLS when the connection is gone.
    telephony.registered("4420", "4421", seconds=60)


def test_a_telephone_gets_into_a_room_that_is_there(telephony, person):
    telephone = telephony.call("4420", person.room)
    nick = comes(person, "+34910000000")
    assert telephony.conferences() == 1
    finished(telephone)
    goes(person, nick)
    assert telephony.conferences() == 0


def test_a_telephone_gets_into_a_room_over_tls(telephony, person):
    telephone = telephony.call("4421", person.room)
    nick = comes(person, "+34910000000")
    assert telephony.conferences(8790) == 1
    finished(telephone)
    goes(person, nick)


def test_a_telephone_opens_a_new_room(telephony, site):
    name = f"telephony{uuid.uuid4().hex[:8]}"
    telephone = telephony.call("4420", name, seconds=6)
    one = Person(site, name)
    try:
        time.sleep(2)
        one.enter()
        comes(one, "+34910000000")
        finished(telephone)
    finally:
        one.close()


def test_a_telephone_that_names_no_room_is_refused(telephony):
    telephony.refused("4420", 486)


def test_a_number_is_called_and_answers(telephony, person):
    phone = telephony.sipp("answers", "-p", "5080", "-mp", "6080")
    time.sleep(1)
    since = telephony.now()
    assert dial(person, ANSWERS) == "done"
    nick = comes(person, ANSWERS)
    end = time.monotonic() + 15
    while "Connected" not in statuses(person, nick):
        assert time.monotonic() < end, statuses(person, nick)
        person.see(0.3)
    assert "Ringing..." in statuses(person, nick)
    assert f"to {ANSWERS}" in telephony.exchange_log(since)
    # Whoever moderates puts it out, and the line is free.
    assert person.tries(person.room, f'<query xmlns="http://jabber.org/protocol/muc#admin"><item nick="{nick}" role="none"/></query>') == "done"
    goes(person, nick)
    finished(phone)


def test_a_number_that_is_busy(telephony, person):
    phone = telephony.sipp("busy", "-p", "5081", "-mp", "6081")
    time.sleep(1)
    assert dial(person, BUSY) == "done"
    nick = comes(person, BUSY)
    end = time.monotonic() + 15
    while "Busy Here" not in statuses(person, nick):
        assert time.monotonic() < end, statuses(person, nick)
        person.see(0.3)
    goes(person, nick)
    finished(phone)


def test_two_calls_are_shared_out_and_a_third_is_too_many(telephony, person):
    """Each account has one call at most here: by what the gateways say of themselves, the second call is the other account's."""
    phones = telephony.sipp("answers", "-p", "5080", "-mp", "6080", "-m", "2")
    time.sleep(1)
    since = telephony.now()
    assert dial(person, ANSWERS) == "done"
    comes(person, ANSWERS)
    person.see(2)
    assert dial(person, ANSWERS) == "done"
    end = time.monotonic() + 20
    while list(callers(person).values()).count(ANSWERS) < 2:
        assert time.monotonic() < end, callers(person)
        person.see(0.3)
    person.see(2)
    assert set(re.findall(r"CALL of (\d+) to", telephony.exchange_log(since))) == {"4420", "4421"}
    assert dial(person, ANSWERS) == "service-unavailable"
    for nick in callers(person):
        person.tries(person.room, f'<query xmlns="http://jabber.org/protocol/muc#admin"><item nick="{nick}" role="none"/></query>')
    finished(phones)


@pytest.mark.parametrize(
    "number",
    [FOREIGN, "+34807123456", "00900123456789", "sip:+34600000001@elsewhere.test", "+34600000001;ext=1", "", "+346000000011111111"],
)
def test_a_number_that_may_not_be_called(telephony, person, number):
    since = telephony.now()
    assert dial(person, number) == "not-acceptable"
    assert "CALL of" not in telephony.exchange_log(since) and not callers(person)


def test_numbers_go_out_in_one_form(telephony, person):
    phone = telephony.sipp("busy", "-p", "5081", "-mp", "6081", "-m", "2")
    time.sleep(1)
    since = telephony.now()
    for written in ("600 000 002", "0034 (600) 00-00-02"):
        assert dial(person, written) == "done"
        goes(person, comes(person, BUSY))
    assert len(re.findall(re.escape(f"to {BUSY}"), telephony.exchange_log(since))) == 2
    finished(phone)


def test_only_who_moderates_may_call(telephony, site, person):
    other = Person(site, person.room.partition("@")[0])
    try:
        other.enter()
        assert dial(other, ANSWERS) == "forbidden"
    finally:
        other.close()


def test_a_pin_leads_into_its_room(telephony, site):
    one = Person(site, "algebra")
    try:
        one.enter()
        telephone = telephony.call("471100")
        comes(one, "+34910000000")
        finished(telephone)
    finally:
        one.close()


def test_a_wrong_pin_is_refused(telephony):
    telephony.refused("471199", 403)


def test_what_the_mapper_and_the_list_of_numbers_say(site, telephony):
    https = site.connect()

    def get(path):
        status, headers, body = https.request("GET", path)
        assert (status, headers.get("content-type")) == (200, "application/json"), (status, headers)
        return json.loads(body)

    algebra = {"message": "Found.", "id": 471100, "conference": f"algebra@conference.{site.domain}"}
    assert get("/conferenceMapper?id=471100") == algebra
    assert get(f"/conferenceMapper?conference=algebra@conference.{site.domain}&url=x") == algebra
    assert get(f"/conferenceMapper?conference=Algebra%40conference.{site.domain}") == algebra
    assert get("/conferenceMapper?id=471102")["conference"] is False
    assert get(f"/conferenceMapper?conference=other@conference.{site.domain}")["id"] is False
    assert get("/phoneNumberList")["numbers"] == [
        {"countryCode": "ES", "tollFree": False, "formattedNumber": "+34 910 000 000", "number": "+34910000000"}]
    status, _headers, body = https.request("GET", "/config.js")
    text = body.decode()
    assert status == 200 and f"https://{site.domain}/conferenceMapper" in text and f"https://{site.domain}/phoneNumberList" in text
    # Who tries one PIN after the other is slowed down.
    assert 429 in {https.request("GET", f"/conferenceMapper?id={number}")[0] for number in range(100000, 100060)}


def test_what_cannot_work_is_refused_before_anything_is_changed(telephony, site):
    before = telephony.gateway.check_output("sha256sum /etc/jitsi/jigasi/sip-communicator.properties")
    wrong = {
        "jigasi_sip_accounts": [{"name": "main", "user": "4420", "password": "a secret of a registrar"}],
        "prosody_dial_prefixes": ["+"],
        "nginx_meet_dial_in_pins": {"algebra": "12"},
    }
    done = site.playbook("campus.jitsi.site", "-vv", variables=wrong, environment=JSON)
    assert done.code != 0 and done.changed == 0
    for said in ("(main) has no `domain`: give the part of its address behind the `@`.", "allows every number of the world", "take 4 to 12 digits"):
        assert said in done.output, said
    assert "a secret of a registrar" not in done.output
    assert telephony.gateway.check_output("sha256sum /etc/jitsi/jigasi/sip-communicator.properties") == before


def test_a_mapper_that_answers_nonsense_is_refused_before_anything_is_changed(telephony, site):
    """The lab's server of packages answers with a page."""
    wrong = {"nginx_meet_dial_in_pins": {}, "nginx_meet_conference_mapper_url": "http://gateway.lab.test:8000/"}
    done = site.playbook("campus.jitsi.site", variables=wrong, environment=JSON)
    assert done.code != 0 and done.changed == 0
    assert "http://gateway.lab.test:8000/ answers no JSON: it must answer as Jitsi's conference mapper does." in done.output


def test_how_the_gateways_are(telephony, site, person):
    """Busy while there is a call, idle without, and a check that fails when one does not answer."""
    gateways = [{"name": "main", "http_port": 8788}, {"name": "secure", "http_port": 8790}]

    def states():
        return [one["state"] for one in site.module("gateway", "gateway_check", {"gateways": gateways, "limit": 1})["gateways"]]

    assert states() == ["idle", "idle"]
    telephone = telephony.call("4420", person.room, seconds=12)
    comes(person, "+34910000000")
    assert states() == ["busy", "idle"]
    finished(telephone)
    telephony.gateway.check_output("systemctl stop jigasi@secure")
    try:
        done = site.playbook("campus.jitsi.check", environment=JSON)
        assert done.code != 0 and "The gateway secure does not answer: look at /var/log/jitsi/jigasi-secure.log." in done.output
    finally:
        telephony.gateway.check_output("systemctl start jigasi@secure")
        telephony.registered("4420", "4421", seconds=60)


def test_a_wrong_password_is_said_clearly_and_does_not_hammer(telephony, site):
    accounts = [{"name": "main", "user": "4420", "domain": "pbx.lab.test", "password": "not the password of it"}]
    try:
        done = site.playbook("campus.jitsi.site", "--tags", "jigasi", "--diff", "-v", variables={"jigasi_sip_accounts": accounts}, environment=JSON)
        assert done.code == 0, done.output
        assert "PASSWORD=" in done.output
        for secret in ("not the password of it", 'sécr=t: "1" #\\x', "quite another secret"):
            assert secret not in done.output and base64.b64encode(secret.encode()).decode() not in done.output
        since = telephony.gateway.check_output("date +%s --date=\"$(systemctl show --property=ActiveEnterTimestamp --value jigasi)\"")
        # Longer than it takes for a registration to be renewed, and for a lost one to be tried again.
        time.sleep(25)
        assert "Wrong username or password for provider:sip:4420@pbx.lab.test" in telephony.log("main")
        with_credentials = re.findall(r"REGISTER of 4420 over udp, credentials: [1-9]", telephony.exchange_log(since))
        assert len(with_credentials) == 1, with_credentials
        # The other account is gone from the host, with its service.
        assert telephony.gateway.run("systemctl is-active jigasi@secure").stdout.strip() != "active"
        assert not telephony.gateway.file("/etc/jitsi/jigasi/secure").exists
    finally:
        done = site.playbook("campus.jitsi.site", "--tags", "jigasi", environment=JSON)
        assert done.code == 0, done.output
    telephony.registered("4420", "4421", seconds=60)


def test_passwords_are_for_the_gateway_alone(telephony):
    for path in ("/etc/jitsi/jigasi/sip-communicator.properties", "/etc/jitsi/jigasi/secure/sip-communicator.properties"):
        file = telephony.gateway.file(path)
        assert (file.user, file.group, file.mode) == ("jigasi", "jitsi", 0o600), path
    everywhere = telephony.gateway.check_output("grep -rlsF 'quite another secret' /etc /var/log /var/cache/debconf /var/lib/dpkg || true")
    assert everywhere == ""
    assert "quite another secret" not in telephony.gateway.check_output("journalctl --no-pager; ps axww")
