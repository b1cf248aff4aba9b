# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""STUN binding requests (RFC 8489) as an ICE agent sends them (RFC 8445, section 7). Pure but for :func:`ask`."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import time
import typing as t
import zlib

MAGIC = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS, BINDING_ERROR = 0x0001, 0x0101, 0x0111
USERNAME, MESSAGE_INTEGRITY, XOR_MAPPED_ADDRESS = 0x0006, 0x0008, 0x0020
PRIORITY, ICE_CONTROLLED, FINGERPRINT, ERROR_CODE = 0x0024, 0x8029, 0x8028, 0x0009
FINGERPRINT_XOR = 0x5354554E
#: Type preference of a peer-reflexive candidate, 110, and the rest as RFC 8445, section 5.1.2.1, has it.
PEER_REFLEXIVE_PRIORITY = (110 << 24) | (65535 << 8) | 255


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def _header(kind: int, length: int, transaction: bytes) -> bytes:
    return struct.pack("!HHI", kind, length, MAGIC) + transaction


def binding_request(local_ufrag: str, remote_ufrag: str, remote_password: str, transaction: bytes, tie_breaker: int) -> bytes:
    """A connectivity check of a controlled agent.

    :param transaction: 12 random bytes
    """
    body = (
        _attribute(USERNAME, f"{remote_ufrag}:{local_ufrag}".encode())
        + _attribute(PRIORITY, struct.pack("!I", PEER_REFLEXIVE_PRIORITY))
        + _attribute(ICE_CONTROLLED, struct.pack("!Q", tie_breaker))
    )
    # The integrity covers the header as if it were the last attribute, and the fingerprint likewise.
    signed = _header(BINDING_REQUEST, len(body) + 24, transaction) + body
    body += _attribute(MESSAGE_INTEGRITY, hmac.new(remote_password.encode(), signed, hashlib.sha1).digest())
    marked = _header(BINDING_REQUEST, len(body) + 8, transaction) + body
    return marked + _attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(marked) ^ FINGERPRINT_XOR))


def attributes(message: bytes) -> dict[int, bytes]:
    """The attributes of a STUN message, the first of each kind."""
    found: dict[int, bytes] = {}
    position = 20
    while position + 4 <= len(message):
        kind, length = struct.unpack_from("!HH", message, position)
        found.setdefault(kind, message[position + 4 : position + 4 + length])
        position += 4 + length + (-length % 4)
    return found


def verify(message: bytes, transaction: bytes, password: str) -> str | None:
    """What is wrong with an answer to a binding request, None when it is a success that the peer signed."""
    if len(message) < 20 or struct.unpack_from("!I", message, 4)[0] != MAGIC or message[8:20] != transaction:
        return "answered something that is not STUN"
    kind = struct.unpack_from("!H", message)[0]
    found = attributes(message)
    if kind == BINDING_ERROR:
        code = found.get(ERROR_CODE, b"\0\0\0\0")
        return f"refused the check with STUN error {code[2] * 100 + code[3]}"
    if kind != BINDING_SUCCESS:
        return "answered with another STUN message"
    place = message.find(struct.pack("!HH", MESSAGE_INTEGRITY, 20), 20)
    if place < 0:
        return "answered without integrity"
    signed = message[:2] + struct.pack("!H", place + 24 - 20) + message[4:place]
    expected = hmac.new(password.encode(), signed, hashlib.sha1).digest()
    if not hmac.compare_digest(expected, message[place + 4 : place + 24]):
        return "signed its answer with another password"
    return None


def mapped_address(message: bytes) -> str:
    """The address that the peer saw, ``address:port``; empty when it does not say."""
    value = attributes(message).get(XOR_MAPPED_ADDRESS, b"")
    if len(value) not in (8, 20):
        return ""
    port = struct.unpack_from("!H", value, 2)[0] ^ (MAGIC >> 16)
    key = struct.pack("!I", MAGIC) + message[8:20]
    address = ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], key)))
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def ask(address: str, port: int, local_ufrag: str, remote_ufrag: str, password: str, timeout: float) -> tuple[str | None, str]:
    """Check one candidate: ``(what is wrong or None, the address that the peer saw)``.

    The request is repeated as RFC 8489, section 6.2.1, wants, for ``timeout`` seconds.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    transaction = os.urandom(12)
    request = binding_request(local_ufrag, remote_ufrag, password, transaction, int.from_bytes(os.urandom(8), "big"))
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as channel:
            channel.connect((address, port))
            end, pause = time.monotonic() + timeout, 0.25
            while time.monotonic() < end:
                channel.send(request)
                channel.settimeout(min(pause, max(0.05, end - time.monotonic())))
                try:
                    answer = channel.recv(2048)
                except (socket.timeout, TimeoutError):
                    pause = min(pause * 2, 1.0)
                    continue
                return verify(answer, transaction, password), mapped_address(answer)
    except OSError as error:
        return f"cannot be reached ({error.strerror or error})", ""
    return "does not answer", ""


def candidates(transport: t.Any, namespace: str) -> list[dict[str, str]]:
    """The UDP candidates of a Jingle ICE-UDP transport element (XEP-0176), without repetition."""
    found = []
    for element in transport.findall(f"{{{namespace}}}candidate"):
        if element.get("protocol", "udp").lower() == "udp" and element.get("ip") and element.get("port"):
            found.append({"ip": element.get("ip"), "port": element.get("port"), "type": element.get("type", "host")})
    return [item for index, item in enumerate(found) if item not in found[:index]]
