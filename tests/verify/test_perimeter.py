# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be reached from outside is what docs/ports.md says, in every topology; and the firewall lets nobody down.

The machine that runs the lab is an outsider, too. Scans run there, in the network of whichever host looks.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time

import lab
import pytest
import yaml
from conftest import JSON, settled, works

from ansible_collections.campus.jitsi.plugins.module_utils import _ports
from ansible_collections.campus.jitsi.plugins.plugin_utils import _firewall, _topology

FAST = ["-T5", "--min-rate", "20000", "--max-retries", "2"]
PATIENT = ["-T3", "--max-retries", "5"]
SERVICE = "campus.jitsi-firewall.service"
TABLE = "nft --stateless --terse list table inet campus_jitsi"


def scan(addresses, prefix=(), ports="1-65535"):
    """The open TCP ports of each address, by address.

    All ports in haste, in which a busy machine misses some answers; then those that anything is known of once more, with patience.
    """
    found = once(addresses, prefix, ports, FAST)
    first, _minus, last = ports.partition("-")
    known = {_ports.span(row)[0] for row in _ports.PORTS if row.protocol == "tcp" and row.role} | {22} | set().union(*found.values())
    again = sorted(port for port in known if int(first) <= port <= int(last or first))
    for address, more in once(addresses, prefix, ",".join(map(str, again)), PATIENT).items():
        found[address] |= more
    return found


def once(addresses, prefix, ports, how):
    """The open ports that nmap finds in one go."""
    found = {address: set() for address in addresses}
    for family, flags in ((".", []), (":", ["-6"])):
        targets = [address for address in addresses if family in address]
        if targets:
            command = [*prefix, "nmap", *flags, "-n", "-Pn", *how, "-oG", "-", "-sS", "-p", ports, *targets]
            out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
            assert "0 hosts up" not in out, out
            for address, line in re.findall(r"(?m)^Host: (\S+) \(\)\tPorts: (.*)$", out):
                found[address] |= {int(port) for port in re.findall(r"(\d+)/open/", line)}
    return found


def documented(site, name, seen_from):
    """The TCP ports of a host that docs/ports.md says are open to somebody: a host of the installation, or an outsider."""
    placed = _topology.place_roles(site.groups)
    walled = "outside" in site.groups
    found = set()
    for row in _ports.rows(_firewall.roles_of(name, placed)):
        who = _firewall.meant(row, name, placed, _firewall.named_sources([], [], None))
        # Without the firewall, what is for some hosts is open to all.
        if row.protocol == "tcp" and (who == "everybody" or seen_from in who.split(", ") or (who != "nobody" and not walled)):
            found.add(22 if not row.role else _ports.span(row)[0])
    return found


@pytest.fixture
def nmap():
    if not shutil.which("nmap"):
        pytest.skip("nmap is not there: tests/tool.py bootstrap test")


@pytest.fixture
def walled(site):
    """The installation with the firewall, in which nothing is kept over a test."""
    if "outside" not in site.groups:
        pytest.skip("the scenario perimeter has the firewall")
    return site


@pytest.fixture
def restored(walled):
    """The same for a test that changes the firewall."""
    path = "/etc/campus.jitsi/firewall.nft"
    before = {name: walled.host(name).file(path).content_string for name in installation(walled)}
    yield walled
    for name, text in before.items():
        subprocess.run(walled.ssh(name, "sh", "-c", f"cat > {path} && systemctl restart {SERVICE}"), input=text, text=True, check=True)


def installation(site):
    return site.groups["jitsi"]


def test_a_scan_from_outside_finds_what_is_documented(site, nmap):
    """From the machine outside the lab, all of TCP, both families, in every topology."""
    if "outside" in site.groups:
        pytest.skip("the next test scans from a host of the lab")
    hosts = {address: name for name in installation(site) for address in site.addresses(name)}
    assert scan(hosts) == {address: documented(site, name, None) for address, name in hosts.items()}


def test_a_scan_from_a_host_outside(walled, nmap):
    hosts = {address: name for name in installation(walled) for address in walled.addresses(name)}
    expected = {"core": {22}, "web": {22, 80, 443, 3478, 5349}, "bridge1": {22}}
    assert expected == {name: documented(walled, name, None) for name in expected}
    assert scan(hosts, walled.network_of("scanner")) == {address: expected[name] for address, name in hosts.items()}


