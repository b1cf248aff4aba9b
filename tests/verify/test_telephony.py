# SPDX-License-Identifier: GPL-3.0-or-later
"""Telephones, through a real registrar (kamailio) and real calls (sipp): who is registered, who gets into which room, and who is called."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import re
import shutil
import time
import uuid

import pytest
import telephones
import yaml
from conftest import JSON, PATIENCE
from people import Person, some_room
from telephones import ACCOUNTS, ANSWERS, BUSY, CALLER, FOREIGN, Telephony, callers, comes, dial, finished, goes, hang_up

#: Keys for voices, in the text of a call.
KEY = "inline:" + base64.b64encode(bytes(range(30))).decode()


@pytest.fixture(scope="module")
def telephony(site) -> telephones.Telephony:
    return telephones.found(site)


@pytest.fixture
def person(site):
    """Somebody in a new room, with a browser."""
    one = Person(site, f"telephony{uuid.uuid4().hex[:8]}")
    one.enter()
    yield one
    one.close()


def statuses(person: Person, nick: str) -> list[str]:
    return [status.text for element in person.received if element.get("from") == f"{person.room}/{nick}"
            for status in element.findall("{jabber:client}status")]


def test_accounts_are_registered_over_udp_and_tcp_and_verified_tls(telephony):
    contacts = telephony.registered(*ACCOUNTS)
    for account, (host, _name, transport, _port) in ACCOUNTS.items():
        assert f"transport={transport}" in contacts[account] and telephony.site.address(host) in contacts[account], (account, contacts)


def test_accounts_come_back_after_the_registrar_restarts(telephony):
    telephony.pbx.check_output("systemctl restart kamailio")
    # UDP with the next registration, which the registrar wants within 20 s; TCP and TLS when the connection is gone.
    telephony.registered(*ACCOUNTS, seconds=60)


def test_a_telephone_gets_into_a_room_that_is_there(telephony, person):
    telephone = telephony.call("4420", person.room)
    nick = comes(person, CALLER)
    assert telephony.conferences() == 1
    finished(telephone)
    goes(person, nick)
    assert telephony.conferences() == 0


@pytest.mark.parametrize("account", ["4421", "4422"])
def test_a_telephone_gets_into_a_room_over_tls_and_tcp(telephony, person, account):
    telephone = telephony.call(account, person.room)
    nick = comes(person, CALLER)
    assert telephony.conferences(account) == 1
    # In nobody's name, and no owner of anything.
    assert person.occupants(person.room)[nick] == "none"
    finished(telephone)
    goes(person, nick)


def test_voices_are_encrypted_with_keys_of_a_suite_that_both_have(telephony, person):
    """The account takes two suites; a caller offers one of old, then one of these."""
    offer = f"m=audio [media_port] RTP/SAVP 0\na=crypto:1 F8_128_HMAC_SHA1_80 {KEY}\na=crypto:2 AES_CM_128_HMAC_SHA1_32 {KEY}"
    answer = ('<recv response="200" rrs="true"><action><ereg regexp="RTP/SAVP[^@]*a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" search_in="body" '
              'check_it="true" assign_to="1"/></action></recv><Reference variables="1"/>')
    telephony.site.on("pbx", f"""
for name, kind in (("secure", "call"), ("kept", "refused")):
    text = open("/srv/pbx/" + kind + ".xml").read().replace("m=audio [media_port] RTP/AVP 0", {offer!r})
    text = text.replace('<recv response="200" rrs="true"/>', {answer!r}).replace("STATUS", "488")
    open("/srv/pbx/" + name + ".xml", "w").write(text)
