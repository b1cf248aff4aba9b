# SPDX-License-Identifier: GPL-3.0-or-later
"""Telephones for tests: the exchange with its real registrar (kamailio) and real calls (sipp), the gateways, and what they say."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import time

import pytest
from conftest import PATIENCE
from people import Person

RAYO = "urn:xmpp:rayo:1"
ANSWERS, BUSY, FOREIGN = "+34600000001", "+34600000002", "+900123456789"
CALLER = "+34910000000"
#: Where each account is: the first two on the host `gateway`, the last beside everything else.
ACCOUNTS = {"4420": ("gateway", "main", "udp", 8788), "4421": ("gateway", "secure", "tls", 8790), "4422": ("meet", "plain", "tcp", 8788)}


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
        end = time.monotonic() + PATIENCE * seconds
        while not set(accounts) <= set(found := self.contacts()):
            assert time.monotonic() < end, f"only {found} of {accounts} after {seconds} s\n" + "\n".join(map(self.log, accounts))
            time.sleep(0.5)
        return found

    def log(self, account: str, lines: int = 60) -> str:
        host, name, _transport, _port = ACCOUNTS[account]
        return self.site.host(host).check_output("tail -n %s /var/log/jitsi/%s", str(lines), f"jigasi-{name}.log" if name == "secure" else "jigasi.log")

    def says(self, account: str, what: str, seconds: float = 20, number: int = 1) -> None:
        """Wait until the last lines of a gateway's log say something so often."""
        end = time.monotonic() + PATIENCE * seconds
        while (log := self.log(account, 200)).count(what) < number:
            assert time.monotonic() < end, log
            time.sleep(0.5)

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

    def conferences(self, account: str = "4420") -> int:
        host, _name, _transport, port = ACCOUNTS[account]
        shown = json.loads(self.site.host(host).check_output("python3 -c %s", f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/about/stats').read().decode())"))
        return shown["conferences"]


def finished(process: subprocess.Popen, seconds: float = 60) -> None:
    out, _err = process.communicate(timeout=seconds)
    assert process.returncode == 0, out[-3000:]


def found(site) -> Telephony:
    """The gateways, when all their accounts are registered."""
    if not site.groups.get("jitsi_jigasi"):
        pytest.skip("has no gateway: the scenario jigasi tests it")
    # The exchange asks the mapper of the installation, whose certificate its authority signed.
    authority = pathlib.Path(site.ca_file).read_text(encoding="utf-8")
    site.on("pbx", f"open('/usr/local/share/ca-certificates/meet.crt', 'w').write({authority!r})")
    site.host("pbx").check_output("update-ca-certificates")
    telephony = Telephony(site)
    telephony.registered(*ACCOUNTS, seconds=60)
    return telephony


def callers(person: Person) -> dict[str, str]:
    """The nicks of others than the focus and oneself, with the names that they show."""
    shown = {}
    for element in person.received:
        room, _slash, nick = (element.get("from") or "").partition("/")
        if element.tag.endswith("}presence") and room == person.room and nick in person.occupants(person.room) and nick not in ("focus", person.nick):
            name = element.find("{http://jabber.org/protocol/nick}nick")
            shown[nick] = name.text if name is not None else shown.get(nick, "")
    return shown


def comes(person: Person, name: str, seconds: float = 60) -> str:
    """Wait for a telephone in the room; its nick."""
    end = time.monotonic() + seconds
    while name not in (there := callers(person)).values():
        assert time.monotonic() < end, f"{name} is not there: {there}"
        person.see(0.3)
    return next(nick for nick, shown in there.items() if shown == name)


def goes(person: Person, nick: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while nick in person.occupants(person.room):
        assert time.monotonic() < end, f"{nick} is still there"
        person.see(0.3)


def dial(person: Person, number: str) -> str:
    """Have a number called into the room, as the client does."""
    return person.tries(f"{person.room}/focus", f'<dial xmlns="{RAYO}" from="fromnumber" to="{number}">'
                        f'<header name="JvbRoomName" value="{person.room}"/></dial>')


def hang_up(person: Person) -> None:
    """Whoever moderates puts all telephones out."""
    for nick in callers(person):
        person.kicks(nick)
        goes(person, nick)
