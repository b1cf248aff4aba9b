# SPDX-License-Identifier: GPL-3.0-or-later
"""What is open to whom, worked out from the inventory; and that nft takes it."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _ports, _sockets
from ansible_collections.campus.jitsi.plugins.modules import firewall_rules, preflight
from ansible_collections.campus.jitsi.plugins.plugin_utils import _firewall, _status
from ansible_collections.campus.jitsi.plugins.plugin_utils._topology import place_roles
from hypothesis import given, settings
from hypothesis import strategies as st

ADDRESSES = {"core": ["192.0.2.1", "2001:db8::1"], "web": ["192.0.2.2"], "bridge1": ["192.0.2.3", "2001:db8::3"], "bridge2": ["192.0.2.4"],
             "turn": ["192.0.2.5"], "meet": ["192.0.2.6"]}
SPLIT = {"jitsi": ["core", "web", "bridge1", "bridge2"], "jitsi_prosody": ["core"], "jitsi_jicofo": ["core"], "jitsi_nginx_meet": ["web"],
         "jitsi_jvb": ["bridge1", "bridge2"]}


def opened(host, groups, **keywords):
    """What is open on a host, each as a port and the addresses that may reach it, ``*`` for everybody."""
    found = _firewall.openings(host, place_roles(groups), addresses=ADDRESSES, **keywords)
    return {_ports.shown(one.first, one.last, one.protocol): " ".join(map(_firewall.written, one.sources)) or "*" for one in found}


@pytest.mark.parametrize(
    ("host", "groups", "expected"),
    [
        ("meet", {"jitsi": ["meet"]}, {"22/tcp": "*", "80/tcp": "*", "443/tcp": "*", "10000/udp": "*"}),
        ("meet", {"jitsi": ["meet"], "jitsi_coturn": ["meet"]},
         {"22/tcp": "*", "80/tcp": "*", "443/tcp": "*", "10000/udp": "*", "3478/udp": "*", "3478/tcp": "*", "5349/tcp": "*", "49152-65535/udp": "*"}),
        ("core", SPLIT, {"22/tcp": "*", "5222/tcp": "192.0.2.3 2001:db8::3 192.0.2.4", "5281/tcp": "192.0.2.2"}),
        ("web", SPLIT, {"22/tcp": "*", "80/tcp": "*", "443/tcp": "*"}),
        ("bridge1", SPLIT, {"22/tcp": "*", "10000/udp": "*"}),
        ("turn", {"jitsi": ["meet", "turn"], "jitsi_coturn": ["turn"]},
         {"22/tcp": "*", "3478/udp": "*", "3478/tcp": "*", "5349/tcp": "*", "5349/udp": "*", "443/tcp": "*", "49152-65535/udp": "*"}),
        ("meet", {"jitsi": ["meet", "bridge1"], "jitsi_jvb": ["bridge1"]},
         {"22/tcp": "*", "80/tcp": "*", "443/tcp": "*", "5222/tcp": "192.0.2.3 2001:db8::3"}),
        # jicofo of its own: it is a component as the bridges are.
        ("core", {"jitsi": ["core", "meet"], "jitsi_prosody": ["core"], "jitsi_jicofo": ["meet"], "jitsi_jvb": ["core"], "jitsi_nginx_meet": ["core"]},
         {"22/tcp": "*", "80/tcp": "*", "443/tcp": "*", "10000/udp": "*", "5222/tcp": "192.0.2.6"}),
    ],
)
def test_topologies(host, groups, expected):
    assert opened(host, groups) == expected


def test_variables_decide():
    everything = opened("meet", {"jitsi": ["meet"]}, ssh_ports=[22, 2222], ssh_sources=["198.51.100.0/24"], monitoring=["198.51.100.9"],
                        opened=["25/tcp", {"port": "6000-6010", "protocol": "udp", "sources": ["2001:db8::/32"]}])
    assert everything == {
        "22/tcp": "198.51.100.0/24", "2222/tcp": "198.51.100.0/24", "80/tcp": "*", "443/tcp": "*", "10000/udp": "*", "8888/tcp": "198.51.100.9",
        "8080/tcp": "198.51.100.9", "25/tcp": "*", "6000-6010/udp": "2001:db8::/32"}
    turn = {"jitsi": ["meet", "turn"], "jitsi_coturn": ["turn"]}
    assert "50000-50100/udp" in opened("turn", turn, variables={"coturn_min_port": 50000, "coturn_max_port": 50100})
    assert opened("turn", turn, variables={"jitsi_tls_source": "acme"})["80/tcp"] == "*"


PHONES = {"jitsi": ["meet", "web"], "jitsi_jigasi": ["web"]}


@pytest.mark.parametrize(
    ("host", "groups", "variables", "more"),
    [
        # What answers the gateway's own registration gets in without any source, and nobody else does.
        ("web", PHONES, {}, {}),
        ("web", PHONES, {"jigasi_sip_sources": ["198.51.100.7", "2001:db8:5::/48"]}, {
            "5060-5069/udp": "198.51.100.7 2001:db8:5::/48", "5060-5069/tcp": "198.51.100.7 2001:db8:5::/48",
            "20000-20199/udp": "198.51.100.7 2001:db8:5::/48"}),
        ("web", PHONES, {"jigasi_sip_sources": ["198.51.100.7"], "jigasi_min_port": 30000, "jigasi_max_port": 30499},
         {"5060-5069/udp": "198.51.100.7", "5060-5069/tcp": "198.51.100.7", "30000-30499/udp": "198.51.100.7"}),
        # Prosody lets a gateway of another host in, and none of its own host needs it.
        ("meet", PHONES, {}, {"80/tcp": "*", "443/tcp": "*", "10000/udp": "*", "5222/tcp": "192.0.2.2"}),
        ("meet", {"jitsi": ["meet"], "jitsi_jigasi": ["meet"]}, {"jigasi_sip_sources": ["198.51.100.7"]}, {
            "80/tcp": "*", "443/tcp": "*", "10000/udp": "*", "5060-5069/udp": "198.51.100.7", "5060-5069/tcp": "198.51.100.7",
            "20000-20199/udp": "198.51.100.7"}),
    ],
)
def test_telephones(host, groups, variables, more):
    assert opened(host, groups, variables=variables) == {"22/tcp": "*", **more}


def test_whose_addresses_are_needed():
    placed = place_roles(SPLIT)
    assert _firewall.peers_needed("core", placed) == ["bridge1", "bridge2", "web"]
    assert _firewall.peers_needed("web", placed) == _firewall.peers_needed("bridge1", placed) == []
    with pytest.raises(KeyError):
        _firewall.openings("core", placed, addresses={"bridge1": ["192.0.2.3"]})


def test_the_default_of_a_variable_is_that_of_its_role():
    import pathlib

    import yaml

    roles = pathlib.Path(__file__).resolve().parents[2] / "roles"
    defaults = {}
    for path in roles.glob("*/defaults/main.yml"):
        defaults.update(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    for name, value in _ports.VARIABLES.items():
        assert str(defaults.get(name, value)).lower() == str(value).lower(), name


FACTS = {
    "interfaces": ["lo", "eth0", "docker0", "br-0123456789ab", "br-campus", "veth12ab"],
    "lo": {"ipv4": {"address": "127.0.0.1"}},
    "eth0": {"ipv4": {"address": "192.0.2.7"}, "ipv4_secondaries": [{"address": "192.0.2.8"}],
             "ipv6": [{"address": "fe80::1", "scope": "link"}, {"address": "2001:db8::7", "scope": "global"}]},
    "docker0": {"ipv4": {"address": "172.17.0.1"}}, "br_0123456789ab": {"ipv4": {"address": "172.18.0.1"}},
    "br_campus": {"ipv4": {"address": "198.51.100.1"}}, "veth12ab": {"ipv6": [{"address": "fd00::9"}]},
}


def test_a_host_s_own_addresses_are_those_that_others_see():
    assert _firewall.usable_addresses(FACTS) == ["192.0.2.7", "192.0.2.8", "198.51.100.1", "2001:db8::7"]


@pytest.mark.parametrize(
    ("values", "memory", "expected"),
    [
        ({"ansible_host": "192.0.2.9"}, {}, ["192.0.2.9"]),
        # A run that does not see the host knows what an earlier one saw; what the host itself says wins.
        ({"ansible_host": "192.0.2.9"}, {"bridge": ["2001:db8::9", "192.0.2.9"]}, ["192.0.2.9", "2001:db8::9"]),
        ({"ansible_host": "192.0.2.9", "ansible_facts": FACTS}, {"bridge": ["192.0.2.66"]},
         ["192.0.2.7", "192.0.2.8", "192.0.2.9", "198.51.100.1", "2001:db8::7"]),
        ({"ansible_host": "192.0.2.9", "jitsi_address": "203.0.113.9"}, {}, ["203.0.113.9"]),
        ({"ansible_host": "bridge.invalid"}, {}, []),
        ({"ansible_host": "127.0.0.1"}, {}, []),
    ],
)
def test_addresses_of_another_host(values, memory, expected):
    assert _firewall.addresses_of("bridge", {"bridge": values}, memory) == expected


def test_what_is_remembered():
    peers = {"bridge1": ["192.0.2.3", "2001:db8::3"], 'odd "name"\n': ["192.0.2.4"]}
    text = _firewall.script([], peers)
    assert _firewall.remembered(text) == peers
    assert _firewall.remembered("") == _firewall.remembered("# Other hosts: {") == _firewall.remembered("# Other hosts: []") == {}
    assert _firewall.remembered('# Other hosts: {"a": ["x; drop", "192.0.2.1"], "b": 5}') == {"a": ["192.0.2.1"]}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"jitsi_ssh_sources": ["10.0.0.0/33"]}, "`jitsi_ssh_sources[0]` is '10.0.0.0/33': give an address or a network such as `192.0.2.7`"),
        ({"jitsi_ssh_sources": ["192.0.2.1", "office.example.edu"]}, "`jitsi_ssh_sources[1]` is 'office.example.edu': give an address"),
        ({"jitsi_ssh_sources": ["10.0.0.1/24"]}, "write `10.0.0.0/24` for all of it or `10.0.0.1` for that one."),
        ({"jitsi_ssh_sources": ["fe80::1%eth0"]}, "leave out the interface"),
        ({"jitsi_ssh_sources": ["::ffff:192.0.2.1"]}, "write the address of IPv4 as such: `192.0.2.1`."),
        ({"jitsi_ssh_sources": [5]}, "`jitsi_ssh_sources[0]` is 5: give an address"),
        ({"jitsi_monitoring_sources": ["x"]}, "`jitsi_monitoring_sources[0]` is 'x'"),
        ({"jitsi_firewall_open": ["8443"]}, "`jitsi_firewall_open[0]` is '8443': its protocol is '': take tcp or udp, as in `8443/tcp`."),
        ({"jitsi_firewall_open": ["8443/sctp"]}, "its protocol is 'sctp': take tcp or udp"),
        ({"jitsi_firewall_open": ["0/tcp"]}, "give a port from 1 to 65535"),
        ({"jitsi_firewall_open": ["70000/tcp"]}, "give a port from 1 to 65535"),
        ({"jitsi_firewall_open": ["https/tcp"]}, "give a port from 1 to 65535"),
        ({"jitsi_firewall_open": ["600-500/udp"]}, "give a port from 1 to 65535, or a range such as `6000-6010`"),
        ({"jitsi_firewall_open": [8443]}, "write it as `8443/tcp`, or as a dictionary"),
        ({"jitsi_firewall_open": [{"port": 1, "protocol": "tcp", "source": []}]}, "`source` is no setting: did you mean `sources`."),
        ({"jitsi_firewall_open": [{"port": 1, "protocol": "tcp", "sources": "192.0.2.1"}]}, "`sources` must be a list"),
        ({"jitsi_firewall_open": [{"port": 1, "protocol": "tcp", "sources": ["y"]}]}, "give an address or a network"),
    ],
)
def test_bad_variables(variables, said):
    (problem,) = _firewall.problems({"jitsi_firewall": "nftables", **variables})
    assert said in problem and problem.endswith(".")


@pytest.mark.parametrize("name", ["jitsi_ssh_sources", "jitsi_monitoring_sources"])
def test_sources_need_the_firewall(name):
    (problem,) = _firewall.problems({"jitsi_firewall": "none", name: ["192.0.2.1"]})
    assert problem.startswith(f"`{name}` is set and there is no firewall") and "`jitsi_firewall: nftables`" in problem


def test_good_variables():
    assert _firewall.problems({}) == []
    assert _firewall.problems({"jitsi_firewall_open": ["25/tcp"]}) == []
    assert _firewall.problems({"jitsi_firewall": "nftables", "jitsi_ssh_sources": ["0.0.0.0/0", "::/0"], "jitsi_monitoring_sources": ["192.0.2.1"],
                               "jitsi_firewall_open": [{"port": 1, "protocol": "udp"}, "1-2/tcp"]}) == []


networks = st.one_of(st.ip_addresses(), st.ip_addresses(network="0.0.0.0/0"), st.ip_addresses(network="::/0"))


@given(networks, st.integers(0, 128))
def test_every_network_is_read_back_as_it_was(address, length):
    if getattr(address, "ipv4_mapped", None):
        return
    network = ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)
    if getattr(network.network_address, "ipv4_mapped", None):
        return
    assert _firewall.parse_source(str(network)) == network
    assert _firewall.parse_source(_firewall.written(network)) == network


@given(st.text(max_size=40))
def test_any_text_is_a_source_or_a_sentence(text):
    try:
        network = _firewall.parse_source(text)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert re.fullmatch(r"[0-9a-f.:/]+", _firewall.written(network))


@given(st.one_of(st.text(max_size=20), st.integers(), st.none(), st.lists(st.integers(), max_size=2),
                 st.dictionaries(st.sampled_from(["port", "protocol", "sources", "x"]), st.one_of(st.text(max_size=5), st.integers(), st.none()))))
def test_any_item_is_an_opening_or_a_sentence(item):
    try:
        one = _firewall.parse_open(item)
    except ValueError:
        return
    assert 1 <= one.first <= one.last <= 65535 and one.protocol in ("tcp", "udp")


@given(st.lists(networks, max_size=12))
def test_rules_name_exactly_the_addresses_that_were_given(addresses):
    sources = tuple(ipaddress.ip_network(address) for address in addresses)
    rules = _firewall.lines(_firewall.Opening("tcp", 1, 2, sources, "x"))
    if not sources:
        assert rules == ['tcp dport 1-2 accept comment "x"']
        return
    named = [ipaddress.ip_network(word) for rule in rules for word in re.search(r"{ (.*) } tcp dport 1-2 accept", rule)[1].split(", ")]
    assert {one for one in sources} <= {part for network in named for part in [network]} | {
        one for one in sources if any(one.version == network.version and one.subnet_of(network) for network in named)}
    assert sum(network.num_addresses for network in named) == len(set(sources))


@pytest.fixture(scope="module")
def nft():
    """Load a script in a network of its own and return the table as it is listed."""
    if os.geteuid() or not shutil.which("nft"):
        pytest.skip("needs root and nft")

    def load(text: str) -> str:
        listed = "nft -f - && nft --stateless --terse list table inet campus_jitsi"
        done = subprocess.run(["unshare", "--net", "sh", "-c", listed], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return load


@pytest.mark.parametrize("host", ["core", "web", "bridge1"])
def test_nft_takes_the_table_also_over_another_one(nft, host):
    found = _firewall.openings(host, place_roles(SPLIT), addresses=ADDRESSES, ssh_sources=["0.0.0.0/0", "2001:db8::/32"],
                               monitoring=["192.0.2.0/24", "192.0.2.7"], opened=["25/tcp", "6000-6010/udp"])
    text = _firewall.script(found, ADDRESSES)
    listed = nft(text)
    assert nft(text + text) == listed
    assert "policy drop" in listed and listed.count(" dport 25 ") == 1
    # What is listed can be loaded: that is how the old rules come back.
    assert nft(firewall_rules.GONE + listed) == listed


@settings(max_examples=25)
@given(st.lists(networks, min_size=1, max_size=5))
def test_nft_takes_any_addresses(nft, addresses):
    sources = tuple(ipaddress.ip_network(address) for address in addresses)
    nft(_firewall.script([_firewall.Opening("udp", 5, 5, sources, "x")], {}))


# --- what the host says --------------------------------------------------------------------------------------------


TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:22B8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   0   0 1 1 0 100 0 0 10 0
   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   0   0 2 1 0 100 0 0 10 0
   2: B80D0120000000000000000001000000:C350 B80D0120000000000000000002000000:1466 01 00000000:00000000 00:00000000 00000000   0   0 3 1 0 20 4 30 10 -1
   3: B80D0120000000000000000001000000:0016 B80D0120000000000000000003000000:C351 01 00000000:00000000 00:00000000 00000000   0   0 4 1 0 20 4 30 10 -1
"""


