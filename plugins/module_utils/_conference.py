# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A conference of two participants, held step by step from where this runs, as browsers would hold it.

Each step needs those before it. A step that fails names the layer at fault and the usual cause.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import socket
import ssl
import time
import typing as t
import urllib.parse
import uuid
from xml.sax.saxutils import quoteattr

from ansible_collections.campus.jitsi.plugins.module_utils import _stun, _turn
from ansible_collections.campus.jitsi.plugins.module_utils._https import Site
from ansible_collections.campus.jitsi.plugins.module_utils._xmpp import (
    ANYBODY,
    FOCUS,
    ICE_UDP,
    BoshSession,
    Login,
    Session,
    WebSocketSession,
    XmppError,
    path_of,
)


class StepError(Exception):
    """A step failed for a reason that the step itself found."""


class Skip(Exception):
    """There is nothing to try in a step; the message says why."""


class Step(t.NamedTuple):
    """What became of a step."""

    name: str
    ok: bool
    seconds: float
    detail: str
    layer: str = ""
    hint: str = ""
    skipped: bool = False


#: Steps in order: name, the layer at fault when it fails, and the usual cause.
STEPS: t.Sequence[tuple[str, str, str]] = (
    ("name", "DNS", "the domain has no address record yet, or this machine does not see it: add A and AAAA records that point "
     "to the web host, or set `jitsi_check_address`"),
    ("tls", "TLS", "the certificate is not one that this machine trusts, does not cover the domain or has expired, or nothing "
     "listens on 443: see `jitsi_tls_source`, and whether a firewall lets 443/tcp through"),
    ("web page", "nginx", "the package jitsi-meet-web is incomplete or another site answers for this name: see "
     "/var/log/nginx/error.log"),
    ("config.js", "nginx", "config.js is not served or is of another installation: run the role nginx_meet"),
    ("BOSH", "Prosody", "nginx does not reach Prosody's HTTP port, or Prosody does not have the domain as a host: see "
     "`systemctl status prosody` and /var/log/prosody/prosody.err"),
    ("WebSocket", "Prosody", "nginx does not pass the upgrade on (a proxy before it may not either), or Prosody does not load "
     "the module websocket"),
    ("conference request", "jicofo", "jicofo does not run, is not logged in as focus, or its account lacks focus.<domain> in its "
     "roster: see /var/log/jitsi/jicofo.log and run the roles prosody and jicofo"),
    ("join", "Prosody", "the room is not created because jicofo did not enter it, or a module of the room refuses: see "
     "/var/log/prosody/prosody.log"),
    ("focus", "jicofo", "jicofo is in the room and is not its owner: component_admins_as_room_owners must be true on Prosody 13"),
    ("bridge", "videobridge", "no bridge is in the brewery, or all are unhealthy or drained: see `systemctl status "
     "jitsi-videobridge2`, /var/log/jitsi/jvb.log, and curl http://127.0.0.1:8080/about/health on the bridge"),
    ("media path", "network", "a firewall does not let 10000/udp through to the bridge, or the bridge is behind NAT and does not "
     "know its public address: set `jvb_public_addresses`"),
    ("TURN", "coturn", "coturn does not run or has another secret than Prosody (run the whole site), its certificate is not one that this "
     "machine trusts, or a firewall does not let 3478/udp, 3478/tcp, 5349/tcp or 443/tcp through: see `journalctl --unit coturn`"),
    ("door", "Prosody", "somebody gets in whom `jitsi_auth` and `jitsi_auth_guests` keep out: a setting of `prosody_config` opens the door, or "
     "Prosody or jicofo still runs with an older configuration; run the whole site"),
)
#: The steps that need a login.
INSIDE = frozenset({"conference request", "join", "focus", "bridge", "media path", "TURN"})
#: What the settings call those who may enter.
POLICIES = ("anonymous", "internal", "ldap", "jwt")


SKIPPED = "nobody to log in with: set `jitsi_check_user` and `jitsi_check_password`, or `jitsi_check_token`, to somebody who may open a room"
#: With which words somebody is kept out, as opposed to a server that does not answer.
REFUSALS = r"takes no (anonymous users|passwords)(?!.*offers nothing)|not-authorized|not-allowed|forbidden|registration-required|account-disabled"


