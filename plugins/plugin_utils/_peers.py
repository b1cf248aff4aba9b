# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Peers of a TURN server, as addresses and ranges. Pure functions."""

from __future__ import annotations

import ipaddress
import typing as t


def peer_range(text: t.Any) -> list[str]:
    """An address, a network or a range as turnserver takes it: addresses, and pairs of addresses with a hyphen.

    coturn 4.6.1 compares IPv6 addresses byte by byte, each byte for itself, and is right only about prefixes: so a range becomes
    the prefixes that it consists of.

    >>> peer_range("192.0.2.0/24"), peer_range("2001:db8::1"), peer_range("10.0.0.1 - 10.0.0.9")
    (['192.0.2.0-192.0.2.255'], ['2001:db8::1'], ['10.0.0.1-10.0.0.9'])
    >>> peer_range("2001:db8::fe-2001:db8::101")
    ['2001:db8::fe-2001:db8::ff', '2001:db8::100-2001:db8::101']

    :raises ValueError: it is none of them
    """
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no text")
    first, hyphen, last = (part.strip() for part in text.partition("-"))
    if hyphen:
        ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
        if ends[0].version != ends[1].version or int(ends[0]) > int(ends[1]):
            raise ValueError(f"{text!r} does not go from a lower to a higher address of one family")
        if ends[0].version == 4:
            return [f"{ends[0]}-{ends[1]}"]
        networks: t.Iterable[t.Any] = ipaddress.summarize_address_range(*ends)
    elif "/" in first:
        networks = [ipaddress.ip_network(first)]
    else:
        return [str(ipaddress.ip_address(first))]
    return [str(network[0]) if network.num_addresses == 1 else f"{network[0]}-{network[-1]}" for network in networks]


def peer_ranges(texts: t.Iterable[t.Any]) -> list[str]:
    """:func:`peer_range` of each, without repetition.

    :raises ValueError: one of them is no address, network or range
    """
    return list(dict.fromkeys(part for text in texts for part in peer_range(text)))
