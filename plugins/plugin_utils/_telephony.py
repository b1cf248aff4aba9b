# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with an inventory's telephones: accounts, prefixes, PINs and numbers. Pure functions; no sentence has a password in it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean
from ansible_collections.campus.jitsi.plugins.plugin_utils._firewall import parse_source
from ansible_collections.campus.jitsi.plugins.plugin_utils._validate import is_host_name, is_true

ACCOUNT = ("name", "user", "domain", "password", "transport", "proxy", "srtp", "room", "outbound_prefix", "settings")
NEEDED = ("name", "user", "domain", "password")
TRANSPORTS = ("udp", "tcp", "tls")
SRTP = ("off", "optional", "required")
#: As many ports as the table of ports has.
MOST_ACCOUNTS = 5
#: A call has a port for voices and the one above it for reports.
FEWEST_PORTS = 10
BRIDGE_PORT = 10000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}\Z")
_USER = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,;?/%-]+\Z")
_ROOM = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")
_PREFIX = re.compile(r"\+[1-9][0-9]*\Z")


def account_problems(accounts: t.Any) -> list[str]:
    """One sentence for each thing that is wrong with SIP accounts.

    >>> account_problems([{"name": "main", "user": "4420", "password": "x"}])
    ['`jigasi_sip_accounts[0]` (main) has no `domain`: give the part of its address behind the `@`.']
    """
    if not isinstance(accounts, list):
        return []  # said by the check of types
    found = [sentence for number, account in enumerate(accounts) for sentence in _one_account(number, account)]
    names = [account.get("name") for account in accounts if isinstance(account, dict)]
    found += [f"`jigasi_sip_accounts` has two accounts called {name!r}: give each a name of its own." for name in sorted(
        {name for name in names if isinstance(name, str) and names.count(name) > 1})]
    if len(accounts) > MOST_ACCOUNTS:
        found.append(f"`jigasi_sip_accounts` has {len(accounts)} accounts, and a host has ports for {MOST_ACCOUNTS}: put the others on another "
                     "host of `jitsi_jigasi`.")
    return found


