# SPDX-License-Identifier: GPL-3.0-or-later
"""People at the door: XMPP sessions as browsers have them, with a password, a token or nothing, that also say what a browser would not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import typing as t
import uuid
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.campus.jitsi.plugins.module_utils import _xmpp
from ansible_collections.campus.jitsi.plugins.module_utils._xmpp import XmppError

ADMIN, OWNER = "http://jabber.org/protocol/muc#admin", "http://jabber.org/protocol/muc#owner"


class Person(_xmpp.WebSocketSession):
    """One person: logged in when there is one, or XmppError with the server's condition."""

    def __init__(self, site: t.Any, room: str, *, token: str = "", user: str = "", password: str = "", guest: bool = False):
        self.room = f"{room}@conference.{site.domain}"
        self.site_domain = site.domain
        self.nick = uuid.uuid4().hex[:8]
        super().__init__(site.connect(), f"guest.{site.domain}" if guest else site.domain, _xmpp.path_of("/xmpp-websocket", room, token),
                         _xmpp.Login(user, password, token))

    def ask(self) -> None:
        """Ask jicofo for the conference, as every client does before it enters."""
        self.iq("set", f"focus.{self.site_domain}",
                f'<conference xmlns="{_xmpp.FOCUS}" room={quoteattr(self.room)} machine-uid="{self.nick}"/>')

    def enter(self) -> str:
        """Enter the room, asking first; one's affiliation."""
        self.ask()
        self.join(self.room, self.nick)
        return self.affiliation()

    def waits(self) -> str:
        """The lobby that one is sent to instead of the room; the error when there is none."""
        self.ask()
        try:
            self.join(self.room, self.nick)
        except XmppError as error:
            return str(error)
        return f"entered as {self.affiliation()}"

    def affiliation(self, other: Person | None = None, timeout: float = 3) -> str:
        """One's own affiliation in the room, or that of somebody else, as of now."""
        nick = (other or self).nick
        # What is on its way arrives.
        self.see(0.3)
        end = time.monotonic() + timeout
        while nick not in (there := self.occupants(self.room)) and time.monotonic() < end:
            self.see(0.2)
        return there.get(nick, "not there")

    def see(self, seconds: float) -> None:
        """Take what arrives for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.poll(left)

    def becomes(self, wanted: str, timeout: float = 30) -> bool:
        """Whether one's affiliation is or becomes that."""
        end = time.monotonic() + timeout
        while (mine := self.affiliation()) != wanted and time.monotonic() < end:
            self.see(0.2)
        return mine == wanted

    def tries(self, to: str, inner: str, kind: str = "set") -> str:
        """What the server says to an IQ: `done`, or the condition with which it refuses."""
        try:
            self.iq(kind, to, inner)
        except XmppError as error:
            return str(error).partition("error ")[2].partition(" ")[0] or str(error)
        return "done"

    def say(self, to: str, inner: str) -> None:
        """Send a message that nobody answers."""
        self._write(f'<message xmlns="{_xmpp.CLIENT}" to={quoteattr(to)}>{inner}</message>')
        self.see(0.5)

    def grants(self, jid: str, affiliation: str) -> str:
        """What becomes of giving an affiliation in the room."""
        return self.tries(self.room, f'<query xmlns="{ADMIN}"><item affiliation="{affiliation}" jid={quoteattr(jid)}/></query>')

    def configures(self, setting: str, value: str) -> str:
        """What becomes of a change of the room's configuration (XEP-0045, section 10.2)."""
        form = ('<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field>'
                f'<field var="muc#roomconfig_{setting}"><value>{escape(value)}</value></field></x>')
        return self.tries(self.room, f'<query xmlns="{OWNER}">{form}</query>')

    def lobby(self, on: bool) -> str:
        """What becomes of turning the lobby on or off."""
        return self.configures("membersonly", str(on).lower())

    def opens_with(self, password: str) -> str:
        """What becomes of entering with the password of the room: `done`, or the condition of the refusal."""
        self.ask()
        mine = f"{self.room}/{self.nick}"
        self._write(f'<presence xmlns="{_xmpp.CLIENT}" to={quoteattr(mine)}><x xmlns="{_xmpp.MUC}"><password>{escape(password)}</password></x></presence>')
        answer = self._one(lambda e: e.tag == f"{{{_xmpp.CLIENT}}}presence" and e.get("from") == mine, 15, "the answer of the room")
        return _xmpp.condition(answer).partition(" ")[0] if answer.get("type") == "error" else "done"

    def kicks(self, nick: str) -> str:
        """What becomes of removing somebody from the room."""
        return self.tries(self.room, f'<query xmlns="{ADMIN}"><item nick={quoteattr(nick)} role="none"/></query>')

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def refused(site: t.Any, room: str, **how: t.Any) -> str:
    """With which condition the door stays shut; empty when it opens."""
    try:
        with Person(site, room, **how):
            return ""
    except XmppError as error:
        return str(error)


def part(data: t.Any) -> str:
    """Bytes, or what is JSON of them, as one part of a token (RFC 7515, section 2)."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(secret: str, claims: t.Any, header: t.Mapping[str, t.Any] | None = None) -> str:
    """A token with any header and claims, signed by HMAC-SHA-256. Not the collection's own filter, which makes none that are wrong."""
    text = f"{part({'alg': 'HS256', 'typ': 'JWT', **(header or {})})}.{part(claims)}"
    return f"{text}.{part(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def moodle_claims(domain: str, room: str = "*", teacher: bool = False, **more: t.Any) -> dict[str, t.Any]:
    """The claims that Moodle's activity for Jitsi sends (mod_jitsi, classes/local/session.php)."""
    return {
        "aud": "jitsi", "iss": "moodle", "sub": domain, "room": room, "exp": int(time.time()) + 24 * 3600, "moderator": teacher,
        "context": {"user": {"name": "somebody", "email": "somebody@example.edu", "affiliation": "owner" if teacher else "member", "moderator": teacher}},
        **more,
    }


def some_room() -> str:
    """The name of a room that nobody guesses."""
    return f"lecture-{uuid.uuid4().hex[:12]}"
