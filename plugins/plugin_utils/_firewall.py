# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is open to whom on a host, as a table of nftables. Pure functions, but for :func:`resolve`."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import typing as t

from ansible_collections.campus.jitsi.plugins.module_utils import _ports
from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
TABLE = "campus_jitsi"
#: Where a file of ours keeps the addresses of other hosts for runs that do not see these hosts.
PEERS = "# Other hosts: "
#: Interfaces that lead to containers and virtual machines of the host itself.
INNER = re.compile(r"(docker|virbr|veth|cni|podman|lxcbr|lxdbr|incusbr|vnet)\d*|br-[0-9a-f]{12}|veth\w+")


class Opening(t.NamedTuple):
    """Ports that are open to some addresses.

    :param sources: networks; empty for everybody
    :param why: whose port it is and what for
    """

    protocol: str
    first: int
    last: int
    sources: tuple[Network, ...]
    why: str


# --- what people write ---------------------------------------------------------------------------------------------


def parse_source(text: t.Any) -> Network:
    """An address or a network.

    >>> parse_source("192.0.2.7"), parse_source("2001:db8::/32")
    (IPv4Network('192.0.2.7/32'), IPv6Network('2001:db8::/32'))

    :raises ValueError: it is none; the message says what to write
    """
    try:
        if isinstance(text, bool) or not isinstance(text, str):
            raise ValueError
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("give an address or a network such as `192.0.2.7` or `2001:db8::/32`; names are not known before the network "
                         "is up") from None
    if "%" in text:
        raise ValueError("leave out the interface behind `%`")
    mapped = getattr(loose.network_address, "ipv4_mapped", None)
    if mapped is not None:
        raise ValueError(f"write the address of IPv4 as such: `{mapped}`")
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"it names one address in a network: write `{loose}` for all of it or `{text.partition('/')[0]}` for that one") from None


def parse_port(value: t.Any) -> tuple[int, int]:
    """A port or a range.

    >>> parse_port(8443), parse_port("6000-6010")
    ((8443, 8443), (6000, 6010))

    :raises ValueError: it is none
    """
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise ValueError("give a port from 1 to 65535, or a range such as `6000-6010`")
    return first, last


def parse_open(item: t.Any) -> Opening:
    """One item of ``jitsi_firewall_open``.

    >>> parse_open("8443/tcp")[:3]
    ('tcp', 8443, 8443)

    :raises ValueError: it cannot be read; the message says what to write
    """
    if isinstance(item, str):
        port, _slash, protocol = item.partition("/")
        item = {"port": port, "protocol": protocol}
    keys = ("port", "protocol", "sources")
    if not isinstance(item, dict) or not {"port", "protocol"} <= set(item):
        raise ValueError("write it as `8443/tcp`, or as a dictionary with `port`, `protocol` and `sources`")
    for key in item:
        if key not in keys:
            raise ValueError(f"`{key}` is no setting{did_you_mean(str(key), keys).rstrip('?') or ': take port, protocol and sources'}")
    if item["protocol"] not in ("tcp", "udp"):
        raise ValueError(f"its protocol is {item['protocol']!r}: take tcp or udp, as in `8443/tcp`")
    sources = item.get("sources")
    if sources is not None and (not isinstance(sources, list) or not sources):
        raise ValueError("`sources` must be a list of addresses and networks; leave it out for everybody")
    first, last = parse_port(item["port"])
    return Opening(item["protocol"], first, last, tuple(map(parse_source, sources or ())), "jitsi_firewall_open")


def problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the variables of the firewall, one sentence each; types are looked at elsewhere."""
    found = []
    readers: tuple[tuple[str, t.Callable[[t.Any], t.Any]], ...] = (
        ("jitsi_ssh_sources", parse_source), ("jitsi_monitoring_sources", parse_source), ("jitsi_firewall_open", parse_open))
    for name, read in readers:
        values = variables.get(name)
        for number, value in enumerate(values if isinstance(values, list) else ()):
            try:
                read(value)
            except ValueError as error:
                found.append(f"`{name}[{number}]` is {value!r}: {error}.")
    if variables.get("jitsi_firewall", "none") != "nftables":
        for name, _read in readers[:2]:
            if variables.get(name):
                found.append(f"`{name}` is set and there is no firewall that would keep others out: set `jitsi_firewall: nftables` or leave "
                             f"`{name}` out.")
    return found


# --- who is who ----------------------------------------------------------------------------------------------------


def usable_addresses(facts: t.Mapping[str, t.Any]) -> list[str]:
    """The addresses from which a host may call others, of its facts; neither loopback, link-local nor those of its containers.

    >>> usable_addresses({"interfaces": ["lo", "eth0", "docker0"], "eth0": {"ipv4": {"address": "192.0.2.7"}},
    ...                   "docker0": {"ipv4": {"address": "172.17.0.1"}}})
    ['192.0.2.7']
    """
    found = set()
    for name in facts.get("interfaces") or ():
        device = facts.get(re.sub(r"[:-]", "_", name)) or {}
        if INNER.fullmatch(name):
            continue
        entries = [device.get("ipv4") or {}, *(device.get("ipv4_secondaries") or ()), *(device.get("ipv6") or ())]
        found |= {entry["address"] for entry in entries if entry.get("address")}
    return ordered(text for text in found if good(text))


def good(text: str) -> bool:
    """Whether ``text`` is an address that a rule may name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)


