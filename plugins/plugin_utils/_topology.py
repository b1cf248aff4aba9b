# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which host does what. Pure functions."""

from __future__ import annotations

import typing as t

#: The roles that every installation has, with how many hosts may have each.
CORE = {"prosody": "one", "jicofo": "one", "jvb": "many", "nginx_meet": "many"}
#: The roles that an installation has when their group has hosts.
OPTIONAL = ("coturn", "jibri", "jigasi")
GROUPS = ("prosody", "jicofo", "jvb", "jibri", "jigasi", "coturn", "nginx_meet")


def place_roles(groups: t.Mapping[str, t.Sequence[str]]) -> dict[str, list[str]]:
    """The hosts of each role.

    A group ``jitsi_<role>`` with hosts says it. A core role whose group is empty goes to the hosts that are in ``jitsi`` and
    in no group of a role, or when there is none, in no group of a core role: so one host in ``jitsi`` has everything, also
    when it is in ``jitsi_coturn``, too.

    >>> place_roles({"jitsi": ["a", "b"], "jitsi_jvb": ["b"]})
    {'prosody': ['a'], 'jicofo': ['a'], 'jvb': ['b'], 'nginx_meet': ['a'], 'coturn': [], 'jibri': [], 'jigasi': []}

    :raises ValueError: a role has no host or too many; one line with one sentence for each problem
    """
    everybody = list(groups.get("jitsi", ()))
    if not everybody:
        raise ValueError("the group `jitsi` has no host: put at least one host into it.")
    placed = {host for role in GROUPS for host in groups.get(f"jitsi_{role}", ())}
    core = {host for role in CORE for host in groups.get(f"jitsi_{role}", ())}
    rest = [host for host in everybody if host not in placed] or [host for host in everybody if host not in core]
    result, problems = {}, []
    for role in (*CORE, *OPTIONAL):
        number = CORE.get(role)
        group = f"jitsi_{role}"
        result[role] = list(groups.get(group, ())) or (rest if number else [])
        hosts = result[role]
        if number and not hosts:
            problems.append(
                f"`{group}` has no host, and every host of `jitsi` is in a group of another role: put a host into `{group}`."
            )
        elif number == "one" and len(hosts) > 1:
            where = f"`{group}` has" if groups.get(group) else f"`{group}` is empty, and without a group of their own are"
            problems.append(f"{where} {len(hosts)} hosts ({', '.join(hosts)}): put exactly one into `{group}`.")
        outside = [host for host in hosts if host not in everybody]
        if outside:
            problems.append(f"{', '.join(outside)} of `{group}` is not in `jitsi`: make `{group}` a child of `jitsi`.")
    if problems:
        raise ValueError("\n".join(problems))
    return result
