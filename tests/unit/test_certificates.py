# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does with its certificates by itself, certbot's words as sentences, and the table of certificates."""

from __future__ import annotations

import datetime
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _acme, _certificates
from ansible_collections.campus.jitsi.plugins.modules import acme_certificate
from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki, _report
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

ROOT = bytes(range(32))
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
SECONDS = NOW.timestamp()
DAY = datetime.timedelta(days=1)
CA = _pki.make_ca(ROOT, "meet.example.edu", NOW)
ME = pwd.getpwuid(os.getuid()).pw_name

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """The files of a host that has an issuer and a key: gives the description of its certificate."""
    monkeypatch.setattr(_certificates, "FOLDER", str(tmp_path / "etc"))
    monkeypatch.setattr(_certificates, "CERTBOT", str(tmp_path / "letsencrypt"))
    (tmp_path / "etc").mkdir()

    def make(names=("meet.example.edu",), excluded=("auth.meet.example.edu",), now=NOW, allowed=None, **more):
        issuer_key, key = _pki.derived_key(ROOT, "tls/issuer/a/web"), _pki.derived_key(ROOT, "tls/web")
        issuer = _pki.make_issuer(CA, ROOT, issuer_key, list(allowed or names), list(excluded), now)
        (tmp_path / "etc" / "web.issuer.crt").write_text(_pki.pem(issuer))
        (tmp_path / "etc" / "web.issuer.key").write_text(_pki.pem(issuer_key))
        (tmp_path / "web.key").write_text(_pki.pem(key))
        return {"name": "web", "source": "self_signed", "names": list(names), "certificate": str(tmp_path / "web.crt"), "key": str(tmp_path / "web.key"),
                "owner": ME, "group": ME, "key_mode": "0600", "days": 90, "service": "", "served": [], **more}

    return make


@needs_openssl
def test_a_certificate_is_made_renewed_in_its_last_third_and_otherwise_left_alone(host):
    description = host()
    assert _certificates.bring(description, SECONDS) == "there is none"
    first = _certificates.read(description["certificate"])
    leaf, issuer = x509.load_pem_x509_certificates(first.encode())
    assert leaf.not_valid_before_utc == NOW - datetime.timedelta(hours=1) and leaf.not_valid_after_utc == NOW + 90 * DAY
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(CA)
    assert _certificates.bring(description, SECONDS + 59 * 86400) is None and _certificates.read(description["certificate"]) == first
    assert _certificates.bring(description, SECONDS + 61 * 86400) == "it has 29 days left"
    assert _certificates.look(_certificates.read(description["certificate"])).end == SECONDS + (61 + 90) * 86400


@needs_openssl
def test_the_parts_of_a_description_that_need_a_new_certificate(host, tmp_path):
    description = host()
    _certificates.bring(description, SECONDS)
    assert _certificates.renewal_reason({**description, "names": ["meet.example.edu", "x.meet.example.edu"]}, SECONDS) == "its names have changed"
    assert _certificates.renewal_reason({**description, "days": 30}, SECONDS) == "it is valid for longer than it should"
    (tmp_path / "web.key").write_text(_pki.pem(_pki.derived_key(ROOT, "tls/web", 2)))
    assert _certificates.renewal_reason(description, SECONDS) == "its key has changed"
    host(now=NOW + DAY)
    assert _certificates.renewal_reason(description, SECONDS) == "there is none of this issuer"


@needs_openssl
def test_a_certificate_ends_with_its_issuer_and_an_ended_issuer_makes_none(host):
    description = host()
    end = SECONDS + _pki.ISSUER_DAYS * 86400
    assert _certificates.look(_certificates.issue(description, end - 86400)).end == end
    with pytest.raises(_certificates.CertificateError, match="has expired: run the site playbook"):
        _certificates.issue(description, end + 1)


