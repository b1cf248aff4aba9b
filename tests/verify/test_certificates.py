# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates renew themselves, and the new ones are what clients are shown.

What needs an ACME server runs in the scenario `tls`, whose host `ca` these tests make one (Debian's pebble); the rest in all.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

import pytest
from conftest import JSON, Site, settled, works
from cryptography import x509
from cryptography.hazmat.primitives import serialization

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
CA = "ca"
DIRECTORY, STRICT = f"https://{CA}:14000/dir", f"https://{CA}:14001/dir"
ACCOUNT = f"/etc/letsencrypt/accounts/{CA}:14000/dir"
KEY_ID, HMAC = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

#: Makes the certificates of the installation's own authority on a host 80 days older, and has them served.
AGE = """
import importlib.util, sys, time
spec = importlib.util.spec_from_file_location("certificates", "/usr/local/lib/campus.jitsi/certificates.py")
module = sys.modules["certificates"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for description in module.descriptions():
    if description["source"] == "self_signed":
        module.put(description, module.issue(description, time.time() - 80 * module.DAY))
        module.reload_if_older(description)
"""


def shown(site: Site, name: str, port: int, asked: str = "") -> x509.Certificate:
    """The certificate that a host shows at a port, as openssl sees it."""
    asked = asked or site.domain
    words = f"-starttls xmpp -xmpphost {asked}" if port == 5222 else f"-servername {asked}"
    text = site.host(name).check_output(f"openssl s_client -connect 127.0.0.1:{port} {words} </dev/null 2>/dev/null | openssl x509")
    return x509.load_pem_x509_certificate(text.encode())


def places(site: Site) -> list[tuple[str, int, str]]:
    """Where Prosody, the web server and TURN servers beside it show a certificate: host, port, name."""
    prosody, web = site.of("prosody")[0], site.of("nginx_meet")[0]
    found = [(web, 443, site.domain), (prosody, 5222, site.domain), (prosody, 5222, f"auth.{site.domain}")]
    if web in site.groups.get("jitsi_coturn", ()):
        found += [(web, 5349, f"turn.{site.domain}"), (web, 443, f"turn.{site.domain}")]
    return found + ([(prosody, 5281, site.domain)] if web != prosody else [])


def everywhere(site: Site) -> list[int]:
    """The serial numbers of what is shown."""
    return [shown(site, *place).serial_number for place in places(site)]


def wait_until(ask, seconds: float = 15):
    """What ``ask`` answers, once it is true; its last answer otherwise. A reload is not awaited by who asks for it."""
    end = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < end:
        time.sleep(0.5)
    return answer


def owners(site: Site) -> set[str]:
    return {*site.of("prosody"), *site.of("nginx_meet")}


@pytest.fixture
def mine(site):
    """Certificates of the installation's own authority, before and after."""
    yield site
    works(settled(site))


def days_left(certificate: x509.Certificate) -> int:
    return (certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)).days


def test_the_timer_renews_and_who_is_logged_in_stays(mine):
    """Without Ansible: a certificate that is due is made anew on its host, and shown on every port, also on 5222 and 5281."""
    site = mine
    session = site.participant()
    for name in owners(site):
        site.on(name, AGE)
    assert wait_until(lambda: all(days_left(shown(site, *place)) < 10 for place in places(site)))
    components = [site.invocation(site.of(role)[0], unit) for role, unit in (("jicofo", "jicofo"), ("jvb", "jitsi-videobridge2"), ("prosody", "prosody"))]
    for name in owners(site):
        assert "campus.jitsi-certificates.timer" in site.host(name).check_output("systemctl list-timers --no-legend")
        site.host(name).check_output("systemctl start campus.jitsi-certificates.service")
    assert wait_until(lambda: all(days_left(shown(site, *place)) == 89 for place in places(site)))
    # A question and its answer, over the connection of before.
    session.iq("get", site.domain, '<ping xmlns="urn:xmpp:ping"/>')
    session.close()
    assert [site.invocation(site.of(role)[0], unit) for role, unit in
            (("jicofo", "jicofo"), ("jvb", "jitsi-videobridge2"), ("prosody", "prosody"))] == components
    # Twice is once.
    serials = everywhere(site)
    for name in owners(site):
        site.host(name).check_output("systemctl start campus.jitsi-certificates.service")
    assert everywhere(site) == serials


