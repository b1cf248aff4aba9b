# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit tests share."""

from __future__ import annotations

import pathlib
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def typesafe_config() -> pathlib.Path:
    """The jar of com.typesafe:config, the parser of jicofo and the videobridge, as the stand-ins have it."""
    sys.path.insert(0, str(CHECKOUT / "tests" / "standins"))
    import build

    jars, _archives = build.download_all(CHECKOUT / ".build" / "cache", lambda text: None)
    return next(jar for jar in jars if jar.name.startswith("config-"))