@needs_openssl
@pytest.mark.parametrize(
    ("names", "verdict"),
    [(["meet.example.edu"], "OK"), (["x.meet.example.edu"], "OK"), (["auth.meet.example.edu"], "excluded subtree violation"),
     (["a.auth.meet.example.edu"], "excluded subtree violation"), (["www.example.edu"], "permitted subtree violation")],
)
def test_an_issuer_signs_for_its_names_only(host, tmp_path, names, verdict):
    description = host(names=names, allowed=["meet.example.edu"])
    (tmp_path / "leaf").write_text(_certificates.issue(description, SECONDS))
    (tmp_path / "ca").write_text(_pki.pem(CA))
    done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "ca"), "-untrusted", str(tmp_path / "leaf"), str(tmp_path / "leaf")],
                          capture_output=True, text=True, check=False)
    assert verdict in done.stdout + done.stderr


@needs_openssl
def test_a_client_that_trusts_the_authority_follows_the_chain(host):
    description = host()
    _certificates.bring(description, time.time())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(description["certificate"], description["key"])
    client = ssl.create_default_context(cadata=_pki.pem(CA))
    near, far = socket.socketpair()
    thread = threading.Thread(target=lambda: server.wrap_socket(far, server_side=True))
    thread.start()
    assert client.wrap_socket(near, server_hostname="meet.example.edu").version() == "TLSv1.3"
    thread.join()
    near.close()


@given(st.floats(0, 1e9), st.floats(1, 1e9), st.floats(0, 1))
def test_the_last_third_and_nothing_else_is_due(start, life, part):
    due = _certificates.due(start, start + life, start + life * part)
    assert due or part < 0.67
    assert not due or part > 0.66


def test_what_certbot_has_is_put_in_place_once(host, tmp_path):
    description = host(source="acme")
    assert _certificates.bring(description, SECONDS) is None
    folder = tmp_path / "letsencrypt" / "live" / "campus.jitsi-web"
    folder.mkdir(parents=True)
    (folder / "fullchain.pem").write_text("chain\n")
    (folder / "privkey.pem").write_text("key\n")
    assert _certificates.bring(description, SECONDS) == "certbot has a new one"
    assert _certificates.read(description["certificate"]) == "chain\n" and _certificates.read(description["key"]) == "key\n"
    assert os.stat(description["key"]).st_mode & 0o777 == 0o600
    assert _certificates.bring(description, SECONDS) is None
    assert _certificates.bring({**description, "source": "files", "key": "/nonexistent"}, SECONDS) is None


def test_a_file_gets_its_mode_before_its_content_and_is_left_alone_when_it_is_right(tmp_path):
    path = tmp_path / "a"
    assert _certificates.install(str(path), "x", ME, ME, 0o600) and not _certificates.install(str(path), "x", ME, ME, 0o600)
    path.chmod(0o644)
    assert _certificates.install(str(path), "x", ME, ME, 0o600) and path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyError):
        _certificates.install(str(path), "y", "nobody-of-this-name", ME, 0o600)
    assert path.read_text() == "x" and list(tmp_path.iterdir()) == [path]


# --- certbot's words -----------------------------------------------------------------------------------------------