def test_sockets_of_ipv6():
    everything = _sockets.sockets(TCP6, "tcp")
    assert [(one.address, one.port) for one in _sockets.listening(everything)] == [("127.0.0.1", 8888), ("::", 22)]
    # Somebody came to port 22; the other connection was opened here.
    assert [(one.peer, one.peer_port, one.port) for one in _sockets.to_initiated(everything)] == [("2001:db8::2", 5222, 50000)]


def test_where_ssh_must_stay_open(monkeypatch):
    everything = _sockets.sockets(TCP6, "tcp")
    monkeypatch.setattr(_sockets, "ssh_connection", lambda: ("192.0.2.1", 2222))
    assert _sockets.ssh_ports(everything, {"2": "sshd: /usr/sbin/sshd -D [listener]"}) == [22, 2222]
    monkeypatch.setattr(_sockets, "ssh_connection", lambda: None)
    assert _sockets.ssh_ports(everything, {"2": "/lib/systemd/systemd"}, 2200) == [2200]


def test_a_run_over_ssh_knows_where_it_came_from(monkeypatch):
    code = ("from ansible_collections.campus.jitsi.plugins.module_utils import _sockets; print(_sockets.ssh_connection())")
    import sys

    run = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "SSH_CONNECTION": "::ffff:192.0.2.1 50000 192.0.2.2 2222", "PATH": os.environ["PATH"]}
    assert subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout == "('192.0.2.1', 2222)\n"
    # As under sudo, which keeps the variable from its child.
    inner = ["sh", "-c", 'env -u SSH_CONNECTION "$@"; true', "sh", *run]
    assert subprocess.run(inner, env=environment, capture_output=True, text=True, check=True).stdout == "('192.0.2.1', 2222)\n"