def forged_token(domain: str, issuer: str, audience: str) -> str:
    """A token with everything in it, signed with a key that nobody knows."""
    def part(data: t.Mapping[str, t.Any] | bytes) -> str:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    claims = {"aud": audience, "iss": issuer, "sub": domain, "room": "*", "exp": int(time.time()) + 300, "context": {"user": {"moderator": True}}}
    text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{text}.{part(hmac.new(os.urandom(32), text.encode(), hashlib.sha256).digest())}"


class Check:
    """One run.

    :param address: where to connect, empty for what DNS says
    :param fallback: where to connect when DNS does not know the domain, empty for nowhere
    :param ca: PEM text of an authority to trust besides the system's
    :param hosts: where to find TURN servers that DNS does not know, by name
    :param policy: who may enter, one of :data:`POLICIES`: everybody else must be refused
    :param guests: whether guests may follow into a room
    :param login: who opens the room, where not everybody may
    :param issuer: whose tokens are taken
    :param audience: for whom they must be
    :param expired: a token that was good once
    """

    def __init__(self, domain: str, *, port: int = 443, address: str = "", fallback: str = "", ca: str = "", timeout: float = 20.0,
                 hosts: t.Mapping[str, str] | None = None, policy: str = "anonymous", guests: bool = False, login: Login = ANYBODY,
                 issuer: str = "jitsi", audience: str = "jitsi", expired: str = ""):
        self.issuer, self.audience, self.expired = issuer, audience, expired
        self.policy, self.guests = policy, guests
        # Nobody: the check then only looks.
        self.login: Login | None = login if login or policy == "anonymous" else None
        self.domain, self.port, self.address, self.fallback, self.ca, self.timeout = domain, port, address, fallback, ca, timeout
        self.nicks = [uuid.uuid4().hex[:8] for _number in range(2)]
        self.name = "campus-check-" + uuid.uuid4().hex[:12]
        self.config: dict[str, t.Any] = {}
        self.sessions: list[Session] = []
        self.transport: t.Any = None
        self.room = ""
        self.site = Site(domain, port, address, ca)
        self.hosts = dict(hosts or {})

    def run(self, tell: t.Callable[[Step], None] = lambda step: None) -> list[Step]:
        """All steps, up to the first that fails; ``tell`` is called after each."""
        steps = []
        works = (self.resolve, self.tls, self.page, self.config_js, self.bosh, self.websocket, self.request, self.join, self.focus,
                 self.bridge, self.media, self.turn, self.door)
        try:
            for (name, layer, hint), work in zip(STEPS, works):
                started = time.monotonic()
                try:
                    if self.login is None and name in INSIDE:
                        raise Skip(SKIPPED)
                    step = Step(name, True, 0, work())
                except Skip as reason:
                    step = Step(name, True, 0, str(reason), skipped=True)
                except (StepError, XmppError, OSError) as error:
                    step = Step(name, False, 0, explain(error), layer, hint)
                step = step._replace(seconds=round(time.monotonic() - started, 3))
                steps.append(step)
                tell(step)
                if not step.ok:
                    break
        finally:
            for session, nick in zip(self.sessions, self.nicks):
                try:
                    if self.room:
                        session.leave(self.room, nick)
                    session.close()
                except (OSError, XmppError):
                    continue
        return steps

    # The steps, each of which returns what there is to tell.

    def resolve(self) -> str:
        if self.address:
            return f"{self.address}, as told"
        try:
            found = {info[4][0] for info in socket.getaddrinfo(self.domain, self.port, type=socket.SOCK_STREAM)}
            return ", ".join(sorted(map(str, found)))
        except OSError:
            if not self.fallback:
                raise
        self.address = self.fallback
        self.site = Site(self.domain, self.port, self.fallback, self.ca)
        return f"not in DNS from here; {self.fallback} from the inventory"

    def tls(self) -> str:
        with self.site.connect() as connection:
            certificate = t.cast("dict[str, t.Any]", connection.getpeercert())
            version = connection.version()
        issuer = dict(pair for part in certificate["issuer"] for pair in part)
        left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
        until = datetime.timedelta(seconds=left).days
        return f"{version}, by {issuer.get('organizationName') or issuer.get('commonName')}, {until} days left"

    def page(self) -> str:
        status, _headers, body = self.site.request("GET", "/" + self.name)
        if status != 200 or b"<html" not in body[:4000].lower():
            raise StepError(f"a room's page answers HTTP {status}" + ("" if status != 200 else " and is no HTML page"))
        return f"HTTP 200, {len(body)} bytes"

    def config_js(self) -> str:
        status, _headers, body = self.site.request("GET", "/config.js")
        if status != 200:
            raise StepError(f"config.js answers HTTP {status}")
        self.config = read_config(body.decode(errors="replace"))
        hosts = self.config.get("hosts") or {}
        if hosts.get("domain") != self.domain:
            raise StepError(f"config.js is for {hosts.get('domain') or 'no domain'}, not {self.domain}")
        self.room = f"{self.name}@{hosts.get('muc') or 'conference.' + self.domain}"
        return f"rooms on {self.room.partition('@')[2]}"

    def bosh(self) -> str:
        self.open(BoshSession).close()
        return "logged in and out" if self.login is not None else "a stream is opened; nobody to log in with"

    def websocket(self) -> str:
        first = self.open(WebSocketSession)
        if self.login is None:
            first.close()
            return "a stream is opened; nobody to log in with"
        self.sessions += [first, self.open(WebSocketSession, guest=self.guests)]
        return f"logged in, {len(self.sessions)} participants" + (", one of them a guest" if self.guests else "")

    def open(self, kind: type[WebSocketSession] | type[BoshSession], guest: bool = False, login: Login | None = ANYBODY) -> Session:
        """A session of whoever this check is for; of a guest; or of somebody else."""
        url = self.config.get("websocket") or "/xmpp-websocket" if kind is WebSocketSession else self.config.get("bosh") or "/http-bind"
        who = login if login is not ANYBODY or guest else self.login
        host = (self.config.get("hosts") or {}).get("anonymousdomain") or f"guest.{self.domain}" if guest else self.domain
        return kind(self.site, host, path_of(url, self.name, who.token if who else ""), who)

    def request(self) -> str:
        focus = self.focus_address()
        machine = uuid.uuid4().hex
        answer = self.sessions[0].iq(
            "set", focus, f'<conference xmlns="{FOCUS}" room={quoteattr(self.room)} machine-uid="{machine}"/>', self.timeout)
        conference = answer.find(f"{{{FOCUS}}}conference")
        if conference is None or conference.get("ready") != "true":
            raise StepError("jicofo answered that the conference is not ready")
        url = self.config.get("conferenceRequestUrl")
        if not url:
            return "ready, over XMPP"
        body = json.dumps({"room": self.room, "machineUid": machine, "properties": {}}).encode()
        status, _headers, text = self.site.request("POST", urllib.parse.urlsplit(url).path, body, "application/json")
        if status != 200 or not json.loads(text or b"{}").get("ready"):
            raise StepError(f"ready over XMPP, but {url} answers HTTP {status}: {text[:100].decode(errors='replace')}")
        return "ready, over XMPP and HTTP"

    def join(self) -> str:
        for session, nick in zip(self.sessions, self.nicks):
            session.join(self.room, nick, self.timeout)
        return "two participants in a random room"

    def focus(self) -> str:
        end = time.monotonic() + self.timeout
        session = self.sessions[1]
        while "focus" not in session.occupants(self.room):
            if time.monotonic() > end:
                raise StepError("jicofo is not in the room")
            session.poll(1)
        affiliation = session.occupants(self.room)["focus"]
        if affiliation != "owner":
            raise StepError(f"jicofo is in the room as {affiliation or 'nobody'}, not as owner")
        return "in the room, its owner"

    def bridge(self) -> str:
        # Both are invited. Both are listened to, too: jicofo asks each for its features and waits for the answer.
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            jingle = next(filter(None, (session.jingle("session-initiate") for session in self.sessions)), None)
            if jingle is not None:
                self.transport = jingle.find(f".//{{{ICE_UDP}}}transport")
                number = len(_stun.candidates(self.transport, ICE_UDP)) if self.transport is not None else 0
                if not number:
                    raise StepError("jicofo invited without a candidate of a bridge")
                return f"session-initiate with {number} UDP candidates"
            for session in self.sessions:
                session.poll(0.1)
        raise StepError("jicofo did not invite a participant to a bridge")

    def media(self) -> str:
        ufrag, password = self.transport.get("ufrag", ""), self.transport.get("pwd", "")
        good, bad = [], []
        for candidate in _stun.candidates(self.transport, ICE_UDP):
            where = f"{candidate['ip']} port {candidate['port']}"
            if ":" in candidate["ip"] and not has_route(candidate["ip"]):
                bad.append((where, "no IPv6 from here"))
                continue
            wrong, _seen = _stun.ask(candidate["ip"], int(candidate["port"]), self.nicks[0], ufrag, password, min(self.timeout, 3))
            (bad.append((where, wrong)) if wrong else good.append(where))
        failed = [f"{where} {why}" for where, why in bad if why != "no IPv6 from here"]
        if failed or not good:
            raise StepError("; ".join(failed or [f"{where} {why}" for where, why in bad]))
        skipped = "".join(f"; {where} not asked, {why}" for where, why in bad)
        return ", ".join(good) + " answered" + skipped

    def turn(self) -> str:
        services = self.sessions[1].services(self.timeout, self.domain)
        wanted = [service for service in services or [] if service.get("type") in ("turn", "turns")]
        if not wanted:
            raise Skip("Prosody tells of no TURN server")
        good: dict[str, list[str]] = {}
        bad = []
        for service in wanted:
            name, where = service.get("host", ""), f"{transport_of(service)} {service.get('port', '')}"
            try:
                self.relay(service, transport_of(service))
                good.setdefault(name, []).append(where)
            except (_turn.TurnError, OSError) as error:
                bad.append(f"{name} {where}: {explain(error)}")
        works = "; ".join(f"{name} over {', '.join(transports)}" for name, transports in good.items())
        if bad:
            raise StepError("; ".join(bad) + (f"; works: {works}" if works else ""))
        return f"a relayed address of {works}"

    def focus_address(self) -> str:
        """Where conferences are asked for."""
        return (self.config.get("hosts") or {}).get("focus") or f"focus.{self.domain}"

    def door(self) -> str:
        """Everybody who is not to enter tries to."""
        if self.policy == "anonymous":
            if "ANONYMOUS" not in self.open(WebSocketSession, login=None).offered:
                raise StepError("`jitsi_auth` is anonymous, and the server takes no anonymous users")
            return "anybody may open a room, as configured"
        said = []
        self.refused("an anonymous login", lambda: self.stranger(WebSocketSession(self.site, self.domain, "/xmpp-websocket?room=" + self.name)))
        said.append("anonymous room creation")
        if self.policy == "jwt":
            token = forged_token(self.domain, self.issuer, self.audience)
            self.refused("a token that nobody signed", lambda: self.stranger(self.open(WebSocketSession, login=Login(token=token))))
            said.append("a forged token")
            if self.expired:
                self.refused("a token that has expired", lambda: self.stranger(self.open(WebSocketSession, login=Login(token=self.expired))))
                said.append("an expired one")
        else:
            nobody = Login("campus-check-" + uuid.uuid4().hex[:8], uuid.uuid4().hex)
            self.refused("a made-up account", lambda: self.stranger(self.open(WebSocketSession, login=nobody)))
            said.append("a made-up account")
        if self.guests:
            self.refused("a guest", self.guest_alone)
            said.append("a guest before somebody opened the room")
        return f"{', '.join(said)}: refused, as configured"

    def stranger(self, session: Session) -> None:
        """Somebody got in; he leaves again."""
        session.close()

    def guest_alone(self) -> None:
        """Enter a new room as a guest, which works unless somebody keeps him out: jicofo, or a lobby."""
        room = f"campus-check-{uuid.uuid4().hex[:12]}@{self.room.partition('@')[2]}"
        guest = self.open(WebSocketSession, guest=True)
        try:
            guest.iq("set", self.focus_address(), f'<conference xmlns="{FOCUS}" room={quoteattr(room)} machine-uid="{uuid.uuid4().hex}"/>', self.timeout)
            guest.join(room, self.nicks[1], self.timeout)
        finally:
            guest.leave(room, self.nicks[1])
            guest.close()

    @staticmethod
    def refused(who: str, attempt: t.Callable[[], None]) -> None:
        """:raises StepError: an attempt succeeds"""
        try:
            attempt()
        except XmppError as error:
            if not re.search(REFUSALS, str(error)):
                raise
        else:
            raise StepError(f"{who} is let in")

    def relay(self, service: t.Mapping[str, str], transport: str) -> None:
        """Get a relayed address of one server, with the credentials that Prosody gave, and give it back."""
        name, port = service.get("host", ""), int(service.get("port") or (5349 if transport == "tls" else 3478))
        try:
            socket.getaddrinfo(name, port)
            address = ""
        except OSError:
            address = self.hosts.get(name, "")
            if not address:
                raise
        with _turn.Relay(name, port, transport, address=address, context=self.site.context, timeout=min(self.timeout, 5)) as relay:
            relay.allocate(service.get("username", ""), service.get("password", ""))
            relay.free()


