# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A TURN client (RFC 8656) with long-term credentials (RFC 8489, section 9.2), over UDP, TCP and TLS.

The functions are pure but for :class:`Relay`, which talks to one server.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import socket
import ssl
import struct
import time
import typing as t
import zlib

from ansible_collections.campus.jitsi.plugins.module_utils._stun import (
    ERROR_CODE,
    FINGERPRINT,
    FINGERPRINT_XOR,
    MAGIC,
    MESSAGE_INTEGRITY,
    USERNAME,
    _attribute,
    _header,
    attributes,
)

#: Methods (RFC 8656, section 17); a request is the number itself, a success with 0x100 and an error with 0x110 added.
BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION = 0x001, 0x003, 0x004, 0x006, 0x007, 0x008
INDICATION, SUCCESS, ERROR = 0x010, 0x100, 0x110
LIFETIME, XOR_PEER_ADDRESS, DATA_ATTRIBUTE, REALM, NONCE = 0x000D, 0x0012, 0x0013, 0x0014, 0x0015
XOR_RELAYED_ADDRESS, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT, SOFTWARE = 0x0016, 0x0017, 0x0019, 0x8022
UDP = 17
FAMILIES = {4: 1, 6: 2}
UNAUTHENTICATED, STALE_NONCE = 401, 438


