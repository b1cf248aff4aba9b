# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which keys a HOCON configuration sets, and which of them nobody would read. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean

_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")


def flatten(data: t.Any, path: tuple[str, ...] = ()) -> t.Iterator[tuple[tuple[str, ...], bool]]:
    """The paths of all values in parsed HOCON, each with whether it is an empty dictionary.

    The elements of a list share one path that ends in ``[]``.

    >>> sorted(flatten({"a": {"b": 1, "c": {}}, "d": [{"e": 1}]}))
    [(('a', 'b'), False), (('a', 'c'), True), (('d', '[]', 'e'), False)]
    """
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from flatten(value, (*path, str(key)))
    elif isinstance(data, list) and any(isinstance(item, dict) for item in data):
        for item in data:
            yield from flatten(item, (*path, "[]"))
    else:
        yield path, data == {} and isinstance(data, dict)


def show(path: t.Sequence[str]) -> str:
    """A path as people write it: dots, quotes where a part has odd characters, ``[]`` for list elements.

    >>> show(("a", "b.c", "[]", "d"))
    'a."b.c"[].d'
    """
    text = ""
    for part in path:
        if part == "[]":
            text += "[]"
        else:
            text += ("." if text else "") + (part if _PLAIN.match(part) or part == "*" else f'"{part}"')
    return text


def parse(pattern: str) -> tuple[str, ...]:
    """A key of the upstream lists, such as ``a.configs.*.NAME`` or ``a.list[].b``, to a path.

    >>> parse("a.list[].b.*")
    ('a', 'list', '[]', 'b', '*')
    """
    parts: list[str] = []
    for part in pattern.split("."):
        name, bracket, _rest = part.partition("[]")
        parts.append(name)
        if bracket:
            parts.append("[]")
    return tuple(parts)


def unknown_keys(config: t.Any, reference: t.Any, patterns: t.Iterable[str]) -> list[str]:
    """One sentence for each key of ``config`` that neither the ``reference`` nor the ``patterns`` know.

    :param config: the parsed configuration
    :param reference: the program's own parsed ``reference.conf``
    :param patterns: keys that the program reads without listing them there, ``*`` standing for any name and a
        trailing ``.**`` for anything below
    """
    known = {path for path, _empty in flatten(reference)}
    # A dictionary that is empty in the reference and has no keys of its own in `patterns` takes any key.
    wild = [parse(pattern) for pattern in patterns]
    free = [p for p, empty in flatten(reference) if empty and not any(w[: len(p)] == p and len(w) > len(p) for w in wild)]
    names = sorted({show(path) for path in known} | {show(path) for path in wild if "*" not in path and "**" not in path})
    messages = []
    for path, empty in flatten(config):
        if empty and any(path == k[: len(path)] for k in [*known, *wild]):
            continue
        if path in known or any(_matches(path, w) for w in wild) or any(path[: len(p)] == p for p in free):
            continue
        if any(k[: len(path)] == path for k in known):
            messages.append(f"`{show(path)}` is a group of keys, not a value")
            continue
        filled = [show([have if want == "*" else want for have, want in zip(path, w)]) for w in wild if "*" in w and len(w) == len(path)]
        messages.append(f"`{show(path)}`{did_you_mean(show(path), [*names, *filled]) or ': no such key'}")
    return sorted(set(messages))


def _matches(path: t.Sequence[str], pattern: t.Sequence[str]) -> bool:
    """Whether ``path`` is of the form of ``pattern``. Below a ``*`` names are compared without case, as the JVB does."""
    if pattern[-1:] == ("**",):
        pattern = pattern[:-1]
        path = path[: len(pattern)]
    if len(path) != len(pattern):
        return False
    loose = False
    for have, want in zip(path, pattern):
        if want == "*":
            loose = True
        elif have != want and not (loose and have.lower() == want.lower()):
            return False
    return True
