# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens as a Moodle makes them (`jitsi_auth: jwt`): teachers moderate, students do not, and nobody gets in with a bad one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import sys
import time

import pytest
from conftest import PATIENCE, settled, works
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modes import Modes, somebody
from people import Person, XmppError, moodle_claims, part, refused, signed, some_room
from rights import documented, rights

from ansible_collections.campus.jitsi.plugins.plugin_utils import _jwt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "call"))
import call  # noqa: E402


@pytest.fixture
def campus(single):
    """The installation, when it takes tokens."""
    if single.auth != "jwt":
        pytest.skip("the scenario auth_jwt has tokens")
    return single


def teacher(site, room="*", **more):
    return signed(site.jwt_secret(), moodle_claims(site.domain, room, True, **more))


def student(site, room="*", **more):
    return signed(site.jwt_secret(), moodle_claims(site.domain, room, False, **more))


# --- who gets in ---------------------------------------------------------------------------------------------------


def test_only_a_good_token_opens_the_door(campus):
    secret, now = campus.jwt_secret(), int(time.time())
    good = moodle_claims(campus.domain, teacher=True)
    assert refused(campus, "any", token=signed(secret, good)) == ""
    text = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(good)}"
    bad = {
        "signed by somebody else": signed("x" * 64, good),
        "without a signature": f"{text}.",
        "none and a signature": f"{text}.{part(b'x' * 32)}",
        "expired": signed(secret, {**good, "exp": now - 1}),
        "not yet valid": signed(secret, {**good, "nbf": now + 600}),
        "without an end": signed(secret, {k: v for k, v in good.items() if k != "exp"}),
        "an end of another type": signed(secret, {**good, "exp": "never"}),
        "an end that never comes": signed(secret, json.dumps(good).replace(str(good["exp"]), "1e999").encode()),
        "no context": signed(secret, {**good, "context": None}),
        "no user": signed(secret, {**good, "context": {"user": None}}),
        "another issuer": signed(secret, {**good, "iss": "mallory"}),
        "another audience": signed(secret, {**good, "aud": "somebody"}),
        "several audiences": signed(secret, {**good, "aud": ["jitsi"]}),
        "without a room": signed(secret, {k: v for k, v in good.items() if k != "room"}),
        "a room of another type": signed(secret, {**good, "room": {"a": 1}}),
        "without a domain": signed(secret, {k: v for k, v in good.items() if k != "sub"}),
        "another algorithm": signed(secret, good, {"alg": "RS256"}),
        "no token": "nonsense", "two parts": "a.b",
    }
    for what, token in bad.items():
        assert "not-allowed" in refused(campus, "any", token=token), what
    assert "not-allowed" in refused(campus, "any"), "nobody without one"


def test_a_token_is_for_its_room_and_its_domain(campus):
    room = some_room()
    with Person(campus, room, token=teacher(campus, room)) as one:
        assert one.enter() == "owner"
    for token in (teacher(campus, some_room()), teacher(campus, room, sub="other.lab.test")):
        with Person(campus, room, token=token) as one:
            assert "not-allowed" in one.waits()
    with Person(campus, room, token=teacher(campus, room.title())) as one:
        assert one.enter() == "owner", "upper case is the same"


# --- teachers, students and guests ---------------------------------------------------------------------------------


def test_a_student_who_comes_first_waits_for_the_teacher(campus):
    """And neither he nor a guest becomes moderator, whatever else the student's token says."""
    room = some_room()
    generous = student(campus, room, context={"user": {"affiliation": "member", "moderator": False}, "features": {"recording": True}})
    with Person(campus, room, token=generous) as ana, Person(campus, room, guest=True) as guest:
        assert "registration-required" in ana.waits()
        assert "registration-required" in guest.waits()
        with Person(campus, room, token=teacher(campus, room)) as lehrer:
            assert lehrer.enter() == "owner"
            assert ana.enter() == "member" and guest.enter() == "none"
            assert ana.affiliation(lehrer) == "owner"
            recording = '<jibri xmlns="http://jitsi.org/protocol/jibri" action="start" recording_mode="file"/>'
            assert ana.tries(f"{ana.room}/focus", recording) == "forbidden", "a token's features are a moderator's"
            assert guest.tries(f"{guest.room}/focus", recording) == "forbidden"
            assert lehrer.tries(f"{lehrer.room}/focus", recording) != "forbidden"
        # The teacher left, also when nobody else does.
        ana.see(2)
        assert ana.affiliation() == "member"


