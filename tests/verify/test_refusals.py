# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input ends in one sentence with the variable, what is wrong and the fix, before any host is touched.

What the inventory says is tried on hosts that do not exist, with addresses that nobody has (RFC 5737): a run that wants to
touch one says that it is unreachable. What only a host can say is tried on the scenario's own.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import os
import re
import uuid

import pytest
import yaml
from conftest import JSON, settled, works

NOWHERE = "192.0.2.1"
EXAMPLE = "meet.example.edu"
GOOD = {"jitsi_domain": EXAMPLE}

#: By name: variables of the group `jitsi`, groups of roles besides it, words of the command line, and what must be said.
REFUSALS = {
    "no domain": (
        {}, {}, [],
        ["`jitsi_domain` is not set: give the name under which people will open the service, such as `meet.example.edu`."],
    ),
    "a domain with a scheme": (
        {"jitsi_domain": f"https://{EXAMPLE}"}, {}, [],
        ["`jitsi_domain` is a URL: leave out `https://` and write `meet.example.edu`."],
    ),
    "a domain with an underscore": (
        {"jitsi_domain": "my_meet.example.edu"}, {}, [],
        ["`jitsi_domain` has an underscore, which no certificate covers: take a name such as `my-meet.example.edu`."],
    ),
    "a domain in upper case": (
        {"jitsi_domain": "Meet.Example.edu"}, {}, [],
        ["`jitsi_domain` has upper case letters: write `meet.example.edu`."],
    ),
    "a domain with a dot at its end": (
        {"jitsi_domain": f"{EXAMPLE}."}, {}, [],
        ["`jitsi_domain` ends in a dot: write `meet.example.edu`."],
    ),
    "two hosts in jitsi_prosody": (
        GOOD, {"prosody": ["one", "two"]}, [],
        ["`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "no bridge": (
        GOOD, {"prosody": ["meet"], "jicofo": ["meet"], "nginx_meet": ["meet"]}, [],
        ["`jitsi_jvb` has no host, and every host of `jitsi` is in a group of another role: put a host into `jitsi_jvb`."],
    ),
    "settings that are a list": (
        {**GOOD, "jvb_config": ["videobridge"]}, {}, [],
        ["`jvb_config` is no dictionary but a list: write it as `key: value` lines below the name."],
    ),
    "settings that are a text": (
        {**GOOD, "prosody_config": "strict"}, {}, [],
        ["`prosody_config` is no dictionary but a text: write it as `key: value` lines below the name."],
    ),
    "settings that are empty": (
        {**GOOD, "jicofo_config": None, "nginx_meet_config": 5}, {}, [],
        ["`jicofo_config` is no dictionary but empty: write it as `key: value` lines below the name.",
         "`nginx_meet_config` is no dictionary but a number: write it as `key: value` lines below the name."],
    ),
    "a short secret": (
        {**GOOD, "jitsi_secrets": {"xmpp/focus": "hunter2hunter2-"}, "jvb_xmpp_password": "hunter2"}, {}, [],
        ["`jvb_xmpp_password`: a secret must be text of at least 16 characters; give a longer one or leave it out to have it made.",
         "`jitsi_secrets['xmpp/focus']`: a secret must be text of at least 16 characters; give a longer one or leave it out to have it made."],
    ),
    "a heap that Java cannot read": (
        {**GOOD, "jvb_max_memory": "2 GB"}, {}, [],
        ["`jvb_max_memory` is '2 GB': write it as Java does, a whole number with `m` or `g` behind it, such as `2048m`."],
    ),
    "a directive of systemd that is none": (
        {**GOOD, "jvb_sandbox": {"ProtectSytem": "full", "ReadWritePath+": ["/srv"]}, "nginx_meet_sandbox": {"PrivateTmp": None}}, {}, [],
        ["`jvb_sandbox.ProtectSytem` is no directive of systemd: did you mean `ProtectSystem`?",
         "`jvb_sandbox.ReadWritePath` is no directive of systemd: did you mean `ReadWritePaths`?",
         "`nginx_meet_sandbox.PrivateTmp` is empty (null), which no directive takes; remove one with `PrivateTmp-:` instead."],
    ),
    "a misspelt variable": (
        {**GOOD, "jitsi_unknown_key": "warn", "jvb_confg": {}}, {}, [],
        ["`jitsi_unknown_key` is no variable of campus.jitsi: did you mean `jitsi_unknown_keys`?",
         "`jvb_confg` is no variable of campus.jitsi: did you mean `jvb_config`?"],
    ),
    "the type of a variable of a later play": (
        {**GOOD, "jvb_drain_timeout": "1 hour", "jitsi_secret_generations": {"xmpp/focus": "2"}}, {}, [],
        ["`jvb_drain_timeout` is no whole number but a text: write one without quotes or unit.",
         "`jitsi_secret_generations['xmpp/focus']` is '2': give a whole number from 1 up, without quotes."],
    ),
    "a firewall that is not known": (
        {**GOOD, "jitsi_firewall": "ufw", "jitsi_firewall_open": ["8443/sctp"]}, {}, [],
        ["`jitsi_firewall` is 'ufw': take one of none, nftables.",
         "`jitsi_firewall_open[0]` is '8443/sctp': its protocol is 'sctp': take tcp or udp, as in `8443/tcp`."],
    ),
    "sources and ports that are none": (
        {**GOOD, "jitsi_firewall": "nftables", "jitsi_ssh_sources": ["10.0.0.1/24"], "jitsi_monitoring_sources": ["grafana.example.edu"],
         "jitsi_firewall_open": ["99999/tcp"]}, {}, [],
        ["`jitsi_ssh_sources[0]` is '10.0.0.1/24': it names one address in a network: write `10.0.0.0/24` for all of it or `10.0.0.1` for that one.",
         "`jitsi_monitoring_sources[0]` is 'grafana.example.edu': give an address or a network such as `192.0.2.7` or `2001:db8::/32`; names are not "
         "known before the network is up.",
         "`jitsi_firewall_open[0]` is '99999/tcp': give a port from 1 to 65535, or a range such as `6000-6010`."],
    ),
    "monitoring without a firewall": (
        {**GOOD, "jitsi_monitoring_sources": ["192.0.2.7"]}, {}, ["--tags", "jvb"],
        ["`jitsi_monitoring_sources` is set and there is no firewall that would keep others out: set `jitsi_firewall: nftables` or leave "
         "`jitsi_monitoring_sources` out."],
    ),
    "a directory": (
        {**GOOD, "jitsi_auth": "ldap", "prosody_ldap_servers": ["ldap.example.edu"], "prosody_ldap_tls": "none", "prosody_ldap_base": "ou=people,dc=example",
         "prosody_ldap_user_filter": "(&(uid=$user)(ou=staff)", "prosody_ldap_group": "teachers", "prosody_ldap_bind_password": "hunter2"}, {}, [],
        ["`prosody_ldap_tls` is none, and every password would cross the network for all to read: take starttls or ldaps, or set "
         "`prosody_ldap_insecure: true` where nobody can listen.",
         "`prosody_ldap_group` is 'teachers', which is no name of an entry: write it as `cn=teachers,ou=groups,dc=example,dc=edu`.",
         "`prosody_ldap_bind_password` is set and `prosody_ldap_bind_dn` is not: set both, or none for a directory that everybody may read.",
         "`prosody_ldap_user_filter` is '(&(uid=$user)(ou=staff)': a `)` is missing at its end; write it as `(uid=$user)`."],
    ),
    "everything at once": (
        {"jitsi_domain": "Meet_1.example.edu", "jitsi_apt_repository": "https://mirror.example.edu", "jitsi_unknown_keys": "ignore",
         "jitsi_domian": 1},
        {"prosody": ["one", "two"]}, [],
        ["`jitsi_domain` has upper case letters: write `meet-1.example.edu`.",
         "`jitsi_apt_repository` is no dictionary but a text: write it as `key: value` lines below the name.",
         "`jitsi_domian` is no variable of campus.jitsi: did you mean `jitsi_domain`?",
         "`jitsi_unknown_keys` is 'ignore': take one of error, warn.",
         "`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "a web front that cannot be": (
        {**GOOD, "nginx_meet_tls_profile": "old", "nginx_meet_trusted_proxies": ["proxy.example.edu"], "nginx_meet_frame_ancestors": ["moodle.example.edu"],
         "nginx_meet_tls_routes": [{"name": EXAMPLE, "address": "127.0.0.1:5349"}, {"address": "127.0.0.1"}], "nginx_meet_behind_proxy": True}, {}, [],
        ["`nginx_meet_tls_profile` is 'old': take one of intermediate, modern.",
         "`nginx_meet_tls_routes[0].name` is `jitsi_domain`, which is the site itself: give the other server a name of its own.",
         "`nginx_meet_tls_routes[1]` has no `name`: give it the name that clients ask for.",
         "`nginx_meet_tls_routes[1].address` is '127.0.0.1': write it as host:port, such as `127.0.0.1:5349`.",
         "`nginx_meet_trusted_proxies`: 'proxy.example.edu': give an address or a network such as `192.0.2.7` or `2001:db8::/32`; names are not "
         "known before the network is up.",
         "`nginx_meet_tls_routes` needs port 443, which is a proxy's with `nginx_meet_behind_proxy`: let that proxy route by name, "
         "and leave the routes out.",
         "`nginx_meet_frame_ancestors`: 'moodle.example.edu' is no origin: write scheme and host, such as `https://moodle.example.edu`."],
    ),
    "with --tags jvb": (
        {**GOOD, "prosody_config": []}, {"prosody": ["one", "two"]}, ["--tags", "jvb"],
        ["`prosody_config` is no dictionary but a list: write it as `key: value` lines below the name.",
         "`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "with --limit": (
        {**GOOD, "jitsi_secret": {}}, {"prosody": ["one", "two"]}, ["--limit", "meet"],
        ["`jitsi_secret` is no variable of campus.jitsi: did you mean `jitsi_secrets`?",
         "`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "acme without terms, with half an external account and no root": (
        {**GOOD, "jitsi_tls_source": "acme", "jitsi_acme_eab_key_id": "kid-1", "jitsi_acme_ca_file": "/nonexistent/root.pem"}, {}, [],
        ["`jitsi_acme_terms_agreed` is not true: read the terms of service that https://acme-v02.api.letsencrypt.org/directory names, and set it to "
         "true if you agree.",
         "`jitsi_acme_eab_key_id` is set and `jitsi_acme_eab_hmac_key` is not: set both, or none.",
         "`jitsi_acme_ca_file`: /nonexistent/root.pem cannot be read (No such file or directory)."],
    ),
    "acme by port 80 with several web hosts": (
        {**GOOD, "jitsi_tls_source": "acme", "jitsi_acme_terms_agreed": True}, {"nginx_meet": ["one", "two"]}, [],
        ["`jitsi_acme_challenge: http` works with one web host, and there are 2 (one, two), any of which may get the server's question: take "
         "`jitsi_acme_challenge: dns`, or `jitsi_tls_source: files`."],
    ),
    "acme by DNS without a hook, and a warning that never ends": (
        {**GOOD, "jitsi_tls_source": "acme", "jitsi_acme_terms_agreed": True, "jitsi_acme_challenge": "dns", "jitsi_tls_warn_days": 90}, {}, [],
        ["`jitsi_tls_warn_days` is 90, and certificates of 90 days are renewed when 30 are left: take a number below that, or raise "
         "`jitsi_tls_leaf_days`.",
         "`jitsi_acme_dns_auth_hook` is not set: with `jitsi_acme_challenge: dns` give the script that publishes the record."],
    ),
    "what cannot work about TURN": (
        {**GOOD, "coturn_min_port": 9000, "coturn_max_port": 11000, "coturn_allowed_peers": ["bridge1"], "coturn_secret": "hunter2", "coturn_domain": "turn_1"},
        {}, [],
        ["`coturn_secret`: a secret must be text of at least 16 characters; give a longer one or leave it out to have it made.",
         "`coturn_min_port` to `coturn_max_port`, 9000 to 11000, has 10000 in it, the bridge's port: take a range such as 49152 to 65535.",
         "`coturn_allowed_peers` has 'bridge1': write an address, a network such as 192.0.2.0/24 or a range such as 192.0.2.1-192.0.2.9.",
         "`coturn_domain` is 'turn_1', which is no host name: write one in lower case such as `turn.meet.example.edu`."],
    ),
    "two TURN servers of one name that DNS does not know": (
        {"jitsi_domain": "meet.lab.test"}, {"coturn": ["one", "two"]}, [],
        ["`coturn_domain` is turn.meet.lab.test for one and two: give each TURN server a name of its own.",
         "`coturn_domain` of one, turn.meet.lab.test, is not in DNS: add its address record, or set `coturn_check_name: false` when it comes later.",
         "`coturn_domain` of two, turn.meet.lab.test, is not in DNS: add its address record, or set `coturn_check_name: false` when it comes later."],
    ),
    "a TURN server outside of the domain": (
        {**GOOD, "coturn_domain": "turn.example.com", "coturn_check_name": False}, {"coturn": ["one"]}, [],
        ["`coturn_domain` of one, turn.example.com, is outside of meet.example.edu, for which alone the installation's own authority can sign: take a name "
         "such as turn.meet.example.edu, or `jitsi_tls_source: files`."],
    ),
    "TURN over TLS without a certificate": (
        {**GOOD, "jitsi_tls_source": "files", "coturn_check_name": False}, {"coturn": ["one"]}, [],
        ["`jitsi_tls_certificate_file` is not set: with `jitsi_tls_source: files` give the path of the file on the controller.",
         "TURN over TLS on one: `coturn_certificate_file` is not set: with `jitsi_tls_source: files` give the path of the file on the controller."],
    ),
    "with --check": (
        {"jitsi_domain": "meet"}, {}, ["--check"],
        ["`jitsi_domain` has one part only: give the full name, such as `meet.example.edu`."],
    ),
}


def inventory(place, variables, roles):
    """Write an inventory of hosts that do not exist."""
    children = {f"jitsi_{role}": {"hosts": dict.fromkeys(hosts)} for role, hosts in roles.items()}
    group = {"hosts": {"meet": None}, "vars": variables, "children": children}
    connection = {"ansible_host": NOWHERE, "ansible_python_interpreter": "/usr/bin/python3", "ansible_ssh_common_args": "-o ConnectTimeout=2"}
    place.mkdir()
    path = place / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": connection, "children": {"jitsi": group}}}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(request, once, tmp_path_factory):
    """The runs of all cases that were asked for, side by side."""
    names = [item.callspec.params["name"] for item in request.session.items if "name" in getattr(getattr(item, "callspec", None), "params", {})]
    place = tmp_path_factory.mktemp("refusals")

    def run(number, name):
        variables, roles, words, _said = REFUSALS[name]
        path = inventory(place / str(number), variables, roles)
        return once.playbook("campus.jitsi.site", *words, inventory=path, environment=JSON), path

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        return {name: pool.submit(run, number, name) for number, name in enumerate(REFUSALS) if name in names}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_is_refused_before_any_host_is_touched(runs, name):
    done, path = runs[name].result()
    assert done.code != 0
    assert max(done.failures, key=len).splitlines() == REFUSALS[name][3], done.output
    assert "UNREACHABLE" not in done.output and done.tasks[-1] == "Check the inventory", done.output
    assert "hunter2" not in done.output
    # Not even the root key was made.
    assert os.listdir(path.parent) == ["hosts.yml"]


def test_with_good_input_the_hosts_are_asked_for(once, tmp_path):
    """What shows that the others would have noticed."""
    done = once.playbook("campus.jitsi.site", inventory=inventory(tmp_path / "good", GOOD, {}), environment=JSON)
    assert done.code != 0 and "UNREACHABLE" in done.output and done.tasks[-1] == "Gathering Facts", done.output


def test_an_inventory_without_the_group_is_no_success(once, tmp_path):
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {"meet": {"ansible_host": NOWHERE}}, "vars": GOOD}}), encoding="utf-8")
    done = once.playbook("campus.jitsi.site", inventory=path, environment=JSON)
    assert done.code != 0
    assert done.failures == ["The group `jitsi` has no host, so there is nothing to do: put at least one host of the inventory into it."]


