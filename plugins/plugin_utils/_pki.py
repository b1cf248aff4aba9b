# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The installation's own certificate authority, what it issues, and checks of certificates that people bring.

All private keys of the authority and of what it issues are derived from the root key by a label, so no key file lies
on the controller and a lost host gets the same key again.

The authority signs an issuer for each certificate of each host, and the host renews the certificate with that by itself
(``module_utils/_certificates.py``). Who breaks into a host gets an issuer for the names that the host served anyway.
"""

from __future__ import annotations

import datetime
import glob
import hashlib
import ipaddress
import typing as t

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:  # said by _secrets.derive, which everything here needs first
    pass

from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import derive

CA_DAYS = 30 * 365
#: Without Ansible nobody renews an issuer: a host goes on for as long as its Debian release gets security fixes, five years.
ISSUER_DAYS = 5 * 365
#: A run renews an issuer that is a year old, so that whichever run was the last, there are four years after it.
ISSUER_RENEWAL = datetime.timedelta(days=365)
#: Clocks differ; a certificate is valid from an hour before it was made.
BACKDATE = datetime.timedelta(hours=1)
#: Order of NIST P-256 (SEC 2, section 2.4.2).
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class CertificateError(ValueError):
    """A certificate or key cannot be used; the message is one sentence."""


def derived_key(root: bytes, label: str, generation: int = 1) -> ec.EllipticCurvePrivateKey:
    """A P-256 key for ``label``. 256 bits reduced modulo the order less one; P-256's is so near 2^256 that the bias
    (2^-32) is of no use to anybody."""
    number = int.from_bytes(derive(root, label, generation), "big")
    return ec.derive_private_key(number % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def pem(item: t.Any) -> str:
    """A certificate or an (unencrypted, PKCS #8) private key as PEM text."""
    if hasattr(item, "public_bytes"):
        return item.public_bytes(serialization.Encoding.PEM).decode()
    return item.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def every_address() -> list[t.Any]:
    """All IP addresses, as name constraints write them: what permits names only says nothing of addresses (RFC 5280, section
    4.2.1.10), so they are excluded."""
    return [x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")]


def make_ca(root: bytes, domain: str, now: datetime.datetime) -> x509.Certificate:
    """A certificate of the authority, which may only sign names in ``domain`` (RFC 5280, section 4.2.1.10)."""
    key = derived_key(root, "tls/ca")
    mark = hashlib.sha256(root + b"ca").hexdigest()[:6]
    name = x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "campus.jitsi"),
        x509.NameAttribute(NameOID.COMMON_NAME, f"{domain} {mark} CA"[:64]),
    ])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints([x509.DNSName(domain)], every_address()), critical=True)
        .sign(key, hashes.SHA256())
    )


def check_ca(text: str, root: bytes, name: str) -> x509.Certificate:
    """The authority's certificate in ``text``.

    :raises CertificateError: it is none, or not that of this root key
    """
    try:
        ca = x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise CertificateError(f"{name} holds no certificate: remove it, and the next run makes it again.") from error
    if ca.public_key() != derived_key(root, "tls/ca").public_key():
        raise CertificateError(
            f"{name} is the authority of another root key: restore the root key that belongs to it, "
            "or remove the file to start with a new authority."
        )
    return ca


def is_old_ca(ca: x509.Certificate) -> bool:
    """Whether the authority's certificate is one of before it signed issuers, which no client would follow to one."""
    return ca.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def make_issuer(ca: x509.Certificate, root: bytes, key: t.Any, names: t.Sequence[str], excluded: t.Sequence[str],
                now: datetime.datetime) -> x509.Certificate:
    """A certificate for the issuer of one host's certificate, which may only sign server certificates for ``names``.

    :param excluded: names below them that it may not sign: a permitted name permits all below it (RFC 5280, section 4.2.1.10)
    """
    ca_key = derived_key(root, "tls/ca")
    usage = x509.KeyUsage(
        digital_signature=False, key_cert_sign=True, crl_sign=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )
    mark = hashlib.sha256(key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:6]
    name = x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "campus.jitsi"),
        x509.NameAttribute(NameOID.COMMON_NAME, f"{names[0][:50]} {mark} issuer"),
    ])
    limits = x509.NameConstraints(
        [x509.DNSName(name) for name in names], [*(x509.DNSName(name) for name in excluded), *every_address()])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(now + datetime.timedelta(days=ISSUER_DAYS), ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(limits, critical=True)
        .sign(ca_key, hashes.SHA256())
    )


