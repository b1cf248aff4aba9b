# SPDX-License-Identifier: GPL-3.0-or-later
"""Not one secret lies about: a whole run that rotates all of them, and everything that it leaves behind."""

from __future__ import annotations

import subprocess
import time

import pytest
from conftest import PATIENCE, settled, works
from leaks import Secrets


def needed(site, name: str, generations: dict[str, int]) -> dict[str, set[str]]:
    """The files of a host that need a secret, with which. Nothing else may have one."""
    roles = {role for role in site.roles if name in site.of(role)}
    files = {}

    def of(label: str) -> set[str]:
        return {f"{label}@{generations.get(label, 1)}"}

    # An issuer is of the generation of what it issues.
    for role, certificate, issued in (("prosody", "prosody", "tls/prosody"), ("nginx_meet", "web", "tls/web"), ("coturn", "turn", f"tls/turn/{name}")):
        if role in roles:
            files[f"/etc/campus.jitsi/certificates/{certificate}.issuer.key"] = {f"tls/issuer/{name}/{certificate}@{generations.get(issued, 1)}"}
    if "coturn" in site.roles and "prosody" in roles:
        files[f"/etc/prosody/conf.avail/{site.domain}-turn.cfg.lua"] = of("turn")
    if "jigasi" in site.roles and "prosody" in roles:
        files[f"/etc/prosody/conf.avail/{site.domain}.cfg.lua"] = of("xmpp/telephone")
    if "coturn" in roles:
        files[f"/etc/coturn/certs/turn.{site.domain}.key"] = of(f"tls/turn/{name}")
        # Credentials that were given before a rotation are good until they expire.
        files["/etc/turnserver.conf"] = {f"turn@{number}" for number in range(1, generations.get("turn", 1) + 1)}
    if "prosody" in roles:
        files[f"/etc/prosody/certs/auth.{site.domain}.key"] = of("tls/prosody")
    if "jicofo" in roles:
        files["/etc/jitsi/jicofo/jicofo.conf"] = of("xmpp/focus")
    if "jvb" in roles:
        files["/etc/jitsi/videobridge/jvb.conf"] = of(f"xmpp/jvb/{name}")
    if "jigasi" in roles:
        for path in ("", "secure/") if name == "gateway" else ("",):
            files[f"/etc/jitsi/jigasi/{path}sip-communicator.properties"] = of(f"xmpp/jigasi/{name}") | of("xmpp/telephone")
    if "nginx_meet" in roles:
        files[f"/etc/jitsi/meet/{site.domain}.key"] = of("tls/web")
    return files


def problems(found: dict[str, tuple[set[str], str]], wanted: dict[str, set[str]]) -> list[str]:
    """What is wrong with what was found on a host, one sentence each."""
    said = [f"{path} ({who}) has {', '.join(sorted(names))} and does not need it" for path, (names, who) in found.items() if names - wanted.get(path, set())]
    said += [f"{path} lacks {', '.join(sorted(names))}" for path, names in wanted.items() if names - found.get(path, (set(), ""))[0]]
    said += [f"{path} is open to others: {who}" for path, (_names, who) in found.items() if who.rpartition(" ")[2].isdigit() and who[-1] != "0"]
    return said


def test_a_rotation_of_all_secrets_leaves_none_behind(site):
    """With -vvv and --diff; the processes of the controller and of all hosts are looked at all along.

    Where there are gateways it is theirs alone, for split rotates the others.
    """
    if len(site.hosts) == 1:
        pytest.skip("several hosts have more to leak: split and jigasi test it")
    gateways = "jigasi" in site.roles
    words = ["--tags", "prosody,jigasi"] if gateways else []
    changes = {"Configure the gateways"} if gateways else {
        "Configure jicofo", "Configure the videobridge", "Put the certificate in place", "Put the certificate of the site in place",
        "Bring the accounts of the components to their state"}
    secrets = Secrets(site)
    # The authority is rotated with the root key only, and an issuer with what it issues.
    generations = {label: 2 for label in secrets.labels
                   if (label.startswith(("xmpp/jigasi/", "xmpp/telephone")) or not gateways) and not label.startswith(("tls/ca", "tls/issuer/"))}
    assert generations
    try:
        with secrets.watch() as watch:
            done = site.playbook("campus.jitsi.site", "-vvv", "--diff", *words, variables={"jitsi_secret_generations": generations})
        assert done.code == 0, done.output[-3000:]
        assert changes <= done.changes
        assert secrets.find(done.output.encode()) == set()
        assert watch.leaks == []
        # It would have seen them: every host had processes, and each was looked at.
        assert set(watch.seen["hosts"]) - {""} == {"controller", *site.hosts}, watch.seen
        assert watch.seen["looked"] > 1000
        for name in site.hosts:
            assert problems(secrets.on_host(name), needed(site, name, generations)) == [], name
    finally:
        back = site.playbook("campus.jitsi.site", *words)
    assert back.code == 0, back.output[-3000:]
    for name in site.hosts:
        assert problems(secrets.on_host(name), needed(site, name, {})) == [], name
    works(settled(site))


def test_the_controller_has_the_root_key_and_nothing_else(site):
    secrets = Secrets(site)
    for path in [path for folder in (site.place, site.inventory) for path in folder.rglob("*") if path.is_file()]:
        expected = {"root key"} if path == site.inventory / ".jitsi" / "root.key" else set()
        assert secrets.find(path.read_bytes()) == expected, path
        assert not expected or path.stat().st_mode & 0o077 == 0