def test_a_renewal_that_died_before_the_reload_is_finished_by_the_next(mine):
    site = mine
    name = site.of("prosody")[0]
    old = shown(site, name, 5222).serial_number
    site.on(name, AGE.replace("module.reload_if_older(description)", ""))
    assert shown(site, name, 5222).serial_number == old
    site.host(name).check_output("systemctl start campus.jitsi-certificates.service")
    assert wait_until(lambda: shown(site, name, 5222).serial_number != old) and days_left(shown(site, name, 5222)) == 89


def test_the_issuer_of_a_host_can_sign_nothing_else(site):
    """Who breaks into the web host does not become Prosody, nor an address; its own name is the counter-example."""
    name = site.of("nginx_meet")[0]
    host = site.host(name)
    assert host.check_output("stat -c '%U %a' /etc/campus.jitsi/certificates /etc/campus.jitsi/certificates/web.issuer.key").split() == [
        "root", "700", "root", "600"]
    forge = AGE.partition("for description")[0] + """
import subprocess
for names in (["DOMAIN"], ["auth.DOMAIN"], ["www.example.edu"]):
    text = module.issue({"name": "web", "names": names, "key": "/etc/jitsi/meet/DOMAIN.key", "days": 9}, time.time())
    open("/run/forged", "w").write(text)
    words = ["openssl", "verify", "-CAfile", sys.argv[1], "-untrusted", "/run/forged", "/run/forged"]
    print(names[0], subprocess.run(words, capture_output=True).returncode)
""".replace("DOMAIN", site.domain)
    site.on(name, "import sys; open('/run/ca', 'w').write(" + repr(pathlib.Path(site.ca_file).read_text(encoding="ascii")) + ")")
    try:
        lines = site.on(name, forge, "/run/ca").splitlines()
    finally:
        host.check_output("rm -f /run/forged /run/ca")
    assert lines == [f"{site.domain} 0", f"auth.{site.domain} 2", "www.example.edu 2"]


def test_the_table_of_certificates(mine):
    site = mine
    done = site.playbook("campus.jitsi.certificates")
    assert done.code == 0 and done.changed == 0, done.output
    for name, port, _asked in places(site):
        assert re.search(rf"(?m)^ +{name} +{port} +\S.* +(?:8\d|90) +yes$", done.output), done.output
    assert re.search(r"\(controller\) +authority ", done.output)


def test_the_table_fails_when_a_certificate_ends_soon(mine):
    site = mine
    name = site.of("prosody")[0]
    site.on(name, AGE)
    try:
        assert wait_until(lambda: days_left(shown(site, name, 5222)) < 10)
        done = site.playbook("campus.jitsi.certificates", environment=JSON)
    finally:
        site.host(name).check_output("systemctl start campus.jitsi-certificates.service")
    assert done.code != 0
    said = done.failures[0].splitlines()
    assert said[0] == (f"{name} port 5222 (auth.{site.domain}) shows a certificate that has 9 days left: its host should have renewed it: see "
                       "`journalctl -u campus.jitsi-certificates` there, or run the site playbook."), done.output
    # On one host, what the web server shows is as old.
    assert all(line.startswith(f"{name} port ") for line in said)


def test_trap_a_new_certificate_that_nobody_serves(mine):
    """A certificate that is renewed on disk, and a service that goes on with the old one until it has expired."""
    site = mine
    name = site.of("nginx_meet")[0]
    host = site.host(name)
    site.on(name, AGE.replace("module.reload_if_older(description)", ""))
    try:
        done = site.playbook("campus.jitsi.certificates", environment=JSON)
    finally:
        host.check_output("systemctl start campus.jitsi-certificates.service")
    assert done.code != 0
    assert f"{name} port 443 ({site.domain}) shows another certificate than /etc/jitsi/meet/{site.domain}.crt: run `systemctl reload nginx` there, " \
           "or the site playbook." in done.failures[0].splitlines()
    assert wait_until(lambda: site.playbook("campus.jitsi.certificates").code == 0, 20)


