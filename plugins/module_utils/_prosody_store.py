# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prosody's file storage (util/datamanager.lua, mod_storage_internal): paths, and reading and writing its tables.

A file holds ``return { ["key"] = value; ... };``. Reading takes that and nothing else: it never runs Lua.
"""

from __future__ import annotations

import os
import re
import typing as t


class StoreError(ValueError):
    """A file that is not what Prosody writes; the message says where."""


def encode(name: str) -> str:
    """A host or user name in a path: each byte that is no ASCII letter or digit as ``%xx``.

    >>> encode("auth.meet-1")
    'auth%2emeet%2d1'
    """
    return "".join(chr(b) if chr(b).isascii() and chr(b).isalnum() else f"%{b:02x}" for b in name.encode())


def decode(name: str) -> str:
    """The inverse of :func:`encode`.

    >>> decode("auth%2emeet%2d1")
    'auth.meet-1'
    """
    raw = re.sub(rb"%([0-9a-fA-F]{2})", lambda m: bytes([int(m.group(1), 16)]), name.encode())
    return raw.decode(errors="surrogateescape")


def path(data_path: str, host: str, store: str, user: str) -> str:
    """The file of one user's data, such as ``accounts`` or ``roster``.

    >>> path("/var/lib/prosody", "auth.x", "accounts", "focus")
    '/var/lib/prosody/auth%2ex/accounts/focus.dat'
    """
    return os.path.join(data_path, encode(host), store, encode(user) + ".dat")


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<string>"(?:[^"\\]|\\(?:.|\n))*")
    | (?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>[{}\[\]=;,()])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:(\d{1,3})|x([0-9a-fA-F]{2})|(z\s*)|(.|\n))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def loads(text: str) -> dict[t.Any, t.Any]:
    """A table that Prosody wrote, as a dictionary; items without a key get the keys 1, 2, ...

    Strings are text whose undecodable bytes are surrogates (as :func:`os.fsdecode` gives them).

    :raises StoreError: it is something else
    """
    tokens = list(_tokens(text))
    position = 0

    def take(*wanted: str) -> tuple[str, t.Any]:
        nonlocal position
        kind, value = tokens[position] if position < len(tokens) else ("end", None)
        if wanted and value not in wanted:
            raise StoreError(f"`{value or 'the end'}` where `{wanted[0]}` should be")
        position += 1
        return kind, value

    def peek() -> t.Any:
        return tokens[position][1] if position < len(tokens) else None

    def value() -> t.Any:
        kind, what = take()
        if kind in ("string", "number"):
            return what
        if kind == "name" and what in ("true", "false", "nil"):
            return {"true": True, "false": False, "nil": None}[what]
        if what == "{":
            return table()
        raise StoreError(f"`{what or 'the end'}` where a value should be")

    def table() -> dict[t.Any, t.Any]:
        result: dict[t.Any, t.Any] = {}
        index = 1
        while peek() != "}":
            if peek() == "[":
                take("[")
                key = value()
                take("]")
                take("=")
            elif position < len(tokens) and tokens[position][0] == "name" and position + 1 < len(tokens) and tokens[position + 1][1] == "=":
                key = take()[1]
                take("=")
            else:
                key, index = index, index + 1
            result[key] = value()
            if peek() in (";", ","):
                take()
            elif peek() != "}":
                raise StoreError("an entry of the table does not end")
        take("}")
        return result

    take("return")
    take("{")
    result = table()
    if peek() == ";":
        take()
    if position != len(tokens):
        raise StoreError("something follows the table")
    return result


def _tokens(text: str) -> t.Iterator[tuple[str, t.Any]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise StoreError(f"character {text[position]!r} at {position} is not what Prosody writes")
        position = match.end()
        kind = match.lastgroup or ""
        if kind == "string":
            yield kind, _unescape(match.group()[1:-1])
        elif kind == "number":
            number = match.group()
            yield kind, float(number) if re.search(r"[.]|(?<!x)[eE]", number) and "x" not in number else int(number, 0)
        elif kind != "space":
            yield kind, match.group()


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        decimal, hexadecimal, gap, other = match.groups()
        if decimal or hexadecimal:
            code = int(decimal) if decimal else int(hexadecimal, 16)
            if code > 255:
                raise StoreError(f"escape \\{decimal} is no byte")
            return chr(code) if code < 128 else chr(0xDC00 + code)
        return "" if gap else _SIMPLE.get(other, other)

    # Bytes given by number may form characters together with each other.
    return os.fsdecode(os.fsencode(_ESCAPE.sub(one, text)))


def dumps(table: t.Mapping[t.Any, t.Any]) -> str:
    """The text that Prosody reads ``table`` from, in the form that it writes itself.

    >>> print(dumps({"salt": "x", "n": 1}).expandtabs(4), end="")
    return {
        ["salt"] = "x";
        ["n"] = 1;
    };
    """
    return f"return {_dump(table, 0)};\n"


def _dump(value: t.Any, depth: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + re.sub(r'[\\"\x00-\x1f\x7f]', lambda m: f"\\{ord(m.group()):03d}", value) + '"'
    if isinstance(value, dict):
        pad = "\t" * (depth + 1)
        lines = [f"{pad}[{_dump(k, 0)}] = {_dump(v, depth + 1)};\n" for k, v in value.items() if v is not None]
        return "{\n" + "".join(lines) + "\t" * depth + "}" if lines else "{}"
    raise StoreError(f"a value of type {type(value).__name__} cannot be stored")
