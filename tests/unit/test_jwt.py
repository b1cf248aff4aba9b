# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: what is made is taken, and what breaks a rule is refused, whichever rule."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import hmac
import json
import subprocess

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.jitsi.plugins.filter.jwt import jwt
from ansible_collections.campus.jitsi.plugins.plugin_utils import _jwt
from ansible_collections.campus.jitsi.plugins.plugin_utils._jwt import Rules, TokenError, verify
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
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


@functools.cache
def pairs():
    """Two keys, made once."""
    return [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _number in range(2)]


@pytest.fixture(scope="module")
def key():
    return pairs()[0]


def raw(header, payload, secret: str | None = SECRET) -> str:
    """A token with anything in it."""
    parts = [part if isinstance(part, str) else _jwt.encode(json.dumps(part).encode()) for part in (header, payload)]
    text = ".".join(parts)
    return f"{text}.{_jwt.encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()) if secret else ''}"


def good(**more):
    return {"iss": "moodle", "aud": "jitsi", "sub": DOMAIN, "room": "algebra", "exp": NOW + 60, **more}


HEADER = {"alg": "HS256", "typ": "JWT"}
#: What appendices A.1 and A.2 of RFC 7515 sign.
JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#: The public key of A.2, and its signature.
A2_MODULUS = (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZ"
    "o9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
    "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")
A2_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrn"
    "byTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98r"
    "qVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw")


def test_hs256_is_rfc_7515():
    """Appendix A.1, whose header and payload have line breaks in them."""
    secret = base64.urlsafe_b64decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==")
    signed = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}"
    assert _jwt.encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest()) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert _jwt._object(signed.split(".")[1], "it") == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def test_rs256_is_rfc_7515():
    """Appendix A.2."""
    numbers = rsa.RSAPublicNumbers(65537, int.from_bytes(_jwt.decode(A2_MODULUS, "it"), "big"))
    pem = numbers.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    rules, signature = Rules(issuers=["joe"], audiences=["*"], domain="x", public_keys={"": pem}), _jwt.decode(A2_SIGNATURE, "it")
    assert _jwt.signed_by(f"eyJhbGciOiJSUzI1NiJ9.{JOE}", signature, rules, "")
    assert not _jwt.signed_by(f"eyJhbGciOiJSUzI1NiJ9.{JOE[:-1]}R", signature, rules, "")


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
        (raw({}, good()), "signed by None"), (raw({"alg": ["HS256"]}, good()), "signed by"),
        (raw({"alg": "HS256"}, good()), "`typ` is not JWT"), (raw({**HEADER, "typ": "at+jwt"}, good()), "`typ` is not JWT"),
        (raw({**HEADER, "crit": ["b64"]}, good()), "extensions"),
        (raw(HEADER, good(exp=NOW)), "it has expired"),
        (raw(HEADER, good(exp="tomorrow")), "`exp` is no number"),
        (raw(HEADER, good(exp=True)), "`exp` is no number"),
        (raw(HEADER, {k: v for k, v in good().items() if k != "exp"}), "`exp` is no number"),
        *((raw(HEADER, _jwt.encode(json.dumps(good()).replace(f"{NOW + 60}", end).encode())), "a number that is none")
          for end in ("NaN", "Infinity", "-Infinity", "1e999")),
        (raw(HEADER, good(nbf=NOW + 1)), "not valid yet"),
        (raw(HEADER, good(nbf="x")), "`nbf` is no number"),
        (raw(HEADER, good(iss="else")), "`iss`"), (raw(HEADER, good(iss=["moodle"])), "`iss`"),
        (raw(HEADER, good(aud="else")), "`aud`"), (raw(HEADER, good(aud=["jitsi"])), "`aud`"),
        (raw(HEADER, good(sub="other.example.edu")), "`sub`"), (raw(HEADER, good(sub=None)), "`sub`"),
        (raw(HEADER, good(sub=[DOMAIN])), "`sub`"),
        (raw(HEADER, good(room=None)), "`room`"), (raw(HEADER, good(room="")), "`room`"), (raw(HEADER, good(room=["a"])), "`room`"),
        (raw(HEADER, good(context=[])), "`context` is no object"), (raw(HEADER, good(context={"user": "owner"})), "`context.user` is no object"),
        (raw(HEADER, good(context={"features": ["recording"]})), "`context.features` is no object"),
        (raw(HEADER, [1]), "no JSON object"), (raw(HEADER, "bm90IGpzb24"), "no JSON"),
        (raw(HEADER, _jwt.encode(b'{"iss": "moodle", "iss": "x"}')), "twice"),
        (raw(_jwt.encode(b'{"alg": "HS256", "alg": "none"}'), good()), "twice"),
        ("a.b", "three parts"), ("", "three parts"), ("a.b.c.d", "three parts"), (None, "three parts"), ("!.b.c", "no base64url"),
    ],
)
def test_what_breaks_a_rule_is_refused(token, said):
    with pytest.raises(TokenError, match=said):
        verify(token, RULES, NOW)