def test_a_service_that_does_not_run_is_named(mine):
    site = mine
    name = site.of("nginx_meet")[0]
    site.host(name).check_output("systemctl stop nginx")
    try:
        done = site.playbook("campus.jitsi.certificates", environment=JSON)
    finally:
        site.host(name).check_output("systemctl start nginx")
    assert done.code != 0
    assert f"{name} port 443 ({site.domain}) shows no certificate: Connection refused; see that nginx runs there." in done.failures[0].splitlines()


# --- ACME ----------------------------------------------------------------------------------------------------------


class Acme:
    """Debian's pebble on the host `ca`, one server for everybody and one for who has an external account, with a DNS of its own."""

    def __init__(self, site: Site, place: pathlib.Path):
        self.site, self.host, self.place = site, site.host(CA), place
        self.web = site.of("nginx_meet")[0]
        self.name = "web"
        done = self.host.run("command -v pebble >/dev/null || (apt-get -q update && apt-get -qy --no-install-recommends install pebble)")
        assert done.rc == 0, done.stdout + done.stderr
        # The certificate of its API. What it signs with, it makes anew at every start.
        self.host.check_output(
            "mkdir -p /srv/acme && cd /srv/acme && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=lab-acme "
            "-keyout root.key -out root.crt 2>&1 && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -keyout api.key -out api.csr "
            "2>&1 && echo subjectAltName=DNS:ca >api.ext && openssl x509 -req -in api.csr -CA root.crt -CAkey root.key -CAcreateserial -days 9 "
            "-extfile api.ext -out api.crt 2>&1")
        for name, port in (("open", 14000), ("strict", 14001)):
            config = {"pebble": {
                "listenAddress": f"0.0.0.0:{port}", "managementListenAddress": f"0.0.0.0:{port + 1000}", "certificate": "/srv/acme/api.crt",
                "privateKey": "/srv/acme/api.key", "httpPort": 80, "tlsPort": 443, "ocspResponderURL": "",
                "externalAccountBindingRequired": name == "strict", "externalAccountMACKeys": {KEY_ID: HMAC} if name == "strict" else {},
                "domainBlocklist": ["forbidden.lab.test"], "certificateValidityPeriod": 90 * 86400,
            }}
            self.host.check_output("printf %%s %s > /srv/acme/%s.json", json.dumps(config), name)
        # The tests may have run before, with a server that forgets everything.
        site.host(self.web).run("rm -rf /etc/letsencrypt/accounts")
        self.start()

    def start(self) -> None:
        """All of it, with every name pointing to the web host."""
        web = self.site.address(self.web)
        self.host.run("systemctl stop lab-dns lab-acme-open lab-acme-strict; systemctl reset-failed")
        self.host.check_output("systemd-run -q --collect --unit=lab-dns pebble-challtestsrv -dns01 127.0.0.1:8053 -http01 '' -https01 '' -tlsalpn01 '' "
                               "-management :8055 -defaultIPv4 %s -defaultIPv6 ''", web)
        for name in ("open", "strict"):
            self.host.check_output("systemd-run -q --collect --unit=lab-acme-%s --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_WFE_NONCEREJECT=0 "
                                   "--setenv=PEBBLE_AUTHZREUSE=0 pebble -strict=false -dnsserver 127.0.0.1:8053 -config /srv/acme/%s.json", name, name)
        self.host.check_output("for p in 14000 14001 15000 8055; do for n in $(seq 100); do ss -Htln \"sport = :$p\" | grep -q . && break; sleep 0.1; "
                               "done; done")
        roots = self.host.check_output("cat /srv/acme/root.crt") + "\n" + self.ask("15000/roots/0")
        (self.place / "roots.pem").write_text(roots, encoding="ascii")

    def ask(self, where: str) -> str:
        """An answer of pebble's management interface."""
        return self.site.on(CA, "import ssl, urllib.request\ncontext = ssl.create_default_context(cafile='/srv/acme/root.crt')\n"
                                f"print(urllib.request.urlopen('https://ca:{where}', context=context).read().decode())")

    def point(self, name: str, address: str) -> None:
        """Have a name point to an address."""
        body = json.dumps({"host": name, "addresses": [address]})
        self.site.on(CA, f"import urllib.request\nurllib.request.urlopen('http://127.0.0.1:8055/add-a', data={body.encode()!r})")

    @property
    def variables(self) -> dict:
        return {"jitsi_tls_source": "acme", "jitsi_acme_directory": DIRECTORY, "jitsi_acme_terms_agreed": True, "jitsi_acme_email": "admin@lab.test",
                "jitsi_acme_ca_file": str(self.place / "roots.pem")}

    def requests(self) -> int:
        """How often the server was asked for anything."""
        return int(self.host.check_output("journalctl -u lab-acme-open -o cat --no-pager | grep -c -E 'HEAD|GET|POST' || true"))

    def module(self, *words: str, **arguments) -> dict:
        """Ask for a certificate as the role does, with other names or another server."""
        given = {"name": self.name, "names": [self.site.domain], "directory": DIRECTORY, "terms_agreed": True, "webroot": "/var/lib/campus.jitsi/acme"}
        return self.site.module(self.web, "acme_certificate", {**given, **arguments}, *words)

    def shown(self) -> x509.Certificate:
        return shown(self.site, self.web, 443)

    @property
    def issuer(self) -> str:
        return self.shown().issuer.rfc4514_string()