SERVER = "https://ca.example.edu/acme/dir"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("An unexpected error occurred:\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(host='ca', port=14000): Max retries exceeded with url: /dir "
         "(Caused by NewConnectionError('<...>: Failed to establish a new connection: [Errno 111] Connection refused'))",
         f"{SERVER} does not answer this host"),
        ("requests.exceptions.SSLError: HTTPSConnectionPool(host='ca', port=14000): Max retries exceeded with url: /dir (Caused by SSLError("
         "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate')))",
         "give its root with `jitsi_acme_ca_file`"),
        ("Max retries exceeded with url: /dir (Caused by NewConnectionError('Failed to establish a new connection: [Errno -2] Name or service not known'))",
         f"{SERVER} has no address as this host sees it"),
        ("An unexpected error occurred:\nError creating new order :: too many certificates (5) already issued for this exact set of identifiers in the "
         "last 168h0m0s, retry after 2026-11-26 00:00:00 UTC", "gives no more certificates for a.example.edu at the moment"),
        ("Error creating new order :: Cannot issue for \"a.example.edu\": The ACME server refuses to issue a certificate for this domain name, because "
         "it is forbidden by policy", "its policy forbids the name"),
        ("Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:\n  Domain: a.example.edu\n"
         "  Type:   connection\n  Detail: 192.0.2.1: Fetching http://a.example.edu/.well-known/acme-challenge/x: Connection refused",
         f"{SERVER} did not reach port 80 of a.example.edu"),
        ("  Domain: a.example.edu\n  Type:   unauthorized\n  Detail: 192.0.2.1: Invalid response from http://a.example.edu/.well-known/acme-challenge/x: 404",
         "what answers for a.example.edu is not this host"),
        ("  Domain: a.example.edu\n  Type:   dns\n  Detail: DNS problem: NXDOMAIN looking up A for a.example.edu", "finds no record for a.example.edu in DNS"),
        ("  Domain: a.example.edu\n  Type:   caa\n  Detail: CAA record for a.example.edu prevents issuance", "forbids"),
        ("The client lacks sufficient authorization :: Account has been deactivated", "remove /etc/letsencrypt/accounts/ca.example.edu/acme/dir there"),
        ("An unexpected error occurred:\nAccount https://ca/my-account/21eaad1854ebf813 not found.", "does not know the account of this host any more"),
        ("Account is not registered", "does not know the account of this host any more"),
        ("Server requires external account binding.", "gives accounts to its customers only"),
        ("Could not bind TCP port 80 because it is already in use by another process on this system (such as a web server).", "port 80 of this host is held"),
        ("Hook '--manual-auth-hook' for a.example.edu ran with error output:\n no such zone\nHook '--manual-auth-hook' for a.example.edu reported error code 3",
         "the script of `jitsi_acme_dns_auth_hook` failed"),
        ("something new", f"certbot got no certificate for a.example.edu from {SERVER}"),
    ],
)
def test_what_certbot_says_becomes_one_sentence(output, said):
    sentence = _acme.problem("Saving debug log to /var/log/letsencrypt/letsencrypt.log\n" + output, SERVER, ["a.example.edu"])
    assert said in sentence and "The old certificate stays in service." in sentence and "\n" not in sentence and "debug log" not in sentence, sentence


def test_the_settings_of_an_external_account_go_into_a_file():
    text = _acme.settings(server=SERVER, email="a@example.edu", eab_key_id="k", eab_hmac_key="h")
    assert "eab-kid = k\neab-hmac-key = h\n" in text and "email = a@example.edu\n" in text and "unsafely" not in text


@needs_openssl
def test_when_the_server_is_asked(host, tmp_path):
    description = host(source="acme")
    params = {"name": "web", "names": ["meet.example.edu"], "directory": SERVER}
    assert acme_certificate.reason_to_ask(params, "webroot", SECONDS) == "certbot has none"
    base = tmp_path / "letsencrypt"
    for folder in ("live/campus.jitsi-web", "renewal", "accounts/ca.example.edu/acme/dir/0a1b"):
        (base / folder).mkdir(parents=True)
    (base / "live/campus.jitsi-web/fullchain.pem").write_text(_certificates.issue(description, SECONDS))
    (base / "live/campus.jitsi-web/privkey.pem").write_text("key")
    (base / "renewal/campus.jitsi-web.conf").write_text(f"[renewalparams]\naccount = 0a1b\nauthenticator = webroot\nserver = {SERVER}\n")
    ask = acme_certificate.reason_to_ask
    assert ask(params, "webroot", SECONDS) is None and ask(params, "webroot", SECONDS + 66 * 86400) is None
    assert ask(params, "webroot", SECONDS + 69 * 86400) == "it was not renewed in its time"
    assert ask({**params, "directory": "https://other"}, "webroot", SECONDS) == "it is of another server"
    assert ask({**params, "names": ["a", "b"]}, "webroot", SECONDS) == "its names have changed"
    assert ask(params, "manual", SECONDS) == "the challenge has changed"
    shutil.rmtree(base / "accounts")
    assert ask(params, "webroot", SECONDS) == "its account is gone, and certbot could not renew it"


