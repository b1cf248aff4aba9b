#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: look at a host before anything is changed on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find out what on a host would stand in the way
version_added: 0.1.0
description:
  - Looks, and changes nothing. Reports ports that other programs hold, sources for SSH that this run does not come from and
    pinned package versions that no archive has, one sentence each, what in nginx's configuration stands in the way of a shared
    port 443, and how much memory the host has.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  roles:
    description: The roles of the host, such as V(jvb).
    type: list
    elements: str
    required: true
  pins:
    description: Wanted versions, by package.
    type: dict
    default: {}
  repository:
    description: Jitsi's archive, with C(uri), C(suite) and C(components).
    type: dict
    default: {}
  domain:
    description: The name of the site.
    type: str
    default: ''
  tls_routes:
    description: The names that share port 443 with the site, with C(name) and C(address).
    type: list
    elements: dict
    default: []
  stream_block:
    description: Whether the C(stream) block of nginx is ours.
    type: bool
    default: true
  conference_mapper:
    description: The URL of a conference mapper, which must answer, for hosts with the role nginx_meet.
    type: str
    default: ''
  ssh_sources:
    description: The addresses and networks from which SSH will be possible. This run must come from one of them.
    type: list
    elements: str
    default: []
  variables:
    description: Variables of the host that decide which ports its roles need.
    type: dict
    default: {}
  recorders:
    description:
      - On a host with recorders, how many there are C(instances) and what each may use C(memory_mb), the folders C(recordings) and
        C(move_to), with C(recordings_mounted) and C(move_to_mounted) for whether they must be mounted, and what they hear through C(sound).
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Look at the host
  campus.jitsi.preflight:
    roles: [jvb]
  register: preflight
"""

RETURN = r"""
problems:
  description: What is in the way, one sentence each.
  type: list
  elements: str
  returned: success
firewall:
  description: Whether the host has the firewall of the collection.
  type: bool
  returned: success
ansible_facts:
  description: The memory of the host in MiB, as C(memtotal_mb).
  type: dict
  returned: success
