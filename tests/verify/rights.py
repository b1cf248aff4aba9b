# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of person can do in a meeting, tried one by one with stanzas of our own, which know no greyed-out button.

The outcome is the table in docs/access.md: :func:`table` makes it, and the tests of each profile compare it with what is written there.
"""

from __future__ import annotations

import os
import pathlib
import typing as t

from people import Person, XmppError, some_room

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


def rights(host: t.Callable[[str], Person], person: t.Callable[[str], Person], first: bool = False,
           actions: t.Sequence[str] = ACTIONS) -> dict[str, str]:
    """What a person can do: alone, and in a room with somebody else.

    :param host: makes somebody who may open rooms
    :param first: whether the person is in the room before the host
    :param actions: what is tried, the first two among them
    """
    found = {"opens a room": way_in(person, some_room())}
    room = some_room()
    with host(room) as one:
        one.enter()
        found["follows into one"] = way_in(person, room)
    if found["follows into one"] != YES:
        return {**found, **dict.fromkeys(actions[2:], NO)}
    for name in actions[2:]:
        found[name] = YES if in_a_new_room(host, person, ATTEMPTS[name], first) else NO
    return found


def in_a_new_room(host: t.Callable[[str], Person], person: t.Callable[[str], Person], attempt: t.Callable[[Person, Person], bool], first: bool) -> bool:
    """Whether an attempt succeeds against somebody in the same room."""
    room = some_room()
    with host(room) as other, person(room) as one:
        for each in (one, other) if first else (other, one):
            each.enter()
        one.see(0.5)
        return attempt(one, other)


def mutes(one: Person, other: Person) -> bool:
    return one.tries(f"{one.room}/focus", f'<mute xmlns="http://jitsi.org/jitmeet/audio" jid="{one.room}/{other.nick}">true</mute>') == "done"


def hands_out(one: Person, other: Person) -> bool:
    """To somebody who never came, so that nobody's rights are changed."""
    return one.grants(f"somebody@{one.site_domain}", "owner") == "done"


def locks(one: Person, other: Person) -> bool:
    return one.lobby(True) == "done"


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


def moderates(one: Person, other: Person) -> bool:
    return one.becomes("owner", 2)


ATTEMPTS = {
    "moderates": moderates, "removes others": removes, "mutes others": mutes, "ends it for all": ends, "hands out rights": hands_out,
    "turns on the lobby": locks, "records": records,
}


def table(found: t.Mapping[str, t.Mapping[str, str]]) -> list[str]:
    """The rows of a table in Markdown: by person, what he can do of what was tried with everybody.

    >>> table({"a guest": dict.fromkeys(ACTIONS, "no")})[2]
    '| a guest | no | no | no | no | no | no | no | no | no |'
    """
    actions = list(next(iter(found.values())))
    return ["| who | " + " | ".join(actions) + " |", "| --- |" + " --- |" * len(actions),
            *(f"| {who} | " + " | ".join(can[action] for action in actions) + " |" for who, can in found.items())]


def documented(profile: str, found: t.Mapping[str, t.Mapping[str, str]]) -> None:
    """Assert that what was found is what docs/access.md says of a profile. With CAMPUS_WRITE_DOCS, write it there instead."""
    path = CHECKOUT / "docs" / "access.md"
    before, mark, rest = path.read_text(encoding="utf-8").partition(f"<!-- profile {profile} -->\n")
    assert mark, f"docs/access.md has no place for {profile}"
    there, end, after = rest.partition("<!-- end -->")
    rows = table(found)
    if os.environ.get("CAMPUS_WRITE_DOCS"):
        path.write_text(before + mark + "\n" + "\n".join(rows) + "\n\n" + end + after, encoding="utf-8")
    else:
        assert [line for line in there.splitlines() if line.startswith("|")] == rows, "\n".join(rows)