""")
    extra = f"Jitsi-Conference-Room: {person.room}"
    telephone = telephony.sipp("secure", "-s", "4421", "-p", "5090", "-mp", "6090", "-d", "3000", "-key", "extra", extra)
    comes(person, CALLER)
    finished(telephone)
    # Without `srtp` an account takes no keys.
    finished(telephony.sipp("kept", "-s", "4420", "-p", "5095", "-key", "extra", extra))


def test_a_telephone_opens_a_new_room(telephony, site):
    name = f"telephony{uuid.uuid4().hex[:8]}"
    telephone = telephony.call("4420", name, seconds=6)
    one = Person(site, name)
    try:
        time.sleep(2)
        one.enter()
        nick = comes(one, CALLER)
        # Who comes first moderates here, and a telephone does not.
        assert one.becomes("owner") and one.occupants(one.room)[nick] == "none"
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
    end = time.monotonic() + PATIENCE * 15
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
    end = time.monotonic() + PATIENCE * 15
    while "Busy Here" not in statuses(person, nick):
        assert time.monotonic() < end, statuses(person, nick)
        person.see(0.3)
    goes(person, nick)
    finished(phone)


def call_each(telephony: Telephony, person: Person, number: int) -> set[str]:
    """Have so many calls made, one after the other; the accounts that made them."""
    since = telephony.now()
    for made in range(1, number + 1):
        assert dial(person, ANSWERS) == "done"
        end = time.monotonic() + PATIENCE * 20
        while list(callers(person).values()).count(ANSWERS) < made:
            assert time.monotonic() < end, callers(person)
            person.see(0.3)
        person.see(1.5)
    found = re.findall(r"CALL of (\d+) to", telephony.exchange_log(since))
    assert len(found) == number, found
    return set(found)


def test_calls_are_shared_out_among_all_gateways_of_all_hosts(telephony, person):
    """Each account has one call at most here: by what the gateways say of themselves, each call is another account's. A gateway that is gone
    gets none."""
    phones = telephony.sipp("answers", "-p", "5080", "-mp", "6080", "-m", "5")
    time.sleep(1)
    assert call_each(telephony, person, 3) == set(ACCOUNTS)
    assert dial(person, ANSWERS) in ("service-unavailable", "undefined-condition")
    hang_up(person)
    beside = telephony.site.host("meet")
    beside.check_output("systemctl stop jigasi")
    try:
        person.see(2)
        assert call_each(telephony, person, 2) == {"4420", "4421"}
        assert dial(person, ANSWERS) == "service-unavailable"
        hang_up(person)
    finally:
        beside.check_output("systemctl start jigasi")
        telephony.registered("4422", seconds=60)
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
        telephone = telephony.call("471100", seconds=8)
        comes(one, CALLER)
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
    comes(person, CALLER)
    assert states() == ["busy", "idle"]
    finished(telephone)
    telephony.gateway.check_output("systemctl stop jigasi@secure")
    try:
        done = site.playbook("campus.jitsi.check", environment=JSON)
        assert done.code != 0 and re.search(
            r"A conference on \S+ works: .* But on gateway: The gateway secure does not answer: look at /var/log/jitsi/jigasi-secure.log.", done.failures[0])
    finally:
        telephony.gateway.check_output("systemctl start jigasi@secure")
        telephony.registered(*ACCOUNTS, seconds=60)


def datagram(site, name: str, address: str, port: int, text: str = "x") -> str:
    """What becomes of a datagram from a host: `silence`, `refused`, or the answer's first line."""
    return site.on(name, f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
    way.settimeout(2)
    way.connect(({address!r}, {port}))
    way.send({text!r}.encode())
    try:
        print(way.recv(2000).decode().splitlines()[0])
    except TimeoutError:
        print("silence")
    except ConnectionRefusedError:
        print("refused")
""").strip()


def request(site, method: str) -> str:
    """A request of SIP from the exchange's host."""
    gateway = site.address("gateway")
    return (f"{method} sip:4420@{gateway} SIP/2.0\r\nVia: SIP/2.0/UDP {site.address('pbx')}:5099;rport;branch=z9hG4bKx\r\nFrom: <sip:x@x>;tag=1\r\n"
            f"To: <sip:4420@{gateway}>\r\nCall-ID: {uuid.uuid4()}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n")


def test_who_can_reach_a_gateway(telephony, site):
    """The exchange, for calls and voices, and nobody else; also not the host beside it."""
    gateway, beside, exchange = (site.address(name) for name in ("gateway", "meet", "pbx"))
    options = request(site, "OPTIONS")
    assert datagram(site, "pbx", gateway, 5060, options) == "SIP/2.0 200 OK"
    assert datagram(site, "meet", gateway, 5060, options) == "silence"
    # Nobody talks at the moment, so the host itself refuses what gets in.
    assert datagram(site, "pbx", gateway, 20000) == "refused"
    assert datagram(site, "meet", gateway, 20000) == "silence"
    tcp = "timeout 3 bash -c '</dev/tcp/%s/5060'"
    assert site.host("pbx").run(tcp, beside).rc == 0
    assert site.host("gateway").run(tcp, beside).rc != 0
    status = site.playbook("campus.jitsi.status")
    assert re.search(rf"jigasi +5060-5069/udp +\S.* {re.escape(exchange)} ", status.output), status.output


def test_passwords_are_for_the_gateway_alone(telephony):
    names = telephony.site.host("meet").check_output("ls /var/lib/prosody/auth%2emeet%2elab%2etest/accounts").split()
    # The package makes one beside Prosody, after an upgrade with an empty password.
    assert "jigasi.dat" not in names and "jigasi%2dmeet.dat" in names, names
    for path in ("/etc/jitsi/jigasi/sip-communicator.properties", "/etc/jitsi/jigasi/secure/sip-communicator.properties"):
        file = telephony.gateway.file(path)
        assert (file.user, file.group, file.mode) == ("jigasi", "jitsi", 0o600), path
    everywhere = telephony.gateway.check_output("grep -rlsF 'quite another secret' /etc /var/log /var/cache/debconf /var/lib/dpkg || true")
    assert everywhere == ""
    assert "quite another secret" not in telephony.gateway.check_output("journalctl --no-pager; ps axww")


# --- a run that changes much ----------------------------------------------------------------------------------------

MAPPER = """
import http.server, json, urllib.parse
ROOMS = {"555001": "topology@conference.meet.lab.test"}
class Mapper(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        pins = {room: pin for pin, room in ROOMS.items()}
        room, pin = ROOMS.get(asked.get("id")), pins.get(asked.get("conference"))
        found = {"message": "It is so.", "id": int(asked.get("id") or pin or 0), "conference": room or asked.get("conference") if room or pin else False}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("", 8070), Mapper).serve_forever()
"""
#: A caller who stays until he is put out.
STAYS = r"""
head = open("/srv/pbx/call.xml").read().partition("<pause/>")[0]
lines = ["SIP/2.0 200 OK", *(f"[last_{name}:]" for name in ("Via", "From", "To", "Call-ID", "CSeq")), "Content-Length: 0", "", ""]
bye = '<recv request="BYE"/><send><![CDATA[' + chr(10) + chr(10).join(lines) + "]]></send></scenario>"
open("/srv/pbx/stays.xml", "w").write(head + bye)
"""
WRONG = "not the password of it"


@pytest.fixture(scope="module")
def other(telephony, tmp_path_factory):
    """What a run does to a wrong password for the first account while it has a call, to a second account that is gone, to a gateway whose host
    is not one any more, and to another mapper; and the run back."""
    site = telephony.site
    site.on("pbx", f"open('/srv/pbx/mapper.py', 'w').write({MAPPER!r})")
    site.host("pbx").check_output("systemctl stop mapper 2> /dev/null; systemd-run --unit=mapper python3 /srv/pbx/mapper.py")
    inventory = tmp_path_factory.mktemp("other") / "inventory"
    shutil.copytree(site.inventory, inventory)
    data = yaml.safe_load((inventory / "ansible_inventory.yml").read_text(encoding="utf-8"))
    del data["jitsi_jigasi"]["hosts"]["meet"]
    (inventory / "ansible_inventory.yml").write_text(yaml.safe_dump(data), encoding="utf-8")
    variables = {
        "jigasi_sip_accounts": [{"name": "main", "user": "4420", "domain": "pbx.lab.test", "password": WRONG}],
        "nginx_meet_dial_in_pins": {}, "nginx_meet_conference_mapper_url": "http://pbx.lab.test:8070/mapper",
    }
    words = ["--tags", "prosody,jigasi,nginx_meet"]
    site.on("pbx", STAYS)
    room = Person(site, some_room())
    try:
        room.enter()
        extra = f"Jitsi-Conference-Room: {room.room}"
        telephone = telephony.sipp("stays", "-s", "4420", "-p", "5090", "-mp", "6090", "-key", "extra", extra, "-timeout", "280")
        nick = comes(room, CALLER)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            run = pool.submit(site.playbook, "campus.jitsi.site", *words, "--diff", "-v", variables=variables, environment=JSON, inventory=inventory)
            meanwhile = []
            while not run.done() and not meanwhile:
                room.see(1)
                if "Entered graceful shutdown mode" in telephony.log("4420", 20):
                    # Longer than it would take to restart it.
                    room.see(8)
                    meanwhile = [nick in room.occupants(room.room), datagram(site, "pbx", site.address("gateway"), 5060, request(site, "INVITE"))]
            room.kicks(nick)
            done = run.result()
        finished(telephone)
        yield done, meanwhile
    finally:
        room.close()
        back = site.playbook("campus.jitsi.site", *words, environment=JSON)
        site.host("pbx").run("systemctl stop mapper")
    assert back.code == 0, back.output[-3000:]
    telephony.registered(*ACCOUNTS, seconds=60)


def test_a_restart_waits_for_calls_and_takes_no_new_ones(telephony, other):
    done, meanwhile = other
    assert done.code == 0, done.output[-3000:]
    assert meanwhile == [True, "SIP/2.0 503 Service Unavailable"]
    _before, _found, later = telephony.gateway.check_output("cat /var/log/jitsi/jigasi.log").rpartition("Entered graceful shutdown mode")
    assert later.index("put out of the room") < later.index("is shutting down NOW") < later.index("Starting Jigasi"), later[-3000:]


def test_a_wrong_password_is_said_clearly_and_does_not_hammer(telephony, site, other):
    done, _meanwhile = other
    assert "PASSWORD=" in done.output
    for secret in (WRONG, 'sécr=t: "1" #\\x', "quite another secret", "the third one of them"):
        assert secret not in done.output and base64.b64encode(secret.encode()).decode() not in done.output
    # The other account is gone from the host, with its service.
    assert telephony.gateway.run("systemctl is-active jigasi@secure").stdout.strip() != "active"
    for place in ("/etc/jitsi/jigasi/secure", "/etc/systemd/system/jigasi@secure.service.d"):
        assert not telephony.gateway.file(place).exists, place
    since = telephony.gateway.check_output("date +%s --date=\"$(systemctl show --property=ActiveEnterTimestamp --value jigasi)\"")
    telephony.says("4420", "Wrong username or password for provider:sip:4420@pbx.lab.test")
    # Longer than it takes for a registration to be renewed, and for a lost one to be tried again.
    time.sleep(max(0, 25 - time.time() + float(since)))
    with_credentials = re.findall(r"REGISTER of 4420 over udp, credentials: [1-9]", telephony.exchange_log(since))
    assert len(with_credentials) == 1, with_credentials
    seen = site.module("gateway", "gateway_check", {"gateways": [{"name": "main", "http_port": 8788}]})
    assert seen["failed"] and seen["msg"] == ("The gateway main is not registered (Authentication Failed, SIP/2.0 401 Unauthorized): "
                                              "look at /var/log/jitsi/jigasi.log."), seen


def test_a_gateway_whose_host_is_none_any_more_is_thrown_out(telephony, site, other):
    """With a run over Prosody's host its account is gone, and jicofo has nobody there."""
    beside = site.host("meet")
    names = beside.check_output("ls /var/lib/prosody/auth%2emeet%2elab%2etest/accounts")
    assert "jigasi%2dgateway.dat" in names and "jigasi%2dmeet.dat" not in names, names
    assert site.log_in(beside, "jigasi-meet", site.secret("xmpp/jigasi/meet")) == "not-authorized"
    assert site.log_in(beside, "jigasi-gateway", site.secret("xmpp/jigasi/gateway")) == "success"


def test_a_mapper_of_ones_own_knows_the_pins(telephony, site, other):
    https = site.connect()
    asked = {"/conferenceMapper?id=555001": f"topology@conference.{site.domain}", "/conferenceMapper?id=471100": False}
    for path, room in asked.items():
        status, _headers, body = https.request("GET", path)
        assert status == 200 and json.loads(body)["conference"] == room, (path, body)
    since = telephony.now()
    telephony.refused("471100", 403)
    # The right one is known; the account that would take the call has a wrong password here.
    telephony.refused("555001", 480)
    assert f"CALL with 555001: the mapper says 200, topology@conference.{site.domain}" in telephony.exchange_log(since)
