# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: what is made is taken, and what breaks a rule is refused, whichever rule."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.jitsi.plugins.filter.tokens import jwt
from ansible_collections.campus.jitsi.plugins.plugin_utils import _jwt
from ansible_collections.campus.jitsi.plugins.plugin_utils._jwt import Rules, TokenError, verify
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET, OTHER = "s" * 32, "t" * 32
NOW = 1_000_000
DOMAIN = "meet.example.edu"
RULES = Rules(issuers=["moodle"], audiences=["jitsi"], domain=DOMAIN, secrets=[SECRET])
#: What a token needs.
PLAIN = {"app_id": "moodle", "domain": DOMAIN, "secret": SECRET, "now": NOW}


def private(key) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def public(key) -> str:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def raw(header, payload, secret: str | None = SECRET) -> str:
    """A token with anything in it."""
    parts = [part if isinstance(part, str) else _jwt.encode(json.dumps(part).encode()) for part in (header, payload)]
    text = ".".join(parts)
    return f"{text}.{_jwt.encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()) if secret else ''}"


def good(**more):
    return {"iss": "moodle", "aud": "jitsi", "sub": DOMAIN, "room": "algebra", "exp": NOW + 60, **more}


HEADER = {"alg": "HS256", "typ": "JWT"}


def test_hs256_is_rfc_7515():
    """Appendix A.1, whose header and payload have line breaks in them."""
    secret = base64.urlsafe_b64decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==")
    signed = ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ")
    assert _jwt.encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest()) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert _jwt._object(signed.split(".")[1], "it") == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def test_a_token_for_a_room_says_what_jitsi_reads():
    token = jwt("algebra", user={"name": "The teacher", "moderator": True}, features={"recording": True}, lifetime=60, **PLAIN)
    found = verify(token, RULES, NOW)
    assert found == {
        "iss": "moodle", "aud": "jitsi", "sub": DOMAIN, "room": "algebra", "nbf": NOW - 10, "iat": NOW, "exp": NOW + 60,
        "context": {"user": {"name": "The teacher", "moderator": True, "affiliation": "owner"}, "features": {"recording": True}},
    }
    assert _jwt.moderates(found)
    assert not _jwt.moderates(verify(jwt("algebra", user={"moderator": False}, **PLAIN), RULES, NOW))
    assert not _jwt.moderates(verify(jwt("algebra", **PLAIN), RULES, NOW))


def test_rs256_is_openssls(key, tmp_path):
    token = jwt("*", private_key=private(key), kid="one", app_id="moodle", domain=DOMAIN, now=NOW)
    rules = Rules(issuers=["moodle"], audiences=["*"], domain=DOMAIN, public_keys={"one": public(key)})
    assert verify(token, rules, NOW)["room"] == "*"
    signed, _dot, signature = token.rpartition(".")
    (tmp_path / "key").write_text(public(key))
    (tmp_path / "signature").write_bytes(_jwt.decode(signature, "it"))
    done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", tmp_path / "key", "-signature", tmp_path / "signature"], input=signed.encode(),
                          capture_output=True, check=False)
    assert done.stdout == b"Verified OK\n"


def test_a_rotation_takes_both_secrets():
    rules = Rules(issuers=["moodle"], audiences=["jitsi"], domain=DOMAIN, secrets=[OTHER, SECRET])
    for secret in (SECRET, OTHER):
        assert verify(jwt("a", **{**PLAIN, "secret": secret}), rules, NOW)
    with pytest.raises(TokenError, match="signature is wrong"):
        verify(jwt("a", **{**PLAIN, "secret": "u" * 32}), rules, NOW)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (raw(HEADER, good(), OTHER), "its signature is wrong"),
        (raw({"alg": "none"}, good(), None), "signed by 'none', not HS256"),
        (raw({"alg": "None"}, good(), None), "signed by 'None'"),
        (raw({"alg": "HS512"}, good()), "signed by 'HS512'"),
        (raw({"alg": "RS256"}, good()), "signed by 'RS256'"),
        (raw({}, good()), "signed by None"),
        (raw({**HEADER, "crit": ["b64"]}, good()), "extensions"),
        (raw(HEADER, good(exp=NOW)), "it has expired"),
        (raw(HEADER, good(exp="tomorrow")), "`exp` is no number"),
        (raw(HEADER, good(exp=True)), "`exp` is no number"),
        (raw(HEADER, {k: v for k, v in good().items() if k != "exp"}), "`exp` is no number"),
        (raw(HEADER, good(nbf=NOW + 1)), "not valid yet"),
        (raw(HEADER, good(nbf="x")), "`nbf` is no number"),
        (raw(HEADER, good(iss="else")), "`iss`"), (raw(HEADER, good(iss=["moodle"])), "`iss`"),
        (raw(HEADER, good(aud="else")), "`aud`"), (raw(HEADER, good(aud=["jitsi"])), "`aud`"),
        (raw(HEADER, good(sub="other.example.edu")), "`sub`"), (raw(HEADER, good(sub=None)), "`sub`"),
        (raw(HEADER, good(room=None)), "`room`"), (raw(HEADER, good(room="")), "`room`"),
        (raw(HEADER, [1]), "no JSON object"), (raw(HEADER, "bm90IGpzb24"), "no JSON"),
        (raw(HEADER, _jwt.encode(b'{"iss": "moodle", "iss": "x"}')), "twice"),
        (raw(_jwt.encode(b'{"alg": "HS256", "alg": "none"}'), good()), "twice"),
        ("a.b", "three parts"), ("", "three parts"), ("a.b.c.d", "three parts"), (None, "three parts"), ("!.b.c", "no base64url"),
    ],
)
def test_what_breaks_a_rule_is_refused(token, said):
    with pytest.raises(TokenError, match=said):
        verify(token, RULES, NOW)