"""

import gzip
import ipaddress
import lzma
import os
import re
import typing as t
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.campus.jitsi.plugins.module_utils import _nginx, _ports, _sockets, _telephony

FIREWALL = "/etc/campus.jitsi/firewall.nft"


def holders() -> dict[tuple[str, int], str]:
    """Who listens where: ``(protocol, port)`` to a command line."""
    wanted = _sockets.listening(_sockets.all_sockets())
    commands = _sockets.holders(wanted)
    return {(one.protocol, one.port): commands[one.inode] for one in wanted if one.inode in commands}


def port_problems(host: str, roles: t.Sequence[str], listening: t.Mapping[tuple[str, int], str],
                  variables: t.Mapping[str, t.Any] | None = None) -> list[str]:
    """One sentence for each port that a role of this host needs and another program holds."""
    found: dict[str, str] = {}
    for row in _ports.rows(roles, variables):
        # Where SSH listens is the host's business, a range is never all taken, and a port for other hosts alone may not be in use.
        if not row.role or "-" in row.port or not (row.local or _ports.EVERYBODY in row.who):
            continue
        first, _last = _ports.span(row, variables)
        command = listening.get((row.protocol, first), "")
        if command and row.mark not in command:
            program = os.path.basename(command.split()[0].rstrip(":"))
            sentence = (f"{host}: port {first}/{row.protocol} is held by `{program}`, and {row.role} needs it: stop that program for good "
                        "or move it, or give the role another host.")
            found.setdefault(program + row.role, sentence)
    return list(found.values())


def ssh_problems(host: str, came: tuple[str, int] | None, sources: t.Sequence[str]) -> list[str]:
    """One sentence when the firewall would cut off this run: it comes from an address that may not use SSH.

    >>> ssh_problems("meet", ("192.0.2.1", 22), ["192.0.2.0/24"])
    []
    """
    if not came or not sources:
        return []
    client = ipaddress.ip_address(came[0])
    if any(client in ipaddress.ip_network(source) for source in sources):
        return []
    return [f"{host}: this run comes from {came[0]}, which is not in `jitsi_ssh_sources` ({', '.join(sources)}), so the firewall would cut it "
            f"off: add {came[0]} or the network that it is in."]


def index_urls(uri: str, suite: str, components: t.Sequence[str], architecture: str) -> list[str]:
    """Where an archive lists its packages (without the ending of the compression).

    >>> index_urls("https://a", "stable/", [], "amd64")
    ['https://a/stable/Packages']
    """
    base = uri.rstrip("/")
    if suite.endswith("/"):
        return [f"{base}/{suite}Packages"]
    return [f"{base}/dists/{suite}/{component}/binary-{arch}/Packages" for component in components for arch in (architecture, "all")]


def parse_packages(text: str) -> dict[str, list[str]]:
    """Versions by package, of a ``Packages`` file.

    >>> parse_packages("Package: a\\nVersion: 1\\n\\nPackage: a\\nVersion: 2\\n")
    {'a': ['1', '2']}
    """
    found: dict[str, list[str]] = {}
    for block in text.split("\n\n"):
        fields = dict(re.findall(r"(?m)^(Package|Version): (.*)$", block))
        if len(fields) == 2:
            found.setdefault(fields["Package"], []).append(fields["Version"])
    return found


def fetch_index(url: str) -> str | None:
    for ending, unpack in ((".xz", lzma.decompress), (".gz", gzip.decompress), ("", bytes)):
        try:
            return unpack(open_url(url + ending, timeout=20, http_agent="campus.jitsi").read()).decode(errors="replace")
        except (OSError, urllib.error.URLError, ValueError, lzma.LZMAError):
            continue
    return None


def pin_problems(module: AnsibleModule) -> list[str]:
    """One sentence for each pinned version that is nowhere to be had."""
    pins, repository = module.params["pins"], module.params["repository"]
    if not pins:
        return []
    available: dict[str, list[str]] = {}
    _code, architecture, _err = module.run_command(["dpkg", "--print-architecture"])
    urls = index_urls(repository["uri"], repository["suite"], repository.get("components") or [], architecture.strip())
    texts = [text for text in map(fetch_index, urls) if text is not None]
    for text in texts:
        for package, versions in parse_packages(text).items():
            available.setdefault(package, []).extend(versions)
    for package in pins:
        _code, out, _err = module.run_command(["apt-cache", "madison", package])
        available.setdefault(package, []).extend(line.split("|")[1].strip() for line in out.splitlines() if "|" in line)
    found = []
    for package, version in pins.items():
        have = sorted(set(available[package]))
        if version in have:
            continue
        if have:
            found.append(f"`jitsi_package_versions.{package}` is {version}, which no archive has: take one of {', '.join(have[-5:])}.")
        elif texts and package.startswith(("jitsi", "jicofo", "jibri", "jigasi")):
            found.append(f"`jitsi_package_versions.{package}`: {repository['uri']} has no such package.")
        elif not texts and package.startswith(("jitsi", "jicofo", "jibri", "jigasi")):
            found.append(f"`jitsi_package_versions.{package}` cannot be checked: {urls[0]} cannot be read from this host; "
                         "correct `jitsi_apt_repository.uri`.")
    return found


#: With routes, where servers of nginx listen instead of port 443, and where connections of a route pass through, on loopback.
INNER_PORT = 8447
ROUTE_PORT = 8448


def front_problems(host: str, domain: str, listening: t.Mapping[tuple[str, int], str], stream_block: bool) -> list[str]:
    """One sentence for each thing that stands in the way of a port 443 that is shared by name."""
    found = [f"{host}: {problem}" for problem in
             _nginx.sharing_problems(_nginx.load(_nginx.MAIN), own=_nginx.own_files(domain), inner_port=INNER_PORT, stream_block=stream_block)]
    for port in (INNER_PORT, ROUTE_PORT):
        command = listening.get(("tcp", port), "")
        if command and "nginx" not in command:
            found.append(f"{host}: port {port}/tcp is held by `{os.path.basename(command.split()[0].rstrip(':'))}`, and nginx_meet needs it for "
                         "`nginx_meet_tls_routes`: stop that program for good or move it.")
    return found


def mapper_problems(host: str, url: str, domain: str) -> list[str]:
    """One sentence when the conference mapper does not answer this host as one does."""
    try:
        answer = open_url(f"{url}?conference=campus-jitsi-check@conference.{domain}", timeout=10, use_proxy=False)
        problem = _telephony.mapper_problem(answer.status, answer.read(65536).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        problem = _telephony.mapper_problem(error.code, "")
    except OSError as error:
        problem = f"cannot be read ({getattr(error, 'reason', error)})"
    return [f"{host}: `nginx_meet_conference_mapper_url`: {url} {problem}: it must answer as Jitsi's conference mapper does."] if problem else []


def memory_mb() -> int:
    with open("/proc/meminfo", encoding="ascii") as handle:
        return int(re.search(r"MemTotal:\s+(\d+) kB", handle.read()).group(1)) // 1024  # type: ignore[union-attr]


def has_loopbacks(release: str, root: str = "/") -> bool:
    """Whether a kernel has the module snd-aloop, or it is in use already.

    :param root: where the host's files are
    """
    if os.path.exists(os.path.join(root, "proc/asound/Loopback")):
        return True
    try:
        with open(os.path.join(root, "lib/modules", release, "modules.dep"), encoding="ascii", errors="replace") as handle:
            return any(re.match(r"(?:\S*/)?snd-aloop\.ko(?:\.\w+)?:", line) for line in handle)
    except OSError:
        return False


def recorder_problems(host: str, wanted: t.Mapping[str, t.Any], total_mb: int) -> list[str]:
    """One sentence for each thing that recorders cannot have on this host.

    >>> recorder_problems("rec", {"instances": 4, "memory_mb": 3072}, 8000)
    ['rec: 4 recorders of 3072 MiB need 12288 MiB, and this host has 8000: lower `jibri_instances` to 2 or `jibri_memory`, or take a larger host.']
    """
    found = []
    needed = wanted["instances"] * wanted["memory_mb"]
    if needed > total_mb:
        found.append(f"{host}: {wanted['instances']} recorders of {wanted['memory_mb']} MiB need {needed} MiB, and this host has {total_mb}: lower "
                     f"`jibri_instances` to {total_mb // wanted['memory_mb']} or `jibri_memory`, or take a larger host.")
    if wanted.get("sound") == "alsa" and not has_loopbacks(os.uname().release):
        found.append(f"{host}: `jibri_sound` is `alsa`, and the kernel {os.uname().release} has no module snd-aloop: install one that has it "
                     "(Debian's linux-image-amd64 or linux-image-arm64; the ones for clouds lack it) and restart the host, or set "
                     "`jibri_sound: pulseaudio`.")
    for name, must in (("recordings", wanted.get("recordings_mounted")), ("move_to", wanted.get("move_to_mounted"))):
        folder = wanted.get(name) or ""
        if not folder:
            continue
        if must and not (os.path.isdir(folder) and os.stat(folder).st_dev != os.stat("/").st_dev):
            found.append(f"{host}: `jibri_{name}` is {folder}, where nothing is mounted: mount the file system, or set `jibri_{name}_mounted: false`.")
        elif name == "move_to" and not os.path.isdir(folder):
            found.append(f"{host}: `jibri_move_to` is {folder}, which does not exist: make the folder, for the user jibri to write to.")
    return found


def main() -> None:
    """Look and tell."""
    module = AnsibleModule(
        argument_spec={
            "roles": {"type": "list", "elements": "str", "required": True},
            "pins": {"type": "dict", "default": {}},
            "repository": {"type": "dict", "default": {}},
            "domain": {"type": "str", "default": ""},
            "tls_routes": {"type": "list", "elements": "dict", "default": []},
            "stream_block": {"type": "bool", "default": True},
            "ssh_sources": {"type": "list", "elements": "str", "default": []},
            "conference_mapper": {"type": "str", "default": ""},
            "variables": {"type": "dict", "default": {}},
            "recorders": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    host, params, listening = os.uname().nodename, module.params, holders()
    problems = port_problems(host, params["roles"], listening, params["variables"])
    if "nginx_meet" in params["roles"] and params["tls_routes"]:
        problems += front_problems(host, params["domain"], listening, params["stream_block"])
    if "nginx_meet" in params["roles"] and params["conference_mapper"]:
        problems += mapper_problems(host, params["conference_mapper"], params["domain"])
    if params["recorders"]:
        problems += recorder_problems(host, params["recorders"], memory_mb())
    problems += [*ssh_problems(host, _sockets.ssh_connection(), params["ssh_sources"]), *pin_problems(module)]
    module.exit_json(changed=False, problems=problems, firewall=os.path.exists(FIREWALL), ansible_facts={"memtotal_mb": memory_mb()})


if __name__ == "__main__":
    main()