@pytest.mark.parametrize(
    ("came", "sources", "cut"),
    [(("192.0.2.1", 22), ["192.0.2.0/24"], False), (("192.0.2.1", 22), ["198.51.100.0/24", "::/0"], True), (None, ["198.51.100.0/24"], False),
     (("2001:db8::1", 22), ["192.0.2.0/24", "2001:db8::/32"], False), (("192.0.2.1", 22), [], False)],
)
def test_a_firewall_that_would_cut_off_this_run(came, sources, cut):
    problems = preflight.ssh_problems("meet", came, sources)
    assert bool(problems) == cut
    assert not cut or problems[0].startswith("meet: this run comes from 192.0.2.1, which is not in `jitsi_ssh_sources` (198.51.100.0/24, ::/0)")


# --- the matrix ----------------------------------------------------------------------------------------------------


def matrix(host, groups, listeners, **keywords):
    keywords.setdefault("covered", False)
    lines = _status.matrix(host, place_roles(groups), [_status.Listener(*one) for one in listeners], ssh_ports=[22], **keywords)
    return {one.port: (one.listening, one.open_to, one.verdict, one.bad) for one in lines}


SSHD = ("tcp", "0.0.0.0", 22, "sshd: x")


@pytest.mark.parametrize(
    ("host", "listener", "keywords", "port", "expected"),
    [
        ("web", ("tcp", "0.0.0.0", 443, "nginx: x"), {}, "443/tcp", ("all", "everybody", "ok", False)),
        ("web", SSHD, {}, "443/tcp", ("-", "-", "not listening", True)),
        ("web", ("tcp", "127.0.0.1", 443, "nginx: x"), {}, "443/tcp", ("loopback", "this host", "on loopback only", True)),
        ("web", ("tcp", "::", 443, "/usr/sbin/apache2 -k"), {}, "443/tcp", ("all", "-", "held by apache2", True)),
        ("bridge1", ("tcp", "127.0.0.1", 8080, "java jitsi-videobridge"), {}, "8080/tcp", ("loopback", "this host", "ok", False)),
        ("bridge1", ("tcp", "::", 8080, "java jitsi-videobridge"), {}, "8080/tcp", ("all", "everybody", "exposed", True)),
        ("bridge1", ("tcp", "::", 8080, "java jitsi-videobridge"), {"covered": True}, "8080/tcp", ("all", "nobody", "ok", False)),
        ("bridge1", ("tcp", "::", 8080, "java jitsi-videobridge"), {"covered": True, "monitoring": ["192.0.2.9"]}, "8080/tcp",
         ("all", "192.0.2.9", "ok", False)),
        ("core", ("tcp", "::", 5222, "lua prosody"), {}, "5222/tcp", ("all", "everybody", "wider than bridge1, bridge2", False)),
        ("core", ("tcp", "::", 5222, "lua prosody"), {"covered": True}, "5222/tcp", ("all", "bridge1, bridge2", "ok", False)),
        ("core", ("tcp", "127.0.0.1", 5222, "lua prosody"), {}, "5222/tcp", ("loopback", "this host", "on loopback only", True)),
        ("core", ("tcp", "192.0.2.1", 9100, "node_exporter"), {}, "9100/tcp", ("192.0.2.1", "everybody", "not in the table", True)),
        ("core", ("tcp", "192.0.2.1", 9100, "node_exporter"), {"covered": True}, "9100/tcp", ("192.0.2.1", "nobody", "closed by the firewall", False)),
        ("core", ("tcp", "192.0.2.1", 9100, "node_exporter"), {"opened": ["9100/tcp"]}, "9100/tcp", ("192.0.2.1", "everybody", "ok", False)),
        ("core", SSHD, {"opened": ["9100/tcp"]}, "9100/tcp", ("-", "-", "nothing listens", False)),
    ],
)
def test_verdicts(host, listener, keywords, port, expected):
    assert matrix(host, SPLIT, [listener], **keywords)[port] == expected