# --- the table -----------------------------------------------------------------------------------------------------


def certificate(left=90, number=0):
    """One of 90 days that has ``left`` of them left."""
    key = _pki.derived_key(ROOT, f"tls/{number}")
    return _pki.pem(_pki.issue(CA, ROOT, key, ["meet.example.edu"], 90, NOW - (90 - left) * DAY))


def entry(shown, on_disk=None, source="self_signed", error="", issuer="", service="nginx"):
    return {"name": "web", "source": source, "names": ["meet.example.edu"], "service": service, "path": "/etc/web.crt", "issuer": issuer,
            "on_disk": shown if on_disk is None else on_disk,
            "served": [{"port": 443, "name": "meet.example.edu", "certificate": shown, "error": error}]}


GOOD = certificate()


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (entry(GOOD), ""),
        (entry(certificate(15)), ""),
        (entry(certificate(13)), "web port 443 (meet.example.edu) shows a certificate that has 13 days left: its host should have renewed it"),
        (entry(certificate(13), source="acme"), "certbot should have renewed it: see `journalctl -u certbot` there"),
        (entry(certificate(13), source="files"), "give a new one with `jitsi_tls_certificate_file`"),
        (entry(certificate(-1)), "shows a certificate that has expired"),
        (entry(GOOD, certificate(90, number=1)), "shows another certificate than /etc/web.crt: run `systemctl reload nginx` there, or the site playbook."),
        (entry(GOOD, certificate(90, number=1), service=""), "shows another certificate than /etc/web.crt: run the site playbook."),
        (entry(GOOD, ""), "shows another certificate than /etc/web.crt"),
        (entry("", GOOD, error="Connection refused"), "shows no certificate: Connection refused; see that nginx runs there."),
    ],
)
def test_a_line_of_the_table(found, problem):
    (row,) = _report.rows({"web": [found]}, "", "", 14, NOW)
    assert problem in row.problem and bool(row.problem) == bool(problem)
    assert (row.same == "yes") == ("another" not in problem and "no certificate" not in problem)


def test_the_table_has_the_issuers_and_the_authority():
    issuer = _pki.pem(_pki.make_issuer(CA, ROOT, _pki.derived_key(ROOT, "tls/issuer/a/web"), ["meet.example.edu"], [], NOW))
    rows = _report.rows({"web": [entry(GOOD, issuer=issuer)], "bridge": []}, _pki.pem(CA), "/x/ca.crt", 14, NOW)
    assert [(row.host, row.port) for row in rows] == [("web", "443"), ("web", "issuer of web"), ("(controller)", "authority")]
    head, *lines = _report.table(rows)
    assert head.split() == ["host", "port", "names", "issuer", "days", "left", "as", "on", "disk"] and len(lines) == 3
    assert lines[0].endswith("yes") and " itself " in lines[2]
    late = _report.rows({"web": [entry("", issuer=issuer)]}, _pki.pem(CA), "/x/ca.crt", 14, NOW + (_pki.ISSUER_DAYS - 3) * DAY)
    assert "the issuer of /etc/web.crt has 3 days left: run the site playbook" in late[1].problem and not late[2].problem
    gone = _report.rows({}, _pki.pem(CA), "/x/ca.crt", 14, NOW + _pki.CA_DAYS * DAY)
    assert "the installation's own authority, /x/ca.crt, has " in gone[0].problem