@pytest.fixture(scope="module")
def acme(site, tmp_path_factory):
    """The site with a certificate over ACME."""
    if CA not in site.hosts:
        pytest.skip("needs an ACME server: the scenario tls has one")
    server = Acme(site, tmp_path_factory.mktemp("acme"))
    done = site.playbook("campus.jitsi.site", variables=server.variables)
    assert done.code == 0, done.output[-5000:]
    return server


def test_one_run_gets_the_certificate_over_acme_and_the_next_asks_nobody(acme):
    site = acme.site
    assert "Pebble" in acme.issuer
    # The TURN server's, too, although it was there before nginx, which answers for both.
    assert all("Pebble" in shown(site, *place).issuer.rfc4514_string() for place in places(site) if place[1] in (443, 5349))
    # The conference of that run verified it with the root of the server. A second run changes nothing, and asks for nothing.
    before = acme.requests()
    done = site.playbook("campus.jitsi.site", variables=acme.variables)
    assert done.code == 0 and done.changed == 0, done.output[-5000:]
    assert acme.requests() == before > 0
    assert re.search(rf"(?m)^ +{acme.web} +443 +{site.domain} +Pebble Intermediate CA \S+ +8\d +yes$", done.output), done.output[-3000:]


def test_nobody_sees_the_account(acme):
    """Neither the address nor a key is in a command line or a file that others can read."""
    host = acme.site.host(acme.web)
    assert host.run("runuser -u nobody -- grep -rsl 'admin@lab.test' /etc /usr/local /run /tmp /var/log /var/lib").stdout == ""
    assert host.run("ls /run/campus.jitsi-*.ini").rc != 0


def test_a_renewal_reaches_everybody_while_a_call_goes_on(acme, tmp_path):
    """certbot renews, the own authority's certificates are renewed, and two browsers do not notice."""
    site = acme.site
    command = [sys.executable, str(CHECKOUT / "tests/call/call.py"), f"https://{site.domain}", "--address", site.address(acme.web),
               "--ca", str(acme.place / "issued.pem"), "--stay", "25", "--out", str(tmp_path)]
    (acme.place / "issued.pem").write_text(acme.ask("15000/roots/0"), encoding="ascii")
    before = everywhere(site)
    calls = []
    thread = threading.Thread(target=lambda: calls.append(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=200)))
    thread.start()
    assert wait_until(lambda: two_are_in(site), 90), "the browsers did not come"
    connections = streams(site)
    # As certbot.timer does, but now.
    host = site.host(acme.web)
    assert "certbot.timer" in host.check_output("systemctl list-timers --no-legend")
    host.check_output("certbot -q renew --force-renewal --no-random-sleep-on-renew")
    prosody = site.of("prosody")[0]
    site.on(prosody, AGE)
    site.host(prosody).check_output("systemctl start campus.jitsi-certificates.service")
    assert wait_until(lambda: not set(everywhere(site)) & set(before))
    assert connections and streams(site) == connections and thread.is_alive()
    thread.join()
    result = json.loads(calls[0].stdout)
    assert result["ok"], calls[0].stdout[:4000]
    for browser in result["browsers"].values():
        (first,) = browser["sees"].values()
        # Pictures went on to come until the end.
        assert max(video["frames"] for video in browser["videos"] if video["colour"] and video["frames"]) > first["frames"] + 100, browser
    assert host.check_output("stat -c '%%U:%%G %%a' /etc/jitsi/meet/%s.key", site.domain) == "root:root 600"