def test_keys_are_not_confused(key):
    """A token signed with the public key as a secret (RFC 8725, 2.1), by another key, and by a key that nobody knows."""
    rules = Rules(issuers=["moodle"], audiences=["jitsi"], domain=DOMAIN, public_keys={"one": public(key)})
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(TokenError, match="not RS256"):
        verify(raw({"alg": "HS256", "kid": "one"}, good(), public(key)), rules, NOW)
    with pytest.raises(TokenError, match="signature is wrong"):
        verify(_jwt.sign(good(), private_key=private(other), kid="one"), rules, NOW)
    for kid in ("two", "../one", ""):
        with pytest.raises(TokenError, match="no key has its id"):
            verify(_jwt.sign(good(), private_key=private(key), kid=kid), rules, NOW)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"secret": "short"}, "shorter than 32 bytes"), ({"secret": None}, "either a secret"), ({"private_key": "x"}, "either a secret"),
        ({"secret": None, "private_key": "no PEM"}, "no PEM"), ({"app_id": ""}, "app_id is empty"), ({"domain": " "}, "domain is empty"),
        ({"lifetime": 0}, "lifetime is 0"), ({"lifetime": True}, "lifetime"), ({"lifetime": 10**9}, "which is a year"), ({"lifetime": "60"}, "lifetime"),
        ({"user": "ana"}, "user is no dictionary"), ({"user": {"moderator": "yes"}}, "user.moderator is neither"),
        ({"features": {"recording": "yes"}}, "features is no dictionary"), ({"lifetme": 5}, "lifetme is no option: did you mean `lifetime`"),
    ],
)
def test_what_cannot_be_made_is_said(options, said):
    with pytest.raises(AnsibleFilterError) as error:
        jwt("algebra", **{**PLAIN, **options})
    assert said in str(error.value) and "short" not in str(error.value).replace("shorter", "") and SECRET not in str(error.value)


def test_claims_of_ones_own_are_signed_as_they_are():
    assert verify(jwt(good(extra=[1]), secret=SECRET), RULES, NOW)["extra"] == [1]
    with pytest.raises(AnsibleFilterError, match="put it into the claims"):
        jwt(good(), secret=SECRET, lifetime=5)
    with pytest.raises(AnsibleFilterError, match="domain is missing"):
        jwt("algebra", secret=SECRET, app_id="moodle")
    with pytest.raises(AnsibleFilterError, match="are not JSON"):
        jwt({"a": {1, 2}}, secret=SECRET)


def test_weak_and_other_keys_are_refused(key):
    weak, curve = rsa.generate_private_key(public_exponent=65537, key_size=1024), ec.generate_private_key(ec.SECP256R1())
    for bad in (weak, curve):
        with pytest.raises(TokenError, match="no RSA key of 2048 bits"):
            _jwt.sign(good(), private_key=private(bad))
    assert _jwt.public_problem(public(key)) is None
    assert "1024 bits" in _jwt.public_problem(public(weak)) and "no RSA key" in _jwt.public_problem(public(curve))
    assert "private key" in _jwt.public_problem(private(key)) and _jwt.public_problem(None) == "it is no text"


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.strip)


@given(room=TEXT, name=TEXT, lifetime=st.integers(1, 10**6), late=st.integers(-20, 10**6 + 20))
def test_a_token_is_good_for_its_time_and_no_longer(room, name, lifetime, late):
    token = jwt(room, user={"name": name}, lifetime=lifetime, **PLAIN)
    if -_jwt.LEEWAY <= late < lifetime:
        found = verify(token, RULES, NOW + late)
        assert (found["room"], found["context"]["user"]["name"]) == (room, name)
    else:
        with pytest.raises(TokenError):
            verify(token, RULES, NOW + late)


@settings(max_examples=300)
@given(st.data())
def test_a_token_with_another_letter_is_refused(data):
    token = jwt("algebra", **PLAIN)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_.=+/ \n"))
    changed = token[:place] + letter + token[place + 1:]
    if changed != token:
        with pytest.raises(TokenError):
            verify(changed, RULES, NOW)


JSON = st.recursive(st.none() | st.booleans() | st.integers(-5, 2 * NOW) | st.text(max_size=8) | st.just("moodle") | st.just("jitsi") | st.just(DOMAIN),
                    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["user", "moderator", "affiliation"]), inner, max_size=2),
                    max_leaves=6)
CLAIMS = st.dictionaries(st.sampled_from(["iss", "aud", "sub", "room", "exp", "nbf", "context"]), JSON)
KEYS = st.sampled_from([SECRET, OTHER, ""])


@settings(max_examples=500)
@given(changes=CLAIMS, algorithm=st.sampled_from(["HS256", "none", "RS256", "hs256"]), secret=KEYS)
def test_whoever_is_an_owner_keeps_every_rule(changes, algorithm, secret):
    """No token that is not valid by the rules yields an owner, whatever is in it; said once more in other words."""
    claims = {**good(context={"user": {"moderator": True}}), **changes}
    try:
        found = verify(raw({"alg": algorithm}, claims, secret), RULES, NOW)
    except TokenError:
        return
    assert algorithm == "HS256" and secret == SECRET and found == claims
    assert claims["iss"] == "moodle" and claims["aud"] == "jitsi" and claims["sub"] in (DOMAIN, "*") and claims["room"]
    assert claims["exp"] > NOW and (claims.get("nbf") is None or claims["nbf"] <= NOW)
