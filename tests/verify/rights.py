# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of person can do in a meeting, tried one by one with stanzas of our own, which know no greyed-out button.

The outcome is the table in docs/access.md: :func:`table` makes it, and the tests of each profile compare it with what is written there.
"""

from __future__ import annotations

import pathlib
import typing as t

from people import OWNER, Person, XmppError, some_room

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
#: What is tried, in the order of the table's columns.
ACTIONS = ("opens a room", "follows into one", "moderates", "removes others", "mutes others", "ends it for all", "hands out rights", "turns on the lobby",
           "records")
YES, NO = "yes", "no"


def way_in(person: t.Callable[[str], Person], room: str) -> str:
    """What becomes of somebody who comes to a room: `yes`, `waits` (lobby, or jicofo tells him to), or `refused`."""
    try:
        with person(room) as one:
            one.ask()
            one.join(one.room, one.nick, timeout=5)
            return YES
    except XmppError as error:
        text = str(error)
    if "registration-required" in text or "focus." in text and "not-authorized" in text:
        return "waits"
    return "refused"


def rights(host: t.Callable[[str], Person], person: t.Callable[[str], Person]) -> dict[str, str]:
    """What a person can do: alone, and in a room that ``host`` opened.

    :param host: makes somebody who may open rooms
    """
    found = {"opens a room": way_in(person, some_room())}
    room = some_room()
    with host(room) as first:
        first.enter()
        found["follows into one"] = way_in(person, room)
        if found["follows into one"] != YES:
            return {**found, **dict.fromkeys(ACTIONS[2:], NO)}
        with person(room) as one:
            one.enter()
            found["moderates"] = YES if one.becomes("owner", 2) else NO
            for name, attempt in ATTEMPTS.items():
                found[name] = YES if attempt(one, first) else NO
    # Those that end the meeting have one of their own.
    found["removes others"] = YES if in_a_new_room(host, person, removes) else NO
    found["ends it for all"] = YES if in_a_new_room(host, person, ends) else NO
    return {name: found[name] for name in ACTIONS}


def in_a_new_room(host: t.Callable[[str], Person], person: t.Callable[[str], Person], attempt: t.Callable[[Person, Person], bool]) -> bool:
    """Whether an attempt succeeds against somebody who opened a room."""
    room = some_room()
    with host(room) as first, person(room) as one:
        first.enter()
        one.enter()
        one.see(0.3)
        return attempt(one, first)


def mutes(one: Person, other: Person) -> bool:
    return one.tries(f"{one.room}/focus", f'<mute xmlns="http://jitsi.org/jitmeet/audio" jid="{one.room}/{other.nick}">true</mute>') == "done"


def hands_out(one: Person, other: Person) -> bool:
    """To somebody who never came, so that nobody's rights are changed."""
    return one.grants(f"somebody@{one.site_domain}", "owner") == "done"


def locks(one: Person, other: Person) -> bool:
    form = ('<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field>'
            '<field var="muc#roomconfig_membersonly"><value>{}</value></field></x>')
    done = one.tries(one.room, f'<query xmlns="{OWNER}">{form.format("true")}</query>') == "done"
    if done:
        one.tries(one.room, f'<query xmlns="{OWNER}">{form.format("false")}</query>')
    return done


def records(one: Person, other: Person) -> bool:
    """Whether the request reaches jicofo, which has no recorder here and says so in other words than `forbidden`."""
    said = one.tries(f"{one.room}/focus", '<jibri xmlns="http://jitsi.org/protocol/jibri" action="start" recording_mode="file"/>')
    return said not in ("forbidden", "not-allowed")


def removes(one: Person, other: Person) -> bool:
    return one.kicks(other.nick) == "done" and one.affiliation(other, 0.5) == "not there"


def ends(one: Person, other: Person) -> bool:
    one.say(f"endconference.{one.site_domain}", "<end_conference/>")
    other.see(1)
    return other.occupants(other.room).get(other.nick) is None


ATTEMPTS = {"mutes others": mutes, "hands out rights": hands_out, "turns on the lobby": locks, "records": records}


def table(found: t.Mapping[str, t.Mapping[str, str]]) -> list[str]:
    """The rows of a table in Markdown: by person, what he can do.

    >>> table({"a guest": dict.fromkeys(ACTIONS, "no")})[2]
    '| a guest | no | no | no | no | no | no | no | no | no |'
    """
    return ["| who | " + " | ".join(ACTIONS) + " |", "| --- |" + " --- |" * len(ACTIONS),
            *(f"| {who} | " + " | ".join(can[action] for action in ACTIONS) + " |" for who, can in found.items())]


def written(profile: str) -> list[str]:
    """The table of a profile in docs/access.md, which is the first one behind its heading."""
    text = (CHECKOUT / "docs" / "access.md").read_text(encoding="utf-8").partition(f"<!-- profile {profile} -->")[2]
    return [line for line in text.partition("<!-- end -->")[0].splitlines() if line.startswith("|")]