class TurnError(Exception):
    """The server refused something, or did not answer.

    :ivar code: the number of the STUN error, 0 when there was no answer
    """

    def __init__(self, message: str, code: int = 0):
        super().__init__(message)
        self.code = code


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The key of a message's integrity (RFC 8489, section 9.2.2).

    >>> long_term_key("user", "realm", "pass").hex()
    '8493fbc53ba582fb4c044c456bdc40eb'
    """
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


def xor_address(address: str, port: int, transaction: bytes) -> bytes:
    """The value of an XOR-ADDRESS attribute (RFC 8489, section 14.2).

    >>> xor_address("192.0.2.1", 32853, bytes(12)).hex()
    '0001a147e112a643'
    """
    parsed = ipaddress.ip_address(address)
    key = struct.pack("!I", MAGIC) + transaction
    return struct.pack("!BBH", 0, FAMILIES[parsed.version], port ^ (MAGIC >> 16)) + bytes(a ^ b for a, b in zip(parsed.packed, key))


def read_address(value: bytes, transaction: bytes) -> tuple[str, int]:
    """The inverse of :func:`xor_address`.

    >>> read_address(bytes.fromhex("0001a147e112a643"), bytes(12))
    ('192.0.2.1', 32853)

    :raises TurnError: it is no address
    """
    if len(value) not in (8, 20):
        raise TurnError("the server answered without an address")
    key = struct.pack("!I", MAGIC) + transaction
    return str(ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], key)))), struct.unpack_from("!H", value, 2)[0] ^ (MAGIC >> 16)


def request(method: int, transaction: bytes, body: bytes, key: bytes | None) -> bytes:
    """A message with a fingerprint, and with integrity when there is a key.

    :param transaction: 12 random bytes
    """
    if key is not None:
        signed = _header(method, len(body) + 24, transaction) + body
        body += _attribute(MESSAGE_INTEGRITY, hmac.new(key, signed, hashlib.sha1).digest())
    marked = _header(method, len(body) + 8, transaction) + body
    return marked + _attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(marked) ^ FINGERPRINT_XOR))


def signed_with(message: bytes, key: bytes) -> bool:
    """Whether the integrity of a message was made with ``key``."""
    place = message.find(struct.pack("!HH", MESSAGE_INTEGRITY, 20), 20)
    if place < 0:
        return False
    signed = message[:2] + struct.pack("!H", place + 24 - 20) + message[4:place]
    return hmac.compare_digest(hmac.new(key, signed, hashlib.sha1).digest(), message[place + 4 : place + 24])


def error_of(message: bytes) -> tuple[int, str]:
    """The code and the reason of an error answer."""
    value = attributes(message).get(ERROR_CODE, b"\0\0\0\0")
    return value[2] * 100 + value[3], value[4:].decode(errors="replace").strip("\0")


class Relay:
    """A client of one TURN server.

    :param host: the server's name, which its certificate must have
    :param transport: ``udp``, ``tcp`` or ``tls``
    :param address: where to connect; empty for what DNS says
    :param context: how to verify the certificate; the system's authorities without one
    :raises OSError: it cannot be reached, or its certificate is not good (ssl.SSLError)
    """

    def __init__(self, host: str, port: int, transport: str, *, address: str = "", context: ssl.SSLContext | None = None, timeout: float = 5.0):
        self.transport, self.timeout = transport, timeout
        self.username = self.realm = self.password = ""
        self.nonce = b""
        self.buffer = b""
        self.arrived: list[bytes] = []
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        family, _kind, _protocol, _name, where = socket.getaddrinfo(address or host, port, type=kind)[0]
        self.socket = socket.socket(family, kind)
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(where)
            if transport == "tls":
                self.socket = (context or ssl.create_default_context()).wrap_socket(self.socket, server_hostname=host)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_error: t.Any) -> None:
        self.socket.close()

    def allocate(self, username: str, password: str, family: int = 4) -> tuple[str, int]:
        """Ask for a relayed address of a family, 4 or 6, and return it.

        :raises TurnError: it is refused
        """
        body = _attribute(REQUESTED_TRANSPORT, struct.pack("!BBH", UDP, 0, 0))
        if family == 6:
            body += _attribute(REQUESTED_ADDRESS_FAMILY, struct.pack("!BBH", FAMILIES[6], 0, 0))
        self.username, self.password = username, password
        answer, transaction = self.ask(ALLOCATE, lambda _transaction: body)
        return read_address(attributes(answer).get(XOR_RELAYED_ADDRESS, b""), transaction)

    def permit(self, address: str, port: int = 0) -> None:
        """Ask that a peer may send to the relayed address.

        :raises TurnError: it is refused; with code 403, because the server relays nothing to that address
        """
        self.ask(CREATE_PERMISSION, lambda transaction: _attribute(XOR_PEER_ADDRESS, xor_address(address, port, transaction)))

    def free(self) -> None:
        """Give the relayed address back."""
        self.ask(REFRESH, lambda _transaction: _attribute(LIFETIME, struct.pack("!I", 0)))

    def send(self, address: str, port: int, data: bytes) -> None:
        """Have data sent to a peer. Nobody says whether it was."""
        transaction = os.urandom(12)
        body = _attribute(XOR_PEER_ADDRESS, xor_address(address, port, transaction)) + _attribute(DATA_ATTRIBUTE, data)
        self.socket.sendall(request(SEND + INDICATION, transaction, body, None))

    def receive(self, timeout: float) -> bytes | None:
        """What a peer sent; None when nothing comes in time."""
        end = time.monotonic() + timeout
        while not self.arrived:
            message = self._read(end)
            if message is None:
                return None
            self._keep(message)
        return self.arrived.pop(0)

    def ask(self, method: int, body: t.Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
        """The success that answers a request, and the request's transaction; the server's realm and nonce are learned on the way.

        :raises TurnError: the answer is an error, is not the server's, or does not come
        """
        for _attempt in range(3):
            transaction = os.urandom(12)
            content, key = body(transaction), None
            if self.nonce:
                key = long_term_key(self.username, self.realm, self.password)
                content += (_attribute(USERNAME, self.username.encode()) + _attribute(REALM, self.realm.encode()) + _attribute(NONCE, self.nonce))
            answer = self._exchange(request(method, transaction, content, key), transaction)
            if struct.unpack_from("!H", answer)[0] == method + SUCCESS:
                if key is not None and not signed_with(answer, key):
                    raise TurnError("the server signed its answer with another password")
                return answer, transaction
            code, reason = error_of(answer)
            found = attributes(answer)
            if code == STALE_NONCE or (code == UNAUTHENTICATED and key is None):
                self.nonce, self.realm = found.get(NONCE, b""), found.get(REALM, b"").decode(errors="replace")
                if self.nonce:
                    continue
            raise TurnError(f"refused with STUN error {code}" + (f" ({reason})" if reason else ""), code)
        raise TurnError("asks for credentials again and again")

    def _exchange(self, message: bytes, transaction: bytes) -> bytes:
        end, pause = time.monotonic() + self.timeout, 0.5
        while time.monotonic() < end:
            self.socket.sendall(message)
            # TCP and TLS repeat what was lost by themselves.
            until = min(end, time.monotonic() + pause) if self.transport == "udp" else end
            while (answer := self._read(until)) is not None:
                if answer[8:20] == transaction:
                    return answer
                self._keep(answer)
            pause *= 2
        raise TurnError("does not answer")

    def _keep(self, message: bytes) -> None:
        if struct.unpack_from("!H", message)[0] == DATA + INDICATION:
            self.arrived.append(attributes(message).get(DATA_ATTRIBUTE, b""))

    def _read(self, end: float) -> bytes | None:
        """The next message of the server, None when none comes in time."""
        while True:
            if self.transport != "udp" and len(self.buffer) >= 20:
                size = 20 + struct.unpack_from("!H", self.buffer, 2)[0]
                if len(self.buffer) >= size:
                    message, self.buffer = self.buffer[:size], self.buffer[size:]
                    return message
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                part = self.socket.recv(65536)
            except TimeoutError:
                return None
            if self.transport == "udp":
                if len(part) >= 20:
                    return part
                continue
            if not part:
                raise TurnError("closed the connection")
            self.buffer += part


def rest_credentials(secret: str, expires: int, user: str = "") -> tuple[str, str]:
    """The name and password that a server with ``use-auth-secret`` takes until ``expires`` (seconds since 1970).

    From draft-uberti-behave-turn-rest-00, section 2.2, as coturn and Prosody have it.
    """
    import base64

    name = f"{expires}:{user}" if user else str(expires)
    return name, base64.b64encode(hmac.new(secret.encode(), name.encode(), hashlib.sha1).digest()).decode()