def streams(site: Site) -> set[str]:
    """The browsers' sessions at Prosody, with their stream's identity."""
    shown_ = site.of_one("prosody").check_output(
        "prosodyctl shell %s", f"> local t = {{}} for jid, s in pairs(prosody.full_sessions) do if s.host == '{site.domain}' then "
        "table.insert(t, jid..' '..tostring(s.conn or s.bosh)) end end return table.concat(t, ' ; ')")
    return {part.strip() for part in re.sub(r"^.*Result: ", "", shown_.replace("\n", " ")).split(" ; ") if "@" in part}


def two_are_in(site: Site) -> bool:
    return len(streams(site)) >= 2


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["forbidden.lab.test"], "gives no certificate for {domain}, forbidden.lab.test: its policy forbids the name"),
        (["elsewhere.lab.test"], "did not reach port 80 of {domain}, elsewhere.lab.test: have the name point to this host"),
    ],
)
def test_a_wrong_name_is_said_and_the_old_certificate_stays(acme, names, said):
    site = acme.site
    acme.point("elsewhere.lab.test", site.address(site.of("prosody")[0]))
    before = acme.shown()
    result = acme.module(names=[site.domain, *names])
    assert result["failed"] and said.format(domain=site.domain) in result["msg"], result["msg"]
    assert "The old certificate stays in service." in result["msg"] and acme.shown() == before


def test_an_account_that_was_deactivated_is_said_and_the_old_certificate_stays(acme):
    host = acme.site.host(acme.web)
    before = acme.shown()
    host.check_output("cp -a /etc/letsencrypt/accounts /run/accounts && certbot unregister --non-interactive --server %s && "
                      "cp -a /run/accounts /etc/letsencrypt/", DIRECTORY)
    try:
        result = acme.module(names=[acme.site.domain, "other.lab.test"])
        assert result["failed"] and result["msg"].startswith(f"{DIRECTORY} has deactivated the account of this host: remove {ACCOUNT} there, "), result["msg"]
        assert acme.shown() == before
    finally:
        host.check_output("rm -r /run/accounts %s", ACCOUNT)
    # The next run does what was said.
    again = acme.module()
    assert not again["failed"] and again["reason"] == "its account is gone, and certbot could not renew it", again
    assert wait_until(lambda: acme.shown() != before)


def test_a_server_that_forgot_the_account_or_is_down_is_said(acme):
    before = acme.shown()
    acme.host.check_output("systemctl stop lab-acme-open")
    try:
        result = acme.module(names=[acme.site.domain, "other.lab.test"])
        assert result["failed"] and f"{DIRECTORY} does not answer this host: it is down, or a firewall keeps the host from it" in result["msg"], result["msg"]
        # Nobody is asked for what is there: a run works while the server is down.
        assert not acme.module()["failed"] and not acme.module()["changed"]
    finally:
        acme.start()
    result = acme.module(names=[acme.site.domain, "other.lab.test"])
    assert result["failed"] and result["msg"].startswith(f"{DIRECTORY} does not know the account of this host any more: remove {ACCOUNT} there, "), result
    assert acme.shown() == before
    acme.site.host(acme.web).check_output("rm -r %s", ACCOUNT)


def test_an_external_account(acme):
    """A server for its customers only: without an account, with a wrong key, and with the right one."""
    result = acme.module(directory=STRICT)
    assert result["failed"] and "set `jitsi_acme_eab_key_id` and `jitsi_acme_eab_hmac_key`" in result["msg"], result["msg"]
    result = acme.module(directory=STRICT, eab_key_id=KEY_ID, eab_hmac_key=HMAC[::-1])
    assert result["failed"] and "does not take `jitsi_acme_eab_key_id` with `jitsi_acme_eab_hmac_key`" in result["msg"], result["msg"]
    result = acme.module("-vvv", directory=STRICT, eab_key_id=KEY_ID, eab_hmac_key=HMAC)
    assert not result["failed"] and result["reason"] == "it is of another server", result
    assert HMAC not in result["_shown"] and HMAC[::-1] not in result["_shown"]
    host = acme.site.host(acme.web)
    assert host.run("grep -rl %s /etc /run /tmp /var/log /var/lib/letsencrypt", HMAC).stdout == ""


