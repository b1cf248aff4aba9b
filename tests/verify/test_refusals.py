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
import pathlib
import re
import sys
import uuid

import pytest
import yaml
from conftest import JSON, settled, works

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from refusals import EXAMPLE, GOOD, REFUSALS, WHOLE  # noqa: E402

NOWHERE = "192.0.2.1"
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
        return {name: pool.submit(run, number, name) for number, name in enumerate(WHOLE) if name in names}


@pytest.mark.parametrize("name", WHOLE)
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