def transport_of(service: t.Mapping[str, str]) -> str:
    """How a TURN server that Prosody tells of is reached.

    >>> transport_of({"type": "turns", "transport": "tcp"}), transport_of({"type": "turn"})
    ('tls', 'udp')
    """
    return "tls" if service.get("type") == "turns" else service.get("transport") or "udp"


def has_route(address: str) -> bool:
    """Whether this machine has a way to an address at all."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError:
        return False
    return True


def explain(error: Exception) -> str:
    """An error in words, with what TLS says of a certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def read_config(text: str) -> dict[str, t.Any]:
    """The settings in a ``config.js`` as the role nginx_meet writes it; of another one, what can be found.

    >>> read_config('var config = {"hosts": {"domain": "x"}};')["hosts"]["domain"]
    'x'
    """
    start = re.search(r"var\s+config\s*=\s*(?=\{)", text)
    if start:
        try:
            return json.JSONDecoder().raw_decode(text, start.end())[0]
        except ValueError:
            pass
    found = {name: m.group(1) for name in ("domain", "muc", "focus", "bosh", "websocket", "conferenceRequestUrl")
             if (m := re.search(rf"(?m)^\s*['\"]?{name}['\"]?\s*:\s*['\"]([^'\"]+)['\"]\s*,?\s*$", text))}
    hosts = {name: found.pop(name) for name in ("domain", "muc", "focus") if name in found}
    return {"hosts": hosts, **found}


