# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""As much of LDAP (RFC 4511) as it takes to see whether a directory can be used: TLS, a bind, and whether an entry is there."""

from __future__ import annotations

import socket
import ssl
import typing as t

SEQUENCE, INTEGER, OCTETS, ENUMERATED, BOOLEAN = 0x30, 0x02, 0x04, 0x0A, 0x01
BIND_REQUEST, BIND_RESPONSE = 0x60, 0x61
SEARCH_REQUEST, SEARCH_DONE = 0x63, 0x65
EXTENDED_REQUEST, EXTENDED_RESPONSE = 0x77, 0x78
START_TLS = b"1.3.6.1.4.1.1466.20037"
#: Result codes (RFC 4511, appendix A) in words.
RESULTS = {
    7: "the method of login is not supported", 8: "it wants a stronger login", 13: "it wants TLS first", 32: "there is no such entry",
    34: "that is no DN", 48: "such a login is not allowed", 49: "the DN or the password is wrong", 50: "the account may not read it",
    52: "it is not available", 53: "it is unwilling",
}
#: Bytes of an answer: what is asked here has short ones.
LONGEST = 1 << 20


class LdapError(Exception):
    """A directory does not do what is asked; the message is half a sentence."""


class Refused(LdapError):
    """It answered, with a result code that is not success."""

    def __init__(self, code: int, text: str):
        self.code = code
        super().__init__(RESULTS.get(code, f"it answers with result {code}") + (f" ({text})" if text else ""))


def tlv(tag: int, content: bytes) -> bytes:
    """One element of BER (X.690), with the shortest length.

    >>> tlv(OCTETS, b"ab").hex()
    '04026162'
    """
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    """A whole number from 0 up.

    >>> integer(3).hex(), integer(200).hex()
    ('020103', '020200c8')
    """
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """The elements that bytes are made of.

    >>> elements(bytes.fromhex("0201030401ff"))
    [(2, b'\\x03'), (4, b'\\xff')]

    :raises LdapError: they do not fill the bytes exactly
    """
    found = []
    while data:
        tag, content, data = element(data)
        found.append((tag, content))
    return found


def element(data: bytes) -> tuple[int, bytes, bytes]:
    """The first element: its tag, its content, and the rest.

    :raises LdapError: it is not whole, or has a length that LDAP does not know (RFC 4511, 5.1)
    """
    if len(data) < 2:
        raise LdapError("it says something that is not LDAP")
    tag, length, start = data[0], data[1], 2
    if length == 0x80 or length > 0x84:
        raise LdapError("it says something that is not LDAP")
    if length > 0x80:
        start = 2 + (length & 0x7F)
        if len(data) < start:
            raise LdapError("it says something that is not LDAP")
        length = int.from_bytes(data[2:start], "big")
    if length > LONGEST or len(data) < start + length:
        raise LdapError("it says something that is not LDAP")
    return tag, data[start:start + length], data[start + length:]


