# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a recorder is by what it says of itself, and what a host with recorders must have. Pure functions."""

from __future__ import annotations

import json
import typing as t


class Recorder(t.NamedTuple):
    """How a recorder is.

    :param state: ``idle``, ``busy``, ``unhealthy`` or ``gone``
    :param why: what is wrong, the end of a sentence; empty when nothing is
    """

    number: int
    state: str
    why: str = ""


def recorder(number: int, health: str | None, paused: bool = False) -> Recorder:
    """How a recorder is.

    :param health: what it answers when it is asked for its health, or None without an answer
    :param paused: whether the host has it pause

    >>> recorder(1, '{"status": {"busyStatus": "BUSY", "health": {"healthStatus": "HEALTHY"}}}')
    Recorder(number=1, state='busy', why='')
    >>> recorder(2, None, True).why
    'pauses for want of room for recordings'
    """
    if health is None:
        return Recorder(number, "gone", "pauses for want of room for recordings" if paused else "does not answer")
    try:
        status = json.loads(health)["status"]
        busy, well = str(status["busyStatus"]), str(status["health"]["healthStatus"])
    except (ValueError, KeyError, TypeError):
        return Recorder(number, "unhealthy", "does not say how it is")
    if well != "HEALTHY":
        return Recorder(number, "unhealthy", f"says that it is {well.lower()}")
    if busy not in ("IDLE", "BUSY"):
        return Recorder(number, "unhealthy", f"takes no work ({busy.lower()})")
    return Recorder(number, busy.lower())


def table(recorders: t.Sequence[Recorder]) -> list[str]:
    """Lines for people, and at the end how many meetings more can be recorded.

    >>> table([Recorder(1, "busy"), Recorder(2, "gone", "does not answer")])
    ['recorder 1  busy', 'recorder 2  gone       does not answer', '0 of 2 free']
    """
    free = sum(one.state == "idle" for one in recorders)
    return [*(f"recorder {one.number}  {one.state:9}  {one.why}".rstrip() for one in recorders), f"{free} of {len(recorders)} free"]