def table(steps: t.Sequence[Step]) -> list[str]:
    """The steps as lines of a table.

    >>> table([Step("tls", True, 0.0123, "fine")])[1]
    'tls                 ok         12 ms  fine'
    """
    lines = [f"{'step':<19} {'result':<7} {'time':>8}  what was seen"]
    lines += [f"{s.name:<19} {'skipped' if s.skipped else 'ok' if s.ok else 'FAILED':<7} {s.seconds * 1000:>5.0f} ms  {s.detail}" for s in steps]
    return lines


#: What is no step of a conference, and was found out by other modules on the hosts themselves.
REPORTS = ("recorders", "gateways")


def report(name: str, host: str, result: t.Mapping[str, t.Any]) -> Step:
    """What recorder_check or gateway_check found on a host, as one more line of the table.

    :param result: the module's; it has ``msg`` when something is wrong

    >>> report("recorders", "rec1", {"table": ["recorder 1  busy", "recorder 2  idle", "1 of 2 free"]}).detail
    'rec1: recorder 1 busy, recorder 2 idle, 1 of 2 free'
    """
    wrong = result.get("msg", "")
    lines = [" ".join(line.split()) for line in result.get("table", ())]
    return Step(name, not wrong, 0.0, f"{host}: {', '.join(lines) or wrong}", host, wrong)