@pytest.mark.parametrize("end", ["=", "==", "\n", " ", "\u00c4"])
def test_a_part_has_one_form(end):
    """Of the last letter of a signature of 32 bytes 4 bits count: else a token that is on a list of bad ones would come back in another spelling."""
    token = raw(HEADER, good())
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + letters[letters.index(token[-1]) + 1]
    assert base64.urlsafe_b64decode(twin.split(".")[2] + "=") == base64.urlsafe_b64decode(token.split(".")[2] + "=")
    for text, said in ((twin, "in its one form"), (token + end, "no base64url"), (token.replace(".", f"{end}.", 1), "no base64url|no JSON")):
        with pytest.raises(TokenError, match=said):
            verify(text, RULES, NOW)


def test_what_the_rules_leave_open():
    """A room where none is asked for, and any domain; but never one of another type, or none."""
    free = dataclasses.replace(RULES, require_room=False, check_domain=False)
    found = {name: value for name, value in good(sub="elsewhere").items() if name != "room"}
    assert verify(raw(HEADER, found), free, NOW) == found
    for bad in ({**found, "room": ""}, {**found, "room": 5}, {**found, "sub": ""}, {name: value for name, value in found.items() if name != "sub"}):
        with pytest.raises(TokenError, match="is not there"):
            verify(raw(HEADER, bad), free, NOW)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"secrets": []}, "either secrets or public keys"), ({"public_keys": {"one": "x"}}, "either secrets or public keys"),
        ({"secrets": [""]}, "shorter than 32 bytes"), ({"secrets": [SECRET, "short"]}, "shorter than 32 bytes"), ({"secrets": SECRET}, "no list"),
        ({"issuers": "moodle"}, "no list"), ({"audiences": "jitsi"}, "no list"), ({"secrets": [], "public_keys": {"one": "no key"}}, "no PEM"),
    ],
)
def test_rules_that_would_let_others_in_are_refused(change, said):
    with pytest.raises(TokenError, match=said):
        dataclasses.replace(RULES, **change)


def test_keys_are_not_confused(key):
    """A token signed with the public key as a secret (RFC 8725, 2.1), by another key, and by a key that nobody knows."""
    rules = Rules(issuers=["moodle"], audiences=["jitsi"], domain=DOMAIN, public_keys={"one": public(key)})
    other = pairs()[1]
    with pytest.raises(TokenError, match="not RS256"):
        verify(raw({"alg": "HS256", "kid": "one"}, good(), public(key)), rules, NOW)
    with pytest.raises(TokenError, match="signature is wrong"):
        verify(_jwt.sign(good(), private_key=private(other), kid="one"), rules, NOW)
    for kid in ("two", "../one", ""):
        with pytest.raises(TokenError, match="no key has its id"):
            verify(_jwt.sign(good(), private_key=private(key), kid=kid), rules, NOW)
    for number in (1, None, ["one"]):
        token = raw({"alg": "RS256", "typ": "JWT", "kid": number}, good())
        with pytest.raises(TokenError, match="no key has its id"):
            verify(token, rules, NOW)
    for pem in (public(key), private(key)):
        assert "PEM" in _jwt.secret_problem(pem)
        with pytest.raises(TokenError, match="in PEM"):
            dataclasses.replace(RULES, secrets=[pem])
        with pytest.raises(AnsibleFilterError, match="in PEM"):
            jwt("a", **{**PLAIN, "secret": pem})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"secret": "short"}, "shorter than 32 bytes"), ({"secret": None}, "either a secret"), ({"private_key": "x"}, "either a secret"),
        ({"secret": None, "private_key": "no PEM"}, "no PEM"), ({"app_id": ""}, "app_id is empty"), ({"domain": " "}, "domain is empty"),
        ({"lifetime": 0}, "lifetime is 0"), ({"lifetime": True}, "lifetime"), ({"lifetime": 10**9}, "which is a year"), ({"lifetime": "60"}, "lifetime"),
        ({"user": "ana"}, "user is no dictionary"), ({"user": {"moderator": "yes"}}, "user.moderator is neither"),
        ({"features": {"recording": "yes"}}, "features is no dictionary"), ({"features": {1: True}}, "features is no dictionary"),
        ({"lifetme": 5}, "lifetme is no option: did you mean `lifetime`?"), ({"colour": 5}, "colour is no option."),
        ({"user": {"moderator": False, "affiliation": "teacher"}}, "contradict each other"),
        ({"user": {"moderator": True, "affiliation": "member"}}, "contradict each other"), ({"user": {"name": {1: 2}}}, "a name is no text"),
        ({"user": {"name": "\ud800"}}, "no Unicode"), ({"now": "1"}, "now is no whole number"), ({"now": True}, "now is no"), ({"kid": 5}, "kid is no text"),
        ({"secret": 5}, "the secret is no text"), ({"secret": b"s" * 32}, "the secret is no text"), ({"secret": "\ud800" * 32}, "the secret is no text"),
        ({"secret": "", "private_key": 5}, "no PEM"), ({"secret": None, "private_key": "\ud800"}, "no PEM"), ({"audience": ["a"]}, "audience is empty or no"),
    ],
)
def test_what_cannot_be_made_is_said(options, said):
    with pytest.raises(AnsibleFilterError) as error:
        jwt("algebra", **{**PLAIN, **options})
    message = str(error.value)
    assert said in message and "short" not in message.replace("shorter", "") and SECRET not in message
    assert message.startswith("campus.jitsi.jwt: ") and message.endswith((".", "?")) and "\n" not in message and error.value.__cause__ is None


