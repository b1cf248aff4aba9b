# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in a file of java.util.Properties, and which of its keys nobody would read. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_BLANKS = " \t\f"


def parse(text: str) -> list[tuple[str, str]]:
    """The keys and values of a file, in their order, as ``java.util.Properties.load`` reads them.

    >>> parse("# note\\na.b = c\\\\u0020d \\nx:y\\\\\\n  z")
    [('a.b', 'c d '), ('x', 'yz')]

    :raises ValueError: an escape that Java refuses, with the number of its line
    """
    found = []
    for number, line in _logical_lines(text):
        end, escaped = 0, False
        while end < len(line) and (escaped or line[end] not in "=:" + _BLANKS):
            escaped = line[end] == "\\" and not escaped
            end += 1
        rest = line[end:].lstrip(_BLANKS)
        if rest[:1] in ("=", ":"):
            rest = rest[1:].lstrip(_BLANKS)
        try:
            found.append((_unescape(line[:end]), _unescape(rest)))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return found


def _logical_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """Lines without comments and empty ones, each joined with those that a backslash at its end asks for."""
    pending = ""
    start = 0
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        stripped = line.lstrip(_BLANKS)
        if not pending:
            if not stripped or stripped[0] in "#!":
                continue
            start = number
        pending += stripped
        backslashes = len(stripped) - len(stripped.rstrip("\\"))
        if backslashes % 2:
            pending = pending[:-1]
            continue
        yield start, pending
        pending = ""
    if pending:
        yield start, pending


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        word = match[1]
        if word[0] == "u":
            if len(word) != 5:
                raise ValueError("Java refuses `\\u` without four hexadecimal digits")
            return chr(int(word[1:], 16))
        return _ESCAPES.get(word, word)

    units = re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", one, text, flags=re.DOTALL)
    # Java's characters are UTF-16: two escapes make one character beyond U+FFFF.
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def unknown_keys(keys: t.Iterable[str], known: t.Sequence[str]) -> list[str]:
    """A sentence for each key that matches none of ``known``, in which ``*`` stands for one part between dots, and ``.**`` at the
    end for anything.

    >>> unknown_keys(["a.acc1.PASSWORD", "a.acc1.PASSWROD"], ["a.*.PASSWORD"])
    ['`a.acc1.PASSWROD`: nobody reads this key: did you mean `a.acc1.PASSWORD`?']
    """
    patterns = [re.compile("".join(
        {".**": r"\..+", "*": "[^.]+"}.get(part, re.escape(part)) for part in re.split(r"(\.\*\*$|\*)", name) if part) + r"\Z") for name in known]
    found = []
    for key in keys:
        if any(pattern.match(key) for pattern in patterns):
            continue
        parts = key.split(".")
        near = [".".join(mine if theirs == "*" else theirs for mine, theirs in zip(parts, name.split("."))) for name in known
                if name.count(".") == key.count(".")]
        found.append(f"`{key}`: nobody reads this key" + did_you_mean(key, near))
    return found