def test_a_second_teacher_passes_the_lobby(campus):
    room = some_room()
    with Person(campus, room, token=teacher(campus, room)) as first:
        first.enter()
        assert first.lobby(True) == "done"
        with Person(campus, room, token=student(campus, room)) as ana, Person(campus, room, token=teacher(campus, room)) as second:
            assert "registration-required" in ana.waits()
            assert second.enter() == "owner"


def test_a_guest_gains_nothing_by_a_token_in_the_address(campus):
    """Jitsi keeps the token of the address for a session on any host, where nobody verifies it."""
    room = some_room()
    for token in (signed("x" * 64, moodle_claims(campus.domain, room, True)), teacher(campus, room), "nonsense"):
        with Person(campus, room, guest=True, token=token) as guest:
            assert "registration-required" in guest.waits(), "he does not open the room"
        with Person(campus, room, token=teacher(campus, room)) as first, Person(campus, room, guest=True, token=token) as guest:
            first.enter()
            assert guest.enter() == "none"
            guest.see(0.5)
            assert guest.affiliation() == "none"


PEOPLE = {
    "a teacher's token": {"token": teacher}, "a student's token": {"token": student}, "a guest": {"guest": True},
    "an expired token": {"token": lambda site, **more: teacher(site, exp=int(time.time()) - 1)},
    "a forged token": {"token": lambda site: signed("x" * 64, moodle_claims(site.domain, teacher=True))},
    "a stranger": {},
}


def come(site, how):
    """A function that makes a person for a room."""
    return lambda room: Person(site, room, **{name: value(site) if callable(value) else value for name, value in how.items()})


def test_who_can_do_what_with_tokens_is_as_documented(campus):
    """Raw stanzas, past all buttons of the client."""
    found = {who: rights(come(campus, PEOPLE["a teacher's token"]), come(campus, how)) for who, how in PEOPLE.items()}
    documented("jwt", found)


# --- properties ----------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["moodle", "jitsi", "meet.lab.test", "*", "", "owner", "x"])
VALUE = st.none() | st.booleans() | st.integers(-5, 5) | WORDS | st.lists(st.just("jitsi"))
USER = st.dictionaries(st.sampled_from(["affiliation", "moderator", "name"]), VALUE, max_size=3)
CHANGES = st.dictionaries(st.sampled_from(["iss", "aud", "sub", "room", "moderator"]), VALUE, max_size=2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, user=USER | VALUE, late=st.sampled_from([-10, 60, None]), known=st.booleans(), algorithm=st.sampled_from(["HS256", "none", "RS256"]))
def test_no_token_that_breaks_a_rule_makes_an_owner(campus, changes, user, late, known, algorithm):
    """The real Prosody and the collection's own judge are of one mind; a token that is good makes an owner only when it says so."""
    secret, room, now = campus.jwt_secret(), some_room(), int(time.time())
    claims = {**moodle_claims(campus.domain, room, context={"user": user}), **changes}
    claims["exp"] = None if late is None else now + late
    claims = {name: value for name, value in claims.items() if value is not None}
    token = signed(secret if known else "x" * 64, claims, {"alg": algorithm})
    rules = _jwt.Rules(issuers=["moodle"], audiences=["jitsi"], domain=campus.domain, secrets=[secret])
    try:
        said = _jwt.verify(token, rules, now)
        owns = _jwt.moderates(said) and said["room"] in (room, "*")
    except _jwt.TokenError:
        owns = False
    became = "refused"
    with contextlib.suppress(XmppError), Person(campus, room, token=token) as one:
        one.ask()
        one.join(one.room, one.nick, timeout=5)
        became = one.affiliation()
    assert (became == "owner") == owns, (claims, became)


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_rotated_secret_has_an_overlap(campus):
    """Tokens that are out stay good for one more generation; then they do not. And who moderates is changed by a run, and back."""
    old, new = campus.jwt_secret(), campus.jwt_secret(2)
    claims = moodle_claims(campus.domain, teacher=True)
    try:
        done = campus.playbook("campus.jitsi.site", "--tags", "prosody", variables={"jitsi_secret_generations": {"jwt": 2}})
        assert done.code == 0 and old not in done.output and new not in done.output, done.output[-3000:]
        assert [refused(campus, "any", token=signed(secret, claims)) for secret in (old, new)] == ["", ""]
        done = campus.playbook("campus.jitsi.site", "--tags", "prosody",
                               variables={"jitsi_secret_generations": {"jwt": 2}, "jitsi_jwt_previous_secrets": 0,
                                          "jitsi_moderation": "everyone", "jitsi_wait_for_moderator": False})
        assert done.code == 0, done.output[-3000:]
        with Person(campus, some_room(), token=signed(new, moodle_claims(campus.domain))) as ana:
            ana.enter()
            assert ana.becomes("owner"), "a student where everybody moderates"
        assert refused(campus, "any", token=signed(new, claims)) == "" and "not-allowed" in refused(campus, "any", token=signed(old, claims))
    finally:
        back = campus.playbook("campus.jitsi.site", "--tags", "prosody")
    assert back.code == 0 and refused(campus, "any", token=signed(old, claims)) == "", back.output[-3000:]
    with Person(campus, some_room(), token=student(campus)) as ana:
        assert "registration-required" in ana.waits(), "and where the token says who does"


