# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a conference mapper must answer, and how a gateway is by what it says of itself. Pure functions."""

from __future__ import annotations

import json
import re
import typing as t


def mapper_problem(status: int, body: str) -> str | None:
    """What is wrong with an answer to ``?conference=ROOM``, the end of a sentence.

    Jitsi's client takes an object with ``conference`` and ``id``, both false or null when there is none, and shows ``message``.

    >>> mapper_problem(200, '{"message": "Found.", "id": 4711, "conference": "a@conference.b"}') is None
    True
    >>> mapper_problem(200, "<html>")
    'answers no JSON'
    """
    if status != 200:
        return f"answers HTTP {status}"
    try:
        data: t.Any = json.loads(body)
    except ValueError:
        return "answers no JSON"
    if not isinstance(data, dict) or "conference" not in data:
        return "answers JSON without `conference`"
    room, pin = data["conference"], data.get("id")
    if room and (not isinstance(room, str) or "@" not in room):
        return "answers a `conference` that is no address of a room"
    if room and not str(pin or "").isdigit():
        return "answers an `id` that is no PIN of digits"
    return None


class Gateway(t.NamedTuple):
    """How a gateway is.

    :param state: ``idle``, ``busy`` or ``unhealthy``
    :param calls: how many it has, 0 when nobody knows
    :param why: what is wrong, the end of a sentence; empty when nothing is
    """

    name: str
    state: str
    calls: int
    why: str = ""


#: The HTTP status of a gateway's own check while its account is not registered, and nothing else is looked at.
NOT_REGISTERED = 503
#: The state of an account that is not tried again.
REFUSED = "Authentication Failed"
_STATE = re.compile(r"REG STATE CHANGE .*; newState=(?:RegistrationState=)?([^;\]]+)(?:.*; reason=([^\]]*))?")


def registration(log: str) -> tuple[str, str]:
    """The last state of an account in a gateway's log, and the reason that its registrar gave; both may be empty.

    >>> registration("REG STATE CHANGE x -> RegistrationStateChangeEvent[ oldState=a; newState=RegistrationState=Registered; reason=null]")
    ('Registered', '')
    """
    found = _STATE.findall(log)
    state, reason = found[-1] if found else ("", "")
    return state.strip(), "" if reason == "null" else reason.strip()


def gateway(name: str, metrics: str | None, health: int | None, *, own_check: bool = False, log: str = "") -> Gateway:
    """How a gateway is.

    :param metrics: its metrics, or None when it does not answer
    :param health: the HTTP status of its own check, or None when it does not answer
    :param own_check: whether it has somebody to call for that; without, it fails as soon as the account is registered
    :param log: the end of its log

    >>> gateway("main", "jitsi_jigasi_conferences 2.0\\n", 500)
    Gateway(name='main', state='busy', calls=2, why='')
    >>> gateway("main", None, None).why
    'does not answer'
    """
    if metrics is None:
        return Gateway(name, "unhealthy", 0, "does not answer")
    found = re.search(r"(?m)^jitsi_jigasi_conferences(?:\{[^}]*\})?\s+([0-9.]+)", metrics)
    if not found:
        return Gateway(name, "unhealthy", 0, "says nothing of its calls")
    calls = int(float(found[1]))
    if re.search(r"(?m)^jitsi_jigasi_shutdown_in_progress(?:\{[^}]*\})?\s+1", metrics):
        return Gateway(name, "unhealthy", calls, "is shutting down")
    if health == NOT_REGISTERED:
        said = ", ".join(word for word in registration(log) if word)
        return Gateway(name, "unhealthy", calls, "is not registered" + (f" ({said})" if said else ""))
    if health is None:
        return Gateway(name, "unhealthy", calls, "does not say whether it is registered")
    if own_check and health != 200:
        return Gateway(name, "unhealthy", calls, f"fails its own check (HTTP {health})")
    return Gateway(name, "busy" if calls else "idle", calls)


def table(gateways: t.Sequence[Gateway], limit: int) -> list[str]:
    """Lines for people.

    :param limit: how many calls each may have before meetings make none through it; 0 without

    >>> table([Gateway("main", "busy", 2)], 10)
    ['main  busy  2 of 10 calls']
    """
    width = max((len(one.name) for one in gateways), default=0)
    return [f"{one.name:{width}}  {one.state}  " + (one.why or f"{one.calls}{f' of {limit}' if limit else ''} calls") for one in gateways]
