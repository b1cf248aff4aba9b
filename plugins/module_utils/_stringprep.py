# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two stringprep profiles (RFC 3454) that XMPP accounts need. Pure functions.

Code points that Unicode 3.2 does not assign pass, as they do in Prosody (util/encodings.c allows them).
"""

from __future__ import annotations

import stringprep
import typing as t
from unicodedata import ucd_3_2_0

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
#: RFC 3920, appendix A.5.
_NODE_PROHIBITED = frozenset("\"&'/:<>@")


def saslprep(text: str) -> str:
    """A password as SASL compares it (RFC 4013).

    >>> saslprep("I\\u00adX\\u00a0\\u2168")
    'IX IX'

    :raises ValueError: a character is not allowed
    """
    if text.isascii() and text.isprintable():
        # What nearly all passwords are: no table has these, and NFKC leaves them alone.
        return text
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    return _check(ucd_3_2_0.normalize("NFKC", mapped), _PROHIBITED, "a password")


def nodeprep(text: str) -> str:
    """The local part of a JID as Prosody stores it (RFC 3920, appendix A).

    >>> nodeprep("Focus")
    'focus'

    :raises ValueError: it is empty, too long or has a character that is not allowed
    """
    mapped = "".join(stringprep.map_table_b2(c) for c in text if not stringprep.in_table_b1(c))
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    rules = (*_PROHIBITED, stringprep.in_table_c11, _NODE_PROHIBITED.__contains__)
    _check(prepared, rules, "the local part of a JID")
    if not prepared or len(prepared.encode()) > 1023:
        raise ValueError("the local part of a JID has 1 to 1023 bytes")
    return prepared


def _check(text: str, rules: t.Sequence[t.Callable[[str], bool]], what: str) -> str:
    for character in text:
        if any(rule(character) for rule in rules):
            raise ValueError(f"{what} cannot hold U+{ord(character):04X}")
    right_to_left = [stringprep.in_table_d1(c) for c in text]
    if any(right_to_left):
        # RFC 3454, section 6: no mixing, and right-to-left at both ends.
        if any(stringprep.in_table_d2(c) for c in text) or not (right_to_left[0] and right_to_left[-1]):
            raise ValueError(f"{what} mixes writing directions")
    return text
