# SPDX-License-Identifier: GPL-3.0-or-later
"""Every combination of who may enter, guests, who moderates and what rooms have is loaded once by the Prosody of the host."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest
from conftest import CHECKOUT

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import combinations  # noqa: E402

from ansible_collections.campus.jitsi.plugins.plugin_utils import _render  # noqa: E402

OURS = {path.stem[4:]: path.read_text(encoding="utf-8") for path in CHECKOUT.glob("roles/prosody/files/usr/local/lib/prosody/modules/mod_*.lua")}
#: Of all ways to log in, and no scenario has all of them. As in roles/prosody/vars/main/main.yml.
PACKAGES = "lua-basexx lua-inspect lua-ldap"
LIBRARIES = ["/usr/share/lua/5.2/basexx.lua", "/usr/share/lua/5.3/inspect.lua"]


def wanted(settings) -> dict[str, set[str]]:
    """The modules that settings name, by host; under `*` those that may be anywhere."""
    found = {"*": set(settings["global"]["modules_enabled"])}
    for name, host in settings["hosts"].items():
        found[name] = {*host.get("modules_enabled", []), *([host["component"]] if host.get("component") else []),
                       *(["auth_" + host["authentication"]] if host.get("authentication") else [])}
    return found


def missing(settings, loaded) -> list[str]:
    """What is named and not loaded, or loaded and switched off."""
    everywhere = set().union(*loaded.values())
    found = [f"{host}: {module}" for host, modules in wanted(settings).items() for module in sorted(modules)
             if module not in (everywhere if host == "*" else {*loaded.get(host, []), *loaded.get("*", [])})]
    return found + [f"{module} is loaded" for module in sorted(everywhere & set(settings["global"]["modules_disabled"]))]


def load(site, settings):
    """What becomes of settings, each by a name."""
    configurations = {
        name: {"text": _render.to_prosody(each["settings"]), "environment": each["environment"],
               "modules": sorted(set(OURS) & set().union(*wanted(each["settings"]).values())),
               "libraries": LIBRARIES if any("LUA_PATH" in entry for entry in each["environment"]) else []}
        for name, each in settings.items()
    }
    script = (pathlib.Path(__file__).parent / "loading.py").read_text(encoding="utf-8") + f"\n\nmain({configurations!r}, {OURS!r}, {site.domain!r})\n"
    return json.loads(site.on(site.of("prosody")[0], script, timeout=400))


@pytest.fixture(scope="module")
def host(site):
    """One host with one release, with the libraries of all ways to log in."""
    if site.auth not in ("internal", "jwt"):
        pytest.skip("the scenarios auth_internal and auth_jwt do it, one on each release")
    site.of_one("prosody").check_output(f"DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends {PACKAGES}")
    return site


def test_prosody_loads_every_combination_without_a_complaint(host):
    """Combinations that come out as the same text, because only jicofo tells them apart, are loaded once."""
    distinct: dict[str, str] = {}
    for name, each in combinations.rendered().items():
        distinct.setdefault(json.dumps(each, sort_keys=True), name)
    settings = {name: json.loads(text) for text, name in distinct.items()}
    assert len(settings) > 50
    found = load(host, settings)
    # There is nobody to ask in a network of its own.
    complained = {name: [line for line in each["complained"] if "Error on GET request" not in line or "keys_url" not in name]
                  for name, each in found.items()}
    assert {name: lines for name, lines in complained.items() if lines} == {}
    assert {name: lacks for name, each in found.items() if (lacks := missing(settings[name]["settings"], each["loaded"]))} == {}


def test_what_prosody_does_not_take_is_seen(host):
    """A module that nobody has, a library that is not shown to it, an option of the wrong type."""
    everything = combinations.rendered()["everything"]
    settings = {name: json.loads(json.dumps(everything)) for name in ("module", "library", "type")}
    settings["module"]["settings"]["hosts"][f"conference.{host.domain}"]["modules_enabled"].append("av_moderation")
    settings["library"]["environment"] = []
    settings["type"]["settings"]["hosts"][f"conference.{host.domain}"]["muc_room_cache_size"] = "many"
    found = load(host, settings)
    assert any("av_moderation" in line for line in found["module"]["complained"]) and missing(settings["module"]["settings"], found["module"]["loaded"])
    assert any("basexx" in line for line in found["library"]["complained"]) and missing(settings["library"]["settings"], found["library"]["loaded"])
    assert found["type"]["complained"], found["type"]