def test_public_keys_verify_and_are_not_confused(campus, tmp_path):
    """RS256 with two keys that are files on the controller: each by its id, none by another's, and not as the secret of HS256."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    keys = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("one", "two")}
    private = {kid: key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
               for kid, key in keys.items()}
    public = {kid: key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
              for kid, key in keys.items()}
    (tmp_path / "one.pem").write_text(public["one"])
    claims = moodle_claims(campus.domain, teacher=True)
    try:
        done = campus.playbook("campus.jitsi.site", "--tags", "prosody",
                               variables={"jitsi_jwt_public_keys": {"one": str(tmp_path / "one.pem"), "two": public["two"]}})
        assert done.code == 0, done.output[-3000:]
        for kid in keys:
            assert refused(campus, "any", token=_jwt.sign(claims, private_key=private[kid], kid=kid)) == ""
        bad = [_jwt.sign(claims, private_key=private["one"], kid="two"), _jwt.sign(claims, private_key=private["one"], kid="three"),
               _jwt.sign(claims, private_key=private["one"]), signed(public["one"], claims, {"kid": "one"}),
               signed(public["one"], claims, {"kid": "one", "alg": "RS256"}), signed(campus.jwt_secret(), claims)]
        for token in bad:
            assert "not-allowed" in refused(campus, "any", token=token)
    finally:
        back = campus.playbook("campus.jitsi.site", "--tags", "prosody")
    assert back.code == 0, back.output[-3000:]
    works(settled(campus))


#: A folder over HTTPS, under a name that the certificate of Prosody has, or with one of nobody.
KEY_SERVER = """
import http.server, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:])
server = http.server.HTTPServer(("127.0.0.1", 8443), lambda *words: http.server.SimpleHTTPRequestHandler(*words, directory="/run/verify-keys/www"))
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


