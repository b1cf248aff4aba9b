# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The installation's own certificate authority, what it issues, and checks of certificates that people bring.

All private keys of the authority and of what it issues are derived from the root key by a label, so no key file lies
on the controller and a lost host gets the same key again.
"""

from __future__ import annotations

import datetime
import hashlib
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
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints([x509.DNSName(domain)], None), critical=True)
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


def renewal_reason(text: str | None, ca: x509.Certificate, key: t.Any, names: t.Sequence[str],
                   now: datetime.datetime) -> str | None:
    """Why the certificate in ``text``, which this authority should have issued, must be made anew; None when it is good.

    It is renewed when a third of its life is left.
    """
    try:
        certificate = x509.load_pem_x509_certificate((text or "").encode())
        certificate.verify_directly_issued_by(ca)
    except Exception:  # whatever is in the file, it is not ours
        return "there is none of this authority"
    if certificate.public_key() != key.public_key():
        return "its key has changed"
    if set(served_names(certificate)) != set(names):
        return "its names have changed"
    left = certificate.not_valid_after_utc - now
    if left < (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / 3:
        return f"it has {max(left.days, 0)} days left"
    return None


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


def pair_problem(certificate_text: str, key_text: str, names: t.Sequence[str], now: datetime.datetime) -> str | None:
    """What is wrong with a certificate (with its chain behind it) and key that people bring; None when nothing is."""
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
    return None