@pytest.mark.parametrize(("peer", "expected"), [("bridge1", {22, 5222}), ("web", {22, 5281})])
def test_a_scan_from_a_peer(walled, nmap, peer, expected):
    """Prosody's port for components is open to the bridge, and that for browsers to nginx; neither to the other."""
    core = walled.addresses("core")
    assert scan(core, walled.network_of(peer), "1-10000") == dict.fromkeys(core, expected)
    assert expected == documented(walled, "core", peer)


SEND = """
import socket, sys
for family, address in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2])):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        for port in range(1, 65536):
            for _attempt in range(100):
                try:
                    one.sendto(b"x", (address, port))
                    break
                except OSError:
                    continue
"""
OBSERVER = """
table inet observer {
  set seen4 { type inet_service; flags dynamic; size 65536; }
  set seen6 { type inet_service; flags dynamic; size 65536; }
  chain before { type filter hook prerouting priority -400; meta l4proto udp iifname "host0" counter; }
  chain after {
    type filter hook input priority 100;
    meta nfproto ipv4 meta l4proto udp iifname "host0" ct state new add @seen4 { udp dport }
    meta nfproto ipv6 meta l4proto udp iifname "host0" ct state new add @seen6 { udp dport }
  }
}
"""


@pytest.mark.parametrize(("name", "expected"), [("core", set()), ("web", {3478, *range(49152, 65536)}), ("bridge1", {10000})])
def test_all_of_udp_from_a_host_outside(walled, name, expected):
    """One packet to each port; a table behind ours notes what was let through."""
    ssh = walled.ssh(name, "nft", "-f", "-")
    subprocess.run(ssh, input=OBSERVER, text=True, check=True)
    host = walled.host(name)
    try:
        subprocess.run([*walled.network_of("scanner"), "python3", "-", *walled.addresses(name)], input=SEND, text=True, check=True, timeout=120)
        time.sleep(1)
        listed = json.loads(host.check_output("nft --json list table inet observer"))["nftables"]
    finally:
        host.check_output("nft delete table inet observer")
    arrived = next(part["counter"]["packets"] for entry in listed if "rule" in entry for part in entry["rule"]["expr"] if "counter" in part)
    assert arrived >= 2 * 65000, "too few packets arrived to say anything"
    sets = {entry["set"]["name"]: set(entry["set"].get("elem", ())) for entry in listed if "set" in entry}
    assert sets == {"seen4": expected, "seen6": expected}


def test_neighbours_are_found_and_pings_answered(walled, nmap):
    for name in installation(walled):
        walled.host(name).check_output("ip -6 neigh flush all")
        for address in walled.addresses(name):
            command = ["nmap", *(["-6"] if ":" in address else []), "-n", "-sn", "-PE", "--send-ip", "--disable-arp-ping", address]
            seen = subprocess.run([*walled.network_of("scanner"), *command], capture_output=True, text=True, check=True).stdout
            assert "(1 host up)" in seen, seen


def test_a_conference_works_behind_the_firewall(walled):
    works(settled(walled))




# --- others, and coming and going ----------------------------------------------------------------------------------


def test_what_others_have_stays_and_removal_leaves_nothing(restored):
    host = restored.host("core")
    others = "table inet somebody {\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t\ttcp dport 9 drop\n\t}\n}\n"
    subprocess.run(restored.ssh("core", "nft", "-f", "-"), input=others, text=True, check=True)
    theirs = host.check_output("nft list table inet somebody")
    configuration = host.check_output("cat /etc/nftables.conf; systemctl is-enabled nftables; true")
    try:
        done = restored.playbook("campus.jitsi.site", "--tags", "firewall", "--diff", variables={"jitsi_firewall": "none"})
        assert done.code == 0 and done.changes == {"Remove the firewall"}, done.output
        assert host.check_output("nft list ruleset") == theirs.strip()
        assert host.run("systemctl cat %s", SERVICE).rc != 0
        assert host.check_output("find /etc /run /var/lib -path /run/credentials -prune -o -path '*campus.jitsi*firewall*' -print") == ""
        assert not host.file("/etc/systemd/system/nftables.service.d").exists
        again = restored.playbook("campus.jitsi.site", "--tags", "firewall", variables={"jitsi_firewall": "none"})
        assert again.code == 0 and again.changed == 0, again.output
        back = restored.playbook("campus.jitsi.site", "--tags", "firewall")
        assert back.code == 0 and back.changes == {"Close the host but for what is used"}, back.output
        assert host.check_output("nft list table inet somebody") == theirs
        assert host.check_output("cat /etc/nftables.conf; systemctl is-enabled nftables; true") == configuration
        works(settled(restored))
    finally:
        host.run("nft delete table inet somebody")
        if not host.file("/etc/campus.jitsi/firewall.nft").exists:
            restored.playbook("campus.jitsi.site", "--tags", "firewall")