def issuer_reason(text: str | None, ca: x509.Certificate, key: t.Any, names: t.Sequence[str], excluded: t.Sequence[str],
                  now: datetime.datetime) -> str | None:
    """Why the issuer in ``text`` must be made anew; None when it is good."""
    try:
        issuer = x509.load_pem_x509_certificate((text or "").encode())
        issuer.verify_directly_issued_by(ca)
        limits = issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    except Exception:  # whatever is in the file, it is not ours
        return "there is none of this authority"
    if issuer.public_key() != key.public_key():
        return "its key has changed"
    have = [{name.value for name in part or [] if isinstance(name, x509.DNSName)} for part in (limits.permitted_subtrees, limits.excluded_subtrees)]
    if have != [set(names), set(excluded)]:
        return "its names have changed"
    if now - issuer.not_valid_before_utc > ISSUER_RENEWAL:
        return f"it is {(now - issuer.not_valid_before_utc).days} days old"
    return None


def issue(ca: x509.Certificate, root: bytes, key: t.Any, names: t.Sequence[str], days: int,
          now: datetime.datetime) -> x509.Certificate:
    """A server certificate for ``names`` (host names) by the authority."""
    ca_key = derived_key(root, "tls/ca")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=False, crl_sign=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(now + datetime.timedelta(days=days), ca.not_valid_after_utc))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def served_names(certificate: x509.Certificate) -> list[str]:
    """The DNS names of a certificate, in lower case."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's ``pattern`` covers host ``name`` (RFC 6125, section 6.4.3: one label for the asterisk).

    >>> covers("*.example.edu", "meet.example.edu"), covers("*.example.edu", "a.b.example.edu")
    (True, False)
    """
    return pattern == name or (pattern.startswith("*.") and pattern[1:] == name[name.find("."):])


def pair_problem(certificate_text: str, key_text: str, names: t.Sequence[str], now: datetime.datetime,
                 roots: t.Collection[x509.Name] = ()) -> str | None:
    """What is wrong with a certificate (with its chain behind it) and key that people bring; None when nothing is.

    :param roots: the names of the roots that need not be in the chain
    """
    try:
        chain = x509.load_pem_x509_certificates(certificate_text.encode())
    except ValueError:
        return "the certificate file holds no PEM certificate"
    try:
        key = serialization.load_pem_private_key(key_text.encode(), password=None)
    except TypeError:
        return "the key is encrypted with a passphrase; a server needs it without one"
    except ValueError:
        return "the key file holds no PEM private key"
    leaf = chain[0]
    if leaf.public_key() != key.public_key():
        return "certificate and key do not match"
    if now > leaf.not_valid_after_utc:
        return f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
    if now < leaf.not_valid_before_utc:
        return f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}"
    missing = [name for name in names if not any(covers(pattern, name) for pattern in served_names(leaf))]
    if missing:
        return f"the certificate does not cover {', '.join(missing)}"
    for above, below in zip(chain[1:], chain):
        if below.issuer != above.subject:
            return "the chain is not in order: each certificate must be followed by its issuer's"
    if len(chain) == 1 and leaf.issuer not in {leaf.subject, *roots}:
        return (f"the chain is missing: the certificate is of `{leaf.issuer.rfc4514_string()}`, which is no root that this machine knows; "
                "put that one's certificate behind it")
    return None


def authorities_problem(text: str) -> str | None:
    """What is wrong with a file of authorities to trust.

    >>> authorities_problem("")
    'holds no PEM certificate'
    """
    try:
        return None if x509.load_pem_x509_certificates(text.encode()) else "holds no PEM certificate"
    except ValueError:
        return "holds no PEM certificate" if "-----BEGIN CERTIFICATE-----" not in text else "holds a certificate that cannot be read"


#: Where systems have the roots that they trust: Debian, Fedora, SUSE, macOS.
SYSTEM_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem")


def system_roots(places: t.Iterable[str] = SYSTEM_ROOTS) -> set[x509.Name]:
    """The names of the roots that this machine trusts; empty when it has none where one looks."""
    for path in (path for place in places for path in glob.glob(place)):
        found = set()
        with open(path, "rb") as handle:
            # One by one: an old root with an encoding that `cryptography` refuses must not hide the others.
            for part in handle.read().split(b"-----BEGIN CERTIFICATE-----")[1:]:
                try:
                    found.add(x509.load_pem_x509_certificate(b"-----BEGIN CERTIFICATE-----" + part).subject)
                except ValueError:
                    continue
        if found:
            return found
    return set()
