# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The matrix of ports of a host: what should listen, what does, who can reach it. Pure functions."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.campus.jitsi.plugins.module_utils import _ports
from ansible_collections.campus.jitsi.plugins.module_utils._sockets import is_loopback
from ansible_collections.campus.jitsi.plugins.plugin_utils import _firewall

ALL = {"0.0.0.0", "::"}


class Line(t.NamedTuple):
    """One line of the matrix.

    :param listening: on which addresses, in words
    :param open_to: who can reach it, in words
    :param verdict: ``ok``, a remark, or with ``bad`` what is wrong
    """

    role: str
    port: str
    listening: str
    open_to: str
    verdict: str
    bad: bool = False


class Listener(t.NamedTuple):
    """A socket that waits for somebody, and the command line of who holds it."""

    protocol: str
    address: str
    port: int
    command: str


def where(addresses: t.Collection[str]) -> str:
    """Addresses in words.

    >>> where(["0.0.0.0", "::"]), where(["127.0.0.1"]), where([])
    ('all', 'loopback', '-')
    """
    if not addresses:
        return "-"
    if all(map(is_loopback, addresses)):
        return "loopback"
    return "all" if ALL & set(addresses) else ", ".join(_firewall.ordered(text.partition("%")[0] for text in addresses if not is_loopback(text)))


def matrix(
    host: str,
    placed: t.Mapping[str, t.Sequence[str]],
    listeners: t.Sequence[Listener],
    *,
    covered: bool,
    ssh_ports: t.Sequence[int],
    ssh_sources: t.Sequence[str] = (),
    monitoring: t.Sequence[str] = (),
    opened: t.Sequence[t.Any] = (),
    variables: t.Mapping[str, t.Any] | None = None,
    clients: tuple[int, int] = (32768, 60999),
) -> list[Line]:
    """What listens on a host, and whether that is as it should be.

    :param covered: whether the firewall that the inventory asks for is loaded
    :param opened: ``jitsi_firewall_open``
    :param clients: the ports that the kernel gives to programs that want any: UDP there is somebody's question
    """
    found, known = [], set(_ports.CLIENTS)
    named = _firewall.named_sources(ssh_sources, monitoring, variables)
    for row in _ports.rows(_firewall.roles_of(host, placed), variables):
        for first, last in [(port, port) for port in ssh_ports] if not row.role else [_ports.span(row, variables)]:
            here = [one for one in listeners if one.protocol == row.protocol and first <= one.port <= last]
            known |= {(one.port, one.protocol) for one in here}
            found.append(line(row, first, last, here, host, placed, covered, named))
    for one in map(_firewall.parse_open, opened):
        here = [other for other in listeners if other.protocol == one.protocol and one.first <= other.port <= one.last]
        known |= {(other.port, other.protocol) for other in here}
        sources = ", ".join(map(_firewall.written, one.sources)) if covered and one.sources else "everybody"
        found.append(Line("(asked for)", _ports.shown(one.first, one.last, one.protocol), where([other.address for other in here]),
                          sources if here else "-", "ok" if here else "nothing listens"))
    others: dict[tuple[int, str], list[Listener]] = {}
    for other in listeners:
        is_client = other.protocol == "udp" and clients[0] <= other.port <= clients[1]
        if (other.port, other.protocol) not in known and not is_loopback(other.address) and not is_client:
            others.setdefault((other.port, other.protocol), []).append(other)
    for (port, protocol), here in sorted(others.items()):
        found.append(Line(f"({program(here[0].command)})", _ports.shown(port, port, protocol), where([one.address for one in here]),
                          "nobody" if covered else "everybody", "closed by the firewall" if covered else "not in the table", bad=not covered))
    return found


def line(row: _ports.Port, first: int, last: int, here: t.Sequence[Listener], host: str, placed: t.Mapping[str, t.Sequence[str]],
         covered: bool, named: t.Mapping[str, t.Sequence[str]]) -> Line:
    """The line of one row of the table of ports."""
    meant = _firewall.meant(row, host, placed, named)
    start = (row.role or "SSH", _ports.shown(first, last, row.protocol), where([one.address for one in here]))
    outside = [one for one in here if not is_loopback(one.address)]
    strangers = [one.command for one in here if one.command and row.mark not in one.command]
    needed = first == last and (row.local or (row.who != (_ports.EVERYBODY,) and meant != "nobody"))
    if strangers and first == last:
        return Line(*start, "-", f"held by {program(strangers[0])}", bad=True)
    if not here:
        return Line(*start, "-", "not listening" if needed else "ok", bad=needed)
    if not outside:
        # What others must reach and listens on loopback is not reached.
        missed = meant not in ("nobody", "everybody") or row.who == (_ports.EVERYBODY,)
        return Line(*start, "this host", "on loopback only" if missed else "ok", bad=missed)
    if covered or meant == "everybody":
        return Line(*start, meant, "ok")
    if row.who[0] in (_ports.NOBODY, _ports.MONITORING):
        return Line(*start, "everybody", "exposed", bad=True)
    return Line(*start, "everybody", f"wider than {meant}")


def program(command: str) -> str:
    """The name of a program, of its command line.

    >>> program("/usr/sbin/apache2 -k start"), program("nginx: master process")
    ('apache2', 'nginx')
    """
    return os.path.basename(command.split()[0].rstrip(":")) if command.split() else "?"


def table(host: str, lines: t.Sequence[Line], services: t.Sequence[t.Mapping[str, str]], firewall: str) -> list[str]:
    """The matrix and the services as lines of text, each column as wide as what is in it."""
    ports = [("role", "port", "listens on", "open to", "verdict"), *((*one[:4], one.verdict.upper() if one.bad else one.verdict) for one in lines)]
    running = [("service", "version", "state", "since"), *((one["unit"], one["version"], one["state"], one["since"]) for one in services)]
    return [f"{host}: {firewall}", *columns(ports), *columns(running if services else [])]


def columns(rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as what is in it.

    >>> columns([("a", "b"), ("long", "c")])
    ['  a     b', '  long  c']
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip() for row in rows]
