# SPDX-License-Identifier: GPL-3.0-or-later
"""The web front as browsers, scanners, an LMS, a proxy and a whole lecture hall behind one address see it.

What the inventory can ask for is tried in few runs, each with several settings that have nothing to do with each other (VARIATIONS);
the next run leads on to the next, and one at the end leads back.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
import zlib

import pytest
from conftest import CHECKOUT, JSON, is_older, settled, works

from ansible_collections.campus.jitsi.plugins.module_utils import _https, _xmpp

TURN = "turn.meet.lab.test"
LMS = "https://moodle.example.edu"
#: By name: what the inventory says.
VARIATIONS = {
    "strict": {
        "jitsi_tls_source": "files", "jitsi_tls_certificate_file": "FOLDER/site.crt", "jitsi_tls_key_file": "FOLDER/site.key",
        "nginx_meet_tls_profile": "modern", "nginx_meet_frame_ancestors": [LMS],
        "nginx_meet_trusted_proxies": ["GATEWAY"], "jitsi_privacy": "strict",
        "nginx_meet_content_security_policy": {"connect-src+": ["https://stats.example.edu"]},
    },
    "shared": {"nginx_meet_tls_routes": [{"name": TURN, "address": "127.0.0.1:5349"}]},
    "behind": {"nginx_meet_behind_proxy": True, "nginx_meet_trusted_proxies": ["127.0.0.1"]},
    "as it was": {},
}
SITE = "/etc/nginx/sites-available/meet.lab.test.conf"


def web(site):
    return site.host(site.of("nginx_meet")[0])


def ask(site, path, method="GET", headers=None, https=None, body=None, port=443):
    """``(status, headers, body)``, headers as a list of pairs with names in lower case."""
    https = https or site.connect()
    connection = http.client.HTTPConnection(site.domain, port, timeout=10)
    connection.sock = https.connect() if port == 443 else socket.create_connection((https.address, port), timeout=10)
    try:
        connection.request(method, path, body, {"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, [(name.lower(), value) for name, value in answer.getheaders()], answer.read()
    finally:
        connection.close()


def values(headers, name):
    return [value for key, value in headers if key == name]


def seen_by_prosody(site, headers=None):
    """The address that Prosody has for a WebSocket which was opened with these headers."""
    session = _xmpp.WebSocketSession(Forwarding(site.connect(), headers or {}), site.domain, "/xmpp-websocket?room=verify")
    try:
        user, _slash, _resource = session.jid.partition("/")
        code = f'local s = prosody.bare_sessions["{user}"]; return select(2, next(s.sessions)).ip'
        return re.search(r"(?m)([0-9a-f.:]+)\s*$", site.of_one("prosody").check_output("prosodyctl shell %s", f"> {code}").strip())[1]
    finally:
        session.close()


class Forwarding:
    """A server to which every request goes with more headers, as a proxy adds them."""

    def __init__(self, https, headers):
        self.https, self.lines = https, "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def __getattr__(self, name):
        return getattr(self.https, name)

    def connect(self):
        connection, lines = self.https.connect(), self.lines
        plain = connection.sendall

        class Socket:
            def __getattr__(self, name):
                return getattr(connection, name)

            def sendall(self, data):
                plain(data.replace(b"\r\n", b"\r\n" + lines.encode(), 1) if data.startswith(b"GET ") else data)

        return Socket()


def authority(folder, domain, responder):
    """An authority that still answers OCSP, in `ca.crt` and `ca.key`, with a certificate for the site and its chain in `site.crt`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now, keys, names = datetime.datetime.now(datetime.timezone.utc), [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)], []
    for common in ("Authority of the test", domain):
        names.append(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]))
    numbers = [x509.random_serial_number() for _ in names]
    base = [x509.CertificateBuilder().subject_name(name).issuer_name(names[0]).public_key(key.public_key()).serial_number(number)
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=90))
            for number, name, key in zip(numbers, names, keys)]
    root = base[0].add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    where = x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder))
    leaf = (base[1].add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
            .add_extension(x509.AuthorityInformationAccess([where]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False))
    pem = serialization.Encoding.PEM
    texts = [certificate.sign(keys[0], hashes.SHA256()).public_bytes(pem).decode() for certificate in (root, leaf)]
    secrets = [key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode() for key in keys]
    for name, text in (("ca.crt", texts[0]), ("ca.key", secrets[0]), ("site.crt", texts[1] + texts[0]), ("site.key", secrets[1])):
        (folder / name).write_text(text, encoding="ascii")
        (folder / name).chmod(0o600)
    number = numbers[1].to_bytes(20).hex().upper()
    (folder / "index.txt").write_text(f"V\t{now + datetime.timedelta(days=90):%y%m%d%H%M%SZ}\t\t{number}\tunknown\t/CN={domain}\n",
                                      encoding="ascii")


RESPONDER = """
cd /run/verify-ocsp && touch index.txt.attr
systemd-run --quiet --collect --unit=verify-ocsp --working-directory=/run/verify-ocsp \
  openssl ocsp -index index.txt -port 8890 -rsigner ca.crt -rkey ca.key -CA ca.crt -ndays 1
"""


@pytest.fixture(scope="module")
def vary(site, tmp_path_factory):
    """Lead the site to a variation; at the end it is led back."""
    now, folder, own = ["as it was"], tmp_path_factory.mktemp("authority"), site.ca_file

    def lead(name):
        if now[0] != name:
            now[0] = "on the way"
            text = json.dumps(VARIATIONS[name]).replace("GATEWAY", gateway(site)).replace("FOLDER", str(folder))
            if "jitsi_tls_source" in text:
                authority(folder, site.domain, "http://127.0.0.1:8890")
                host = web(site)
                host.check_output("mkdir -p /run/verify-ocsp")
                for file in ("ca.crt", "ca.key", "index.txt"):
                    host.check_output("printf %%s %s > /run/verify-ocsp/" + file, (folder / file).read_text(encoding="ascii"))
                host.check_output(RESPONDER)
            done = site.playbook("campus.jitsi.site", "--tags", "nginx_meet", variables=json.loads(text), environment=JSON)
            assert done.code == 0, done.output[-3000:]
            site.ca_file = str(folder / "ca.crt") if "jitsi_tls_source" in text else own
            now[0] = name
        return site

    yield lead
    try:
        lead("as it was")
    finally:
        site.ca_file = own
        web(site).run("systemctl stop verify-ocsp; rm -rf /run/verify-ocsp")


@pytest.fixture
def strict(once, vary):
    return vary("strict")


# --- TLS -----------------------------------------------------------------------------------------------------------


def handshake(site, version):
    """The TLS version and the protocol of HTTP that come of an offer of one version; None when it is refused."""
    context = ssl.create_default_context(cafile=site.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version = context.maximum_version = version
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with socket.create_connection((site.address(site.of("nginx_meet")[0]), 443), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=site.domain) as tls:
                return tls.version(), tls.selected_alpn_protocol()
    return None


def offer(site, *words):
    """Whether the site takes what `openssl s_client` offers."""
    command = ["openssl", "s_client", "-connect", f"{site.address(site.of('nginx_meet')[0])}:443", "-servername", site.domain, *words]
    done = subprocess.run([*command, "-verify_return_error", "-CAfile", site.ca_file], input="", capture_output=True, text=True, check=False, timeout=20)
    return done.returncode == 0


def test_old_tls_is_refused_and_http_2_is_spoken(site):
    host = web(site)
    assert "ssl_stapling" not in host.file(SITE).content_string and "[warn]" not in host.run("nginx -t").stderr
    assert handshake(site, ssl.TLSVersion.TLSv1_3) == ("TLSv1.3", "h2")
    assert handshake(site, ssl.TLSVersion.TLSv1_2) == ("TLSv1.2", "h2")
    assert not offer(site, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")


@pytest.mark.parametrize(("cipher", "taken"), [
    ("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", True),
    # Without forward secrecy, in CBC mode, with parameters that nobody made.
    ("AES128-GCM-SHA256", False),
    ("ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA256", False),
    ("DHE-RSA-AES128-GCM-SHA256", False),
])
def test_with_tls_1_2_good_ciphers_only(site, cipher, taken):
    assert offer(site, "-tls1_2", "-cipher", cipher) is taken


class Scan:
    """testssl.sh takes half a minute, most of which is waiting: it runs beside other tests, and is asked for its findings later."""

    def __init__(self, site, out):
        self.out = out / "findings.json"
        command = [shutil.which("testssl"), "--quiet", "--color", "0", "--warnings", "off", "--ip", site.address(site.of("nginx_meet")[0]),
                   "--add-ca", site.ca_file, "-p", "-s", "-S", "-P", "-h", "-U", f"--jsonfile={self.out}", f"https://{site.domain}"]
        self.process = subprocess.Popen(command, cwd=out, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def worse_than_low(self):
        """The findings that nobody expects, and all that was said."""
        output = self.process.communicate(timeout=300)[0]
        assert self.out.exists(), output[-2000:]
        found = json.loads(self.out.read_text(encoding="utf-8"))
        assert len(found) > 50, output[-2000:]
        return [one for one in found if one["severity"] in ("MEDIUM", "HIGH", "CRITICAL") and one["id"] not in EXPECTED], output


@pytest.fixture(scope="module")
def scan(site, tmp_path_factory):
    """What starts a scan."""
    scans = []
    yield lambda: scans.append(Scan(site, tmp_path_factory.mktemp("testssl"))) or scans[-1]
    for one in scans:
        one.process.kill()
        one.process.wait()


@pytest.fixture(scope="module", autouse=True)
def first_scan(request, scan, site):
    """Of the site as it is by default, when there will be a question for it."""
    wanted = any(item.function is test_a_scanner_has_nothing_to_say for item in request.session.items)
    return scan() if wanted and len(site.hosts) == 1 and not is_older() else None


#: What testssl.sh says of a site that is as it should be, and why.
EXPECTED = {
    "cert_revocation": "the installation's own authority makes certificates that end before anybody would ask",
    "cipher_order": "Mozilla lets the client choose, since all that is offered is good; testssl.sh 3.0 wants an order, 3.2 no longer does",
}


# --- headers -------------------------------------------------------------------------------------------------------

ALWAYS = {
    "content-security-policy": r"default-src 'self'; script-src 'self' 'nonce-[0-9a-f]{32}' 'wasm-unsafe-eval'; .*; frame-ancestors 'self'",
    "permissions-policy": r"camera=\(self\), microphone=\(self\), display-capture=\(self\), .*",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cache-control": ".+",
    "server": "nginx",
}
#: Paths of each location, and the statuses that they may have.
PATHS = {
    "/": 200, "/some-room": 200, "/physics/some-room": 200, "/config.js": 200, "/physics/config.js": 200, "/external_api.js": 200,
    "/libs/lib-jitsi-meet.min.js": 200, "/libs/lib-jitsi-meet.min.js?v=1": 200, "/lang/main.json": 200, "/sounds/joined.wav": 200,
    "/static/close.html": 200, "/manifest.json": 200, "/libs/missing.js?v=1": 404, "/sounds/missing.wav": 404, "/.well-known/x": 404,
    "/http-bind?room=x": 200, "/xmpp-websocket?room=x": (200, 400, 426, 501), "/conference-request/v1": (404, 405), "/%ff%00": 400,
}


def test_the_grade_of_the_site(site):
    """As testssl.sh counts, which has grades in Debian 13 and not in 12. HSTS is off with a certificate of the installation's own: A, and not A+."""
    if "scanner" not in site.hosts:
        pytest.skip("needs a host of Debian 13 that looks from outside: the scenario perimeter has one")
    scanner = site.host("scanner")
    scanner.check_output("command -v testssl >/dev/null || (apt-get -q update && apt-get -qy --no-install-recommends install testssl.sh "
                         "bind9-dnsutils bsdextrautils >/dev/null)")
    authority = pathlib.Path(site.ca_file).read_text(encoding="ascii")
    site.on("scanner", f"open('/run/authority.pem', 'w').write({authority!r})")
    done = scanner.run("testssl --quiet --color 0 --warnings batch --add-ca /run/authority.pem --ip %s %s", site.address(site.of("nginx_meet")[0]), site.domain)
    grade = re.search(r"(?m)^ *Overall Grade +(\S+)", done.stdout)
    assert grade and grade[1] in ("A", "A+"), done.stdout[-4000:] + done.stderr


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers_once(site, path):
    """Also errors, and locations of which nginx would not inherit them if they set one of their own."""
    if path.startswith("/conference-request") and site.of("jicofo") != site.of("nginx_meet"):
        pytest.skip("conference requests go through XMPP when jicofo is on another host")
    status, headers, _body = ask(site, path)
    expected = PATHS[path] if isinstance(PATHS[path], tuple) else (PATHS[path],)
    assert status in expected
    for name, pattern in ALWAYS.items():
        # What nginx refuses before it has a location has its name only.
        if status == 400 and path == "/%ff%00" and name != "server":
            continue
        found = values(headers, name)
        assert len(found) == 1 and re.fullmatch(pattern, found[0]), f"{name}: {found}"
    # A browser that remembered it would let nobody accept the certificate of an authority that it does not know.
    assert values(headers, "strict-transport-security") == []


def test_a_nonce_is_new_each_time_and_on_every_script(site):
    nonces = set()
    for path in ("/some-room", "/some-room", "/physics/some-room", "/static/close.html"):
        _status, headers, body = ask(site, path)
        (nonce,) = set(re.findall(r"'nonce-([0-9a-f]+)'", values(headers, "content-security-policy")[0]))
        scripts = re.findall(rb"<script\b([^>]*)", body)
        assert all(f"nonce={nonce}".encode() in attributes for attributes in scripts), scripts
        assert scripts or path.startswith("/static")
        nonces.add(nonce)
    assert len(nonces) == 4


def call(site, out, *words):
    command = [sys.executable, str(CHECKOUT / "tests/call/call.py"), f"https://{site.domain}", "--address", site.address(site.of("nginx_meet")[0]),
               "--ca", site.ca_file, "--out", str(out), *words]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=180).stdout)


# --- whose request it is -------------------------------------------------------------------------------------------


def last_lines(site, marker):
    log = web(site).file("/var/log/nginx/access.log").content_string
    return [line for line in log.splitlines() if marker in line]


def gateway(site):
    """This machine, as the web host sees it."""
    return site.address(site.of("nginx_meet")[0]).rpartition(".")[0] + ".1"


def test_nobody_can_say_that_he_is_somebody_else(single, vary):
    """Neither in the log, nor before the limits, nor for Prosody."""
    vary("as it was")
    marker = uuid.uuid4().hex
    claims = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    ask(single, f"/{marker}", headers=claims)
    (line,) = last_lines(single, marker)
    assert line.startswith(f"{gateway(single)} ") and "203.0.113.9" not in line
    assert seen_by_prosody(single, claims) == gateway(single)


# --- logs ----------------------------------------------------------------------------------------------------------

TOKEN = "eyJhbGciOiJIUzI1NiJ9.verysecret.token"


def provoke(site, marker):
    """Requests with a token that end in all kinds of errors: nothing there, no service behind, refused, redirected, malformed."""
    for path in (f"/{marker}?jwt={TOKEN}", f"/libs/{marker}.js?jwt={TOKEN}", f"/http-bind?room={marker}&token={TOKEN}",
                 f"/{marker}/config.js?JWT={TOKEN}", f"/conference-request/v1?room={marker}&token={TOKEN}"):
        ask(site, path, headers={"Referer": f"https://{site.domain}/{marker}?jwt={TOKEN}"})
    ask(site, f"/{marker}?jwt={TOKEN}", port=80)
    host = web(site)
    host.check_output("systemctl stop jicofo")
    try:
        status, _headers, _body = ask(site, f"/{marker}/conference-request/v1?jwt={TOKEN}", "POST", body=b"{}")
        assert status == 502
    finally:
        host.check_output("systemctl start jicofo")
    ask(site, f"/http-bind?room={marker}&token={TOKEN}", "POST", body=b"x" * 2_000_000)
    with contextlib.suppress(OSError):
        with site.connect().connect() as raw:
            raw.sendall(f"GET /{marker}?jwt={TOKEN} HTTP/1.1\r\n\r\n".encode())
            raw.recv(100)
    with socket.create_connection((site.address(site.of("nginx_meet")[0]), 443), timeout=5) as plain:
        plain.sendall(f"GET /{marker}?jwt={TOKEN} HTTP/1.1\r\nHost: {site.domain}\r\n\r\n".encode())
        plain.recv(100)


def written(site, text):
    """Files and units of the web host in whose logs there is a text."""
    host = web(site)
    files = host.run("grep -rlF -- %s /var/log/nginx", text).stdout.split()
    journal = host.run("journalctl --quiet --no-pager --unit=nginx | grep -F -- %s", text).stdout
    return files + ([journal] if journal else [])


def test_trap_tokens_in_the_error_log(single, vary):
    """nginx writes the whole request into its error log, and redirects from port 80 have tokens, too."""
    vary("as it was")
    marker = "room" + uuid.uuid4().hex[:8]
    provoke(single, marker)
    assert written(single, "verysecret") == []
    # Which requests there were, and how they ended, is in the log.
    lines = last_lines(single, marker)
    assert len(lines) >= 8 and any('" 502 ' in line for line in lines) and any('" 301 ' in line for line in lines), lines
    works(settled(single))


# --- files ---------------------------------------------------------------------------------------------------------

YEAR, SHORT = "public, max-age=31536000, immutable", "public, max-age=600, must-revalidate"


@pytest.mark.parametrize(("path", "lifetime", "kind"), [
    ("/some-room", "no-cache", "text/html"),
    ("/config.js", "no-cache", "application/javascript"),
    ("/physics/config.js", "no-cache", "application/javascript"),
    ("/external_api.js", "no-cache", "application/javascript"),
    ("/manifest.json", "no-cache", "application/json"),
    ("/libs/app.bundle.min.js?v=7001", YEAR, "application/javascript"),
    ("/physics/libs/app.bundle.min.js?v=7001", YEAR, "application/javascript"),
    ("/libs/app.bundle.min.js", SHORT, "application/javascript"),
    ("/css/all.css?v=", SHORT, "text/css"),
    ("/lang/main.json", SHORT, "application/json"),
    ("/images/favicon.svg", SHORT, "image/svg+xml"),
    ("/sounds/joined.wav", SHORT, "audio/wav"),
    ("/libs/missing.js?v=1", "no-store", "text/html"),
])
def test_how_long_a_file_may_be_kept_and_what_it_is(site, path, lifetime, kind):
    _status, headers, _body = ask(site, path)
    assert values(headers, "cache-control") == [lifetime]
    assert values(headers, "content-type")[0].partition(";")[0] == kind


def test_files_are_compressed_and_pages_are_not(site):
    """A page has in it what its address says, and BREACH would learn from its length."""
    for path, compressed in (("/libs/lib-jitsi-meet.min.js", True), ("/css/all.css", True), ("/config.js", True), ("/lang/main.json", True),
                             ("/some-room", False), ("/static/close.html", False)):
        _status, headers, body = ask(site, path, headers={"Accept-Encoding": "gzip"})
        assert (values(headers, "content-encoding") == ["gzip"]) is compressed, path
        if compressed:
            assert zlib.decompress(body, 31) == ask(site, path)[2] or path == "/config.js"
            assert values(headers, "vary") == ["Accept-Encoding"]


def test_webassembly_and_what_the_package_compressed_already(site):
    """The stand-in's package has none of it, so it is put there for this test."""
    host = web(site)
    folder = "/usr/share/jitsi-meet/libs"
    host.check_output(f"printf '\\0asm' > {folder}/verify.wasm; head -c 4000 /dev/zero > {folder}/verify.tflite; "
                      f"printf plain > {folder}/verify.js; printf packed | gzip > {folder}/verify.js.gz")
    try:
        assert values(ask(site, "/libs/verify.wasm")[1], "content-type") == ["application/wasm"]
        _status, headers, _body = ask(site, "/libs/verify.tflite", headers={"Accept-Encoding": "gzip"})
        assert values(headers, "content-encoding") == ["gzip"]
        assert zlib.decompress(ask(site, "/libs/verify.js", headers={"Accept-Encoding": "gzip"})[2], 31) == b"packed"
        assert ask(site, "/libs/verify.js")[2] == b"plain"
    finally:
        host.check_output(f"rm {folder}/verify.*")


def test_a_file_that_has_not_changed_is_not_sent_again(site):
    _status, headers, _body = ask(site, "/libs/app.bundle.min.js")
    (tag,) = values(headers, "etag")
    status, headers, body = ask(site, "/libs/app.bundle.min.js", headers={"If-None-Match": tag})
    assert (status, body) == (304, b"") and values(headers, "cache-control") == [SHORT]


def test_a_page_elsewhere_may_ask_for_a_conference(single):
    """As upstream's site lets it: jicofo knows nobody by a cookie."""
    status, headers, _body = ask(single, "/conference-request/v1", "POST", {"Origin": LMS, "Content-Type": "application/json"}, body=json.dumps(
        {"room": f"cors-{uuid.uuid4().hex[:8]}@conference.{single.domain}", "machineUid": "verify"}).encode())
    assert status == 200 and values(headers, "access-control-allow-origin") == ["*"] and values(headers, "cache-control") == ["no-store"]
    assert values(headers, "access-control-allow-methods") == ["GET, POST, OPTIONS"]
    assert values(ask(single, "/some-room")[1], "access-control-allow-origin") == []


# --- the folder of ACME --------------------------------------------------------------------------------------------


def test_port_80_answers_acme_and_redirects_the_rest(site):
    host = web(site)
    folder = host.file("/var/lib/campus.jitsi/acme")
    assert (folder.user, folder.mode) == ("root", 0o755)
    challenge = "/.well-known/acme-challenge"
    host.check_output(f"mkdir -p {folder.path}{challenge} && printf proof > {folder.path}{challenge}/abc")
    try:
        status, headers, body = ask(site, f"{challenge}/abc", port=80)
        assert (status, body) == (200, b"proof") and values(headers, "content-type") == ["text/plain"] and values(headers, "server") == ["nginx"]
        assert ask(site, f"{challenge}/none", port=80)[0] == 404
        status, headers, _body = ask(site, "/some-room?x=1", port=80)
        assert status == 301 and values(headers, "location") == [f"https://{site.domain}/some-room?x=1"]
    finally:
        host.check_output(f"rm -r {folder.path}/.well-known")


def test_a_scanner_has_nothing_to_say(once, first_scan):
    found, output = first_scan.worse_than_low()
    assert found == [], output


# --- 500 at once ---------------------------------------------------------------------------------------------------


def test_a_lecture_of_500_behind_one_address_is_let_in(once, vary):
    """Each gets the page, config.js, a conference and a WebSocket that stays open, all at once."""
    vary("as it was")
    https = once.connect()
    people, failures, sockets = 500, [], []
    room = f"lecture-{uuid.uuid4().hex[:8]}@conference.{once.domain}"
    body = json.dumps({"room": room, "machineUid": "verify"}).encode()

    def enter(number):
        try:
            connection = http.client.HTTPConnection(once.domain, 443, timeout=60)
            connection.sock = https.connect()
            for method, path, data in (("GET", "/lecture", None), ("GET", "/config.js", None), ("POST", "/conference-request/v1", body)):
                connection.request(method, path, data, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    failures.append((number, path, answer.status))
            connection.close()
            sockets.append(_https.WebSocket(https, "/xmpp-websocket?room=lecture", "xmpp"))
        except OSError as error:
            failures.append((number, repr(error)))

    https.timeout = 60
    threads = [threading.Thread(target=enter, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert failures == []
        assert len(sockets) == people
        # They are all there at the same time.
        open_now = once.of_one("prosody").check_output("ss --no-header --tcp state established 'sport = :5280' | wc -l")
        assert int(open_now) >= people
    finally:
        for one in sockets:
            one.socket.close()


#: Many requests on a few connections, as fast as they go: how often which status was the answer, and how fast.
ABUSE = r"""
import collections, json, re, socket, ssl, sys, threading
domain, number = sys.argv[1], int(sys.argv[2])
context = ssl.create_default_context(cafile="/etc/jitsi/meet/abuse-ca.crt")
found, lock = collections.Counter(), threading.Lock()
def abuse():
    with context.wrap_socket(socket.create_connection(("127.0.0.1", 443)), server_hostname=domain) as s:
        request = f"GET /conference-request/v1/none HTTP/1.1\r\nHost: {domain}\r\n\r\n".encode()
        for _ in range(number // 8 // 50):
            s.sendall(request * 50)
            data, seen = b"", 0
            while seen < 50:
                piece = s.recv(65536)
                if not piece:
                    return
                data += piece
                seen = len(re.findall(rb"HTTP/1\.1 \d+", data))
            with lock:
                found.update(int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", data))
threads = [threading.Thread(target=abuse) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps(found))
"""


def test_who_asks_for_far_more_than_that_is_told_so(once, vary):
    """From an address of his own, so that the others of these tests are not counted with him."""
    vary("as it was")
    (name,) = once.hosts
    host = once.host(name)
    ca = pathlib.Path(once.ca_file).read_text(encoding="utf-8")
    host.check_output("printf %%s %s > /etc/jitsi/meet/abuse-ca.crt", ca)
    try:
        found = {int(status): number for status, number in json.loads(once.on(name, ABUSE, once.domain, "6400")).items()}
    finally:
        host.check_output("rm /etc/jitsi/meet/abuse-ca.crt")
    assert found.get(429, 0) > 500 and not found.get(503), found
    assert sum(number for status, number in found.items() if status != 429) >= 3000, found
    # Everybody else is served meanwhile.
    works(once.check())


# --- other sites ---------------------------------------------------------------------------------------------------

THEIRS = """
server {
    listen 443 ssl;
    server_name theirs.lab.test;
    ssl_certificate /etc/jitsi/meet/meet.lab.test.crt;
    ssl_certificate_key /etc/jitsi/meet/meet.lab.test.key;
    return 200 theirs;
}
"""


def test_other_sites_are_left_alone_and_stand_in_the_way_of_a_shared_port_only(once, vary):
    vary("as it was")
    (name,) = once.hosts
    host = once.host(name)
    routes = {"roles": ["nginx_meet"], "domain": once.domain, "tls_routes": VARIATIONS["shared"]["nginx_meet_tls_routes"]}
    site_file, stream_file = "/etc/nginx/sites-enabled/theirs.conf", "/etc/nginx/modules-enabled/70-theirs.conf"
    host.check_output("printf %%s %s > %s", THEIRS, site_file)
    try:
        host.check_output("systemctl reload nginx")
        assert once.module(name, "preflight", {**routes, "tls_routes": []})["problems"] == []
        done = once.playbook("campus.jitsi.site", "--tags", "nginx_meet")
        assert done.code == 0 and done.changed == 0, done.output[-3000:]
        assert ask(once, "/", headers={"Host": "theirs.lab.test"})[2] == b"theirs"
        host.check_output("printf 'stream { }' > %s", stream_file)
        assert once.module(name, "preflight", routes)["problems"] == [
            f"{name}: {site_file} listens on port 443, which `nginx_meet_tls_routes` gives to nginx's `stream`: change its `listen` to "
            "`listen 127.0.0.1:8447 ssl proxy_protocol`, or give the routes' server (TURN) a host of its own.",
            f"{name}: {stream_file} has a `stream` block, and nginx takes one only: put `include /etc/nginx/campus.jitsi/*.conf;` into it and set "
            "`nginx_meet_stream_block: false`."]
        assert once.module(name, "preflight", {**routes, "stream_block": False})["problems"] == [
            f"{name}: {site_file} listens on port 443, which `nginx_meet_tls_routes` gives to nginx's `stream`: change its `listen` to "
            "`listen 127.0.0.1:8447 ssl proxy_protocol`, or give the routes' server (TURN) a host of its own."]
    finally:
        host.check_output("rm -f %s %s && systemctl reload nginx", site_file, stream_file)


# --- strict --------------------------------------------------------------------------------------------------------

def test_hsts_another_policy_and_tls_1_3_only(strict):
    _status, headers, _body = ask(strict, "/some-room")
    assert values(headers, "strict-transport-security") == ["max-age=31536000"]
    (policy,) = values(headers, "content-security-policy")
    assert f"frame-ancestors 'self' {LMS}" in policy and f"img-src 'self' data: blob: {LMS}" in policy
    assert "connect-src 'self' wss://meet.lab.test blob: data: https://stats.example.edu" in policy
    assert handshake(strict, ssl.TLSVersion.TLSv1_2) is None
    assert handshake(strict, ssl.TLSVersion.TLSv1_3) == ("TLSv1.3", "h2")


def test_ocsp_is_stapled_for_an_authority_that_still_answers(strict):
    """nginx asks when it is asked, so the first has no answer."""
    command = ["openssl", "s_client", "-connect", f"{strict.address(strict.of('nginx_meet')[0])}:443", "-servername", strict.domain, "-status",
               "-CAfile", strict.ca_file]
    for _ in range(20):
        done = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=20)
        if "OCSP Response Status: successful" in done.stdout:
            break
        time.sleep(0.5)
    assert "OCSP Response Status: successful" in done.stdout and "Cert Status: good" in done.stdout, done.stdout[-2000:]


def test_a_call_in_the_frame_of_an_lms_that_may_have_it(strict, tmp_path, scan):
    second = scan()
    result = call(strict, tmp_path, "--inside", LMS)
    assert result["ok"], result
    assert [line for browser in result["browsers"].values() for line in browser["forbidden"]] == []
    # Meanwhile somebody scanned the site in its modern profile.
    found, output = second.worse_than_low()
    assert found == [], output


def test_no_other_page_has_a_meeting_in_its_frame(strict, tmp_path):
    result = call(strict, tmp_path, "--inside", "https://elsewhere.example.edu", "--timeout", "3")
    assert not result["ok"]
    assert all(not browser["videos"] and not browser["meeting"] for browser in result["browsers"].values()), result
    assert all("frame-ancestors" in " ".join(browser["log"]) for browser in result["browsers"].values()), result


def test_a_trusted_proxy_says_whose_request_it_is(strict):
    """The one that it adds itself, at the end; what the client had put before that is not believed."""
    assert seen_by_prosody(strict, {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}) == "203.0.113.9"
    assert seen_by_prosody(strict, {"X-Forwarded-For": f"203.0.113.9, {gateway(strict)}"}) == "203.0.113.9"
    assert seen_by_prosody(strict) == gateway(strict)


def test_no_address_in_a_log_when_privacy_is_strict(strict):
    host = web(strict)
    # What was before, rotated by another test among it, was written under other rules.
    host.check_output("rm -f /var/log/nginx/*.log.*; truncate --size=0 /var/log/nginx/access.log /var/log/nginx/error.log")
    marker = "room" + uuid.uuid4().hex[:8]
    provoke(strict, marker)
    assert last_lines(strict, marker)
    assert written(strict, gateway(strict)) == [] and written(strict, "verysecret") == []
    works(settled(strict))


# --- port 443 for two ----------------------------------------------------------------------------------------------

#: A TLS server that stands for coturn: says its name to whoever comes.
BEHIND = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout /run/behind.key -out /run/behind.crt -days 2 -subj /CN=turn.meet.lab.test 2>/dev/null
systemd-run --quiet --collect --unit=behind openssl s_server -accept 127.0.0.1:5349 -cert /run/behind.crt -key /run/behind.key -quiet -www
"""


def who_answers(site, name):
    """The name in the certificate that one gets who asks for a name."""
    address = site.address(site.of("nginx_meet")[0])
    done = subprocess.run(["openssl", "s_client", "-connect", f"{address}:443", "-servername", name], input="", capture_output=True, text=True,
                          check=False, timeout=20)
    found = re.search(r"(?m)^subject=CN ?= ?(\S+)", done.stdout)
    return found[1] if found else None


class Watch:
    """Somebody who opens the site all the time, and notes each time that it was not there."""

    def __init__(self, site):
        self.https, self.failures, self.number, self.over = site.connect(), [], 0, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.wait(0.02):
            self.number += 1
            try:
                if self.https.request("GET", "/config.js")[0] != 200:
                    self.failures.append("status")
            except OSError as error:
                self.failures.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_error):
        self.over.set()
        self.thread.join()


def test_port_443_is_shared_by_name_and_given_back_without_a_gap(once, vary):
    """The port answers all the time while nginx hands it from one to the other, and the site still knows who comes."""
    # With the certificate that the watch trusts.
    vary("as it was")
    (name,) = once.hosts
    host = once.host(name)
    process = host.check_output("systemctl show --property=MainPID --value nginx")
    host.check_output(BEHIND)
    try:
        with Watch(once) as watch:
            vary("shared")
        assert watch.number > 20 and watch.failures == []
        assert who_answers(once, TURN) == TURN
        assert who_answers(once, once.domain) == who_answers(once, "other.lab.test") == once.domain
        marker = uuid.uuid4().hex
        ask(once, f"/{marker}", headers={"X-Forwarded-For": "203.0.113.9"})
        assert last_lines(once, marker)[0].startswith(f"{gateway(once)} ")
        assert seen_by_prosody(once) == gateway(once)
        assert handshake(once, ssl.TLSVersion.TLSv1_2) == ("TLSv1.2", "h2")
        assert b"proof" not in ask(once, "/", port=80, headers={"Host": TURN})[2]
        works(once.check())
        with Watch(once) as watch:
            vary("as it was")
        # A connection that an old process took and did not hand on yet ends with it.
        assert watch.number > 20 and len(watch.failures) <= 1, watch.failures
        assert not host.file("/etc/nginx/modules-enabled/90-campus.jitsi.stream.conf").exists
        listening = host.check_output("ss --no-header --listening --tcp --numeric")
        assert ":8447 " not in listening and ":8448 " not in listening
        assert host.check_output("systemctl show --property=MainPID --value nginx") == process
        works(once.check())
    finally:
        host.run("systemctl stop behind; rm -f /run/behind.*")


# --- behind a proxy ------------------------------------------------------------------------------------------------

#: A TLS proxy of the institution: here another site of the same nginx.
PROXY = """
server {
    listen 443 ssl;
    server_name meet.lab.test;
    ssl_certificate /etc/jitsi/meet/meet.lab.test.crt;
    ssl_certificate_key /etc/jitsi/meet/meet.lab.test.key;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
"""


def test_behind_a_proxy_that_has_the_certificate(once, vary, tmp_path):
    """A conference and a call work through it, Prosody knows who comes, and nobody but the proxy is let in at the other port."""
    (name,) = once.hosts
    host = once.host(name)
    vary("behind")
    try:
        listening = host.check_output("ss --no-header --listening --tcp --numeric")
        assert ":443 " not in listening and ":8000 " in listening
        assert ask(once, "/some-room", port=8000, headers={"X-Forwarded-For": "127.0.0.1"})[0] == 403
        host.check_output("printf %%s %s > /etc/nginx/sites-enabled/proxy.conf && systemctl reload nginx", PROXY)
        works(settled(once))
        result = call(once, tmp_path)
        assert result["ok"] and not any(browser["forbidden"] for browser in result["browsers"].values()), result
        assert seen_by_prosody(once, {"X-Forwarded-For": "203.0.113.9"}) == gateway(once)
        script = ("import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000); "
                  "c.request('GET', '/r', headers={'Host': 'meet.lab.test', 'X-Forwarded-Proto': 'http'}); "
                  "a = c.getresponse(); print(a.status, a.headers['Location'])")
        assert once.on(name, script).split() == ["301", "https://meet.lab.test/r"]
    finally:
        host.run("rm -f /etc/nginx/sites-enabled/proxy.conf; systemctl reload nginx")
    vary("as it was")
    works(settled(once))