AUTH_HOOK = """#!/usr/bin/python3
import json, os, urllib.request
body = json.dumps({"host": "_acme-challenge." + os.environ["CERTBOT_DOMAIN"] + ".", "value": os.environ["CERTBOT_VALIDATION"]}).encode()
urllib.request.urlopen("http://ca:8055/set-txt", data=body)
"""
CLEANUP_HOOK = AUTH_HOOK.replace("set-txt", "clear-txt")


def test_a_record_in_dns_instead_of_port_80(acme):
    """With hooks; and it works where the web server does not know the name."""
    site = acme.site
    host = site.host(acme.web)
    hooks = {"challenge": "dns", "auth_hook": AUTH_HOOK, "cleanup_hook": CLEANUP_HOOK}
    acme.point("elsewhere.lab.test", site.address(site.of("prosody")[0]))
    before = acme.shown()
    broken = acme.module(names=[site.domain, "elsewhere.lab.test"], **{**hooks, "auth_hook": "#!/bin/sh\necho no such zone >&2\nexit 3\n"})
    assert broken["failed"] and acme.shown() == before
    result = acme.module(names=[site.domain, "elsewhere.lab.test"], **hooks)
    assert not result["failed"], result
    assert wait_until(lambda: b"elsewhere.lab.test" in acme.shown().public_bytes(serialization.Encoding.DER))
    assert host.check_output("stat -c '%U %a' /usr/local/lib/campus.jitsi/acme-dns-auth") == "root 700"
    # And certbot renews by itself in the same way.
    before = acme.shown()
    host.check_output("certbot -q renew --force-renewal --no-random-sleep-on-renew --cert-name campus.jitsi-web")
    assert wait_until(lambda: acme.shown() != before)


def test_each_source_after_each_other_in_one_run(acme):
    """files after acme, and then the installation's own: at once, and nothing of the old one is renewed any more. The last of these tests, because
    it leaves things as it found them. What came first, acme after the installation's own, is what all the others stand on."""
    from test_refusals import pair

    site, host = acme.site, acme.site.host(acme.web)
    certificate, key = pair([site.domain, f"turn.{site.domain}"])
    for name, text in (("site.crt", certificate), ("site.key", key)):
        (acme.place / name).write_text(text, encoding="ascii")
        (acme.place / name).chmod(0o600)
    files = {"jitsi_tls_source": "files", "jitsi_tls_certificate_file": str(acme.place / "site.crt"), "jitsi_tls_key_file": str(acme.place / "site.key"),
             "jitsi_tls_warn_days": 3}
    web = ["--tags", "nginx_meet"]
    assert not host.file("/etc/campus.jitsi/certificates/web.issuer.key").exists
    done = site.playbook("campus.jitsi.site", *web, variables=files)
    assert done.code == 0, done.output[-3000:]
    brought = x509.load_pem_x509_certificate(certificate.encode())
    assert wait_until(lambda: acme.shown() == brought)
    assert not host.file("/etc/letsencrypt/renewal/campus.jitsi-web.conf").exists
    assert not host.file("/usr/local/share/ca-certificates/campus.jitsi-acme.crt").exists
    host.check_output("certbot -q renew --force-renewal --no-random-sleep-on-renew; systemctl start campus.jitsi-certificates.service")
    assert acme.shown() == brought
    done = site.playbook("campus.jitsi.site")
    assert done.code == 0 and wait_until(lambda: "campus.jitsi" in acme.issuer), done.output[-3000:]
    checked = site.playbook("campus.jitsi.site", *web, "--check", variables=acme.variables)
    assert checked.code == 0 and "Get the certificate of the site over ACME" in checked.changes and "campus.jitsi" in acme.issuer
