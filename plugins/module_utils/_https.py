# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTPS and WebSocket to one server, by its name but, if need be, at an address that DNS does not know (yet)."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import socket
import ssl
import struct
import time


class Site:
    """The server of ``domain``. Its certificate is always verified against that name.

    :param address: where to connect; empty for what DNS says
    :param ca: PEM text of an authority to trust besides the system's; empty for none
    """

    def __init__(self, domain: str, port: int = 443, address: str = "", ca: str = "", timeout: float = 10.0):
        self.domain, self.port, self.timeout = domain, port, timeout
        self.address = address or domain
        self.context = ssl.create_default_context()
        if ca:
            self.context.load_verify_locations(cadata=ca)

    def connect(self) -> ssl.SSLSocket:
        """A TLS connection. Raises OSError (of which ssl.SSLError is one)."""
        plain = socket.create_connection((self.address, self.port), timeout=self.timeout)
        try:
            return self.context.wrap_socket(plain, server_hostname=self.domain)
        except BaseException:
            plain.close()
            raise

    def request(self, method: str, path: str, body: bytes | None = None, content_type: str = "", timeout: float | None = None
                ) -> tuple[int, dict[str, str], bytes]:
        """``(status, headers, body)`` of one request on a connection of its own."""
        connection = http.client.HTTPConnection(self.domain, self.port, timeout=timeout or self.timeout)
        connection.sock = self.connect()
        connection.sock.settimeout(timeout or self.timeout)
        try:
            headers = {"User-Agent": "campus.jitsi", "Connection": "close"}
            if content_type:
                headers["Content-Type"] = content_type
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()


class WebSocketError(OSError):
    """The other side does not speak WebSocket, or closed it."""


def parse_frame(data: bytes) -> tuple[tuple[bool, int, bytes] | None, bytes]:
    """The first frame (last of its message, opcode, payload) of what a server sent, and the rest; None when it is not whole.

    >>> parse_frame(b"\\x81\\x02hi\\x81")
    ((True, 1, b'hi'), b'\\x81')
    """
    if len(data) < 2:
        return None, data
    length, start = data[1] & 127, 2
    size = {126: 2, 127: 8}.get(length, 0)
    if size:
        if len(data) < 2 + size:
            return None, data
        length, start = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
    if len(data) < start + length:
        return None, data
    return (bool(data[0] & 0x80), data[0] & 15, data[start : start + length]), data[start + length :]


class WebSocket:
    """A client of RFC 6455 for text messages.

    :raises WebSocketError: the server does not upgrade; the message says what it answered
    """

    GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    CONTINUATION, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
    LARGEST = 4 * 1024 * 1024

    def __init__(self, site: Site, path: str, protocol: str):
        self.socket = site.connect()
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: {site.domain}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n"
                f"Origin: https://{site.domain}\r\nUser-Agent: campus.jitsi\r\n\r\n"
            ).encode()
        )
        head = self._until(b"\r\n\r\n").decode(errors="replace")
        status = head.split("\r\n", 1)[0]
        headers = {k.strip().lower(): v.strip() for k, _c, v in (line.partition(":") for line in head.split("\r\n")[1:])}
        if " 101" not in status:
            raise WebSocketError(f"the server answered `{status}` where it should switch to WebSocket")
        expected = base64.b64encode(hashlib.sha1((key + self.GUID).encode()).digest()).decode()
        if headers.get("sec-websocket-accept") != expected or headers.get("sec-websocket-protocol") != protocol:
            raise WebSocketError("the server's WebSocket handshake is wrong")

    def _until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            self._more()
        head, _mark, self.buffer = self.buffer.partition(mark)
        return head

    def _more(self) -> None:
        part = self.socket.recv(65536)
        if not part:
            raise WebSocketError("the server closed the connection")
        self.buffer += part
        if len(self.buffer) > self.LARGEST:
            raise WebSocketError("the server sent a message of more than 4 MiB")

    def _send(self, kind: int, payload: bytes) -> None:
        length = len(payload)
        head = bytes([0x80 | kind])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65536:
            head += bytes([0x80 | 126]) + struct.pack("!H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", length)
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload)))

    def send(self, text: str) -> None:
        """Send one text message."""
        self._send(self.TEXT, text.encode())

    def receive(self, timeout: float) -> str | None:
        """The next text message, None when none comes in time."""
        end = time.monotonic() + timeout
        message = b""
        while True:
            frame, self.buffer = parse_frame(self.buffer)
            if frame is None:
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self.socket.settimeout(left)
                try:
                    self._more()
                except (socket.timeout, TimeoutError):
                    return None
                continue
            last, kind, payload = frame
            if kind == self.PING:
                self._send(self.PONG, payload)
            elif kind == self.CLOSE:
                raise WebSocketError(f"the server closed the connection ({payload[2:].decode(errors='replace') or 'no reason'})")
            elif kind in (self.CONTINUATION, self.TEXT):
                message += payload
                if last:
                    return message.decode(errors="replace")

    def close(self) -> None:
        """Say goodbye and close."""
        try:
            self._send(self.CLOSE, struct.pack("!H", 1000))
        except OSError:
            pass
        self.socket.close()
