# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""XMPP as a browser speaks it: sessions over BOSH (XEP-0124, XEP-0206) and over WebSocket (RFC 7395)."""

from __future__ import annotations

import base64
import hashlib
import random
import time
import typing as t
import urllib.parse
import uuid
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

from ansible_collections.campus.jitsi.plugins.module_utils._https import Site, WebSocket

CLIENT = "jabber:client"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
STREAMS = "http://etherx.jabber.org/streams"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
HTTPBIND = "http://jabber.org/protocol/httpbind"
DISCO = "http://jabber.org/protocol/disco#info"
JINGLE = "urn:xmpp:jingle:1"
ICE_UDP = "urn:xmpp:jingle:transports:ice-udp:1"
MUC, MUC_USER = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/muc#user"
FOCUS = "http://jitsi.org/protocol/focus"
EXTERNAL_SERVICES = "urn:xmpp:extdisco:2"
#: What lib-jitsi-meet says of itself, as far as jicofo asks.
FEATURES = (
    "http://jitsi.org/json-encoded-sources", "http://jitsi.org/receive-multiple-video-streams", "http://jitsi.org/source-name",
    "http://jitsi.org/ssrc-rewriting-1", "urn:ietf:rfc:4588", "urn:ietf:rfc:5576", "urn:ietf:rfc:5888", "urn:ietf:rfc:5761",
    JINGLE, "urn:xmpp:jingle:apps:dtls:0", "urn:xmpp:jingle:apps:rtp:1", "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:apps:rtp:video", ICE_UDP, "urn:xmpp:jingle:transports:dtls-sctp:1",
)


CAPS_NODE = "https://jitsi.org/jitsi-meet"
#: XEP-0115, section 5.1, for a client without an identity.
CAPS_VERSION = base64.b64encode(hashlib.sha1("".join(f"{name}<" for name in sorted(FEATURES)).encode()).digest()).decode()


class XmppError(Exception):
    """The server refused something; the message says what, with its own condition."""


def parse(text: str) -> ET.Element:
    """One element. What carries a document type is refused: XMPP forbids it (RFC 6120, section 11.1)."""
    if "<!DOCTYPE" in text[:1000] or "<!ENTITY" in text:
        raise XmppError("the server sent a document type, which XMPP forbids")
    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise XmppError(f"the server sent something that is not XML ({error})") from error


def condition(stanza: ET.Element) -> str:
    """The error condition of a stanza or SASL failure, such as ``not-allowed``, with its text when it has one."""
    error = stanza if stanza.tag == f"{{{SASL}}}failure" else next((c for c in stanza if c.tag.endswith("}error")), None)
    if error is None:
        return "no condition"
    names = [child.tag.rpartition("}")[2] for child in error if child.tag.startswith((f"{{{STANZAS}}}", f"{{{SASL}}}"))]
    texts = [child.text for child in error if child.tag.endswith("}text") and child.text]
    name = next((n for n in names if n != "text"), "no condition")
    return f"{name} ({texts[0]})" if texts else name


class Login(t.NamedTuple):
    """Who somebody is: a user with a password, the holder of a token (JWT), or, with neither, an anonymous one."""

    user: str = ""
    password: str = ""
    token: str = ""

    def __bool__(self) -> bool:
        return bool(self.user or self.token)


#: Somebody without a name.
ANYBODY = Login()


