# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON Web Tokens (RFC 7519) as Jitsi's Prosody modules take them: making them, and judging them. Pure functions.

The judge is here for tests and for those who wonder why a token is refused; on hosts, Jitsi's own module decides.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import re
import typing as t

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    HAS_CRYPTOGRAPHY = True
except ImportError:  # said by the module validate
    HAS_CRYPTOGRAPHY = False

#: Bytes of a key for HS256 (RFC 7518, section 3.2), and bits of one for RS256 (section 3.3).
SHORTEST_SECRET, SHORTEST_RSA = 32, 2048
#: Seconds. A link for a whole term is still possible; one for a lifetime is a mistake.
LONGEST_LIFETIME = 366 * 24 * 3600
#: Seconds that a token is good before it was made, for clocks that are behind.
LEEWAY = 10
#: What makes a moderator of somebody (upstream's mod_token_affiliation).
TEACHES = ("owner", "moderator", "teacher")


class TokenError(ValueError):
    """A token cannot be made, or is refused; the message is half a sentence and shows no key."""


# --- making --------------------------------------------------------------------------------------------------------


def encode(data: bytes) -> str:
    """Bytes as a part of a token (RFC 7515, section 2).

    >>> encode(b"\\xff\\xfe")
    '__4'
    """
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(room: str, *, app_id: str, audience: str, domain: str, user: t.Mapping[str, t.Any] | None = None,
           features: t.Mapping[str, bool] | None = None, lifetime: int = 3600, now: int = 0) -> dict[str, t.Any]:
    """What a token says.

    :param user: of `id`, `name`, `email`, `avatar`, `moderator` (and whatever else your modules read)
    :param features: what the holder may do, such as ``{"recording": True}``; without any, his role decides
    :param lifetime: seconds
    :param now: seconds since 1970

    >>> claims("*", app_id="a", audience="jitsi", domain="x.edu", lifetime=60, now=1000)["exp"]
    1060

    :raises TokenError: something is empty, of another type, or too much
    """
    for name, text in (("the room", room), ("app_id", app_id), ("audience", audience), ("domain", domain)):
        if not isinstance(text, str) or not text.strip():
            raise TokenError(f"{name} is empty or no text")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or not 0 < lifetime <= LONGEST_LIFETIME:
        raise TokenError(f"lifetime is {lifetime!r}: give seconds from 1 to {LONGEST_LIFETIME}, which is a year")
    found: dict[str, t.Any] = {"iss": app_id, "aud": audience, "sub": domain, "room": room, "nbf": now - LEEWAY, "iat": now, "exp": now + lifetime}
    context: dict[str, t.Any] = {}
    if user is not None:
        if not isinstance(user, t.Mapping) or not all(isinstance(key, str) for key in user):
            raise TokenError("user is no dictionary of names")
        if not isinstance(user.get("moderator", False), bool):
            raise TokenError("user.moderator is neither true nor false")
        context["user"] = dict(user)
        if "moderator" in user:
            context["user"].setdefault("affiliation", "owner" if user["moderator"] else "member")
    if features is not None:
        if not isinstance(features, t.Mapping) or not all(isinstance(value, bool) for value in features.values()):
            raise TokenError("features is no dictionary of true and false")
        context["features"] = dict(features)
    return {**found, "context": context} if context else found


