# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit tests share."""

from __future__ import annotations

import hashlib
import pathlib
import urllib.request

import pytest

#: The parser of jicofo and the videobridge (upstream/*.keys.json say which).
TYPESAFE = (
    "https://repo1.maven.org/maven2/com/typesafe/config/1.4.3/config-1.4.3.jar",
    "8ada4c185ce72416712d63e0b5afdc5f009c0cdf405e5f26efecdf156aa5dfb6",
)


@pytest.fixture(scope="session")
def typesafe_config() -> pathlib.Path:
    """The jar of com.typesafe:config, fetched once."""
    url, digest = TYPESAFE
    jar = pathlib.Path(__file__).resolve().parents[2] / ".build" / "cache" / url.rpartition("/")[2]
    if not jar.exists():
        jar.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
        assert hashlib.sha256(content).hexdigest() == digest, f"{url} is not what it was"
        jar.write_bytes(content)
    return jar