class Session:
    """A logged-in XMPP session; what it receives and nobody asked for is in :attr:`received`, oldest first.

    :param login: who logs in; None for nobody, who only looks at what the server :attr:`offered`
    """

    def __init__(self, domain: str, login: Login | None = ANYBODY):
        self.domain, self.login = domain, login
        self.jid = ""
        self.offered: list[str] = []
        self.received: list[ET.Element] = []

    # What a transport has to have.

    def _write(self, text: str) -> None:
        raise NotImplementedError

    def _read(self, timeout: float) -> list[ET.Element]:
        raise NotImplementedError

    def _restart(self) -> list[ET.Element]:
        raise NotImplementedError

    def close(self) -> None:
        """Log out."""
        raise NotImplementedError

    # What they have in common.

    def _log_in(self, features: t.Sequence[ET.Element]) -> None:
        self.offered = [m.text or "" for f in features for m in f.iter(f"{{{SASL}}}mechanism")]
        if self.login is None:
            return
        wanted = "PLAIN" if self.login.user else "ANONYMOUS"
        if wanted not in self.offered:
            what = "passwords" if self.login.user else "anonymous users"
            raise XmppError(f"the server takes no {what} on {self.domain} (it offers {', '.join(self.offered) or 'nothing'})")
        # Over TLS, which is verified (RFC 4616).
        secret = base64.b64encode(f"\0{self.login.user}\0{self.login.password}".encode()).decode() if self.login.user else ""
        self._write(f'<auth xmlns="{SASL}" mechanism="{wanted}">{secret}</auth>')
        answer = self._one(lambda e: e.tag.startswith(f"{{{SASL}}}"), 20, "the login")
        if answer.tag != f"{{{SASL}}}success":
            who = f"the login of {self.login.user}" if self.login.user else "the token" if self.login.token else "the anonymous login"
            raise XmppError(f"the server refused {who}: {condition(answer)}")
        self._restart()
        bound = self.iq("set", "", f'<bind xmlns="{BIND}"/>')
        self.jid = bound.findtext(f".//{{{BIND}}}jid") or ""
        if not self.jid:
            raise XmppError("the server gave the session no address")

    def _one(self, wanted: t.Callable[[ET.Element], bool], timeout: float, what: str) -> ET.Element:
        end = time.monotonic() + timeout
        while True:
            for index, element in enumerate(self.received):
                if wanted(element):
                    return self.received.pop(index)
            left = end - time.monotonic()
            if left <= 0:
                raise XmppError(f"the server did not answer {what} within {timeout:.0f} s")
            self.poll(left)

    def poll(self, timeout: float) -> None:
        """Wait for stanzas; questions that any client answers are answered."""
        for element in self._read(timeout):
            if not self._answer(element):
                self.received.append(element)

    def _answer(self, element: ET.Element) -> bool:
        if element.tag != f"{{{CLIENT}}}iq" or element.get("type") not in ("get", "set"):
            return False
        query = element[0] if len(element) else None
        if query is not None and query.tag == f"{{{JINGLE}}}jingle":
            self._reply(element, "result", "")
            return False
        if query is not None and query.tag == f"{{{DISCO}}}query":
            node = f" node={quoteattr(query.get('node', ''))}" if query.get("node") else ""
            names = "".join(f"<feature var={quoteattr(feature)}/>" for feature in FEATURES)
            self._reply(element, "result", f'<query xmlns="{DISCO}"{node}>{names}</query>')
        elif query is not None and query.tag == "{urn:xmpp:ping}ping":
            self._reply(element, "result", "")
        else:
            self._reply(element, "error", f'<error type="cancel"><service-unavailable xmlns="{STANZAS}"/></error>')
        return True

    def _reply(self, element: ET.Element, kind: str, inner: str) -> None:
        to = f" to={quoteattr(element.get('from', ''))}" if element.get("from") else ""
        self._write(f'<iq xmlns="{CLIENT}" type="{kind}" id={quoteattr(element.get("id", ""))}{to}>{inner}</iq>')

    def iq(self, kind: str, to: str, inner: str, timeout: float = 15.0) -> ET.Element:
        """Send an IQ and return its result.

        :raises XmppError: the answer is an error, or there is none
        """
        ident = uuid.uuid4().hex
        target = f" to={quoteattr(to)}" if to else ""
        self._write(f'<iq xmlns="{CLIENT}" type="{kind}" id="{ident}"{target}>{inner}</iq>')
        answer = self._one(lambda e: e.tag == f"{{{CLIENT}}}iq" and e.get("id") == ident, timeout, f"a request to {to or self.domain}")
        if answer.get("type") == "error":
            raise XmppError(f"{to or self.domain} answered with the error {condition(answer)}")
        return answer

    def services(self, timeout: float = 15.0, domain: str = "") -> list[dict[str, str]] | None:
        """The external services that the server tells of (XEP-0215), with their credentials; None when it knows no such thing.

        :param domain: whom to ask, one's own host by default: guests ask the main one
        :raises XmppError: the server answers with an error
        """
        domain = domain or self.domain
        info = self.iq("get", domain, f'<query xmlns="{DISCO}"/>', timeout)
        if not any(feature.get("var") == EXTERNAL_SERVICES for feature in info.iter(f"{{{DISCO}}}feature")):
            return None
        answer = self.iq("get", domain, f'<services xmlns="{EXTERNAL_SERVICES}"/>', timeout)
        return [dict(service.attrib) for service in answer.iter(f"{{{EXTERNAL_SERVICES}}}service")]

    def join(self, room: str, nick: str, timeout: float = 15.0) -> None:
        """Enter a room (XEP-0045) as a participant of a conference does.

        :raises XmppError: it is refused, or there is no answer
        """
        self._write(
            f'<presence xmlns="{CLIENT}" to={quoteattr(f"{room}/{nick}")}><x xmlns="{MUC}"/>'
            f'<c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="{CAPS_NODE}" ver="{CAPS_VERSION}"/>'
            f'<nick xmlns="http://jabber.org/protocol/nick">campus.jitsi check</nick></presence>'
        )
        mine = f"{room}/{nick}"
        answer = self._one(
            lambda e: e.tag == f"{{{CLIENT}}}presence" and e.get("from") == mine
            and (e.get("type") == "error" or any(s.get("code") == "110" for s in e.iter(f"{{{MUC_USER}}}status"))),
            timeout, f"the join of {room}",
        )
        if answer.get("type") == "error":
            raise XmppError(f"the room refused the join: {condition(answer)}")
        self.received.append(answer)

    def leave(self, room: str, nick: str) -> None:
        """Leave a room."""
        self._write(f'<presence xmlns="{CLIENT}" type="unavailable" to={quoteattr(f"{room}/{nick}")}/>')

    def occupants(self, room: str) -> dict[str, str]:
        """Nicks in the room with their affiliations, from the presences received so far."""
        found: dict[str, str] = {}
        for element in self.received:
            place, _slash, nick = (element.get("from") or "").partition("/")
            if element.tag == f"{{{CLIENT}}}presence" and place == room:
                item = element.find(f".//{{{MUC_USER}}}item")
                if element.get("type") == "unavailable":
                    found.pop(nick, None)
                elif item is not None:
                    found[nick] = item.get("affiliation", "")
        return found

    def jingle(self, action: str) -> ET.Element | None:
        """The first ``jingle`` element of that action received so far."""
        for element in self.received:
            for jingle in element.findall(f"{{{JINGLE}}}jingle"):
                if jingle.get("action") == action:
                    return jingle
        return None


