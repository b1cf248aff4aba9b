# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins, and the step of the check that tries the door, against a server of our own that opens it wrongly in one way after the other."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import re
import socket
import ssl
import threading
import urllib.parse

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _conference, _xmpp
from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki

DOMAIN = "meet.example.edu"
#: Who is let in, in words of `Server.who`.
GOOD = {"token good", "guest"}


class Server:
    """As much of nginx, Prosody and jicofo as logins need, over TLS on loopback.

    :param lets_in: whom, in words of :meth:`who`
    :param ready: whom jicofo lets open a room
    :param failure: what everybody else hears
    """

    def __init__(self, context, lets_in=frozenset(GOOD), ready=frozenset(), failure="not-allowed"):
        self.context, self.lets_in, self.ready, self.failure = context, lets_in, ready, failure
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen: list[str] = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with contextlib.suppress(OSError, EOFError), self.context.wrap_socket(connection, server_side=True) as tls:
            stream = tls.makefile("rwb")
            path = stream.readline().decode().split(" ")[1]
            headers = dict(line.decode().rstrip().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
            key = base64.b64encode(hashlib.sha1((headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            stream.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: xmpp\r\n"
                          f"Sec-WebSocket-Accept: {key}\r\n\r\n").encode())
            stream.flush()
            token = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("token", [""])[0]
            who, host = "", DOMAIN
            while (text := frame(stream)) is not None:
                if text.startswith("<open"):
                    host = re.search(r'to="([^"]*)"', text)[1]
                for answer in self.answers(text, host, token, who):
                    send(stream, answer)
                if text.startswith("<auth"):
                    who = self.who(text, host, token)

    def who(self, text, host, token):
        """Somebody who logs in, in words."""
        secret = base64.b64decode(re.search(r">([^<]*)</auth>", text)[1]).decode()
        if 'mechanism="PLAIN"' in text:
            _authzid, user, password = secret.split("\0")
            return f"account {user}:{password}"
        return "guest" if host.startswith("guest.") else f"token {token}" if token else "anybody"

    def answers(self, text, host, token, who):
        if text.startswith("<open"):
            yield f'<open xmlns="{_xmpp.FRAMING}" from="{host}" version="1.0"/>'
            names = "".join(f"<mechanism>{name}</mechanism>" for name in ("ANONYMOUS", "PLAIN"))
            inner = "" if who else f'<mechanisms xmlns="{_xmpp.SASL}">{names}</mechanisms>'
            yield f'<stream:features xmlns:stream="{_xmpp.STREAMS}">{inner}</stream:features>'
        elif text.startswith("<auth"):
            who = self.who(text, host, token)
            self.seen.append(who)
            inner = f'<success xmlns="{_xmpp.SASL}"/>' if who in self.lets_in else f'<failure xmlns="{_xmpp.SASL}"><{self.failure}/></failure>'
            yield inner
        elif text.startswith("<iq"):
            ident = re.search(r'id="([^"]*)"', text)[1]
            if "<bind" in text:
                yield f'<iq xmlns="{_xmpp.CLIENT}" type="result" id="{ident}"><bind xmlns="{_xmpp.BIND}"><jid>somebody@{host}/1</jid></bind></iq>'
            elif who in self.ready:
                yield f'<iq xmlns="{_xmpp.CLIENT}" type="result" id="{ident}"><conference xmlns="{_xmpp.FOCUS}" ready="true"/></iq>'
            else:
                yield (f'<iq xmlns="{_xmpp.CLIENT}" type="error" id="{ident}"><error type="auth"><not-authorized xmlns="{_xmpp.STANZAS}"/></error></iq>')
        elif text.startswith("<presence") and "unavailable" not in text:
            place = re.search(r'to="([^"]*)"', text)[1]
            yield (f'<presence xmlns="{_xmpp.CLIENT}" from="{place}"><x xmlns="{_xmpp.MUC_USER}"><item affiliation="none" role="participant"/>'
                   '<status code="110"/></x></presence>')


def frame(stream):
    """One text of a client, whose frames are masked; None at the end."""
    first = stream.read(2)
    if len(first) < 2 or first[0] & 15 == 8:
        return None
    length = first[1] & 127
    if length == 126:
        length = int.from_bytes(stream.read(2), "big")
    mask, data = stream.read(4), stream.read(length)
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data)).decode()