# --- planted leaks: of secrets that nobody uses, so that what stays in a journal is no leak -----------------------------


@pytest.fixture
def planted(parted):
    """Secrets of a generation that nobody uses, a password among them, and a host to plant it on."""
    return Secrets(parted, (7,)), parted.secret("xmpp/focus", 7), list(parted.hosts)[-1]


PLANT = """
import base64, os, subprocess, sys, syslog
def write(path, data, mode=0o600):
    with open(path, "wb") as handle:
        handle.write(data)
    os.chmod(path, mode)
"""


@pytest.mark.parametrize("how", ["['python3', '-c', 'import time; time.sleep(60)', SECRET]", "['sleep', '60'], env={**os.environ, 'PASSWORD': SECRET}",
                                 "['python3', '-c', 'import time; time.sleep(60)', base64.b64encode(b'\\0focus\\0' + SECRET.encode()).decode()]"],
                         ids=["command line", "environment", "command line in base64"])
def test_a_secret_in_a_process_would_be_found(site, planted, how):
    secrets, password, name = planted
    with secrets.watch() as watch, subprocess.Popen(site.ssh(name, "python3", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as plant:
        plant.stdin.write(f"SECRET = {password!r}\n{PLANT}\nprocess = subprocess.Popen({how})\nprint(process.pid, flush=True)\nprocess.wait()\n")
        plant.stdin.close()
        process = int(plant.stdout.readline())
        end = time.monotonic() + 60
        while not watch.lines and time.monotonic() < end:
            time.sleep(0.05)
        site.host(name).check_output("kill -KILL %s", str(process))
    assert [leak for leak in watch.leaks if leak.startswith(f"{name}: xmpp/focus@7 in {'environ' if 'env' in how else 'cmdline'} of ")], watch.seen


@pytest.mark.parametrize(
    ("how", "path"),
    [
        ("write('/var/tmp/campus.test', SECRET.encode())", "/var/tmp/campus.test"),
        ("write('/usr/share/campus.test', SECRET.encode().hex().encode(), 0o644)", "/usr/share/campus.test"),
        ("write('/etc/campus.test', b'x' + base64.b64encode(b'\\0focus\\0' + SECRET.encode()))", "/etc/campus.test"),
        ("write('/run/campus.test', DER)", "/run/campus.test"),
        ("write('/root/campus.test', PEM.encode())", "/root/campus.test"),
        ("write('/home/campus.test', ROOT)", "/home/campus.test"),
        ("syslog.syslog('the password is ' + SECRET)", "journal"),
        ("syslog.syslog(PEM)", "journal"),
    ],
)
def test_a_secret_in_a_file_or_the_journal_would_be_found(site, planted, how, path):
    from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki, _secrets
    from cryptography.hazmat.primitives import serialization

    secrets, password, name = planted
    root = _secrets.read_root(str(site.inventory / ".jitsi" / "root.key"), None)
    key = _pki.derived_key(root, "tls/web", 7)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    if "ROOT" in how:
        # Not the real one: where it was, it would have to be changed.
        root = bytes(range(40, 72))
        secrets.needles = {"root key": __import__("leaks").needles(root)}
    places = [path] if path != "journal" else ["/nowhere"]
    try:
        site.on(name, f"SECRET, PEM, DER, ROOT = {password!r}, {_pki.pem(key)!r}, {der!r}, {root!r}\n{PLANT}\n{how}\n")
        end = time.monotonic() + PATIENCE * 10
        while not (found := secrets.on_host(name, places)) and time.monotonic() < end:
            time.sleep(0.2)
        assert any(f"{path} " in said and "does not need it" in said for said in problems(found, {})), found
        if "0o644" in how:
            assert any(said.startswith(f"{path} is open to others: root:root 0644") for said in problems(found, {})), found
    finally:
        if path != "journal":
            site.host(name).check_output("rm %s", path)


def test_a_secret_in_the_output_would_be_found(site, planted):
    from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki, _secrets

    secrets, password, _name = planted
    root = _secrets.read_root(str(site.inventory / ".jitsi" / "root.key"), None)
    assert secrets.find(f"+ password = \"{password}\"".encode()) == {"xmpp/focus@7"}
    assert secrets.find(_pki.pem(_pki.derived_key(root, "tls/prosody", 7)).replace("\n", "\\n").encode()) == {"tls/prosody@7"}
    assert secrets.find((site.inventory / ".jitsi" / "root.key").read_bytes()) == {"root key"}
    # What is public is none: the authority's certificate, and one of a key that is searched for.
    assert secrets.find((site.inventory / ".jitsi" / "ca.crt").read_bytes()) == set()


def test_a_file_that_others_read_or_that_lost_its_secret_would_be_said():
    found = {"/etc/a": ({"one@1"}, "root:root 0640"), "/etc/b": ({"two@1"}, "root:adm 0644"), "/etc/c": ({"three@1", "four@1"}, "root:root 0600")}
    said = problems(found, {"/etc/a": {"one@1"}, "/etc/b": {"two@1"}, "/etc/c": {"three@1"}, "/etc/d": {"five@1"}})
    assert said == ["/etc/c (root:root 0600) has four@1, three@1 and does not need it", "/etc/d lacks five@1", "/etc/b is open to others: root:adm 0644"]