class Directory:
    """A connection to one server.

    :param mode: `starttls`, `ldaps` or `none`
    :param ca: PEM text of the authority; empty for the system's. Certificates are always verified.
    """

    def __init__(self, host: str, port: int, mode: str, ca: str = "", timeout: float = 5.0):
        context = ssl.create_default_context(cadata=ca or None)
        self.number = 0
        try:
            self.socket: socket.socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise LdapError("no answer in time" if isinstance(error, (socket.timeout, TimeoutError)) else error.strerror or str(error)) from None
        try:
            if mode == "starttls":
                self._ask(tlv(EXTENDED_REQUEST, tlv(0x80, START_TLS)), EXTENDED_RESPONSE)
            if mode != "none":
                self.socket = context.wrap_socket(self.socket, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise LdapError(f"its certificate is refused: {error.verify_message}") from None
        except OSError as error:
            self.close()
            raise LdapError(f"TLS fails: {error.strerror or error}") from None
        except LdapError:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def bind(self, name: str, password: str) -> None:
        """Log in with a password (RFC 4511, 4.2).

        :raises Refused: it does not let that account in
        """
        self._ask(tlv(BIND_REQUEST, integer(3) + tlv(OCTETS, name.encode()) + tlv(0x80, password.encode())), BIND_RESPONSE)

    def has(self, name: str) -> bool:
        """Whether there is an entry with this DN that the account may see."""
        request = (tlv(OCTETS, name.encode()) + integer(0, ENUMERATED) + integer(0, ENUMERATED) + integer(1) + integer(5)
                   + tlv(BOOLEAN, b"\0") + tlv(0x87, b"objectClass") + tlv(SEQUENCE, tlv(OCTETS, b"1.1")))
        try:
            return self._ask(tlv(SEARCH_REQUEST, request), SEARCH_DONE) > 0
        except Refused as error:
            if error.code == 32:
                return False
            raise

    def _ask(self, request: bytes, wanted: int) -> int:
        """Send a request and wait for its last answer; how many others came before that."""
        self.number += 1
        others = 0
        try:
            self.socket.sendall(tlv(SEQUENCE, integer(self.number) + request))
            while True:
                tag, content = self._receive()
                if tag == wanted:
                    break
                others += 1
        except (socket.timeout, TimeoutError):
            raise LdapError("no answer in time") from None
        except OSError as error:
            raise LdapError(error.strerror or str(error)) from None
        parts = elements(content)
        if len(parts) < 3 or parts[0][0] != ENUMERATED:
            raise LdapError("it says something that is not LDAP")
        code = int.from_bytes(parts[0][1], "big")
        if code:
            raise Refused(code, parts[2][1].decode(errors="replace").strip()[:200])
        return others

    def _receive(self) -> tuple[int, bytes]:
        """One message: the tag of what is in it, and its content."""
        data = self._exactly(2)
        if data[0] != SEQUENCE:
            raise LdapError("it says something that is not LDAP")
        if data[1] & 0x80:
            data += self._exactly(data[1] & 0x7F)
        length = int.from_bytes(data[2:], "big") if data[1] & 0x80 else data[1]
        if length > LONGEST:
            raise LdapError("it says something that is not LDAP")
        parts = elements(self._exactly(length))
        if len(parts) < 2:
            raise LdapError("it says something that is not LDAP")
        return parts[1]

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise LdapError("it hung up")
            data += more
        return data


def filter_value(text: str) -> str:
    """A text as a value in a filter (RFC 4515, section 3). A dollar is escaped, too: Prosody puts names in its place.

    >>> filter_value("cn=a*(b),dc=x$user")
    'cn=a\\\\2a\\\\28b\\\\29,dc=x\\\\24user'
    """
    return "".join(f"\\{byte:02x}" if byte in b"\\*()\0$" or byte > 0x7F else chr(byte) for byte in text.encode())


def filter_problem(text: t.Any) -> str | None:
    """What is wrong with a filter, as far as its parentheses show.

    >>> filter_problem("(&(uid=$user)(x=1)"), filter_problem("(uid=$user)")
    ('its parentheses do not match', None)
    """
    if not isinstance(text, str) or not text.startswith("(") or not text.endswith(")"):
        return "it does not begin and end with a parenthesis"
    depth, least = 0, 1
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if place < len(text) - 1:
            least = min(least, depth)
    if depth != 0 or least < 1:
        return "its parentheses do not match"
    return None if "$user" in text else "it has no `$user`, so it would find the same people whoever logs in"


def server_of(text: str, mode: str) -> tuple[str, int]:
    """Host and port of a server.

    >>> server_of("ldap.example.edu", "ldaps"), server_of("ldap.example.edu:3389", "starttls"), server_of("[::1]:390", "none")
    (('ldap.example.edu', 636), ('ldap.example.edu', 3389), ('::1', 390))
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        host, port = text, "636" if mode == "ldaps" else "389"
    return host.strip("[]"), int(port)


def look(servers: t.Sequence[str], mode: str, ca: str, bind_dn: str, password: str, names: t.Mapping[str, str],
         timeout: float = 5.0) -> tuple[list[str], list[str]]:
    """What is wrong with a directory, and what is worth a warning, one sentence each.

    :param names: DNs that must be there, by the variable that says so
    """
    problems: list[str] = []
    away: list[str] = []
    for server in servers:
        host, port = server_of(server, mode)
        try:
            directory = Directory(host, port, mode, ca, timeout)
        except LdapError as error:
            away.append(f"{server}: {error}")
            continue
        try:
            if bind_dn:
                directory.bind(bind_dn, password)
            problems += [f"`{variable}` is {name}, which {server} does not have, or does not show to `jitsi_ldap_bind_dn`: correct it."
                         for variable, name in names.items() if not directory.has(name)]
        except Refused as error:
            problems.append(f"{server} does not let `jitsi_ldap_bind_dn` in or read: {error}.")
        except LdapError as error:
            away.append(f"{server}: {error}")
        finally:
            directory.close()
    if len(away) == len(servers):
        problems.append("No server of `jitsi_ldap_servers` can be used (" + "; ".join(away) + "): see that they run, that a firewall lets this host "
                        "through, and that `jitsi_ldap_ca_file` has the authority of their certificates.")
        away = []
    return problems, [f"One server of `jitsi_ldap_servers` cannot be used now: {text}." for text in away]