def test_questions_of_programs_are_no_services():
    listeners = [("udp", "0.0.0.0", 40000, "prosody"), ("udp", "0.0.0.0", 68, "dhclient"), ("udp", "0.0.0.0", 161, "snmpd")]
    assert {"40000/udp", "68/udp", "161/udp"} & set(matrix("core", SPLIT, listeners)) == {"161/udp"}


def test_behind_a_proxy_only_the_proxies_reach_the_web():
    front = {"nginx_meet_behind_proxy": True, "nginx_meet_trusted_proxies": ["192.0.2.10", "2001:db8:1::/64"]}
    assert opened("web", SPLIT, variables=front) == {"22/tcp": "*", "8000/tcp": "192.0.2.10 2001:db8:1::/64"}
    named = _firewall.named_sources([], [], front)
    assert [_firewall.meant(row, "meet", {"nginx_meet": ["meet"]}, named) for row in _ports.rows(["nginx_meet"], front)] == [
        "everybody", "192.0.2.10, 2001:db8:1::/64"]


def test_on_one_host_nobody_else_is_meant():
    found = matrix("meet", {"jitsi": ["meet"]}, [("tcp", "127.0.0.1", 5222, "prosody"), ("tcp", "::1", 5280, "prosody")])
    assert found["5222/tcp"] == found["5280/tcp"] == ("loopback", "this host", "ok", False)
    assert found["5281/tcp"] == ("-", "-", "ok", False)
