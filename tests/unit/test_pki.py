# SPDX-License-Identifier: GPL-3.0-or-later
"""The installation's own authority, and certificates that people bring."""

from __future__ import annotations

import datetime
import shutil
import ssl
import subprocess
import threading

import pytest
from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ROOT = bytes(range(32))
NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
CA = _pki.make_ca(ROOT, "meet.example.edu", NOW)
KEY = _pki.derived_key(ROOT, "tls/web")
NAMES = ["meet.example.edu", "auth.meet.example.edu"]


ISSUER_KEY = _pki.derived_key(ROOT, "tls/issuer/a/web")


def issued(days=90, now=NOW, names=NAMES, ca=CA, root=ROOT, key=KEY):
    return _pki.pem(_pki.issue(ca, root, key, names, days, now))


def test_keys_are_always_the_same_and_each_its_own():
    again = _pki.derived_key(ROOT, "tls/web")
    assert again.private_numbers() == KEY.private_numbers()
    others = (_pki.derived_key(ROOT, "tls/web", 2), _pki.derived_key(ROOT, "tls/ca"), _pki.derived_key(bytes(32), "tls/web"))
    assert all(other.private_numbers() != KEY.private_numbers() for other in others)


def an_issuer(now=NOW, names=NAMES, excluded=(), ca=CA, root=ROOT, key=ISSUER_KEY):
    return _pki.make_issuer(ca, root, key, names, list(excluded), now)


@pytest.mark.parametrize(
    ("text", "keywords", "reason"),
    [
        (_pki.pem(an_issuer()), {}, None),
        (_pki.pem(an_issuer()), {"now": NOW + 364 * DAY}, None),
        (_pki.pem(an_issuer()), {"now": NOW + 366 * DAY}, "it is 366 days old"),
        (_pki.pem(an_issuer()), {"now": NOW + (_pki.ISSUER_DAYS + 1) * DAY}, "it is 1826 days old"),
        (_pki.pem(an_issuer()), {"names": ["meet.example.edu"]}, "its names have changed"),
        (_pki.pem(an_issuer()), {"names": list(reversed(NAMES))}, None),
        (_pki.pem(an_issuer()), {"excluded": ["auth.meet.example.edu"]}, "its names have changed"),
        (_pki.pem(an_issuer()), {"key": _pki.derived_key(ROOT, "tls/issuer/a/web", 2)}, "its key has changed"),
        (None, {}, "there is none of this authority"),
        ("", {}, "there is none of this authority"),
        (_pki.pem(CA), {}, "its key has changed"),
        ("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", {}, "there is none of this authority"),
        (_pki.pem(an_issuer(root=bytes(32), ca=_pki.make_ca(bytes(32), "meet.example.edu", NOW))), {}, "there is none of this authority"),
    ],
)
def test_when_an_issuer_is_renewed(text, keywords, reason):
    arguments = {"ca": CA, "key": ISSUER_KEY, "names": NAMES, "excluded": [], "now": NOW + DAY, **keywords}
    assert _pki.issuer_reason(text, **arguments) == reason


def test_a_new_certificate_of_the_same_authority_is_still_trusted():
    """The file with the authority's certificate may be lost: what it signed stays good."""
    again = _pki.make_ca(ROOT, "meet.example.edu", NOW + 300 * DAY)
    assert _pki.issuer_reason(_pki.pem(an_issuer()), again, ISSUER_KEY, NAMES, [], NOW + 300 * DAY) is None


def test_an_authority_of_before_it_signed_issuers_is_known():
    def with_length(length):
        return (x509.CertificateBuilder().subject_name(CA.subject).issuer_name(CA.subject).public_key(KEY.public_key()).serial_number(1)
                .not_valid_before(NOW).not_valid_after(NOW + DAY).add_extension(x509.BasicConstraints(True, length), True).sign(KEY, hashes.SHA256()))

    assert _pki.is_old_ca(with_length(0)) and not _pki.is_old_ca(with_length(1)) and not _pki.is_old_ca(CA)


def test_the_authority_of_another_root_key_is_refused():
    with pytest.raises(_pki.CertificateError, match="another root key"):
        _pki.check_ca(_pki.pem(CA), bytes(32), "ca.crt")
    with pytest.raises(_pki.CertificateError, match="holds no certificate"):
        _pki.check_ca("nonsense", ROOT, "ca.crt")


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")
@pytest.mark.parametrize(
    ("names", "verdict"), [(NAMES, "OK"), (["meet.example.org"], "permitted subtree violation"), (["evil.com"], "permitted subtree violation")],
)
def test_the_authority_signs_for_its_domain_only(tmp_path, names, verdict):
    (tmp_path / "ca").write_text(_pki.pem(CA))
    (tmp_path / "leaf").write_text(issued(names=names))
    when = str(int((NOW + DAY).timestamp()))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-attime", when, "-CAfile", str(tmp_path / "ca"), str(tmp_path / "leaf")],
        capture_output=True, text=True, check=False,
    )
    assert verdict in done.stdout + done.stderr


