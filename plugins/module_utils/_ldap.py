# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""As much of LDAP (RFC 4511) as it takes to see whether a directory answers: StartTLS, simple bind, search.

With names (RFC 4514) and filters (RFC 4515) as text. What a server sends is read strictly: definite lengths, no trailing bytes.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import typing as t

PORTS = {"starttls": 389, "ldaps": 636, "none": 389}
STARTTLS = "1.3.6.1.4.1.1466.20037"
BASE, SUBTREE = 0, 2
#: Bytes of one message. An entry without its attributes has a few hundred.
LARGEST = 1024 * 1024
SUCCESS, SIZE_LIMIT, NO_SUCH_OBJECT, INVALID_CREDENTIALS = 0, 4, 32, 49
#: What the result codes mean (RFC 4511, appendix A), as far as they come up.
CODES = {
    1: "operationsError", 2: "protocolError", 3: "timeLimitExceeded", 4: "sizeLimitExceeded", 7: "authMethodNotSupported",
    8: "strongerAuthRequired", 10: "referral", 13: "confidentialityRequired", 18: "inappropriateMatching", 21: "invalidAttributeSyntax",
    32: "noSuchObject", 34: "invalidDNSyntax", 48: "inappropriateAuthentication", 49: "invalidCredentials", 50: "insufficientAccessRights",
    51: "busy", 52: "unavailable", 53: "unwillingToPerform", 80: "other",
}


class LdapError(Exception):
    """The directory refused something, or what it sent is no LDAP.

    :param code: the result code; None when there was none
    """

    def __init__(self, message: str, code: int | None = None):
        super().__init__(message)
        self.code = code


class CertificateError(LdapError):
    """The certificate was not accepted, or there is no TLS."""


# --- BER (X.690) as LDAP restricts it (RFC 4511, section 5.1) ---------------------------------------------------------