def ordered(texts: t.Iterable[str]) -> list[str]:
    """Addresses without repetition, IPv4 first, each in its shortest form."""
    found = {ipaddress.ip_address(text) for text in texts}
    return [str(address) for address in sorted(found, key=lambda address: (address.version, int(address)))]


def resolve(name: str) -> list[str]:
    """The addresses of a name or an address as this machine knows them; none when it knows none."""
    try:
        ipaddress.ip_address(name)
        return [name] if good(name) else []
    except ValueError:
        pass
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return []
    return ordered(text for text in found if good(text))


def peers_needed(host: str, placed: t.Mapping[str, t.Sequence[str]], variables: t.Mapping[str, t.Any] | None = None) -> list[str]:
    """The other hosts whose addresses the table of ``host`` needs.

    :param placed: hosts by role
    """
    roles = roles_of(host, placed)
    wanted = {role for row in _ports.rows(roles, variables) for role in row.who}
    return sorted({other for role in wanted for other in placed.get(role, ()) if other != host})


def roles_of(host: str, placed: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    return [role for role, hosts in placed.items() if host in hosts]


def openings(
    host: str,
    placed: t.Mapping[str, t.Sequence[str]],
    *,
    addresses: t.Mapping[str, t.Sequence[str]],
    ssh_ports: t.Sequence[int] = (22,),
    ssh_sources: t.Sequence[str] = (),
    monitoring: t.Sequence[str] = (),
    opened: t.Sequence[t.Any] = (),
    variables: t.Mapping[str, t.Any] | None = None,
) -> list[Opening]:
    """What is open on a host.

    :param placed: hosts by role
    :param addresses: of the hosts in :func:`peers_needed`
    :param opened: ``jitsi_firewall_open``
    :raises ValueError: a source or a port cannot be read
    :raises KeyError: the addresses of a host are not known
    """
    found, named = [], named_sources(ssh_sources, monitoring, variables)
    for row in _ports.rows(roles_of(host, placed), variables):
        spans = [(port, port) for port in ssh_ports] if row.port == "{ssh}" else [_ports.span(row, variables)]
        sources = allowed(row, host, placed, addresses, named)
        if sources is not None:
            found += [Opening(row.protocol, first, last, sources, f"{row.role or 'SSH'}, for {' '.join(row.who)}") for first, last in spans]
    return found + [parse_open(item) for item in opened]


def named_sources(ssh_sources: t.Sequence[str], monitoring: t.Sequence[str], variables: t.Mapping[str, t.Any] | None) -> dict[str, t.Sequence[str]]:
    """Addresses and networks by the word of the table of ports that stands for them.

    >>> named_sources([], ["192.0.2.9"], {"nginx_meet_trusted_proxies": ["192.0.2.10"]})
    {'administrators': [], 'monitoring': ['192.0.2.9'], 'proxies': ['192.0.2.10'], 'telephony': []}
    """
    return {_ports.ADMINISTRATORS: ssh_sources, _ports.MONITORING: monitoring, _ports.PROXIES: (variables or {}).get("nginx_meet_trusted_proxies") or [],
            _ports.TELEPHONY: (variables or {}).get("jigasi_sip_sources") or []}


def allowed(row: _ports.Port, host: str, placed: t.Mapping[str, t.Sequence[str]], addresses: t.Mapping[str, t.Sequence[str]],
            named: t.Mapping[str, t.Sequence[str]]) -> tuple[Network, ...] | None:
    """From where a row's port may be reached: networks, none of them for everybody, or None for nobody.

    :param named: of :func:`named_sources`; without administrators everybody may try
    """
    if row.who == (_ports.EVERYBODY,):
        return ()
    if row.who == (_ports.NOBODY,):
        return None
    if row.who[0] in named:
        return tuple(map(parse_source, named[row.who[0]])) or (() if row.who == (_ports.ADMINISTRATORS,) else None)
    hosts = sorted({other for role in row.who for other in placed.get(role, ()) if other != host})
    return tuple(parse_source(text) for other in hosts for text in addresses[other]) or None


def meant(row: _ports.Port, host: str, placed: t.Mapping[str, t.Sequence[str]], named: t.Mapping[str, t.Sequence[str]]) -> str:
    """Who may reach a row's port on a host, in words.

    :param named: of :func:`named_sources`

    >>> meant(_ports.rows(["prosody"])[1], "core", {"prosody": ["core"], "jicofo": ["core"], "jvb": ["bridge1", "bridge2"]}, {})
    'bridge1, bridge2'
    """
    if row.who[0] in named:
        return ", ".join(named[row.who[0]]) or ("everybody" if row.who == (_ports.ADMINISTRATORS,) else "nobody")
    names = sorted({other for role in row.who for other in placed.get(role, ()) if other != host})
    return {
        _ports.EVERYBODY: "everybody",
        _ports.NOBODY: "nobody",
    }.get(row.who[0], ", ".join(names) or "nobody")


# --- the table -----------------------------------------------------------------------------------------------------

#: What every host needs, whatever it does. Neighbour discovery and what says that a packet was too big are part of IPv6
#: (RFC 4890, 4.4); errors that belong to a connection are `related`. What nftables calls invalid is not dropped by itself:
#: a long connection that it saw only half of may look so.
FIXED = """\
    ct state { established, related } accept
    iif "lo" accept
    icmp type { destination-unreachable, echo-request, time-exceeded, parameter-problem } accept
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request } accept
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept
    ip6 saddr fe80::/10 icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept
    udp sport 67 udp dport 68 accept comment "DHCP"
    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "DHCP"
    ip saddr . tcp sport . tcp dport @opened_before4 accept
    ip6 saddr . tcp sport . tcp dport @opened_before6 accept
"""
HEAD = """\
#!/usr/sbin/nft -f
# Managed by campus.jitsi: change jitsi_firewall, jitsi_firewall_open, jitsi_ssh_sources or the groups in the inventory instead.
# One table of its own; what others have in theirs stays. Loaded by campus.jitsi-firewall.service.
"""


def script(found: t.Sequence[Opening], peers: t.Mapping[str, t.Sequence[str]]) -> str:
    """The table as a script for ``nft -f``, which replaces an older one in one step.

    The two sets hold connections that the host itself opened before the table was there, so that the kernel had not seen them.

    :param peers: addresses of other hosts, to be remembered
    """
    sets = "".join(
        f"  set opened_before{number} {{\n    type {kind} . inet_service . inet_service\n    flags timeout\n    timeout 1h\n  }}\n"
        for number, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")))
    rules = "".join(f"    {line}\n" for one in found for line in lines(one))
    memory = f"{PEERS}{json.dumps({name: list(texts) for name, texts in sorted(peers.items())}, sort_keys=True)}\n" if peers else ""
    return (f"{HEAD}{memory}table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{sets}  chain input {{\n"
            f"    type filter hook input priority filter; policy drop;\n{FIXED}{rules}  }}\n}}\n")


def lines(one: Opening) -> list[str]:
    """The rules of an opening, one for each family that it is for.

    >>> lines(Opening("tcp", 22, 22, (), "SSH, for administrators"))
    ['tcp dport 22 accept comment "SSH, for administrators"']
    """
    ports = str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
    rest = f'{one.protocol} dport {ports} accept comment "{one.why}"'
    if not one.sources:
        return [rest]
    found = []
    for word, version in (("ip", 4), ("ip6", 6)):
        networks = list(ipaddress.collapse_addresses(network for network in one.sources if network.version == version))
        if any(network.prefixlen == 0 for network in networks):
            found.append(f"meta nfproto {'ipv4' if version == 4 else 'ipv6'} {rest}")
        elif networks:
            found.append(f"{word} saddr {{ {', '.join(map(written, networks))} }} {rest}")
    return found


def written(network: Network) -> str:
    """A network as nft writes it: an address alone without its length."""
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def remembered(text: str) -> dict[str, list[str]]:
    """The addresses of other hosts that a file of ours remembers; none for any other text.

    >>> remembered(script([], {"bridge": ["192.0.2.7"]}))
    {'bridge': ['192.0.2.7']}
    """
    for line in text.splitlines():
        if line.startswith(PEERS):
            try:
                data = json.loads(line[len(PEERS) :])
            except ValueError:
                return {}
            if isinstance(data, dict):
                return {str(name): [text for text in texts if isinstance(text, str) and good(text)]
                        for name, texts in data.items() if isinstance(texts, list)}
    return {}


def addresses_of(host: str, hostvars: t.Mapping[str, t.Any], memory: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    """The addresses from which another host of the inventory may come.

    What the inventory says, and what the host says of itself; a run that did not see the host has what an earlier one
    remembered instead.

    :returns: none when nobody knows any
    """
    values = hostvars[host]
    name = str(values.get("jitsi_address") or values.get("ansible_host") or host)
    facts = values.get("ansible_facts") or {}
    return ordered([*resolve(name), *(usable_addresses(facts) if facts.get("interfaces") else memory.get(host, ()))])