def test_a_client_that_trusts_the_authority_connects(tmp_path):
    now = datetime.datetime.now(datetime.timezone.utc)
    ca = _pki.make_ca(ROOT, "meet.example.edu", now)
    (tmp_path / "crt").write_text(issued(now=now, ca=ca))
    (tmp_path / "key").write_text(_pki.pem(KEY))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    client = ssl.create_default_context(cadata=_pki.pem(ca))

    def shake(name):
        near, far = __import__("socket").socketpair()
        thread = threading.Thread(target=lambda: _quiet(lambda: server.wrap_socket(far, server_side=True)))
        thread.start()
        try:
            return client.wrap_socket(near, server_hostname=name).version()
        finally:
            near.close()
            thread.join()

    assert shake("auth.meet.example.edu") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake("other.meet.example.edu")


def _quiet(call):
    try:
        call()
    except OSError:
        pass


def brought(names=("meet.example.edu",), start=NOW - DAY, end=NOW + 90 * DAY, key=None, issuer=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    issuer_name, issuer_key = issuer or (subject, key)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(start).not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _pki.pem(certificate), _pki.pem(key), (subject, key)


def test_a_good_pair_is_taken_with_its_chain():
    ca_text, _key, ca = brought(["Campus CA"])
    certificate, key, _self = brought(["*.example.edu", "x"], issuer=ca)
    assert _pki.pair_problem(certificate + ca_text, key, ["meet.example.edu"], NOW) is None


def test_an_rsa_pair_in_the_old_form_is_taken():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    old = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    certificate, _key, _self = brought(key=key)
    assert _pki.pair_problem(certificate, old.decode(), ["meet.example.edu"], NOW) is None


def locked(text: str) -> str:
    key = serialization.load_pem_private_key(text.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")).decode()


GOOD = brought()
OTHER = brought()
KNOWN = {x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Known Root")])}


def signed(by, chain=False):
    """A certificate for the key of GOOD by somebody, with or without his."""
    above, _key, issuer = brought([by])
    certificate, _key, _self = brought(key=serialization.load_pem_private_key(GOOD[1].encode(), None), issuer=issuer)
    return certificate + (above if chain else "")


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        (GOOD[0], OTHER[1], "certificate and key do not match"),
        (brought(end=NOW - datetime.timedelta(hours=1))[0], None, "expired on 2026-11-22"),
        (brought(start=NOW + DAY)[0], None, "is not valid before 2026-11-24"),
        (brought(["www.example.edu"])[0], None, "does not cover meet.example.edu"),
        (brought(["*.meet.example.edu"])[0], None, "does not cover meet.example.edu"),
        (GOOD[0] + OTHER[0].replace("x", "x"), GOOD[1], None),
        (signed("Campus CA"), None, "the chain is missing: the certificate is of `CN=Campus CA`, which is no root that this machine knows"),
        (signed("Known Root"), None, None),
        (signed("Campus CA", chain=True), None, None),
        (GOOD[0] + brought(["Another CA"])[0], GOOD[1], "the chain is not in order"),
        ("nonsense", GOOD[1], "holds no PEM certificate"),
        (GOOD[0], "nonsense", "holds no PEM private key"),
        (GOOD[0], locked(GOOD[1]), "encrypted with a passphrase"),
    ],
)
def test_what_is_wrong_with_a_pair(certificate, key, problem):
    if key is None:
        # The pair matches; something else is wrong with it.
        key = GOOD[1]
        certificate = certificate if _of_good(certificate) else _rekeyed(certificate)
    found = _pki.pair_problem(certificate, key, ["meet.example.edu"], NOW, KNOWN)
    assert (found is None) if problem is None else (problem in (found or ""))


def _of_good(text: str) -> bool:
    key = serialization.load_pem_private_key(GOOD[1].encode(), None)
    return x509.load_pem_x509_certificate(text.encode()).public_key() == key.public_key()


def _rekeyed(text: str) -> str:
    """The same certificate for the key of GOOD."""
    old = x509.load_pem_x509_certificate(text.encode())
    return brought(_pki.served_names(old), old.not_valid_before_utc, old.not_valid_after_utc,
                   serialization.load_pem_private_key(GOOD[1].encode(), None))[0]