def pair(names, key=None, days=9, by=""):
    """A certificate, self-signed or by somebody, and a key, as PEM text; the key of somebody else when one is given."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    own = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, by)]) if by else subject
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(own.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=20)).not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False).sign(own, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    return (certificate.public_bytes(encoding).decode(),
            (key or own).private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode())


@pytest.mark.parametrize(
    ("names", "how", "said"),
    [
        ([EXAMPLE], "mixed", "{both}: certificate and key do not match."),
        (["www.example.edu"], {}, "{both}: the certificate does not cover meet.example.edu."),
        ([EXAMPLE], {"days": -2}, "{both}: the certificate expired on {expired}."),
        ([EXAMPLE], {"by": "Campus Issuer"}, "{both}: the chain is missing: the certificate is of `CN=Campus Issuer`, which is no root that this machine "
                                             "knows; put that one's certificate behind it."),
        ([EXAMPLE], "open", "`jitsi_tls_key_file`: everybody on this machine can read {key} (mode 0644): run `chmod o= {key}`, or encrypt it with "
                            "`ansible-vault encrypt`."),
        ([EXAMPLE], {}, None),
    ],
    ids=["of another key", "of another name", "expired", "without its chain", "with a key for everybody", "good"],
)
def test_a_certificate_and_a_key(once, tmp_path, names, how, said):
    certificate, key = pair(names, **(how if isinstance(how, dict) else {}))
    if how == "mixed":
        _other, key = pair(names)
    (tmp_path / "site.crt").write_text(certificate, encoding="ascii")
    (tmp_path / "site.key").write_text(key, encoding="ascii")
    (tmp_path / "site.key").chmod(0o644 if how == "open" else 0o600)
    files = {"jitsi_tls_certificate_file": str(tmp_path / "site.crt"), "jitsi_tls_key_file": str(tmp_path / "site.key")}
    variables = {**GOOD, "jitsi_tls_source": "files", **files}
    done = once.playbook("campus.jitsi.site", inventory=inventory(tmp_path / "inventory", variables, {}), environment=JSON)
    assert done.code != 0
    if said is None:
        assert "UNREACHABLE" in done.output
    else:
        gone = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)
        said = said.format(both="`jitsi_tls_certificate_file` and `jitsi_tls_key_file`", expired=f"{gone:%Y-%m-%d}", key=tmp_path / "site.key")
        assert done.failures == [said] and "UNREACHABLE" not in done.output, done.output
    assert key.splitlines()[1] not in done.output


# --- what only a host can say --------------------------------------------------------------------------------------


@pytest.fixture
def untouched(single):
    """A host on which a run changes nothing: neither files nor packages nor running services."""
    (name,) = single.hosts
    before = single.managed(name), single.host(name).check_output("dpkg-query --show")
    yield single, name
    assert (single.managed(name), single.host(name).check_output("dpkg-query --show")) == before


LAST = "Refuse what cannot work, before anything is changed"


@contextlib.contextmanager
def pretending(host, release, version):
    """A host that says of itself to be another, for everybody who looks, until the end."""
    files = {"/etc/os-release": release, "/etc/debian_version": version + "\n"}
    names = []
    try:
        for path, text in files.items():
            other = f"/run/pretended-{uuid.uuid4().hex}"
            host.check_output("printf %%s %s > %s && mount --bind %s %s", text, other, other, path)
            names.append((other, path))
        yield
    finally:
        for other, path in names:
            host.check_output("umount %s && rm %s", path, other)


@pytest.mark.parametrize(
    ("release", "version", "words", "said"),
    [
        ('ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="11"\nVERSION="11 (bullseye)"\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\n', "11.9", [],
         "runs Debian 11.9: campus.jitsi supports Debian 12 and 13; use a host with one of them."),
        ('ID=ubuntu\nID_LIKE=debian\nNAME="Ubuntu"\nVERSION_ID="24.04"\nVERSION="24.04 LTS (Noble Numbat)"\nPRETTY_NAME="Ubuntu 24.04 LTS"\n',
         "trixie/sid", ["--tags", "jvb"], "runs Ubuntu 24.04: campus.jitsi supports Debian 12 and 13; use a host with one of them."),
    ],
    ids=["Debian 11", "Ubuntu"],
)
def test_an_operating_system_that_is_not_supported_is_refused(untouched, release, version, words, said):
    site, name = untouched
    with pretending(site.host(name), release, version):
        done = site.playbook("campus.jitsi.site", *words, environment=JSON)
    assert done.code != 0 and done.failures == [f"{name} {said}"], done.output
    assert done.tasks[-1] == "Check the inventory" and done.changed == 0, done.output


def test_another_web_server_and_missing_versions_are_told_at_once(single):
    """On a host with a web server of somebody else, and versions that no archive has."""
    (name,) = single.hosts
    host = single.host(name)
    host.check_output("systemctl stop nginx")
    try:
        host.check_output("systemd-run --quiet --collect --unit=somebodys-web-server python3 -m http.server 443")
        host.check_output("for n in $(seq 50); do ss --no-header -tln 'sport = :443' | grep -q . && exit 0; sleep 0.1; done; exit 1")
        before = single.managed(name), host.check_output("dpkg-query --show")
        have = {package: host.check_output("dpkg-query --show --showformat='${Version}' %s", package) for package in ("jicofo", "nginx")}
        pins = {"jicofo": "1.0-404", "nginx": "0:1", "jitsi-videobrigde2": "2.3"}
        done = single.playbook("campus.jitsi.site", variables={"jitsi_package_versions": pins}, environment=JSON)
        assert (single.managed(name), host.check_output("dpkg-query --show")) == before
    finally:
        host.run("systemctl stop somebodys-web-server")
        host.check_output("systemctl start nginx")
    assert done.code != 0 and done.tasks[-1] == LAST and done.changed == 0, done.output
    (message,) = done.failures
    port, jicofo, nginx, bridge = message.splitlines()
    assert port == (f"{name}: port 443/tcp is held by `python3`, and nginx_meet needs it: stop that program for good or move it, or give the role "
                    "another host.")
    assert jicofo.startswith("`jitsi_package_versions.jicofo` is 1.0-404, which no archive has: take one of ") and have["jicofo"] in jicofo
    assert nginx.startswith("`jitsi_package_versions.nginx` is 0:1, which no archive has: take one of ") and have["nginx"] in nginx
    assert re.fullmatch(r"`jitsi_package_versions.jitsi-videobrigde2`: \S+ has no such package\.", bridge)
    works(settled(single))


def test_a_server_on_a_port_that_no_role_of_the_host_needs_is_left_alone(single):
    (name,) = single.hosts
    host = single.host(name)
    host.check_output("systemd-run --quiet --collect --unit=somebodys-web-server python3 -m http.server 8081")
    try:
        result = single.module(name, "preflight", {"roles": ["prosody", "jicofo", "jvb", "nginx_meet"]})
    finally:
        host.check_output("systemctl stop somebodys-web-server")
    assert not result["failed"] and result["problems"] == []