class KeyServer:
    """On Prosody's host."""

    def __init__(self, site):
        self.host, self.name = site.of_one("prosody"), f"auth.{site.domain}"
        self.log = "/var/log/prosody/prosody.log"
        self.host.check_output("install --directory /run/verify-keys/www && echo 127.0.0.1 %s >> /etc/hosts", self.name)
        self.host.check_output("printf %%s %s > /run/verify-keys/server.py", KEY_SERVER)
        self.host.check_output("openssl req -x509 -newkey rsa:2048 -nodes -keyout /run/verify-keys/key -out /run/verify-keys/crt -days 1 -subj /CN=%s "
                               "-addext subjectAltName=DNS:%s 2>/dev/null", self.name, self.name)

    def put(self, name, text):
        self.host.check_output("printf %%s %s > /run/verify-keys/www/%s", text, name)

    def start(self, known=True):
        pair = [f"/etc/prosody/certs/{self.name}.{end}" for end in ("crt", "key")] if known else ["/run/verify-keys/crt", "/run/verify-keys/key"]
        self.host.check_output("systemd-run --quiet --unit=verify-keys python3 /run/verify-keys/server.py %s %s", *pair)
        end = time.monotonic() + PATIENCE * 10
        while not self.host.socket("tcp://127.0.0.1:8443").is_listening:
            assert time.monotonic() < end
            time.sleep(0.2)

    def stop(self):
        self.host.run("systemctl stop verify-keys")

    def gone(self):
        self.stop()
        self.host.check_output("rm -r /run/verify-keys; grep -vF %s /etc/hosts > /run/hosts; cat /run/hosts > /etc/hosts; rm /run/hosts",
                               f"127.0.0.1 {self.name}")

    def said(self, act):
        """What Prosody logs meanwhile."""
        mark = int(self.host.check_output("stat --format=%%s %s", self.log))
        act()
        return self.host.check_output("tail -c +%s %s", str(mark + 1), self.log)

    def asked(self):
        """How often it was asked for something."""
        return int(self.host.check_output("journalctl --unit=verify-keys --output=cat | grep -c GET || true"))


