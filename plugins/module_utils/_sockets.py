# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who listens where on this host, and over which connection somebody came, from /proc (proc(5))."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import typing as t

#: States in /proc/net (include/net/tcp_states.h of Linux).
ESTABLISHED = "01"
UNCONNECTED = "07"
LISTEN = "0A"


class Socket(t.NamedTuple):
    """A socket: its protocol, where it is bound, and where the other end is (port 0 when there is none)."""

    protocol: str
    address: str
    port: int
    peer: str
    peer_port: int
    state: str
    inode: str


def address(raw: str) -> str:
    """An address as /proc/net has it, in hexadecimal words of the host's byte order; one of IPv4 inside IPv6 as IPv4.

    >>> address("0100007F") if sys.byteorder == "little" else "127.0.0.1"
    '127.0.0.1'
    """
    words = [int(raw[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(raw), 8)]
    found = ipaddress.ip_address(b"".join(words))
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def sockets(text: str, protocol: str) -> list[Socket]:
    """The sockets in ``/proc/net/tcp``, ``tcp6``, ``udp`` or ``udp6``.

    >>> sockets("sl local\\n 0: 00000000:01BB 00000000:0000 0A 0:0 0:0 0 0 0 77 1", "tcp")[0][:3]
    ('tcp', '0.0.0.0', 443)
    """
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 9:
            (local, port), (peer, peer_port) = (word.split(":") for word in words[1:3])
            found.append(Socket(protocol, address(local), int(port, 16), address(peer), int(peer_port, 16), words[3], words[9]))
    return found


def all_sockets() -> list[Socket]:
    """All TCP and UDP sockets of this host, of both families."""
    found = []
    for protocol in ("tcp", "udp"):
        for family in ("", "6"):
            try:
                with open(f"/proc/net/{protocol}{family}", encoding="ascii") as handle:
                    found += sockets(handle.read(), protocol)
            except FileNotFoundError:
                continue
    return found


def listening(everything: t.Iterable[Socket]) -> list[Socket]:
    """Those that wait for somebody: TCP that listens, and UDP that is connected to nobody."""
    return [one for one in everything if one.state == (LISTEN if one.protocol == "tcp" else UNCONNECTED)]


def is_loopback(text: str) -> bool:
    """Whether an address is reached from the host itself only.

    >>> is_loopback("127.0.0.53"), is_loopback("::1"), is_loopback("::")
    (True, True, False)
    """
    return ipaddress.ip_address(text.partition("%")[0]).is_loopback


def holders(wanted: t.Iterable[Socket]) -> dict[str, str]:
    """The command line of the process that holds a socket, by inode."""
    inodes = {f"socket:[{one.inode}]": one.inode for one in wanted}
    found = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        folder = f"/proc/{process}"
        try:
            for number in os.listdir(f"{folder}/fd"):
                inode = inodes.get(os.readlink(f"{folder}/fd/{number}"))
                if inode:
                    with open(f"{folder}/cmdline", encoding="utf-8", errors="replace") as handle:
                        found[inode] = handle.read().replace("\0", " ").strip()
        except OSError:
            continue
    return found


def to_initiated(everything: t.Sequence[Socket]) -> list[Socket]:
    """The TCP connections that this host opened to others: those whose own port does not listen."""
    ports = {one.port for one in everything if one.protocol == "tcp" and one.state == LISTEN}
    return [one for one in everything
            if one.protocol == "tcp" and one.state == ESTABLISHED and one.port not in ports and not is_loopback(one.peer)]


def ssh_connection() -> tuple[str, int] | None:
    """The address that this run came from over SSH, and the port that it came to; None when it did not.

    ``sudo`` takes the variable out of the environment of its child, so the ancestors are asked, too (sshd(8), ENVIRONMENT).
    """
    process = os.getpid()
    while process > 1:
        try:
            with open(f"/proc/{process}/environ", "rb") as handle:
                found = dict(part.partition(b"=")[::2] for part in handle.read().split(b"\0"))
            with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as handle:
                process = int(handle.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return None
        words = found.get(b"SSH_CONNECTION", b"").decode(errors="replace").split()
        if len(words) == 4:
            client = ipaddress.ip_address(words[0].partition("%")[0])
            return str(getattr(client, "ipv4_mapped", None) or client), int(words[3])
    return None


def ssh_ports(everything: t.Sequence[Socket], commands: t.Mapping[str, str], fallback: int = 22) -> list[int]:
    """The ports at which SSH must stay open: where this run came to, and where an sshd listens beyond loopback."""
    came = ssh_connection()
    found = {came[1]} if came else set()
    found |= {one.port for one in listening(everything)
              if one.protocol == "tcp" and not is_loopback(one.address) and "sshd" in commands.get(one.inode, "")}
    return sorted(found) or [fallback]


def family(text: str) -> int:
    """The family of an address, as in the module socket."""
    return socket.AF_INET6 if ":" in text else socket.AF_INET