def verdict(domain: str, steps: t.Sequence[Step]) -> str:
    """One sentence of the conference, in which a step that was skipped has not passed, and those of what is wrong beside it.

    >>> verdict("x.edu", [Step("tls", True, 1.5, "fine"), Step("join", True, 0, "nobody", skipped=True)])
    'No conference was held on x.edu (nobody); the other steps are fine: 1 in 1.5 s.'
    >>> verdict("x.edu", [Step("tls", True, 1.5, "fine"), report("gateways", "tel", {"msg": "The gateway main does not answer: look."})])
    'A conference on x.edu works: 1 steps in 1.5 s. But on tel: The gateway main does not answer: look.'
    """
    beside = "".join(f" But on {s.layer}: {s.hint}" for s in steps if s.name in REPORTS and not s.ok)
    return held(domain, [s for s in steps if s.name not in REPORTS]) + beside


def held(domain: str, steps: t.Sequence[Step]) -> str:
    """What became of the conference itself."""
    last = steps[-1]
    passed, seconds = [s for s in steps if s.ok and not s.skipped], sum(s.seconds for s in steps)
    if not last.ok:
        return f"A conference on {domain} does not work: {last.layer} is at fault at the step `{last.name}` ({last.detail}). Usually {last.hint}."
    missing = next((s for s in steps if s.skipped and s.name == "join"), None)
    if missing:
        return f"No conference was held on {domain} ({missing.detail}); the other steps are fine: {len(passed)} in {seconds:.1f} s."
    skipped = ", ".join(s.name for s in steps if s.skipped)
    return f"A conference on {domain} works: {len(passed)} steps in {seconds:.1f} s" + (f"; skipped: {skipped}." if skipped else ".")