class WebSocketSession(Session):
    """Over WebSocket."""

    def __init__(self, site: Site, domain: str, path: str, login: Login | None = ANYBODY):
        super().__init__(domain, login)
        self.socket = WebSocket(site, path, "xmpp")
        self._log_in(self._restart())

    def _write(self, text: str) -> None:
        self.socket.send(text)

    def _read(self, timeout: float) -> list[ET.Element]:
        text = self.socket.receive(timeout)
        if text is None:
            return []
        element = parse(text)
        if element.tag == f"{{{FRAMING}}}close":
            raise XmppError("the server closed the stream")
        if element.tag == f"{{{STREAMS}}}error":
            raise XmppError(f"the server closed the stream: {element[0].tag.rpartition('}')[2] if len(element) else 'error'}")
        return [] if element.tag == f"{{{FRAMING}}}open" else [element]

    def _restart(self) -> list[ET.Element]:
        self.socket.send(f'<open xmlns="{FRAMING}" to={quoteattr(self.domain)} version="1.0"/>')
        return [self._one(lambda e: e.tag == f"{{{STREAMS}}}features", 10, "the opening of a stream")]

    def close(self) -> None:
        """Log out."""
        try:
            self.socket.send(f'<close xmlns="{FRAMING}"/>')
        except OSError:
            pass
        self.socket.close()


class BoshSession(Session):
    """Over BOSH."""

    #: Seconds that the server may hold a request; the shortest there is, because two sessions are listened to in turn.
    WAIT = 1

    def __init__(self, site: Site, domain: str, path: str, login: Login | None = ANYBODY):
        super().__init__(domain, login)
        self.site, self.path = site, path
        self.rid = random.SystemRandom().randrange(1 << 40)
        self.sid = ""
        self.arrived: list[ET.Element] = []
        first = self._post("", f'to={quoteattr(domain)} wait="{self.WAIT}" hold="1" ver="1.6" xml:lang="en" xmpp:version="1.0"')
        self.sid = first.get("sid", "")
        if not self.sid:
            raise XmppError("the server opened no BOSH session")
        self._log_in(self.arrived)

    def _post(self, inner: str, more: str = "") -> ET.Element:
        self.rid += 1
        sid = f" sid={quoteattr(self.sid)}" if self.sid else ""
        body = (f'<body xmlns="{HTTPBIND}" xmlns:xmpp="urn:xmpp:xbosh" rid="{self.rid}"{sid} {more}>{inner}</body>').encode()
        status, _headers, text = self.site.request("POST", self.path, body, "text/xml; charset=utf-8", timeout=self.WAIT + 10)
        if status != 200:
            raise XmppError(f"the server answered HTTP {status} to a BOSH request")
        element = parse(text.decode(errors="replace"))
        if element.get("type") == "terminate":
            raise XmppError(f"the server ended the BOSH session: {element.get('condition', 'without a reason')}")
        self.arrived += list(element)
        return element

    def _write(self, text: str) -> None:
        self._post(text)

    def _read(self, timeout: float) -> list[ET.Element]:
        if not self.arrived and timeout > 0:
            self._post("")
        arrived, self.arrived = self.arrived, []
        return arrived

    def _restart(self) -> list[ET.Element]:
        self._post("", f'to={quoteattr(self.domain)} xmpp:restart="true"')
        return []

    def close(self) -> None:
        """Log out."""
        try:
            self._post("", 'type="terminate"')
        except (OSError, XmppError):
            pass


def path_of(url: str, room: str, token: str = "") -> str:
    """The path of a configured URL, with the room and the token that a browser puts into its query.

    >>> path_of("wss://meet.example.edu/xmpp-websocket", "a b")
    '/xmpp-websocket?room=a%20b'
    """
    parts = urllib.parse.urlsplit(url)
    more = f"&token={urllib.parse.quote(token)}" if token else ""
    return f"{parts.path or '/'}?room={urllib.parse.quote(room)}{more}"