def sign(payload: t.Mapping[str, t.Any], *, secret: str | None = None, private_key: str | None = None, kid: str = "") -> str:
    """A token (RFC 7515, section 3.1) with these claims, by HS256 with a secret or by RS256 with a private key in PEM.

    :raises TokenError: there are both keys or none, or it is too weak, or cannot be read
    """
    if bool(secret) == bool(private_key):
        raise TokenError("give either a secret (HS256) or a private_key (RS256)")
    header: dict[str, str] = {"alg": "HS256" if secret else "RS256", "typ": "JWT"}
    if kid:
        header["kid"] = kid
    try:
        signed = ".".join(encode(json.dumps(part, separators=(",", ":"), allow_nan=False).encode()) for part in (header, payload))
    except (TypeError, ValueError) as error:
        raise TokenError(f"the claims are not JSON ({error})") from None
    if secret:
        problem = secret_problem(secret)
        if problem:
            raise TokenError(problem)
        return f"{signed}.{encode(_hmac(secret, signed))}"
    try:
        key = serialization.load_pem_private_key(str(private_key).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TokenError("the private key is no PEM without a passphrase") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < SHORTEST_RSA:
        raise TokenError(f"the private key is no RSA key of {SHORTEST_RSA} bits or more")
    return f"{signed}.{encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def secret_problem(secret: t.Any) -> str | None:
    """What is wrong with a secret for HS256; it is not shown.

    >>> secret_problem("short")
    'the secret is shorter than 32 bytes, which HS256 needs (RFC 7518, 3.2)'
    """
    if not isinstance(secret, str):
        return "the secret is no text"
    if len(secret.encode()) < SHORTEST_SECRET:
        return f"the secret is shorter than {SHORTEST_SECRET} bytes, which HS256 needs (RFC 7518, 3.2)"
    return None


def public_problem(pem: t.Any) -> str | None:
    """What is wrong with a public key for RS256, as PEM text.

    >>> public_problem("no key")
    'it is no PEM of a public key'
    """
    if not isinstance(pem, str) or "PRIVATE KEY" in pem:
        return "it is a private key: give the public one" if isinstance(pem, str) else "it is no text"
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return "it is no PEM of a public key"
    if not isinstance(key, rsa.RSAPublicKey):
        return "it is no RSA key, and RS256 needs one"
    return f"it has {key.key_size} bits: take {SHORTEST_RSA} or more" if key.key_size < SHORTEST_RSA else None


def _hmac(secret: str, signed: str) -> bytes:
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()


# --- judging -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Rules:
    """What an installation takes. One of ``secrets`` and ``public_keys`` (PEM by `kid`) is empty."""

    issuers: t.Sequence[str]
    audiences: t.Sequence[str]
    domain: str
    secrets: t.Sequence[str] = ()
    public_keys: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    check_domain: bool = True


def verify(token: str, rules: Rules, now: int) -> dict[str, t.Any]:
    """The claims of a token that the rules allow at a time.

    :raises TokenError: it is refused; the message says why
    """
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        raise TokenError("it has not three parts")
    header, payload = _object(parts[0], "the header"), _object(parts[1], "the payload")
    wanted = "RS256" if rules.public_keys else "HS256"
    # The algorithm is the installation's, not the token's: else `none`, or HS256 with a public key as its secret, would do.
    if header.get("alg") != wanted:
        raise TokenError(f"it is signed by {header.get('alg')!r}, not {wanted}")
    if "crit" in header:
        raise TokenError("its header has extensions that nobody here knows (RFC 7515, 4.1.11)")
    signed, signature = f"{parts[0]}.{parts[1]}", decode(parts[2], "the signature")
    if rules.public_keys:
        kid = header.get("kid")
        if not isinstance(kid, str) or kid not in rules.public_keys:
            raise TokenError("no key has its id")
        key = t.cast("rsa.RSAPublicKey", serialization.load_pem_public_key(rules.public_keys[kid].encode()))
        try:
            key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise TokenError("its signature is wrong") from None
    elif not any(hmac.compare_digest(_hmac(secret, signed), signature) for secret in rules.secrets):
        raise TokenError("its signature is wrong")
    _check_claims(payload, rules, now)
    return payload


def _check_claims(payload: t.Mapping[str, t.Any], rules: Rules, now: int) -> None:
    for name in ("exp", "nbf"):
        value = payload.get(name)
        if (value is not None or name == "exp") and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise TokenError(f"`{name}` is no number")
    if payload["exp"] <= now:
        raise TokenError("it has expired")
    if payload.get("nbf") is not None and payload["nbf"] > now:
        raise TokenError("it is not valid yet")
    if not isinstance(payload.get("iss"), str) or payload["iss"] not in rules.issuers:
        raise TokenError("`iss` is not one that is taken")
    if "*" not in rules.audiences and not (isinstance(payload.get("aud"), str) and payload["aud"] in rules.audiences):
        raise TokenError("`aud` is not one that is taken")
    if not isinstance(payload.get("room"), str) or not payload["room"]:
        raise TokenError("`room` is not there")
    if rules.check_domain and payload.get("sub") not in (rules.domain, "*"):
        raise TokenError("`sub` is another domain")


def decode(text: str, what: str) -> bytes:
    """A part of a token, in the one form that there is for it.

    :raises TokenError: it is not base64url, or ends in bits that mean nothing
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise TokenError(f"{what} is no base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise TokenError(f"{what} is no base64url") from None
    if encode(data) != text:
        raise TokenError(f"{what} is no base64url in its one form")
    return data


def _object(part: str, what: str) -> dict[str, t.Any]:
    def once(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        if len({key for key, _value in pairs}) != len(pairs):
            raise TokenError(f"{what} says something twice")
        return dict(pairs)

    try:
        found = json.loads(decode(part, what).decode("utf-8"), object_pairs_hook=once)
    except TokenError:
        raise
    except (ValueError, RecursionError):
        raise TokenError(f"{what} is no JSON") from None
    if not isinstance(found, dict):
        raise TokenError(f"{what} is no JSON object")
    return found


def moderates(payload: t.Mapping[str, t.Any]) -> bool:
    """Whether whoever holds a valid token with these claims is an owner of his room.

    >>> moderates({"context": {"user": {"affiliation": "teacher"}}}), moderates({"moderator": True})
    (True, False)
    """
    context = payload.get("context")
    user = context.get("user") if isinstance(context, dict) else None
    if not isinstance(user, dict):
        return False
    return user.get("affiliation") in TEACHES or user.get("moderator") is True or user.get("moderator") == "true"
