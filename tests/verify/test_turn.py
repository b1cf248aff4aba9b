# SPDX-License-Identifier: GPL-3.0-or-later
"""TURN: who may relay what for how long, over which ways, and that people who have no other way see each other."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import time
import warnings

import pytest
import yaml
from conftest import CHECKOUT, JSON, PATIENCE, works
from test_refusals import pair

from ansible_collections.campus.jitsi.plugins.module_utils._conference import read_config, transport_of
from ansible_collections.campus.jitsi.plugins.module_utils._turn import Relay, TurnError, rest_credentials

EAST, WEST = "turn.meet.lab.test", "turn-west.meet.lab.test"
UNAUTHORIZED, FORBIDDEN, QUOTA = 401, 403, 486


class Turn:
    """The TURN servers of the installation."""

    def __init__(self, site):
        self.site = site
        self.hosts = {EAST: "meet", WEST: "relay"}
        self.context = ssl.create_default_context(cafile=site.ca_file)

    def address(self, name: str) -> str:
        return self.site.address(self.hosts[name])

    def services(self) -> list[dict[str, str]]:
        """What Prosody tells a client that has just come."""
        session = self.site.participant()
        try:
            return session.services()
        finally:
            session.close()

    def credentials(self, name: str) -> tuple[str, str]:
        service = next(service for service in self.services() if service["host"] == name and service["type"] == "turn")
        return service["username"], service["password"]

    def relay(self, name: str, port: int = 3478, transport: str = "udp", address: str = "") -> Relay:
        return Relay(name, port, transport, address=address or self.address(name), context=self.context)

    def allocate(self, name: str, credentials: tuple[str, str], **where) -> tuple[str, int]:
        """A relayed address, which is given back at once."""
        with self.relay(name, **where) as relay:
            found = relay.allocate(*credentials)
            relay.free()
        return found

    def secret(self, generation: int = 1) -> str:
        return self.site.secret("turn", generation)

    def own(self, **more) -> tuple[str, str]:
        """Credentials that this test makes itself, with the secret."""
        return rest_credentials(**{"secret": self.secret(), "expires": int(time.time()) + 600, "user": "test", **more})

    def run(self, variables, *words: str):
        """The site once more, with variables, as far as TURN goes."""
        done = self.site.playbook("campus.jitsi.site", "--tags", "coturn,prosody", *words, variables=variables, environment=JSON)
        assert done.code == 0, done.output
        return done


@pytest.fixture(scope="module")
def turn(site) -> Turn:
    if not site.groups.get("jitsi_coturn"):
        pytest.skip("this installation has no TURN server: the scenario coturn does")
    return Turn(site)


def refused(turn: Turn, name: str, credentials: tuple[str, str]) -> int:
    """The STUN error with which credentials are refused."""
    with pytest.raises(TurnError) as error:
        turn.allocate(name, credentials)
    return error.value.code


# --- what clients are told, and that it is true --------------------------------------------------------------------


def test_each_server_is_announced_with_its_region(turn):
    services = turn.services()
    said = [(s["host"], s["type"], s["transport"], s["port"]) for s in services]
    assert said == [(name, *way) for name in (EAST, WEST)
                    for way in (("stun", "udp", "3478"), ("turn", "udp", "3478"), ("turn", "tcp", "3478"), ("turns", "tcp", "443"))]
    for service in services:
        if service["type"] != "stun":
            expires, user = service["username"].split(":")
            assert user.startswith("east." if service["host"] == EAST else "west.")
            assert 43200 - 60 < int(expires) - time.time() <= 43200


def test_every_session_is_a_user_of_its_own_and_stays_it(turn):
    """Or all who come in one second would share a quota, because the name of credentials is the second in which they end."""
    one, other = turn.site.participant(), turn.site.participant()
    users = [{s["username"].partition(":")[2] for s in session.services() if "username" in s} for session in (one, other, one)]
    one.close()
    other.close()
    assert users[0] == users[2] and not users[0] & users[1]
    assert not any(part in user for user in users[0] for part in (one.jid, one.jid.partition("@")[0]))


def test_every_way_that_is_announced_relays(turn):
    for service in turn.services():
        if service["type"] != "stun":
            where = {"port": int(service["port"]), "transport": transport_of(service)}
            address, port = turn.allocate(service["host"], (service["username"], service["password"]), **where)
            assert address == turn.address(service["host"]) and 49152 <= port <= 65535, (service, address, port)


def test_5349_relays_whether_or_not_443_does(turn):
    for name in (EAST, WEST):
        assert turn.allocate(name, turn.credentials(name), port=5349, transport="tls")[0] == turn.address(name)


def test_clients_with_ipv6_only_are_served(turn):
    for name, host in turn.hosts.items():
        six = turn.site.on(host, "import subprocess; print(subprocess.run(['hostname', '-I'], capture_output=True, text=True).stdout)").split()
        address = next(word for word in six if word.startswith("fd6a"))
        for where in ({}, {"transport": "tcp"}, {"port": 5349, "transport": "tls"}, {"port": 443, "transport": "tls"}):
            assert turn.allocate(name, turn.credentials(name), address=address, **where)
        with turn.relay(name, address=address) as relay:
            assert relay.allocate(*turn.credentials(name), family=6)[0] == address
            relay.free()


def test_debians_own_clients_relay(turn):
    """From one host to the other and back, over UDP and TCP; the credentials last for minutes and may be in a command line.

    Over TLS they take a version of TLS by chance, also one that is switched off here.
    """
    host = turn.site.host("meet")
    address = turn.address(WEST)
    assert f"UDP reflexive addr: {turn.address(EAST)}" in host.run("turnutils_stunclient %s", address).stdout
    user, password = turn.own()
    for way in ("", "-t"):
        done = host.run(f"timeout 30 turnutils_uclient -y -m 1 -n 10 -c {way} -u {user} -w {password} {address}")
        assert "Total lost packets 0 (0.000000%)" in done.stdout, done.stdout + done.stderr


def test_a_check_of_a_conference_uses_the_servers_and_says_which_is_away(turn):
    done = turn.site.playbook("campus.jitsi.check")
    assert done.code == 0 and f"{EAST} over udp 3478, tcp 3478, tls 443; {WEST} over udp 3478, tcp 3478, tls 443" in done.output, done.output
    host = turn.site.host("relay")
    host.check_output("systemctl stop coturn")
    try:
        done = turn.site.playbook("campus.jitsi.check", environment=JSON)
    finally:
        host.check_output("systemctl start coturn")
    assert done.code != 0 and "coturn is at fault at the step `TURN`" in done.failures[0], done.output
    assert f"{WEST} udp 3478: " in done.failures[0] and f"works: {EAST} over udp 3478, tcp 3478, tls 443" in done.failures[0]


def config_js(site) -> dict:
    status, _headers, body = site.connect().request("GET", "/config.js")
    assert status == 200
    return read_config(body.decode())


def test_clients_are_told_to_use_turn_over_udp(turn):
    assert config_js(turn.site)["useTurnUdp"] is True


def test_without_a_turn_server_nobody_outside_is_asked(site):
    if site.groups.get("jitsi_coturn"):
        pytest.skip("this installation has TURN servers: the others do not")
    session = site.participant()
    assert session.services() is None
    session.close()
    config = config_js(site)
    assert config["p2p"]["stunServers"] == [] and config["useTurnUdp"] is False
    assert "stun:" not in json.dumps(config)


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [EAST, WEST])
def test_credentials_that_are_wrong_expired_or_none_are_refused(turn, name):
    assert turn.allocate(name, turn.own())
    user, password = turn.own()
    assert refused(turn, name, turn.own(secret="x" * 32)) == UNAUTHORIZED
    assert refused(turn, name, turn.own(expires=int(time.time()) - 1)) == UNAUTHORIZED
    assert refused(turn, name, (user, password[:-2] + "x=")) == UNAUTHORIZED
    # Longer than it was given for.
    assert refused(turn, name, ("9" + user, password)) == UNAUTHORIZED
    assert refused(turn, name, ("", "")) == UNAUTHORIZED


#: Private, shared, loopback, link local and metadata, documentation, benchmarks, reserved, broadcast, multicast.
DENIED = ("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.192", "192.0.2.1",
          "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "168.63.129.16")
#: The same in IPv6, and each way to write an IPv4 address in it.
DENIED6 = ("::", "::1", "::7f00:1", "::7f00:0", "::a01:200", "::a01:0", "::a00:0", "::ffff:10.1.2.3", "::ffff:127.0.0.1",
           "::ffff:169.254.169.254", "::ffff:0:10.1.2.3", "64:ff9b::a01:203",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:db8::1", "2002:a01:203::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
           "fec0::1", "ff02::1")


@pytest.mark.parametrize("name", [EAST, WEST])
def test_nothing_is_relayed_to_private_and_special_addresses(turn, name):
    for family, peers in ((4, DENIED), (6, DENIED6)):
        with turn.relay(name) as relay:
            relay.allocate(*turn.own(), family=family)
            answers = {}
            for peer in peers:
                try:
                    relay.permit(peer, 9)
                    answers[peer] = "permitted"
                except TurnError as error:
                    answers[peer] = error.code
            relay.free()
        assert answers == dict.fromkeys(peers, FORBIDDEN)


@pytest.mark.parametrize("name", [EAST, WEST])
def test_the_internet_the_bridge_and_the_other_relays_are_allowed(turn, name):
    with turn.relay(name) as relay:
        relay.allocate(*turn.own())
        for peer in ("8.8.8.8", "1.1.1.1", "193.0.6.139", turn.address(EAST), turn.address(WEST)):
            relay.permit(peer)
        relay.free()
    with turn.relay(name) as relay:
        relay.allocate(*turn.own(), family=6)
        for peer in ("2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "2620:fe::fe"):
            relay.permit(peer)
        relay.free()


def test_one_relay_sends_to_another_on_the_same_server_and_across(turn):
    for one, other in ((EAST, EAST), (EAST, WEST), (WEST, WEST)):
        with turn.relay(one) as first, turn.relay(other, transport="tcp") as second:
            here, there = first.allocate(*turn.own()), second.allocate(*turn.own())
            first.permit(there[0])
            second.permit(here[0])
            first.send(*there, b"to the other")
            assert second.receive(5) == b"to the other"
            second.send(*here, b"and back")
            assert first.receive(5) == b"and back"
            first.free()
            second.free()


def handshake(turn, name: str, port: int, version: ssl.TLSVersion) -> str | None:
    """What a client that can do one version only ends up with."""
    context = ssl.create_default_context(cafile=turn.site.ca_file)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with socket.create_connection((turn.address(name), port), 2) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=name) as connection:
                return connection.version()
        except ssl.SSLCertVerificationError:
            raise
        except OSError:
            return None


@pytest.mark.parametrize("name", [EAST, WEST])
def test_tls_is_1_2_with_a_certificate_of_the_name_and_not_older(turn, name):
    """coturn 4.6.1 has no TLS 1.3; who offers both gets 1.2."""
    for port in (443, 5349):
        assert handshake(turn, name, port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert handshake(turn, name, port, ssl.TLSVersion.TLSv1_1) is None


def test_there_is_no_command_line_interface_and_no_software_name(turn):
    for host in turn.hosts.values():
        listening = turn.site.host(host).check_output("ss --no-header --listening --tcp --udp --numeric --processes")
        ports = {line.split()[4].rpartition(":")[2] for line in listening.splitlines() if "turnserver" in line}
        # Relayed addresses that somebody still has.
        ports = {port for port in ports if int(port) < 49152}
        assert ports == {"3478", "5349"} | ({"443"} if host == "relay" else set())


def test_only_root_and_coturn_read_the_secret(turn):
    for host in turn.hosts.values():
        file = turn.site.host(host).file("/etc/turnserver.conf")
        assert (file.user, file.group, file.mode) == ("root", "turnserver", 0o640) and turn.secret() in file.content_string
        key = turn.site.host(host).file(f"/etc/coturn/certs/{EAST if host == 'meet' else WEST}.key")
        assert (key.user, key.group, key.mode) == ("root", "turnserver", 0o640)
    file = turn.site.host("meet").file("/etc/prosody/conf.avail/meet.lab.test-turn.cfg.lua")
    assert (file.user, file.group, file.mode) == ("root", "prosody", 0o640) and turn.secret() in file.content_string


def test_the_package_jitsi_meet_turnserver_leaves_the_file_alone(turn):
    """Its maintainer script moves a file away in which it does not find its words."""
    host = turn.site.host("meet")
    script = host.check_output(
        "cd $(mktemp -d) && chmod 777 . && apt-get download -qq jitsi-meet-turnserver >&2 && dpkg-deb --control *.deb control && cat control/postinst")
    words = set(re.findall(r"jitsi-meet coturn (?:[a-z]+ )*config", script))
    assert len(words) == 2
    for name in turn.hosts.values():
        assert all(word in turn.site.host(name).file("/etc/turnserver.conf").content_string for word in words)


def test_an_option_that_coturn_does_not_know_and_a_value_that_it_does_not_take_are_refused(turn):
    host = turn.site.host("relay")
    before = host.file("/etc/turnserver.conf").content_string, turn.site.invocation("relay", "coturn")
    done = turn.site.playbook("campus.jitsi.site", "--tags", "coturn", "--limit", "relay", variables={"coturn_config": {"min-prot": 50000}}, environment=JSON)
    assert done.code != 0 and "`min-prot`: coturn has no such option: did you mean `min-port`?" in done.failures[-1], done.output
    assert "The file was not changed" in done.failures[-1] and turn.secret() not in done.output
    for line, said in (("external-ip=nonsense", "-X : Wrong address format: nonsense"), ("no-cli=perhaps", "Unknown boolean value: perhaps"),
                       ("pkey=/etc/shadow", "private key"), ("cert=/nowhere.crt", "/nowhere.crt")):
        content = f"cert=/etc/coturn/certs/{WEST}.crt\npkey=/etc/coturn/certs/{WEST}.key\n{line}\n"
        result = turn.site.module("relay", "config_file", {"path": "/etc/turnserver.conf", "content": content, "format": "turnserver"})
        assert result["failed"] and "is refused by turnserver: " in result["msg"] and said in result["msg"], result["msg"]
    assert (host.file("/etc/turnserver.conf").content_string, turn.site.invocation("relay", "coturn")) == before


# --- people who have no other way ----------------------------------------------------------------------------------


@pytest.fixture
def closed(turn):
    """A network, between this machine and the lab, that lets out what is named and SSH, and drops everything else."""
    ident = os.environ["CAMPUS_LAB"]
    table = "campus_jitsi_closed_" + hashlib.sha256(str(turn.site.place).encode()).hexdigest()[:6]
    route = subprocess.run(["ip", "-json", "route", "get", turn.address(EAST)], stdout=subprocess.PIPE, text=True, check=True)
    bridge = json.loads(route.stdout)[0]["dev"]

    def close(*allowed: str) -> None:
        rules = "\n".join(f"{rule} accept" for rule in allowed)
        text = f"""
            table inet {table} {{
              chain output {{
                type filter hook output priority filter; policy accept;
                oifname != "{bridge}" accept
                ct state established,related accept
                icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
                tcp dport 22 accept
                {rules}
                counter drop comment "{ident}"
              }}
            }}
        """
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)

    try:
        yield close
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=False, stderr=subprocess.DEVNULL)


def call(turn, out: pathlib.Path, transport: str, timeout: float = 45) -> dict:
    """Two browsers, relay only."""
    names = [word for name in turn.hosts for word in ("--map", f"{name}={turn.address(name)}")]
    command = [sys.executable, str(CHECKOUT / "tests/call/call.py"), f"https://{turn.site.domain}", "--address", turn.address(EAST), *names,
               "--ca", turn.site.ca_file, "--relay", transport, "--timeout", str(timeout), "--out", str(out)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=180).stdout)


@pytest.mark.parametrize(
    ("transport", "open_to_all"),
    [("udp", ["tcp dport 443", "udp dport 3478"]), ("tcp", ["tcp dport { 443, 3478 }"]), ("tls", ["tcp dport 443"])],
)
def test_two_browsers_see_each_other_where_only_that_is_open(turn, closed, tmp_path, transport, open_to_all):
    if transport == "tcp":
        # What the browser would prefer is closed on the servers for its time: TLS on 443, which the page itself needs.
        open_to_all = [f"ip daddr {turn.address(EAST)} tcp dport 443", "tcp dport 3478"]
    closed(*open_to_all)
    result = call(turn, tmp_path, transport)
    assert result["ok"], json.dumps(result)[:4000]
    assert result["relayed"] == {"Ada": True, "Blas": True}


def test_where_no_relay_is_reached_nobody_sees_anybody(turn, closed, tmp_path):
    """What shows that the calls before went over the relay."""
    closed(f"ip daddr {turn.address(EAST)} tcp dport 443")
    host = turn.site.host("meet")
    host.check_output("systemctl stop coturn")
    try:
        result = call(turn, tmp_path, "udp", timeout=8)
    finally:
        host.check_output("systemctl start coturn")
    assert not result["ok"] and not any(browser["sees"] for browser in result["browsers"].values()), json.dumps(result)[:4000]


# --- what changes under a running installation ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [EAST, WEST])
def test_a_killed_server_is_back_by_itself(turn, name):
    """As often as it is killed, also on a host where it has port 443."""
    host = turn.site.host(turn.hosts[name])
    for _time in range(2):
        before = host.check_output("systemctl show --property=MainPID --value coturn")
        host.check_output("kill -KILL %s", before)
        end = time.monotonic() + 60
        while host.check_output("systemctl show --property=MainPID --value coturn") in ("0", before) and time.monotonic() < end:
            time.sleep(0.5)
    end = time.monotonic() + PATIENCE * 30
    while time.monotonic() < end:
        with contextlib.suppress(TurnError, OSError):
            assert turn.allocate(name, turn.own(), port=443, transport="tls")[0] == turn.address(name)
            return
        time.sleep(0.5)
    pytest.fail("it does not relay any more")


def test_a_new_certificate_is_served_without_a_restart(turn):
    before = turn.site.invocation("relay", "coturn")
    old = ssl.get_server_certificate((turn.address(WEST), 443))
    with turn.relay(WEST, transport="tcp") as relay:
        relay.allocate(*turn.own())
        turn.run({"jitsi_secret_generations": {"tls/turn/relay": 2}}, "--limit", "relay")
        end = time.monotonic() + PATIENCE * 10
        while (new := ssl.get_server_certificate((turn.address(WEST), 443))) == old and time.monotonic() < end:
            time.sleep(0.2)
        assert new != old and turn.site.invocation("relay", "coturn") == before
        # Who was relayed before is so still.
        relay.permit("8.8.8.8")
    turn.allocate(WEST, turn.own(), port=443, transport="tls")


def test_the_secret_is_rotated_with_an_overlap_and_quotas_are_kept(turn):
    """One run for both, then what an exposed secret needs, then back."""
    prosody = turn.site.invocation("meet", "prosody")
    former = {name: turn.credentials(name) for name in (EAST, WEST)}
    stays = turn.site.participant()
    variables = {"jitsi_secret_generations": {"turn": 2, "tls/turn/relay": 2}, "coturn_user_quota": 2, "coturn_total_quota": 3}
    try:
        done = turn.run(variables, "--diff")
        assert turn.secret(1) not in done.output and turn.secret(2) not in done.output and "static-auth-secret=" in done.output
        # Two for each, and three in all.
        with contextlib.ExitStack() as stack:
            def more(user: str) -> None:
                relay = stack.enter_context(turn.relay(WEST))
                relay.allocate(*turn.own(secret=turn.secret(2), user=user))
                stack.callback(relay.free)

            more("greedy")
            more("greedy")
            with pytest.raises(TurnError) as error:
                more("greedy")
            assert error.value.code == QUOTA
            more("modest")
            with pytest.raises(TurnError) as error:
                more("late")
            assert error.value.code == QUOTA
        # The former secret works on, the present one is given out, and nobody had to leave.
        for name in (EAST, WEST):
            assert allocate_soon(turn, name, former[name])
            user, password = turn.credentials(name)
            assert rest_credentials(turn.secret(2), int(user.partition(":")[0]), user.partition(":")[2])[1] == password
            assert allocate_soon(turn, name, (user, password))
        assert turn.site.invocation("meet", "prosody") == prosody
        assert stays.services()
        # The former secret is known to somebody; and the servers are behind NAT all of a sudden.
        generations = variables["jitsi_secret_generations"]
        turn.run({"jitsi_secret_generations": generations, "coturn_previous_secrets": 0, "jitsi_privacy": "strict",
                  "coturn_public_addresses": ["203.0.113.7"]})
        for name in (EAST, WEST):
            assert refused(turn, name, former[name]) == UNAUTHORIZED
            with turn.relay(name) as one, turn.relay(name) as other:
                here, there = one.allocate(*turn.credentials(name)), other.allocate(*turn.credentials(name))
                assert here[0] == there[0] == "203.0.113.7"
                one.permit(there[0])
                other.permit(here[0])
                one.send(*there, b"through the address that others see")
                assert other.receive(5) == b"through the address that others see"
                one.free()
                other.free()
        said_after_a_refusal(turn, nothing=True)
    finally:
        turn.run({})
    stays.close()
    assert turn.allocate(EAST, former[EAST])
    said_after_a_refusal(turn, nothing=False)
    works(turn.site.check())


def allocate_soon(turn, name: str, credentials: tuple[str, str]) -> tuple[str, int]:
    """A relayed address, once those that were given back are free."""
    for _attempt in range(60):
        try:
            return turn.allocate(name, credentials)
        except TurnError as error:
            if error.code != QUOTA:
                raise
        time.sleep(0.5)
    raise AssertionError("no address became free")


def test_the_role_alone_serves_another_service(turn, tmp_path):
    """The example of its README: a secret and a certificate of somebody else's, and nothing of an installation."""
    certificate, key = pair(["turn.example.org"])
    (tmp_path / "turn.crt").write_text(certificate, encoding="ascii")
    (tmp_path / "turn.key").write_text(key, encoding="ascii")
    (tmp_path / "turn.key").chmod(0o600)
    variables = {
        "jitsi_domain": "example.org", "coturn_domain": "turn.example.org", "coturn_secret": "s" * 24, "jitsi_tls_source": "files",
        "jitsi_tls_certificate_file": "{{ inventory_dir }}/turn.crt", "jitsi_tls_key_file": "{{ inventory_dir }}/turn.key",
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"turn": {"hosts": {"relay": turn.site.hosts["relay"]}}}), encoding="utf-8")
    play = {"name": "A TURN server", "hosts": "turn", "vars": variables, "roles": ["campus.jitsi.coturn"]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    try:
        for changes in (True, False):
            done = turn.site.playbook(str(tmp_path / "play.yml"), inventory=tmp_path / "hosts.yml")
            assert done.code == 0 and (done.changed > 0) == changes, done.output
        context = ssl.create_default_context(cafile=str(tmp_path / "turn.crt"))
        for port, transport in ((3478, "udp"), (3478, "tcp"), (443, "tls"), (5349, "tls")):
            with Relay("turn.example.org", port, transport, address=turn.address(WEST), context=context) as relay:
                assert relay.allocate(*turn.own(secret="s" * 24))
                relay.free()
        assert refused(turn, WEST, turn.own()) == UNAUTHORIZED
        assert not (tmp_path / ".jitsi").exists()
    finally:
        turn.run({}, "--limit", "relay")
    assert turn.allocate(WEST, turn.own())


ADDRESS = re.compile(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|\b[0-9a-f]{1,4}:[0-9a-f:]*:[0-9a-f:]*\b")


def said_after_a_refusal(turn, nothing: bool) -> None:
    """What the journal has after somebody was relayed, and somebody wanted to go where nobody may."""
    for name, host in turn.hosts.items():
        since = turn.site.host(host).check_output("date +%s.%N")
        with turn.relay(name) as relay:
            relay.allocate(*turn.credentials(name))
            with pytest.raises(TurnError):
                relay.permit("192.168.77.77")
            relay.free()
        refused(turn, name, turn.own(secret="x" * 32))
        time.sleep(1)
        lines = turn.site.host(host).check_output("journalctl --unit=coturn --output=cat --since=@%s", since).splitlines()
        left = turn.site.host(host).run("find /var/log /var/tmp /tmp -name 'turn*.log'").stdout
        assert not left
        # The standard log has the address that was refused, which is what somebody who looks for a fault wants to know, and no
        # address of who asked.
        found = set(ADDRESS.findall("\n".join(lines)))
        assert found <= (set() if nothing else {"192.168.77.77", "192.168.0.0", "192.168.255.255"}), lines
        assert nothing or "192.168.77.77" in found