def _one_account(number: int, account: t.Any) -> t.Iterator[str]:
    where = f"`jigasi_sip_accounts[{number}]`"
    if not isinstance(account, dict):
        yield f"{where} is no dictionary: write name, user, domain and password."
        return
    if isinstance(account.get("name"), str):
        where += f" ({account['name']})"
    for key in account:
        if key not in ACCOUNT:
            yield f"{where} has `{key}`, which is no setting of an account{did_you_mean(str(key), ACCOUNT)}".rstrip("?") + "."
    fixes = {"domain": "give the part of its address behind the `@`", "password": "give the one that the registrar gave you, from a vault"}
    for key in NEEDED:
        value = account.get(key)
        if value is None or value == "":
            yield f"{where} has no `{key}`: {fixes.get(key, 'write it')}."
        elif not isinstance(value, str):
            yield f"{where} has a `{key}` that is no text: put it in quotes."
    name, user, domain = account.get("name"), account.get("user"), account.get("domain")
    if isinstance(name, str) and name and not _NAME.match(name):
        yield f"{where}: `name` may have small letters, digits and hyphens only, for it names a service and a folder."
    if isinstance(user, str) and user and not _USER.match(user):
        yield f"{where}: `user` is {user!r}: give the part of its address before the `@` alone."
    if isinstance(domain, str) and domain and not is_host_name(domain) and not re.fullmatch(r"[0-9.]+", domain):
        yield f"{where}: `domain` is {domain!r}, which is no name of a host."
    transport, srtp = account.get("transport", "udp"), account.get("srtp", "off")
    if transport not in TRANSPORTS:
        yield f"{where}: `transport` is {transport!r}: take one of {', '.join(TRANSPORTS)}."
    # YAML reads `off` as a switch.
    if srtp is not False and srtp not in SRTP:
        yield f"{where}: `srtp` is {srtp!r}: take one of {', '.join(SRTP)}."
    elif srtp in SRTP[1:] and transport != "tls":
        yield f"{where}: with `srtp` the keys of voices are in the call's text, which everybody in between reads over {transport}: set `transport: tls`."
    proxy = account.get("proxy")
    if proxy is not None and not (isinstance(proxy, str) and re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", proxy)):
        yield f"{where}: `proxy` is {proxy!r}: write a host, or a host and a port as in `proxy.example.edu:5061`."
    room = account.get("room")
    if room and not (isinstance(room, str) and _ROOM.match(room)):
        yield f"{where}: `room` is {room!r}: give the name of a room alone, in small letters, digits, dots and hyphens."


def port_problems(variables: t.Mapping[str, t.Any], with_bridge: bool) -> list[str]:
    """What is wrong with the ports of voices."""
    try:
        first, last = int(variables.get("jigasi_min_port", 20000)), int(variables.get("jigasi_max_port", 20199))
    except (TypeError, ValueError):
        return []  # said by the check of types
    accounts = variables.get("jigasi_sip_accounts")
    number = max(1, len(accounts)) if isinstance(accounts, list) else 1
    span = f"`jigasi_min_port` to `jigasi_max_port`, {first} to {last},"
    if first < 1024 or last > 65535 or last < first:
        return [f"{span} is no range of ports from 1024 to 65535: take a range such as 20000 to 20199."]
    found = []
    if (last - first + 1) // number < FEWEST_PORTS:
        found.append(f"{span} has {(last - first + 1) // number} ports for each account, and a call takes two: leave at least {FEWEST_PORTS}.")
    if with_bridge and first <= BRIDGE_PORT <= last:
        found.append(f"{span} has {BRIDGE_PORT} in it, the bridge's port on the same host: take a range such as 20000 to 20199.")
    return found


def prefix_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the numbers that meetings may call.

    >>> prefix_problems({"prosody_dial_prefixes": ["+"]})
    ["`prosody_dial_prefixes` has '+', which allows every number of the world, premium rates among them: name countries or areas, such as +3491."]
    """
    found = []
    for name in ("prosody_dial_prefixes", "prosody_dial_refused_prefixes"):
        for prefix in variables.get(name) if isinstance(variables.get(name), list) else ():  # type: ignore[union-attr]
            if prefix in ("", "+", "*", "+*") and name == "prosody_dial_prefixes":
                found.append(f"`{name}` has {prefix!r}, which allows every number of the world, premium rates among them: name countries or areas, "
                             "such as +3491.")
            elif not isinstance(prefix, str) or not _PREFIX.match(prefix):
                found.append(f"`{name}` has {prefix!r}: write `+` and digits in quotes, beginning with the country's, such as \"+3491\".")
    allowed = variables.get("prosody_dial_prefixes")
    if isinstance(allowed, list) and {f"+{digit}" for digit in range(1, 10)} <= set(map(str, allowed)):
        found.append("`prosody_dial_prefixes` has all digits from +1 to +9, which allows every number of the world, premium rates among them: name "
                     "countries or areas, such as +3491.")
    country = variables.get("prosody_dial_country_prefix")
    if country and not (isinstance(country, str) and _PREFIX.match(country)):
        found.append(f"`prosody_dial_country_prefix` is {country!r}: write `+` and the country's digits in quotes, such as \"+34\".")
    return found


def dial_in_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with numbers to call and PINs.

    >>> dial_in_problems({"nginx_meet_dial_in_pins": {"algebra": "12"}})
    ["`nginx_meet_dial_in_pins.algebra` is '12': take 4 to 12 digits, the first of them not 0."]
    """
    found = []
    pins, numbers = variables.get("nginx_meet_dial_in_pins"), variables.get("nginx_meet_dial_in_numbers")
    url = variables.get("nginx_meet_conference_mapper_url")
    seen: dict[str, str] = {}
    for room, pin in pins.items() if isinstance(pins, dict) else ():
        if not isinstance(room, str) or not _ROOM.match(room):
            found.append(f"`nginx_meet_dial_in_pins` has {room!r}: write the name of a room in small letters, digits, dots and hyphens.")
        elif isinstance(pin, bool) or not re.fullmatch(r"[1-9][0-9]{3,11}", str(pin)):
            found.append(f"`nginx_meet_dial_in_pins.{room}` is {pin!r}: take 4 to 12 digits, the first of them not 0.")
        elif str(pin) in seen:
            found.append(f"`nginx_meet_dial_in_pins`: {seen[str(pin)]} and {room} have the same PIN: give each its own.")
        else:
            seen[str(pin)] = room
    if url and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?", str(url)):
        found.append(f"`nginx_meet_conference_mapper_url` is {url!r}: write `https://`, a host and a path without a question mark.")
    if url and pins:
        found.append("`nginx_meet_conference_mapper_url` and `nginx_meet_dial_in_pins` exclude each other: either somebody else knows the PINs or "
                     "the list does.")
    for number, one in enumerate(numbers if isinstance(numbers, list) else ()):
        where = f"`nginx_meet_dial_in_numbers[{number}]`"
        if not isinstance(one, dict) or not isinstance(one.get("number"), str) or len(re.sub(r"[^0-9]", "", one["number"])) < 5:
            found.append(f"{where} has no `number` of a telephone: write it in quotes with its country, such as \"+34 910 000 000\".")
        elif not re.fullmatch(r"\+[0-9 ()./-]+", one["number"]):
            found.append(f"{where}: `number` is {one['number']!r}: write it with its country, such as \"+34 910 000 000\".")
        if not isinstance(one, dict) or not re.fullmatch(r"[A-Za-z]{2}", str(one.get("country") or "")):
            found.append(f"{where} has no `country`: write its two letters, such as ES.")
    if numbers and not pins and not url:
        found.append("`nginx_meet_dial_in_numbers` is set and nobody knows the PINs of rooms: set `nginx_meet_dial_in_pins` or "
                     "`nginx_meet_conference_mapper_url`.")
    return found


def source_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the addresses of exchanges."""
    found = []
    values = variables.get("jigasi_sip_sources")
    for number, value in enumerate(values if isinstance(values, list) else ()):
        try:
            parse_source(value)
        except ValueError as error:
            found.append(f"`jigasi_sip_sources[{number}]` is {value!r}: {error}.")
    if values and variables.get("jitsi_firewall", "none") != "nftables":
        found.append("`jigasi_sip_sources` is set and there is no firewall that would keep others out: set `jitsi_firewall: nftables` or leave "
                     "`jigasi_sip_sources` out.")
    return found


def lobby_problems(variables: t.Mapping[str, t.Any], gateways: t.Collection[str]) -> list[str]:
    """Callers need somewhere to wait where others need a token or an account.

    >>> lobby_problems({"jitsi_auth": "internal", "prosody_lobby": False}, ["gw"])[0][:60]
    '`prosody_lobby` is false, and with `jitsi_auth: internal` ca'
    """
    auth, lobby = variables.get("jitsi_auth", "anonymous"), variables.get("prosody_lobby", True)
    if not gateways or auth == "anonymous" or is_true(lobby):
        return []
    return [f"`prosody_lobby` is false, and with `jitsi_auth: {auth}` callers of the gateways in `jitsi_jigasi` wait in a lobby until somebody opens "
            "the room: leave it out, or leave the group empty."]


def problems(variables: t.Mapping[str, t.Any], host: str, gateways: t.Collection[str], bridges: t.Collection[str]) -> list[str]:
    """All that is wrong with the telephones of a host."""
    found = [*prefix_problems(variables), *dial_in_problems(variables), *source_problems(variables), *lobby_problems(variables, gateways),
             *account_problems(variables.get("jigasi_sip_accounts"))]
    if host in gateways:
        if not variables.get("jigasi_sip_accounts"):
            found.append(f"{host} is in `jitsi_jigasi` and has no SIP account: give it one in `jigasi_sip_accounts`, or take it out of the group.")
        found += port_problems(variables, host in bridges)
    return found
