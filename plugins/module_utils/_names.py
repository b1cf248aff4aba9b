# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finding what somebody meant when a name does not exist. Pure functions."""

from __future__ import annotations

import difflib
import typing as t


def nearest(name: str, known: t.Iterable[str], cutoff: float = 0.6) -> str | None:
    """The member of ``known`` most like ``name``, or None when none is close.

    >>> nearest("videobridge.ice.udp.prot", ["videobridge.ice.udp.port", "videobridge.stats.interval"])
    'videobridge.ice.udp.port'
    """
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def did_you_mean(name: str, known: t.Iterable[str], cutoff: float = 0.6) -> str:
    """``": did you mean `x`?"`` for the nearest name, or an empty text.

    >>> did_you_mean("jitsi_domian", ["jitsi_domain"])
    ': did you mean `jitsi_domain`?'
    """
    match = nearest(name, known, cutoff)
    return f": did you mean `{match}`?" if match else ""