def send(stream, text):
    data = text.encode()
    stream.write(b"\x81" + (bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")) + data)
    stream.flush()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A server's side of TLS, and the authority as PEM."""
    place, now = tmp_path_factory.mktemp("door"), datetime.datetime.now(datetime.timezone.utc)
    ca, key = _pki.make_ca(bytes(32), DOMAIN, now), _pki.derived_key(bytes(32), "door")
    (place / "crt").write_text(_pki.pem(_pki.issue(ca, bytes(32), key, [DOMAIN], 9, now)))
    (place / "key").write_text(_pki.pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "crt", place / "key")
    return context, _pki.pem(ca)


@pytest.fixture
def door(authority):
    """A function: what the step says of a server, and the server."""
    servers = []

    def attempt(policy="jwt", guests=True, expired="old", **how):
        server = Server(authority[0], **how)
        servers.append(server)
        check = _conference.Check(DOMAIN, address="127.0.0.1", port=server.port, ca=authority[1], timeout=3, policy=policy, guests=guests, expired=expired)
        check.room = f"{check.name}@conference.{DOMAIN}"
        return check.door(), server

    yield attempt
    for server in servers:
        server.listener.close()


@pytest.mark.parametrize(
    ("policy", "guests", "expired", "said"),
    [
        ("jwt", True, "old", "anonymous room creation, a forged token, an expired one, a guest before somebody opened the room"),
        ("jwt", False, "", "anonymous room creation, a forged token"),
        ("internal", True, "", "anonymous room creation, a made-up account, a guest before somebody opened the room"),
        ("ldap", False, "", "anonymous room creation, a made-up account"),
    ],
)
def test_who_is_kept_out_is_said(door, policy, guests, expired, said):
    assert door(policy=policy, guests=guests, expired=expired)[0] == f"{said}: refused, as configured"


class Anybody(frozenset):
    """Whoever fits a pattern."""

    def __contains__(self, who):
        return any(re.match(pattern, who) for pattern in self)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"lets_in": Anybody({"anybody"})}, "an anonymous login is let in"),
        ({"lets_in": Anybody({"token ey"})}, "a token that nobody signed is let in"),
        ({"lets_in": Anybody({"token old"})}, "a token that has expired is let in"),
        ({"policy": "internal", "lets_in": Anybody({"account "})}, "a made-up account is let in"),
        ({"lets_in": Anybody({"guest"}), "ready": {"guest"}}, "a guest is let in"),
    ],
)
def test_a_door_that_stands_open_in_one_way_is_seen(door, how, said):
    with pytest.raises(_conference.StepError, match=said):
        door(**how)


def test_a_server_that_is_ill_refuses_nobody(door):
    """What is no refusal proves nothing."""
    with pytest.raises(_xmpp.XmppError, match="temporary-auth-failure"):
        door(failure="temporary-auth-failure")


def test_a_login_says_who_somebody_is_and_nothing_else(authority):
    server = Server(authority[0], lets_in={"account ana:é, with : in it"})
    site = _conference.Site(DOMAIN, server.port, "127.0.0.1", authority[1])

    def log_in(login):
        return _xmpp.WebSocketSession(site, DOMAIN, _xmpp.path_of("/xmpp-websocket", "a room", login.token), login)

    session = log_in(_xmpp.Login("ana", "é, with : in it"))
    assert session.jid == f"somebody@{DOMAIN}/1"
    session.close()
    with pytest.raises(_xmpp.XmppError, match="the login of ana: not-allowed") as refused:
        log_in(_xmpp.Login("ana", "another one"))
    assert "another one" not in str(refused.value)
    with pytest.raises(_xmpp.XmppError, match="refused the token: not-allowed"):
        log_in(_xmpp.Login(token="a+b/c=&d"))
    with pytest.raises(_xmpp.XmppError, match="refused the anonymous login: not-allowed"):
        log_in(_xmpp.Login())
    assert server.seen == ["account ana:é, with : in it", "account ana:another one", "token a+b/c=&d", "anybody"]
    server.listener.close()