def ber(tag: int, content: bytes) -> bytes:
    """One element.

    >>> ber(0x04, b"ab").hex(), len(ber(0x04, b"x" * 200))
    ('04026162', 203)
    """
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int, tag: int = 0x02) -> bytes:
    """A whole number in as few bytes as it takes.

    >>> integer(0).hex(), integer(127).hex(), integer(128).hex(), integer(-1).hex()
    ('020100', '02017f', '02020080', '0201ff')
    """
    bits = value.bit_length() if value >= 0 else (value + 1).bit_length()
    return ber(tag, value.to_bytes(bits // 8 + 1, "big", signed=True))


def text(value: str | bytes, tag: int = 0x04) -> bytes:
    """An octet string."""
    return ber(tag, value.encode() if isinstance(value, str) else value)


def whole(data: bytes) -> int | None:
    """How many bytes the first element of ``data`` has; None when that is not to be seen yet.

    :raises LdapError: it is none that LDAP allows, or too long

    >>> whole(bytes.fromhex("300c0201")), whole(b"0")
    (14, None)
    """
    if len(data) < 2:
        return None
    if data[0] & 0x1F == 0x1F:
        raise LdapError("what it sent is no LDAP (a tag of several bytes)")
    size, start = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        if not 0 < count <= 4:
            raise LdapError("what it sent is no LDAP (a length of another form)")
        if len(data) < 2 + count:
            return None
        size, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if size > LARGEST:
        raise LdapError("what it sent is no LDAP (a message without end)")
    return start + size


def parse(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what comes behind it.

    :raises LdapError: there is no whole one

    >>> parse(bytes.fromhex("0402616205"))
    (4, b'ab', b'\\x05')
    """
    size = whole(data)
    if size is None or len(data) < size:
        raise LdapError("what it sent is no LDAP (an element is cut off)")
    start = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    return data[0], data[start:size], data[size:]


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """All elements of a content: ``(tag, content)``.

    >>> elements(bytes.fromhex("020105040161"))
    [(2, b'\\x05'), (4, b'a')]
    """
    found = []
    while data:
        tag, content, data = parse(data)
        found.append((tag, content))
    return found


def number(content: bytes) -> int:
    """The value of an INTEGER or ENUMERATED.

    >>> number(b"\\x00\\x80"), number(b"\\xff")
    (128, -1)
    """
    if not 0 < len(content) <= 8:
        raise LdapError("what it sent is no LDAP (a number of another size)")
    return int.from_bytes(content, "big", signed=True)


# --- messages --------------------------------------------------------------------------------------------------------


class Answer(t.NamedTuple):
    """One message of a server."""

    ident: int
    kind: int
    parts: list[tuple[int, bytes]]

    @property
    def code(self) -> int:
        """The result code of a response (RFC 4511, section 4.1.9)."""
        if len(self.parts) < 3 or [tag for tag, _content in self.parts[:3]] != [0x0A, 0x04, 0x04]:
            raise LdapError("what it sent is no LDAP (a response without a result)")
        return number(self.parts[0][1])

    @property
    def words(self) -> str:
        """The result code in words, with what the server says of it."""
        name = CODES.get(self.code, f"result code {self.code}")
        said = re.sub(r"[^\x20-\x7e]+", " ", self.parts[2][1].decode(errors="replace")).strip()[:200]
        return f"{name}: {said}" if said else name


def message(ident: int, operation: bytes) -> bytes:
    """A request."""
    return ber(0x30, integer(ident) + operation)


def read_message(data: bytes) -> Answer:
    """What one whole message says. Controls are left alone.

    :raises LdapError: it is no message

    >>> read_message(bytes.fromhex("300c02010161070a010004000400")).code
    0
    """
    tag, content, rest = parse(data)
    if tag != 0x30 or rest:
        raise LdapError("what it sent is no LDAP (no message)")
    parts = elements(content)
    if not 2 <= len(parts) <= 3 or parts[0][0] != 0x02 or len(parts) == 3 and parts[2][0] != 0xA0:
        raise LdapError("what it sent is no LDAP (a message of other parts)")
    kind, body = parts[1]
    return Answer(number(parts[0][1]), kind, elements(body) if kind & 0x20 else [])


def bind_request(dn: str, password: str) -> bytes:
    """A simple bind (RFC 4511, section 4.2); both empty: nobody."""
    return ber(0x60, integer(3) + text(dn) + text(password, 0x80))


def starttls_request() -> bytes:
    """RFC 4511, section 4.14."""
    return ber(0x77, text(STARTTLS, 0x80))


def search_request(base: str, scope: int, wanted: bytes, limit: int = 1, seconds: int = 5) -> bytes:
    """A search (RFC 4511, section 4.5) for names without attributes.

    :param wanted: a filter in BER, as of :func:`filter_to_ber`
    """
    return ber(0x63, text(base) + integer(scope, 0x0A) + integer(0, 0x0A) + integer(limit) + integer(seconds) + ber(0x01, b"\0")
               + wanted + ber(0x30, text("1.1")))


# --- filters as text (RFC 4515) --------------------------------------------------------------------------------------

_ATTRIBUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9-]+)*")
_EXTENSIBLE = re.compile(r"(?P<type>[A-Za-z0-9.;-]*)(?P<dn>:dn)?(?::(?P<rule>[A-Za-z0-9.-]+))?")
#: Deeper ones are nobody's.
_DEEPEST = 50


def filter_value(value: str) -> str:
    r"""A text as the value in a filter: whatever it has in it stays a value.

    Also ``$`` and ``%``, which Prosody replaces in filters (``$user``, ``%s``).

    >>> filter_value("cn=a*(b)\\c,dc=$user")
    'cn=a\\2a\\28b\\29\\5cc,dc=\\24user'
    """
    return re.sub(r"[\x00-\x1f\x7f*()\\$%]", lambda match: f"\\{ord(match[0]):02x}", value)


def _value(part: str) -> bytes:
    """The bytes of a value, its escapes resolved."""
    if re.search(r"[\x00()*]", part):
        raise ValueError(f"{part!r} has a character that must be escaped")
    out, rest = b"", part
    while rest:
        plain, backslash, rest = rest.partition("\\")
        out += plain.encode()
        if backslash:
            if not re.match(r"[0-9A-Fa-f]{2}", rest):
                raise ValueError("a backslash is not followed by two hexadecimal digits")
            out, rest = out + bytes.fromhex(rest[:2]), rest[2:]
    return out


def _item(body: str) -> bytes:
    """What stands between two parentheses that have none between them."""
    name, equals, value = body.partition("=")
    if not equals:
        raise ValueError(f"({body}) has no `=`")
    tags = {">": 0xA5, "<": 0xA6, "~": 0xA8}
    if name.endswith(":"):
        match = _EXTENSIBLE.fullmatch(name[:-1])
        if not match or not (match["type"] or match["rule"]) or match["type"] and not _ATTRIBUTE.fullmatch(match["type"]):
            raise ValueError(f"({body}) has no attribute and no matching rule")
        rule = text(match["rule"], 0x81) if match["rule"] else b""
        kind = text(match["type"], 0x82) if match["type"] else b""
        return ber(0xA9, rule + kind + text(_value(value), 0x83) + (ber(0x84, b"\xff") if match["dn"] else b""))
    tag = tags.get(name[-1:], 0xA3)
    name = name[:-1] if name[-1:] in tags else name
    if not _ATTRIBUTE.fullmatch(name):
        raise ValueError(f"({body}) has no name of an attribute before its `=`")
    if tag != 0xA3 or "*" not in value:
        return ber(tag, text(name) + text(_value(value)))
    if value == "*":
        return text(name, 0x87)
    first, *middle, last = value.split("*")
    pieces = text(_value(first), 0x80) if first else b""
    pieces += b"".join(text(_value(piece), 0x81) for piece in middle if piece)
    pieces += text(_value(last), 0x82) if last else b""
    if not pieces:
        raise ValueError(f"({body}) has nothing between its asterisks")
    return ber(0xA4, text(name) + ber(0x30, pieces))


def _component(source: str, at: int, depth: int) -> tuple[bytes, int]:
    """One filter in parentheses, and where it ends."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if source[at : at + 1] != "(":
        raise ValueError(f"a `(` is missing at character {at + 1}" if at < len(source) else "it ends too early")
    head = source[at + 1 : at + 2]
    if head in ("&", "|", "!") and head:
        inner, at = [], at + 2
        while source[at : at + 1] == "(":
            one, at = _component(source, at, depth + 1)
            inner.append(one)
        if source[at : at + 1] != ")":
            raise ValueError(f"a `)` or `(` is missing at character {at + 1}" if at < len(source) else "a `)` is missing at its end")
        if head == "!" and len(inner) != 1 or not inner:
            raise ValueError(f"`({head}` needs {'one filter' if head == '!' else 'at least one filter'} behind it")
        return ber({"&": 0xA0, "|": 0xA1, "!": 0xA2}[head], b"".join(inner)), at + 1
    end = source.find(")", at)
    if end < 0:
        raise ValueError("a `)` is missing at its end")
    return _item(source[at + 1 : end]), end + 1


def filter_to_ber(source: str) -> bytes:
    """A filter as it is sent.

    :raises ValueError: it is none; the message says why

    >>> filter_to_ber("(uid=a)").hex()
    'a3080403756964040161'
    """
    encoded, end = _component(source, 0, 0)
    if end != len(source):
        raise ValueError(f"there is something behind its end, at character {end + 1}")
    return encoded


def user_filter_problem(source: str) -> str | None:
    """What is wrong with a filter for users, which has ``$user`` for the name.

    >>> user_filter_problem("(&(uid=$user)(ou=staff)"), user_filter_problem("(uid=ana)")
    ('a `)` is missing at its end', 'it has no `$user` in it')
    """
    if "$user" not in source and "%s" not in source:
        return "it has no `$user` in it"
    try:
        filter_to_ber(with_user(source, "x"))
    except ValueError as error:
        return str(error)
    return None


def with_user(source: str, name: str) -> str:
    """The filter for one user, as Prosody makes it; ``*`` for anybody.

    >>> with_user("(uid=$user)", "a*b"), with_user("(uid=$user)", "*")
    ('(uid=a\\\\2ab)', '(uid=*)')
    """
    value = name if name == "*" else filter_value(name)
    return source.replace("%s", "$user", 1).replace("$user", value)


# --- names (RFC 4514) ------------------------------------------------------------------------------------------------

_DN_VALUE = r"""(?:\#(?:[0-9A-Fa-f]{2})+|(?:[^"+,;<>\\\x00]|\\(?:[0-9A-Fa-f]{2}|[ "\#+,;<=>\\]))*)"""
_RDN_PART = rf"\s*(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)\s*=\s*{_DN_VALUE}"
_DN = re.compile(rf"{_RDN_PART}(?:[+,]{_RDN_PART})*", re.VERBOSE)


def is_dn(name: t.Any) -> bool:
    r"""Whether a text is a distinguished name with at least one part. A blank behind a comma is taken, as servers do.

    >>> is_dn("cn=Teachers,ou=Groups, dc=example,dc=edu"), is_dn(r"CN=Doe\, A,DC=x"), is_dn("teachers"), is_dn("cn=a,,dc=b"), is_dn("")
    (True, True, False, False, False)
    """
    return isinstance(name, str) and _DN.fullmatch(name) is not None


def split_server(server: str, tls: str) -> tuple[str, int]:
    """Name and port of a server as it is written in variables.

    >>> split_server("ldap.example.edu", "ldaps"), split_server("ldap.example.edu:1389", "starttls")
    (('ldap.example.edu', 636), ('ldap.example.edu', 1389))
    """
    name, _colon, port = server.partition(":")
    return name, int(port) if port else PORTS[tls]


# --- talking to a server ---------------------------------------------------------------------------------------------


def trusting(ca: str) -> ssl.SSLContext:
    """What to verify a server with, as Prosody's libldap does it with GnuTLS.

    From Python 3.13 on the default refuses authorities without extensions that older ones of campuses lack; and it takes one in the
    middle of a chain for trusted, as GnuTLS does, which it did not before.
    """
    context = ssl.create_default_context(cadata=ca or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class Connection:
    """A connection to one server.

    :param tls: ``starttls``, ``ldaps`` or ``none``; the certificate is verified against ``host``
    :param ca: PEM text of the authorities to trust; empty for the system's
    :param timeout: seconds for each step
    :raises CertificateError: the certificate is not accepted
    :raises LdapError: it speaks no LDAP, or refuses StartTLS
    :raises OSError: it cannot be reached
    """

    def __init__(self, host: str, port: int, tls: str, ca: str = "", timeout: float = 5.0):
        self.timeout, self.buffer, self.ident = timeout, b"", 0
        self.socket: socket.socket = socket.create_connection((host, port), timeout=timeout)
        try:
            if tls == "starttls":
                answer = self.ask(starttls_request(), 0x78)
                if answer.code != SUCCESS:
                    raise CertificateError(f"it refuses StartTLS ({answer.words})", answer.code)
                if self.buffer:
                    raise LdapError("it sent something before TLS began")
            if tls != "none":
                context = trusting(ca)
                try:
                    self.socket = context.wrap_socket(self.socket, server_hostname=host)
                except ssl.SSLCertVerificationError as error:
                    raise CertificateError(f"its certificate is not accepted ({error.verify_message})") from error
                except ssl.SSLError as error:
                    raise CertificateError(f"TLS fails ({error.reason or error})") from error
        except BaseException:
            self.socket.close()
            raise

    def ask(self, operation: bytes, kind: int) -> Answer:
        """Send a request and return its one response."""
        return self.ask_for_all(operation, kind)[-1]

    def ask_for_all(self, operation: bytes, kind: int) -> list[Answer]:
        """Send a request and return all of its responses, the closing one last."""
        self.ident += 1
        self.socket.sendall(message(self.ident, operation))
        found: list[Answer] = []
        end = time.monotonic() + self.timeout
        while not found or found[-1].kind != kind:
            answer = self._receive(end)
            if answer.ident == 0:
                raise LdapError(f"it ends the connection ({answer.words})")
            if answer.ident != self.ident:
                raise LdapError("what it sent is no LDAP (an answer that nobody asked for)")
            found.append(answer)
        return found

    def _receive(self, end: float) -> Answer:
        while (size := whole(self.buffer)) is None or len(self.buffer) < size:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.socket.settimeout(left)
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("it closed the connection")
            self.buffer += part
            if self.buffer[0] != 0x30:
                raise LdapError("what it sent is no LDAP (no message)")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return read_message(data)

    def bind(self, dn: str, password: str) -> None:
        """Log in; both empty: as nobody.

        :raises LdapError: refused
        """
        answer = self.ask(bind_request(dn, password), 0x61)
        if answer.code != SUCCESS:
            raise LdapError(answer.words, answer.code)

    def search(self, base: str, scope: int, wanted: str, limit: int = 1) -> list[str]:
        """The names of entries; no more than ``limit``.

        :raises LdapError: refused, also because there is no ``base``
        """
        *found, last = self.ask_for_all(search_request(base, scope, filter_to_ber(wanted), limit), 0x65)
        if last.code not in (SUCCESS, SIZE_LIMIT):
            raise LdapError(last.words, last.code)
        # References to other servers are no entries.
        return [answer.parts[0][1].decode(errors="replace") for answer in found if answer.kind == 0x64 and answer.parts]

    def close(self) -> None:
        """Say goodbye and close."""
        try:
            self.socket.sendall(message(self.ident + 1, ber(0x42, b"")))
        except OSError:
            pass
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


# --- what stands in the way ------------------------------------------------------------------------------------------


class Directory(t.NamedTuple):
    """What is said of a directory."""

    servers: t.Sequence[str]
    tls: str
    base: str
    users: str
    ca: str = ""
    bind_dn: str = ""
    bind_password: str = ""
    group: str = ""


def server_problem(server: str, directory: Directory, timeout: float = 5.0) -> tuple[str, str]:
    """What is wrong with one server: how bad it is (``away``, ``problem``, ``warning`` or nothing), and one sentence.

    Passwords are in no sentence.
    """
    host, port = split_server(server, directory.tls)
    where = f"LDAP server {host}:{port}"
    try:
        with Connection(host, port, directory.tls, directory.ca, timeout) as connection:
            return _look(connection, where, directory)
    except CertificateError as error:
        return "problem", (f"{where}: {error}: give the authority that signed it in `prosody_ldap_ca_file`, name the server in "
                           "`prosody_ldap_servers` as its certificate does, or correct `prosody_ldap_tls`.")
    except LdapError as error:
        return "problem", f"{where}: {error}: correct `prosody_ldap_servers` and `prosody_ldap_tls`."
    except OSError as error:
        why = error.strerror or str(error) or "timed out"
        return "away", f"{where} cannot be reached from here ({why}): start it, open the way, or correct `prosody_ldap_servers`."


def _look(connection: Connection, where: str, directory: Directory) -> tuple[str, str]:
    try:
        connection.bind(directory.bind_dn, directory.bind_password)
    except LdapError as error:
        if error.code is None:
            raise
        who = f"`prosody_ldap_bind_dn` {directory.bind_dn}" if directory.bind_dn else "a login as nobody"
        fix = ("correct it or `prosody_ldap_bind_password`" if error.code == INVALID_CREDENTIALS and directory.bind_dn
               else "give an account that may read in `prosody_ldap_bind_dn`" if not directory.bind_dn else "correct `prosody_ldap_tls` or the account")
        return "problem", f"{where} refuses {who} ({error}): {fix}."
    for variable, name in (("prosody_ldap_base", directory.base), ("prosody_ldap_group", directory.group)):
        try:
            if name and not connection.search(name, BASE, "(objectClass=*)"):
                raise LdapError("the account may not see it", NO_SUCH_OBJECT)
        except LdapError as error:
            if error.code is None:
                raise
            return "problem", (f"{where}: `{variable}` {name} is not there ({error}): correct it, or let the account of `prosody_ldap_bind_dn` "
                               "read it.")
    anybody = with_user(directory.users, "*")
    try:
        if not connection.search(directory.base, SUBTREE, anybody):
            return "warning", (f"{where}: nobody could log in, for no entry below {directory.base} matches {anybody}: correct `prosody_ldap_user_filter`, "
                               "or put members into `prosody_ldap_group` (OpenLDAP needs the memberof overlay).")
    except LdapError as error:
        if error.code is None:
            raise
        return "problem", f"{where} refuses the search for {anybody} ({error}): correct `prosody_ldap_user_filter`."
    return "", ""


def directory_problems(directory: Directory, timeout: float = 5.0) -> tuple[list[str], list[str]]:
    """Problems and warnings, one sentence each. One server of several that is away is a warning, all of them a problem."""
    found = [server_problem(server, directory, timeout) for server in directory.servers]
    all_away = all(kind == "away" for kind, _sentence in found)
    bad = [sentence for kind, sentence in found if kind == "problem" or kind == "away" and all_away]
    # One that is the same on each server is said once.
    return bad, [sentence for kind, sentence in found if kind == "warning" or kind == "away" and not all_away]
