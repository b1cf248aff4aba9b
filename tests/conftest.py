# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable as ``ansible_collections.campus.jitsi``, as Ansible would have it."""

from __future__ import annotations

import pathlib
import sys

from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("campus", deadline=None)
settings.load_profile("campus")

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = CHECKOUT / ".build" / "source"
_link = SOURCE / "ansible_collections" / "campus" / "jitsi"
_link.parent.mkdir(parents=True, exist_ok=True)
# A copy of another checkout's .build points there.
if not _link.exists() or _link.resolve() != CHECKOUT:
    _link.unlink(missing_ok=True)
    _link.symlink_to(CHECKOUT)
sys.path.insert(0, str(SOURCE))