def test_a_check_shows_the_rules_and_changes_nothing(walled):
    before = walled.host("core").check_output(TABLE)
    done = walled.playbook("campus.jitsi.site", "--tags", "firewall", "--check", "--diff", "--limit", "core",
                           variables={"jitsi_firewall_open": ["8443/tcp"]})
    assert done.code == 0 and done.changes == {"Close the host but for what is used"}, done.output
    assert '+    tcp dport 8443 accept comment "jitsi_firewall_open"' in done.output
    assert walled.host("core").check_output(TABLE) == before


@pytest.mark.parametrize("verb", ["start", "reload", "restart", "stop"])
def test_nftables_service_does_not_take_the_table_away(walled, verb):
    """Its default configuration empties all tables."""
    host = walled.host("web")
    before = host.check_output(TABLE)
    if verb != "start":
        host.check_output("systemctl start nftables")
    try:
        host.check_output("systemctl %s nftables", verb)
        assert host.check_output(TABLE) == before
        assert host.service(SERVICE).is_running
    finally:
        host.check_output("systemctl stop nftables")
    assert host.check_output(TABLE) == before


def test_a_table_that_is_gone_or_changed_is_put_right(walled):
    host = walled.host("web")
    before = host.check_output(TABLE)
    for command in (f"nft flush ruleset; systemctl disable {SERVICE}", "nft insert rule inet campus_jitsi input accept"):
        host.check_output(command)
        done = walled.playbook("campus.jitsi.site", "--tags", "firewall", "--limit", "web")
        assert done.code == 0 and done.changed == 1, done.output
        assert host.check_output(TABLE) == before and host.service(SERVICE).is_running and host.service(SERVICE).is_enabled


LISTEN = """
import socket, sys
server = socket.create_server(("", 9999))
open("/run/talk.ready", "w").close()
one, _peer = server.accept()
import os, time
while not os.path.exists("/run/talk.go"):
    time.sleep(0.1)
one.sendall(b"still here")
time.sleep(30)
"""
TALK = """
import socket, sys
one = socket.create_connection((sys.argv[1], 9999), timeout=30)
print("connected", flush=True)
print(one.recv(100).decode(), flush=True)
"""


def test_connections_that_exist_go_on(restored):
    """Also one that the host itself opened before there was any table, and in which the other side speaks first."""
    restored.host("core").check_output("nft delete table inet campus_jitsi")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(subprocess.Popen(restored.ssh("scanner", "python3", "-c", LISTEN)))
        stack.callback(server.kill)
        stack.callback(restored.host("scanner").run, "rm -f /run/talk.*")
        restored.host("scanner").check_output("for n in $(seq 100); do test -e /run/talk.ready && exit 0; sleep 0.1; done; exit 1")
        command = restored.ssh("core", "python3", "-c", TALK, restored.address("scanner"))
        talk = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(talk.kill)
        assert talk.stdout.readline() == "connected\n"
        # This connection of SSH is one that exists, too: the shell at its end goes on.
        done = restored.playbook("campus.jitsi.site", "--tags", "firewall", "--limit", "core")
        assert done.code == 0 and done.changed == 1, done.output
        restored.host("scanner").check_output("touch /run/talk.go")
        assert talk.stdout.readline() == "still here\n"


def test_rules_are_there_after_a_reboot(walled, nmap):
    before = walled.host("bridge1").check_output(TABLE)
    machines = lab.Lab(lab.lab_id(os.environ["CAMPUS_LAB"]))
    machines.stop("bridge1")
    machines.begin("bridge1")
    fresh = subprocess.run(walled.ssh("bridge1", "sh", "-c", TABLE), capture_output=True, text=True, check=True).stdout
    assert fresh.strip() == before.strip()
    addresses = walled.addresses("bridge1")
    assert scan(addresses, walled.network_of("scanner")) == dict.fromkeys(addresses, {22})
    works(settled(walled))


# --- SSH is not cut off --------------------------------------------------------------------------------------------