def test_keys_of_a_server(campus):
    """One PEM for each key id, and a document with all, over HTTPS that is verified; without a key nobody gets in, and the log says why."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    keys = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("one", "two")}
    private = {kid: key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
               for kid, key in keys.items()}
    public = {kid: key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
              for kid, key in keys.items()}
    numbers = keys["one"].public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "one", "n": part(numbers.n.to_bytes(256, "big")), "e": part(numbers.e.to_bytes(3, "big"))}
    claims = moodle_claims(campus.domain, teacher=True)
    token = {kid: _jwt.sign(claims, private_key=key, kid=kid) for kid, key in private.items()}
    bad = [_jwt.sign(claims, private_key=private["two"], kid="one"), _jwt.sign(claims, private_key=private["one"]),
           signed(public["one"], claims, {"kid": "one"}), signed(public["one"], claims, {"kid": "one", "alg": "RS256"})]
    server, modes = KeyServer(campus), Modes(campus)
    url = f"https://{server.name}:8443"
    # Prosody asks DNS only, where the lab's names are not.
    hosts = {"unbound": {"hoststxt": True}}
    try:
        for kid, text in public.items():
            server.put(hashlib.sha256(kid.encode()).hexdigest() + ".pem", text)
        server.put("jwks.json", json.dumps({"keys": [{"kty": "EC", "kid": "two"}, jwk]}))
        server.start()
        modes.lead("jwt-alone-token-wait-jwt_key_server", somebody(campus, token=token["one"]), hosts, asap_key_server=url)
        asked = server.asked()
        assert asked and refused(campus, "any", token=token["one"]) == "" and server.asked() == asked, "it is kept"
        for each in bad:
            assert "not-allowed" in refused(campus, "any", token=each)
        unknown = _jwt.sign(claims, private_key=private["one"], kid="../three")
        said = server.said(lambda: refused(campus, "any", token=unknown))
        assert "Code 404" in said and "could not obtain public key" in said, said
        server.stop()
        said = server.said(lambda: refused(campus, "any", token=token["two"]))
        assert "could not obtain public key" in said and refused(campus, "any", token=token["one"]) == "", said
        server.start(known=False)
        said = server.said(lambda: refused(campus, "any", token=token["two"]))
        assert "certificate" in said and "could not obtain public key" in said, said
        server.stop()
        server.start()
        assert refused(campus, "any", token=token["two"]) == "", "and when it is back it is asked again"
        modes.lead("jwt-alone-token-wait-jwt_keys_url", somebody(campus, token=token["one"]), hosts, cache_keys_url=f"{url}/jwks.json")
        for each in [*bad, token["two"], unknown]:
            assert "not-allowed" in refused(campus, "any", token=each)
    finally:
        modes.back()
        server.gone()
    works(settled(campus))


def test_prosody_starts_without_a_complaint(campus):
    (name,) = campus.hosts
    host = campus.host(name)
    mark = int(host.check_output("stat --format=%s /var/log/prosody/prosody.log"))
    host.check_output("systemctl restart prosody && sleep 3")
    log = host.check_output(f"tail -c +{mark + 1} /var/log/prosody/prosody.log")
    assert "Hello and welcome" in log or "started" in log, log
    complaints = [line for line in log.splitlines() if "\twarn\t" in line or "\terror\t" in line]
    assert [line for line in complaints if not line.endswith("Received SIGTERM")] == []
    works(settled(campus))



# --- browsers ------------------------------------------------------------------------------------------------------


class People:
    """Browsers of people, each with a token of his own or none."""

    def __init__(self, site, playwright, home):
        self.site, self.playwright, self.home, self.room = site, playwright, home, some_room()
        self.there: list = []
        self.options = call.arguments().parse_args([f"https://{site.domain}", "--ca", site.ca_file, "--address", site.address("meet")])

    def come(self, name, token=""):
        one = call.Browser(self.playwright, name, self.home, self.options)
        self.there.append(one)
        one.join(self.options.url, self.room, False, token)
        return one

    def until(self, one, script, seconds=60):
        """Wait for a condition in somebody's page, from outside: the page's policy forbids to evaluate texts in it."""
        end = time.monotonic() + seconds
        while not one.page.evaluate(script):
            assert time.monotonic() < end, f"{one.name}: not {script}; {one.page.evaluate(call.MEETING)}; {one.log[-5:]}"
            one.page.wait_for_timeout(100)


@pytest.fixture
def people(campus, tmp_path):
    with call.sync_playwright() as playwright:
        found = People(campus, playwright, tmp_path)
        yield found
        for one in found.there:
            one.context.close()


def test_a_student_a_guest_and_the_teacher_in_browsers(campus, people):
    """Jitsi's own client library, in three Chromium: who comes first waits, and what the client's menus would do is refused by the server."""
    blas = people.come("Blas", student(campus, people.room))
    people.until(blas, "__meeting.state === 'lobby'")
    carmen = people.come("Carmen")
    people.until(carmen, "__meeting.state === 'lobby'")
    ada = people.come("Ada", teacher(campus, people.room))
    people.until(ada, "__meeting.state === 'joined' && __meeting.role === 'moderator'")
    for one in (blas, carmen):
        people.until(one, "__meeting.state === 'joined' && __meeting.participants.length === 2")
    assert [one.page.evaluate("__meeting.role") for one in (ada, blas, carmen)] == ["moderator", "none", "none"]
    ids = {one.name: one.page.evaluate("__meeting.myId") for one in people.there}
    for one in (blas, carmen):
        one.page.evaluate("ids => { __meeting.kick(ids.Ada); __meeting.muteOther(ids.Ada); __meeting.grantOwner(__meeting.myId); }", ids)
    ada.page.wait_for_timeout(2000)
    assert ada.page.evaluate("__meeting.state") == "joined" and not ada.page.evaluate("__meeting.events.some(event => event.detail === 'kicked')")
    assert [one.page.evaluate("__meeting.role") for one in (ada, blas, carmen)] == ["moderator", "none", "none"]
    ada.page.evaluate("id => __meeting.kick(id)", ids["Carmen"])
    people.until(carmen, "__meeting.error === 'kicked'")


def test_bad_tokens_in_browsers(campus, people):
    """Expired and forged: the library asks for a login. For another room: the room refuses."""
    expired, forged, other = teacher(campus, exp=int(time.time()) - 1), PEOPLE["a forged token"]["token"](campus), teacher(campus, some_room())
    for name, token, seen in (("Ada", expired, "state === 'login'"), ("Blas", forged, "state === 'login'"), ("Carmen", other, "layer === 'conference'")):
        one = people.come(name, token)
        people.until(one, f"window.__meeting && __meeting.{seen} && !__meeting.myId")