def test_claims_of_ones_own_are_signed_as_they_are():
    assert verify(jwt(good(extra=[1]), secret=SECRET), RULES, NOW)["extra"] == [1]
    with pytest.raises(AnsibleFilterError, match="put it into the claims"):
        jwt(good(), secret=SECRET, lifetime=5)
    with pytest.raises(AnsibleFilterError, match="domain is missing"):
        jwt("algebra", secret=SECRET, app_id="moodle")
    endless: list = []
    endless.append(endless)
    for bad in ({"a": {1, 2}}, {"a": float("nan")}, {"a": float("inf")}, {1: "a", "1": "b"}, {"a": endless}, {"\udfff": 1}):
        with pytest.raises(AnsibleFilterError, match="are not JSON"):
            jwt(bad, secret=SECRET)
    for bad in (None, 5, ["algebra"], "", " "):
        with pytest.raises(AnsibleFilterError, match="the room is empty or no text"):
            jwt(bad, **PLAIN)


def test_a_clock_that_is_a_little_late_takes_a_new_token():
    token = jwt("a", **PLAIN)
    assert verify(token, RULES, NOW - _jwt.LEEWAY)
    with pytest.raises(TokenError, match="not valid yet"):
        verify(token, RULES, NOW - _jwt.LEEWAY - 1)


def test_without_cryptography_hs256_works(key, monkeypatch):
    """The controller needs the package for RS256 only, and that is said."""
    monkeypatch.setattr(_jwt, "HAS_CRYPTOGRAPHY", False)
    assert verify(jwt("a", **PLAIN), RULES, NOW)
    with pytest.raises(AnsibleFilterError, match="package cryptography"):
        jwt(good(), private_key=private(key))
    assert "package cryptography" in _jwt.public_problem(public(key))


def test_a_key_with_a_passphrase_is_refused_and_not_shown(key):
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")).decode()
    with pytest.raises(AnsibleFilterError, match="without a passphrase") as error:
        jwt(good(), private_key=locked)
    assert "BEGIN" not in str(error.value)


def test_weak_and_other_keys_are_refused(key):
    weak, curve = rsa.generate_private_key(public_exponent=65537, key_size=1024), ec.generate_private_key(ec.SECP256R1())
    for bad in (weak, curve):
        with pytest.raises(TokenError, match="no RSA key of 2048 bits"):
            _jwt.sign(good(), private_key=private(bad))
    assert _jwt.public_problem(public(key)) is None
    assert "1024 bits" in _jwt.public_problem(public(weak)) and "no RSA key" in _jwt.public_problem(public(curve))
    assert "private key" in _jwt.public_problem(private(key)) and _jwt.public_problem(None) == "it is no text"
    assert "certificate" in _jwt.public_problem("-----BEGIN CERTIFICATE-----\n") and "no PEM" in _jwt.public_problem(public(key)[:-60])
    assert "no PEM" in _jwt.public_problem("") and "no PEM" in _jwt.public_problem("\ud800")


@pytest.mark.parametrize(
    ("context", "owns"),
    [
        *(({"user": {"affiliation": word}}, True) for word in ("owner", "moderator", "teacher")),
        *(({"user": {"moderator": word}}, True) for word in (True, "true")),
        *(({"user": {"affiliation": word}}, False) for word in ("member", "student", "Owner", "", None, True, ["owner"], {"owner": 1})),
        *(({"user": {"moderator": word}}, False) for word in (False, "false", "True", "yes", 1, 1.0, None, [True])),
        *((context, False) for context in (None, [], "owner", {}, {"user": None}, {"user": "owner"}, {"moderator": True}, {"user": []})),
        ({"features": {"recording": True}}, False), ({"user": {"role": "teacher"}}, False), ({"user": {"affiliation": "member", "moderator": True}}, True),
    ],
)
def test_who_moderates(context, owns):
    assert _jwt.moderates({"context": context}) is owns


