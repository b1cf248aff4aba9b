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
import math
import re
import typing as t

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    HAS_CRYPTOGRAPHY = True
except ImportError:  # said where a key of RSA is used; HS256 does without
    HAS_CRYPTOGRAPHY = False

#: Bytes of a key for HS256 (RFC 7518, section 3.2), and bits of one for RS256 (section 3.3).
SHORTEST_SECRET, SHORTEST_RSA = 32, 2048
#: Seconds. A link for a whole term is still possible; one for a lifetime is a mistake.
LONGEST_LIFETIME = 366 * 24 * 3600
#: Seconds that a token is good before it was made, for clocks that are behind.
LEEWAY = 10
#: What makes a moderator of somebody (upstream's mod_token_affiliation).
TEACHES = ("owner", "moderator", "teacher")
NO_CRYPTOGRAPHY = "the Python package cryptography, which RS256 needs, is not there"


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
    >>> claims("*", app_id="a", audience="jitsi", domain="x.edu", user={"moderator": False})["context"]
    {'user': {'moderator': False, 'affiliation': 'member'}}

    :raises TokenError: something is empty, of another type, or too much
    """
    for name, text in (("the room", room), ("app_id", app_id), ("audience", audience), ("domain", domain)):
        if not isinstance(text, str) or not text.strip():
            raise TokenError(f"{name} is empty or no text")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or not 0 < lifetime <= LONGEST_LIFETIME:
        raise TokenError(f"lifetime is {lifetime!r}: give seconds from 1 to {LONGEST_LIFETIME}, which is a year")
    if isinstance(now, bool) or not isinstance(now, int):
        raise TokenError("now is no whole number of seconds")
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
            # Jitsi's module takes either for a yes: a student with `affiliation: teacher` would be an owner.
            if (context["user"]["affiliation"] in TEACHES) != user["moderator"]:
                raise TokenError("user.moderator and user.affiliation contradict each other: leave one of them out")
    if features is not None:
        if not isinstance(features, t.Mapping) or not all(isinstance(key, str) and isinstance(value, bool) for key, value in features.items()):
            raise TokenError("features is no dictionary of true and false")
        context["features"] = dict(features)
    return {**found, "context": context} if context else found


def sign(payload: t.Mapping[str, t.Any], *, secret: str | None = None, private_key: str | None = None, kid: str = "") -> str:
    """A token (RFC 7515, section 3.1) with these claims, by HS256 with a secret or by RS256 with a private key in PEM.

    :raises TokenError: there are both keys or none, or it is too weak, or cannot be read
    """
    # An empty text is none: that is what an unset variable gives.
    if (secret in (None, "")) == (private_key in (None, "")):
        raise TokenError("give either a secret (HS256) or a private_key (RS256)")
    if not isinstance(kid, str):
        raise TokenError("kid is no text")
    by_secret = private_key in (None, "")
    problem = secret_problem(secret) if by_secret else None
    if problem:
        raise TokenError(problem)
    header = {"alg": "HS256" if by_secret else "RS256", "typ": "JWT", **({"kid": kid} if kid else {})}
    try:
        _check_json(payload)
        signed = ".".join(encode(json.dumps(part, separators=(",", ":"), allow_nan=False).encode()) for part in (header, payload))
    except (TypeError, ValueError, RecursionError) as error:
        raise TokenError(f"the claims are not JSON ({error})") from None
    if by_secret:
        return f"{signed}.{encode(_hmac(str(secret), signed))}"
    key = _private(private_key)
    return f"{signed}.{encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _private(pem: t.Any) -> rsa.RSAPrivateKey:
    if not HAS_CRYPTOGRAPHY:
        raise TokenError(NO_CRYPTOGRAPHY)
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None) if isinstance(pem, str) else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if key is None:
        raise TokenError("the private key is no PEM without a passphrase")
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < SHORTEST_RSA:
        raise TokenError(f"the private key is no RSA key of {SHORTEST_RSA} bits or more")
    return key


def _check_json(value: t.Any) -> None:
    """Python's encoder makes names of numbers, so that ``{1: "a", "1": "b"}`` would say something twice, and half characters."""
    if isinstance(value, str) and not _is_unicode(value):
        raise ValueError("a text is no Unicode")
    if isinstance(value, t.Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a name is no text")
        for pair in value.items():
            _check_json(pair)
    elif isinstance(value, (list, tuple)):
        for member in value:
            _check_json(member)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def secret_problem(secret: t.Any) -> str | None:
    """What is wrong with a secret for HS256; it is not shown.

    >>> secret_problem("short")
    'the secret is shorter than 32 bytes, which HS256 needs (RFC 7518, 3.2)'
    """
    if not isinstance(secret, str) or not _is_unicode(secret):
        return "the secret is no text"
    if "-----BEGIN " in secret:
        # Whoever has the public key could make tokens (RFC 8725, 2.1).
        return "the secret is a key in PEM, which is for RS256"
    if len(secret.encode()) < SHORTEST_SECRET:
        return f"the secret is shorter than {SHORTEST_SECRET} bytes, which HS256 needs (RFC 7518, 3.2)"
    return None


def public_problem(pem: t.Any) -> str | None:
    """What is wrong with a public key for RS256, as PEM text.

    >>> public_problem("no key")
    'it is no PEM of a public key'
    """
    if not HAS_CRYPTOGRAPHY:
        return NO_CRYPTOGRAPHY
    if not isinstance(pem, str):
        return "it is no text"
    for kind in ("private key", "certificate"):
        if f"{kind.upper()}-----" in pem:
            return f"it is a {kind}: give the public key"
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
    """What an installation takes. Either ``secrets`` (HS256) or ``public_keys`` (RS256, PEM by `kid`) are given.

    :raises TokenError: with these rules, others than the issuers could make tokens
    """

    issuers: t.Sequence[str]
    audiences: t.Sequence[str]
    domain: str
    secrets: t.Sequence[str] = ()
    public_keys: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    check_domain: bool = True
    require_room: bool = True

    def __post_init__(self) -> None:
        for name in ("issuers", "audiences", "secrets"):
            # `in` finds a part of a text, too.
            if isinstance(getattr(self, name), str):
                raise TokenError(f"{name} is a text, and no list")
        if bool(self.secrets) == bool(self.public_keys):
            raise TokenError("there are either secrets or public keys")
        problems = [*map(secret_problem, self.secrets), *map(public_problem, self.public_keys.values())]
        for problem in filter(None, problems):
            raise TokenError(problem)

    @property
    def algorithm(self) -> str:
        """The only one that is taken."""
        return "RS256" if self.public_keys else "HS256"


def verify(token: str, rules: Rules, now: int) -> dict[str, t.Any]:
    """The claims of a token that the rules allow at a time.

    :raises TokenError: it is refused; the message says why
    """
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        raise TokenError("it has not three parts")
    header, payload = _object(parts[0], "the header"), _object(parts[1], "the payload")
    # The algorithm is the installation's, not the token's: else `none`, or HS256 with a public key as its secret, would do.
    if header.get("alg") != rules.algorithm:
        raise TokenError(f"it is signed by {header.get('alg')!r}, not {rules.algorithm}")
    if header.get("typ") != "JWT":
        raise TokenError("its `typ` is not JWT")
    if "crit" in header:
        raise TokenError("its header has extensions that nobody here knows (RFC 7515, 4.1.11)")
    if not signed_by(f"{parts[0]}.{parts[1]}", decode(parts[2], "the signature"), rules, header.get("kid")):
        raise TokenError("its signature is wrong")
    _check_claims(payload, rules, now)
    return payload


def signed_by(signed: str, signature: bytes, rules: Rules, kid: t.Any = None) -> bool:
    """Whether one of the secrets, or the public key of this id, made a signature.

    :raises TokenError: there is no such key
    """
    if rules.algorithm == "HS256":
        return any(hmac.compare_digest(_hmac(secret, signed), signature) for secret in rules.secrets)
    if not isinstance(kid, str) or kid not in rules.public_keys:
        raise TokenError("no key has its id")
    key = t.cast("rsa.RSAPublicKey", serialization.load_pem_public_key(rules.public_keys[kid].encode()))
    try:
        key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


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
    room, domain, context = payload.get("room"), payload.get("sub"), payload.get("context")
    if (room is not None or rules.require_room) and not (isinstance(room, str) and room):
        raise TokenError("`room` is not there")
    if not (isinstance(domain, str) and domain):  # needed where it is not checked, too
        raise TokenError("`sub` is not there")
    if rules.check_domain and domain not in (rules.domain, "*"):
        raise TokenError("`sub` is another domain")
    for name, value in (("context", context), *((f"context.{key}", context.get(key)) for key in ("user", "features") if isinstance(context, dict))):
        if value is not None and not isinstance(value, dict):
            raise TokenError(f"`{name}` is no object")


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

    def finite(text: str) -> float:
        # NaN, Infinity, and 1e999, which is one: a token that ends then never ends.
        if not math.isfinite(float(text)):
            raise TokenError(f"{what} has a number that is none")
        return float(text)

    try:
        found = json.loads(decode(part, what).decode("utf-8"), object_pairs_hook=once, parse_float=finite, parse_constant=finite)
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