def test_a_firewall_that_would_cut_off_the_run_is_refused(walled):
    before = walled.host("core").check_output(TABLE)
    done = walled.playbook("campus.jitsi.site", "--tags", "firewall", variables={"jitsi_ssh_sources": ["192.0.2.1"]}, environment=JSON)
    assert done.code != 0 and done.changed == 0, done.output
    came = walled.address("core").rpartition(".")[0] + ".1"
    assert sorted(done.failures) == [
        f"{name}: this run comes from {came}, which is not in `jitsi_ssh_sources` (192.0.2.1), so the firewall would cut it off: add {came} or "
        "the network that it is in." for name in sorted(installation(walled))]
    assert walled.host("core").check_output(TABLE) == before


def test_a_host_that_cannot_be_reached_any_more_goes_back_by_itself(walled):
    """What is not refused before, for the module is used alone here."""
    host = walled.host("web")
    before, file = host.check_output(TABLE), host.file("/etc/campus.jitsi/firewall.nft").content_string
    with subprocess.Popen(walled.ssh("web", "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as open_before:
        open_before.stdin.write("one\n")
        open_before.stdin.flush()
        assert open_before.stdout.readline() == "one\n"
        result = walled.module("web", "firewall", {"ssh_sources": ["192.0.2.1"], "rollback_after": 8}, "-T", "3")
        open_before.stdin.write("two\n")
        open_before.stdin.flush()
        assert open_before.stdout.readline() == "two\n"
        open_before.stdin.close()
    assert result["failed"], result
    assert re.fullmatch(r"web: with the new rules no new SSH connection to it is possible \(.*\), so it went back to the rules that it had\. Look at "
                        r"`jitsi_ssh_sources` and at the port that its sshd listens on\.", result["msg"]), result
    assert host.check_output(TABLE) == before
    assert host.file("/etc/campus.jitsi/firewall.nft").content_string == file
    assert host.run("systemctl is-active campus.jitsi-firewall-rollback.timer").stdout.strip() == "inactive"


def test_a_run_that_dies_in_between_leaves_the_old_rules(walled):
    host = walled.host("web")
    before = host.check_output(TABLE)
    rules = host.file("/etc/campus.jitsi/firewall.nft").content_string
    cut = rules.replace("tcp dport 22 accept", "tcp dport 2222 accept")
    assert cut != rules
    result = walled.module("web", "firewall_rules", {"step": "try", "rules": cut, "rollback_after": 6})
    assert not result["failed"] and result["pending"], result
    address = walled.address("web")
    # No new connection now, and again after a moment, without anybody's doing.
    with pytest.raises(OSError):
        socket.create_connection((address, 22), timeout=2)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=2):
            break
    else:
        pytest.fail("web is not back")
    fresh = subprocess.run(walled.ssh("web", "sh", "-c", TABLE), capture_output=True, text=True, check=True).stdout
    assert fresh.strip() == before.strip()


def test_rules_that_nft_does_not_take_change_nothing(walled):
    before = walled.host("web").check_output(TABLE)
    result = walled.module("web", "firewall_rules", {"step": "try", "rules": "table inet campus_jitsi { chain x { tcp dport nonsense } }\n"})
    assert result["failed"] and re.match(r"nft does not accept the rules: .*rror.*\. Nothing was changed\.", result["msg"]), result
    assert walled.host("web").check_output(TABLE) == before


def test_ssh_for_some(restored, nmap):
    """From the machine outside, from which the runs come, and no longer from the scanner."""
    came = restored.address("core").rpartition(".")[0] + ".1"
    done = restored.playbook("campus.jitsi.site", "--tags", "firewall", "--limit", "core", variables={"jitsi_ssh_sources": [f"{came}/32"]})
    assert done.code == 0 and done.changed == 1, done.output
    addresses = restored.addresses("core")
    assert scan(addresses, restored.network_of("scanner"), "1-6000") == dict.fromkeys(addresses, set())
    assert scan(addresses[:1], ports="1-6000") == {addresses[0]: {22}}


# --- who is who ----------------------------------------------------------------------------------------------------


def test_a_run_for_one_host_loses_no_other_and_lets_that_one_in(restored, tmp_path):
    """The bridge gets another address, and the run is for the bridge alone."""
    copy = tmp_path / "inventory"
    shutil.copytree(restored.inventory, copy, symlinks=True)
    (copy / "host_vars" / "bridge1").mkdir(parents=True, exist_ok=True)
    (copy / "host_vars" / "bridge1" / "address.yml").write_text(yaml.safe_dump({"jitsi_address": "203.0.113.77"}), encoding="utf-8")
    done = restored.playbook("campus.jitsi.site", "--tags", "firewall", "--limit", "bridge1", inventory=copy)
    assert done.code == 0 and done.changes == {"Open Prosody's host to the hosts of this run, when it is none of them"}, done.output
    table = restored.host("core").check_output(TABLE)
    web, bridge = restored.addresses("web"), restored.addresses("bridge1")
    assert re.search(rf"ip saddr {{ {re.escape(bridge[0])}, 203\.0\.113\.77 }} tcp dport 5222", table), table
    assert f"ip saddr {web[0]} tcp dport 5281" in table and f"ip6 saddr {_firewall.ordered([web[1]])[0]} tcp dport 5281" in table
    # And a run for Prosody's host alone keeps the bridge in.
    done = restored.playbook("campus.jitsi.site", "--tags", "firewall", "--limit", "core")
    assert done.code == 0, done.output
    table = restored.host("core").check_output(TABLE)
    assert re.search(rf"ip saddr {{ {re.escape(bridge[0])}, 203\.0\.113\.77 }} tcp dport 5222", table) and f"ip saddr {web[0]} tcp dport 5281" in table
    assert f"ip6 saddr {_firewall.ordered([bridge[1]])[0]} tcp dport 5222" in table


def test_a_host_that_nobody_can_name_stops_the_run_and_not_the_others(restored, tmp_path):
    copy = tmp_path / "inventory"
    shutil.copytree(restored.inventory, copy, symlinks=True)
    hosts = {"jitsi": {"hosts": {"bridge9": {"ansible_host": "bridge9.invalid"}}}, "jitsi_jvb": {"hosts": {"bridge9": None}}}
    (copy / "more.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    before = restored.host("core").check_output(TABLE)
    done = restored.playbook("campus.jitsi.site", "--tags", "firewall", "--limit", "core", inventory=copy, environment=JSON)
    assert done.code != 0, done.output
    assert done.failures == ["core: nobody knows an address of bridge9, which must reach it, so the rules were left as they are: give bridge9 a "
                             "`jitsi_address` that can be resolved, or run this without --limit."]
    assert restored.host("core").check_output(TABLE) == before


def fetch(prefix, url):
    """The status and the text that a URL gives in the network of a host."""
    script = ("import sys, urllib.request as r\n"
              "print(r.build_opener(r.ProxyHandler({})).open(r.Request(sys.argv[1], headers={'Accept': 'text/plain'}), timeout=3).read().decode())")
    return subprocess.run([*prefix, "python3", "-c", script, url], capture_output=True, text=True, check=False, timeout=30)


def test_monitoring_for_some(restored, nmap):
    """Opened to the scanner alone, in both families, and on loopback again afterwards."""
    sources = list(restored.addresses("scanner"))
    done = restored.playbook("campus.jitsi.site", "--tags", "jvb,jicofo", variables={"jitsi_monitoring_sources": sources})
    assert done.code == 0, done.output
    try:
        for name, port, metric in (("bridge1", 8080, "jitsi_jvb_"), ("core", 8888, "jitsi_jicofo_")):
            v4, v6 = restored.addresses(name)
            for url in (f"http://{v4}:{port}/metrics", f"http://[{v6}]:{port}/metrics"):
                seen = fetch(restored.network_of("scanner"), url)
                assert seen.returncode == 0 and metric in seen.stdout, seen.stderr[-500:] + seen.stdout[:200]
                assert fetch(restored.network_of("web"), url).returncode != 0
            assert scan([v4, v6], ports=str(port)) == {v4: set(), v6: set()}
        works(settled(restored))
        status = restored.playbook("campus.jitsi.status", variables={"jitsi_monitoring_sources": sources})
        assert status.code == 0 and re.search(rf"jvb +8080/tcp +all +{re.escape(', '.join(sources))} +ok", status.output), status.output
    finally:
        done = restored.playbook("campus.jitsi.site", "--tags", "jvb,jicofo,firewall")
    assert done.code == 0, done.output
    for name, port in (("bridge1", 8080), ("core", 8888)):
        bound = restored.host(name).check_output("ss --no-header -tln 'sport = :%s'", str(port))
        assert "127.0.0.1" in bound and len(bound.splitlines()) == 1


@pytest.fixture
def by_sudo(restored):
    """The inventory names a user who is not root, and may become root without a password."""
    words = restored.inventory / "zz-sudo.yml"
    make = ("useradd --create-home campus-test && install -d -m 700 -o campus-test ~campus-test/.ssh && "
            "install -m 600 -o campus-test /root/.ssh/authorized_keys ~campus-test/.ssh/ && "
            "install -m 440 /dev/stdin /etc/sudoers.d/campus-test <<< 'campus-test ALL=(ALL) NOPASSWD: ALL'")
    hosts = installation(restored)
    try:
        for name in hosts:
            subprocess.run(restored.ssh(name, "bash", "-c", make), check=True, timeout=60)
        words.write_text(yaml.safe_dump({"all": {"hosts": {name: {"ansible_user": "campus-test", "ansible_become": True} for name in hosts}}}))
        yield restored
    finally:
        words.unlink(missing_ok=True)
        for name in hosts:
            subprocess.run(restored.ssh(name, "sh", "-c", "rm -f /etc/sudoers.d/campus-test; pkill -KILL -u campus-test; userdel --remove campus-test"),
                           check=False, timeout=60, stderr=subprocess.DEVNULL)


def test_somebody_with_sudo_runs_it(by_sudo):
    """Nothing differs for a user who becomes root; new rules are tried over that user's own connection."""
    done = by_sudo.playbook("campus.jitsi.site")
    assert done.code == 0 and done.changed == 0, done.output
    done = by_sudo.playbook("campus.jitsi.site", "--tags", "firewall", "--limit", "web", variables={"jitsi_firewall_open": ["2200/tcp"]})
    assert done.code == 0, done.output
    assert "2200" in by_sudo.host("web").check_output("nft list table inet campus_jitsi")


# --- the matrix ----------------------------------------------------------------------------------------------------


def test_the_matrix_of_ports(walled):
    done = walled.playbook("campus.jitsi.status")
    assert done.code == 0 and done.changed == 0, done.output
    for line in (r"core: the firewall is loaded, as the inventory asks for", r"  prosody +5222/tcp +all +bridge1 +ok",
                 r"  prosody +5280/tcp +loopback +this host +ok", r"  prosody +5281/tcp +all +web +ok",
                 r"  nginx_meet +443/tcp +all +everybody +ok", r"  jvb +10000/udp +\S+, \S+ +everybody +ok",
                 r"  jicofo +8888/tcp +loopback +this host +ok", r"  SSH +22/tcp +all +everybody +ok", r"  nginx +\S+ +active +\w+ \S+ \S+ UTC"):
        assert re.search(rf"(?m)^{line}$", done.output), line + "\n" + done.output


@contextlib.contextmanager
def stranger(host, port):
    """Somebody else's server on all addresses."""
    host.check_output("systemd-run --quiet --collect --unit=somebodys-server python3 -m http.server %s", str(port))
    try:
        host.check_output("for n in $(seq 50); do ss --no-header -tln 'sport = :%s' | grep -q . && exit 0; sleep 0.1; done; exit 1", str(port))
        yield
    finally:
        host.check_output("systemctl stop somebodys-server")


def test_what_is_not_in_the_table_is_shown(walled):
    host = walled.host("web")
    with stranger(host, 9090):
        done = walled.playbook("campus.jitsi.status", "--limit", "web")
        assert done.code == 0 and re.search(r"\(python3\) +9090/tcp +all +nobody +closed by the firewall", done.output), done.output
        host.check_output("nft delete table inet campus_jitsi")
        try:
            done = walled.playbook("campus.jitsi.status", "--limit", "web", environment=JSON)
        finally:
            host.check_output("systemctl reload %s", SERVICE)
    assert done.code != 0 and "\n".join(done.failures) == (
        "web: the firewall is not loaded; run campus.jitsi.site --tags firewall.\nweb: 9090/tcp (python3): not in the table."), done.output


def test_without_a_firewall_a_stranger_must_be_listed(single):
    (name,) = single.hosts
    done = single.playbook("campus.jitsi.status", environment=JSON)
    assert done.code == 0, done.output
    with stranger(single.host(name), 9090):
        done = single.playbook("campus.jitsi.status", environment=JSON)
        assert done.code != 0 and done.failures == [f"{name}: 9090/tcp (python3): not in the table."], done.output
        done = single.playbook("campus.jitsi.status", variables={"jitsi_firewall_open": ["9090/tcp"]}, environment=JSON)
        assert done.code == 0, done.output