@functools.cache
def by_secret():
    return jwt("algebra", **PLAIN), RULES


@functools.cache
def by_key():
    key = pairs()[0]
    return _jwt.sign(good(), private_key=private(key), kid="one"), Rules(issuers=["moodle"], audiences=["*"], domain=DOMAIN, public_keys={"one": public(key)})


TOKENS = [by_secret, by_key]
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


# The first one makes a key.
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_token_with_another_letter_is_refused(data):
    """Put in, taken out, or changed: anywhere, to anything, with either algorithm."""
    token, rules = data.draw(st.sampled_from(TOKENS))()
    place, more = data.draw(st.integers(0, len(token))), data.draw(st.integers(0, 2))
    letters = data.draw(st.text(st.sampled_from("ABCXYZabcxyz0189-_.=+/ \n\x00\u00e4"), max_size=3))
    changed = token[:place] + letters + token[place + more:]
    if changed != token:
        with pytest.raises(TokenError):
            verify(changed, rules, NOW)


def test_a_token_with_one_other_bit_is_refused():
    """All of them: each letter of a token with each bit of it changed."""
    token = jwt("algebra", user={"moderator": False}, **PLAIN)
    for place, letter in enumerate(token):
        for bit in range(7):
            changed = token[:place] + chr(ord(letter) ^ 1 << bit) + token[place + 1:]
            with pytest.raises(TokenError):
                verify(changed, RULES, NOW)


JSON = st.recursive(st.none() | st.booleans() | st.integers(-5, 2 * NOW) | st.text(max_size=8) | st.just("moodle") | st.just("jitsi") | st.just(DOMAIN),
                    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["user", "moderator", "affiliation"]), inner, max_size=2),
                    max_leaves=6)
CLAIMS = st.dictionaries(st.sampled_from(["iss", "aud", "sub", "room", "exp", "nbf", "context"]), JSON)
KEYS = st.sampled_from([SECRET, OTHER, ""])
ANY_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
                        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8)


@given(more=st.dictionaries(TEXT, ANY_JSON, max_size=4), kid=TEXT | st.just(""))
def test_what_is_signed_is_what_is_read(more, kid):
    claims = good(more=more)
    assert verify(jwt(claims, secret=SECRET, kid=kid), RULES, NOW) == claims


@given(junk=st.text(st.characters(), max_size=60) | st.binary(max_size=60) | ANY_JSON | st.lists(st.binary(max_size=30), min_size=3, max_size=3))
def test_whatever_is_no_token_is_refused_with_a_reason(junk):
    """Nothing but a TokenError comes of it."""
    if isinstance(junk, list) and all(isinstance(part, bytes) for part in junk):
        junk = ".".join(_jwt.encode(part) for part in junk)
    with pytest.raises(TokenError):
        verify(junk, RULES, NOW)


@settings(max_examples=500)
@given(changes=CLAIMS, algorithm=st.sampled_from(["HS256", "HS256", "none", "RS256", "hs256"]), secret=KEYS)
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
    context = claims["context"]
    assert _jwt.moderates(found) == bool(context and context.get("user") and (
        str(context["user"].get("affiliation")) in _jwt.TEACHES or context["user"].get("moderator") in ("true", True)))


@settings(max_examples=100)
@given(data=st.data(), changes=CLAIMS)
def test_whoever_is_an_owner_by_public_keys_keeps_every_rule(data, changes):
    """The same with RS256: signed by the key that its id names, and by nothing else that somebody outside has."""
    mine, other = pairs()
    claims = {**good(context={"user": {"moderator": True}}), **changes}
    kid, how = data.draw(st.sampled_from(["one", "two", "", None])), data.draw(st.sampled_from(["mine", "other", "public key", "none"]))
    header = {"alg": data.draw(st.sampled_from(["RS256", "RS256", "HS256", "none"])), "typ": "JWT", **({} if kid is None else {"kid": kid})}
    if how in ("mine", "other"):
        signed = ".".join(_jwt.encode(json.dumps(part).encode()) for part in (header, claims))
        signature = (mine if how == "mine" else other).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        token = f"{signed}.{_jwt.encode(signature)}"
    else:
        token = raw(header, claims, public(mine) if how == "public key" else None)
    try:
        found = verify(token, Rules(issuers=["moodle"], audiences=["jitsi"], domain=DOMAIN, public_keys={"one": public(mine), "two": public(other)}), NOW)
    except TokenError:
        return
    assert (header["alg"], kid, how) in (("RS256", "one", "mine"), ("RS256", "two", "other")) and found == claims
    assert claims["iss"] == "moodle" and claims["aud"] == "jitsi" and claims["sub"] in (DOMAIN, "*") and claims["room"] and claims["exp"] > NOW
