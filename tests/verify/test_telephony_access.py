# SPDX-License-Identifier: GPL-3.0-or-later
"""Telephones where people need a token or an account: callers open no room, and wait. The site is led there without a run of Ansible."""

from __future__ import annotations

import subprocess
import time
import typing as t

import pytest
import telephones
from conftest import CHECKOUT, PATIENCE
from modes import Modes, with_token
from people import Person, some_room
from telephones import ANSWERS, CALLER, Telephony, callers, comes, dial, finished, goes, hang_up

#: What Prosody needs for tokens and accounts and an open site has not: modules of ours, and the libraries as the role shows them to it.
OURS = {path.name: path.read_text(encoding="utf-8") for path in CHECKOUT.glob("roles/prosody/files/usr/local/lib/prosody/modules/mod_*.lua")}
BORROW = """
import pathlib
place, unit = pathlib.Path("/run/verify"), pathlib.Path("/run/systemd/system/prosody.service.d/verify.conf")
for folder in (place / "modules", place / "lua", unit.parent):
    folder.mkdir(parents=True, exist_ok=True)
for name, text in OURS.items():
    (place / "modules" / name).write_text(text)
for library in ("/usr/share/lua/5.2/basexx.lua", "/usr/share/lua/5.3/inspect.lua"):
    (place / "lua" / pathlib.Path(library).name).symlink_to(library)
unit.write_text("[Service]\\nEnvironment=LUA_PATH_5_4=/run/verify/lua/?.lua;;\\nBindReadOnlyPaths=/run/verify/modules:/usr/local/lib/prosody/modules\\n")
"""


@pytest.fixture(scope="module")
def telephony(site) -> telephones.Telephony:
    return telephones.found(site)


@pytest.fixture(scope="module")
def modes(telephony):
    """The site led to another way to enter, and back at the end."""
    site, host = telephony.site, telephony.site.host("meet")
    found = Modes(site)
    site.on("meet", BORROW.replace("OURS", repr(OURS)))
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends lua-basexx lua-inspect")
    host.check_output("systemctl daemon-reload")
    try:
        yield found
    finally:
        site.on("meet", "import pathlib, shutil\nshutil.rmtree('/run/verify')\npathlib.Path('/run/systemd/system/prosody.service.d/verify.conf').unlink()")
        host.check_output("systemctl daemon-reload")
        found.back()


@pytest.fixture(scope="module")
def ana(telephony, modes):
    """Somebody with an account, which is made when the host has accounts at all."""
    site, made = telephony.site, []

    def find(state):
        account = {"jid": f"ana@{site.domain}", **({"password": "a password of hers"} if state == "present" else {"state": state})}
        done = site.module("meet", "prosody_account", {"accounts": [account], "iterations": 4096})
        if done["failed"]:
            raise OSError(done["msg"])

    def person(room):
        if not made:
            find("present")
            made.append(True)
        return Person(site, room, user="ana", password="a password of hers")

    yield person
    find("absent")


def lead(modes: Modes, combination: str, host: t.Callable[[str], Person]) -> None:
    # The gateways are elsewhere, and know Prosody's address only.
    modes.lead(f"{combination}-lobby_on-breakout-phones", host, {"c2s_interfaces": ["*", "::"]}, campus_dial_prefixes=["+34"])


def enters_with(telephony: Telephony, host: Person, telephone: subprocess.Popen) -> None:
    """Somebody opens the room of a caller who waits, and the caller comes in and owns nothing."""
    assert not callers(host)
    assert host.enter() != "not there"
    nick = comes(host, CALLER)
    assert host.occupants(host.room)[nick] not in ("owner", "admin")
    finished(telephone)
    goes(host, nick)


def test_callers_wait_like_students_for_the_teacher(telephony, site, modes):
    """Tokens: a caller who comes first opens nothing, one who comes to a lobby is let in alone, and teachers have numbers called."""
    teacher, student = with_token(site, teacher=True), with_token(site)
    lead(modes, "jwt-alone-token-wait", teacher)
    room = some_room()
    telephone = telephony.call("4420", room)
    telephony.says("4420", f"{CALLER} waits in {room}@lobby.")
    with student(room) as one:
        assert "registration-required" in one.waits()
    telephony.says("4420", f"{CALLER} waits in {room}@lobby.")
    with teacher(room) as one:
        enters_with(telephony, one, telephone)
        phones = telephony.sipp("answers", "-p", "5080", "-mp", "6080")
        time.sleep(1)
        assert dial(one, ANSWERS) == "done"
        comes(one, ANSWERS)
        one.see(2)
        hang_up(one)
        finished(phones)
        # The room has a host, so the next caller comes in at once; until there is a lobby.
        telephone = telephony.call("4420", room, seconds=1)
        nick = comes(one, CALLER)
        finished(telephone)
        goes(one, nick)
        assert one.lobby(True) == "done"
        # Both are long enough that the one still speaks when the other has come.
        first, second = telephony.call("4420", room, seconds=15), telephony.call("4421", room, seconds=15, port=5091)
        for account in ("4420", "4421"):
            telephony.says(account, f"{CALLER} waits in {room}@lobby.", number=2 if account == "4420" else 1)
        lobby = f"{room}@lobby.{site.domain}"
        one.join(lobby, "moderator")
        one.see(1)
        waiting = {item.get("jid") for element in one.received if (element.get("from") or "").startswith(lobby + "/")
                   for item in element.iter("{http://jabber.org/protocol/muc#user}item") if (item.get("jid") or "").startswith("telephone-")}
        assert len(waiting) == 2, waiting
        one.say(one.room, f'<x xmlns="http://jabber.org/protocol/muc#user"><invite to="{sorted(waiting)[0]}"/></x>')
        comes(one, CALLER)
        one.see(2)
        assert len(callers(one)) == 1, callers(one)
        assert one.lobby(False) == "done"
        end = time.monotonic() + PATIENCE * 10
        while len(callers(one)) < 2:
            assert time.monotonic() < end, callers(one)
            one.see(0.3)
        finished(first)
        finished(second)


def test_callers_alone_wait_where_any_token_opens_a_room(telephony, site, modes):
    student = with_token(site)
    lead(modes, "jwt-alone-token", student)
    room = some_room()
    telephone = telephony.call("4422", room)
    telephony.says("4422", f"{CALLER} waits in {room}@lobby.")
    with student(room) as one:
        enters_with(telephony, one, telephone)


def test_callers_wait_for_somebody_with_an_account(telephony, modes, ana):
    lead(modes, "internal-alone-first", ana)
    room = some_room()
    telephone = telephony.call("4420", room)
    telephony.says("4420", f"{CALLER} waits in {room}@lobby.")
    with ana(room) as one:
        enters_with(telephony, one, telephone)
        # Whoever comes next with an account is still no owner, and the first is.
        assert one.affiliation() == "owner"


def test_where_jicofo_asks_for_an_account_callers_are_refused_before(telephony, modes, ana):
    lead(modes, "internal-guests-authenticated", ana)
    room = some_room()
    telephony.refused("4420", 500, room)
    assert "Could not invite the focus to the conference" in telephony.log("4420")
    with ana(room) as one:
        assert one.enter() == "owner" and not callers(one)
        telephone = telephony.call("4420", room)
        comes(one, CALLER)
        finished(telephone)
