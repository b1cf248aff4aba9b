# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Data to the values of HTTP headers that tell a browser what a page may do. Pure functions."""

from __future__ import annotations

import re
import typing as t

#: A source of a policy: a scheme, an origin, or a word in single quotes. ``$`` is for nginx, which puts a nonce there.
_SOURCE = re.compile(r"'[A-Za-z0-9$_+/=-]+'|[A-Za-z0-9*:./_\[\]-]+")
_NAME = re.compile(r"[a-z][a-z-]*")


def to_csp(policy: t.Mapping[str, t.Sequence[str]]) -> str:
    """The value of ``Content-Security-Policy`` (https://www.w3.org/TR/CSP3/). A directive without sources is left out.

    >>> to_csp({"default-src": ["'self'"], "img-src": ["'self'", "data:"], "frame-src": []})
    "default-src 'self'; img-src 'self' data:"

    :raises ValueError: something is no directive or no source; the message names it
    """
    return "; ".join(" ".join((name, *sources)) for name, sources in _checked(policy, _SOURCE, "a source such as 'self' or https://moodle.example.edu"))


def to_permissions_policy(policy: t.Mapping[str, t.Sequence[str]]) -> str:
    """The value of ``Permissions-Policy`` (https://www.w3.org/TR/permissions-policy/): a feature without anybody is off.

    >>> to_permissions_policy({"camera": ["self"], "geolocation": []})
    'camera=(self), geolocation=()'

    :raises ValueError: something is no feature or no origin; the message names it
    """
    return ", ".join(f"{name}=({' '.join(item if item in ('self', '*') else chr(34) + item + chr(34) for item in items)})"
                     for name, items in _checked(policy, re.compile(r"self|\*|https://[A-Za-z0-9*.:-]+"), "self or an origin", empty=True))


def _checked(policy: t.Mapping[str, t.Sequence[str]], item: re.Pattern[str], kind: str, empty: bool = False
             ) -> t.Iterator[tuple[str, t.Sequence[str]]]:
    """The entries, when each is what it should be: what is no source must not end the header, or nginx's string around it."""
    if not isinstance(policy, dict):
        raise ValueError("the policy is no dictionary")
    for name, items in policy.items():
        if not _NAME.fullmatch(str(name)):
            raise ValueError(f"`{name}` is no directive")
        if not isinstance(items, list):
            raise ValueError(f"`{name}` is no list")
        for value in items:
            if not isinstance(value, str) or not item.fullmatch(value):
                raise ValueError(f"`{name}`: {value!r} is not {kind}")
        if items or empty:
            yield name, items
