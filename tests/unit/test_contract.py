# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rendered for Prosody is what Jitsi's modules know: each where it belongs, each option read by somebody, of the right type."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
import combinations  # noqa: E402

UPSTREAM = json.loads((TESTS / "standins" / "data" / "prosody.json").read_text(encoding="utf-8"))
MODULES = UPSTREAM["modules"]
OURS = {path.stem[4:]: path.read_text(encoding="utf-8") for path in TESTS.parent.glob("roles/prosody/files/usr/local/lib/prosody/modules/mod_*.lua")}
#: Of Prosody's own modules, those that are used on hosts, and what they and Prosody itself read there (prosody.im/doc).
CORE_MODULES = {"bosh", "websocket", "smacks", "ping", "external_services"}
CORE_OPTIONS = {
    "authentication": str, "component": str, "ssl": dict, "admins": list, "modules_enabled": list, "smacks_hibernation_time": int, "storage": str,
    "restrict_room_creation": (bool, str), "muc_room_cache_size": int, "muc_room_locking": bool, "muc_room_default_public_jids": bool,
    "muc_room_allow_persistent": bool, "muc_tombstones": bool, "ldap_server": str, "ldap_tls": bool, "ldap_base": str, "ldap_rootdn": str,
    "ldap_password": str, "ldap_filter": str, "ldap_mode": str, "ldap_scope": str,
}
TYPES = {"string": str, "number": (int, float), "boolean": bool, "array": list, "set": list, "table": dict, "any": object, "function": object}


@pytest.fixture(scope="module")
def rendered():
    return {name: found["settings"] for name, found in combinations.rendered().items()}


def kind(host) -> str:
    """What a host is, in the words of the list of modules."""
    return "virtual" if not host.get("component") else "muc" if host["component"] == "muc" else "component"


def problems(settings) -> list[str]:
    """What upstream would not know in the settings of one Prosody."""
    found = []
    for name, host in settings["hosts"].items():
        enabled = host.get("modules_enabled", [])
        if len(set(enabled)) != len(enabled):
            found.append(f"{name}: a module twice in {enabled}")
        here = [*enabled, *(["auth_" + host["authentication"]] if host.get("authentication") else []),
                *([host["component"]] if kind(host) == "component" else [])]
        options = dict(UPSTREAM["libraries"])
        for module in here:
            known = MODULES.get(module)
            if known:
                options.update(known["options"])
                place = "auth" if module.startswith("auth_") else kind(host)
                if known["on"] not in (place, "any"):
                    found.append(f"{name}: {module} is for a host of kind {known['on']}, and this is {place}")
            elif module not in CORE_MODULES and module not in OURS and module not in ("auth_internal_hashed", "auth_ldap"):
                found.append(f"{name}: nobody has the module {module}")
        if name.startswith("guest."):
            # Jitsi's modules on the main host find the rooms of guests by these options of the guests' host (its handbook, Secure Domain).
            options.update({"main_muc": "string", "lobby_muc": "string", "breakout_rooms_muc": "string"})
        ours = "".join(OURS[module] for module in enabled if module in OURS)
        for option, value in host.items():
            if option in CORE_OPTIONS:
                right = isinstance(value, CORE_OPTIONS[option])
            elif f'"{option}"' in ours:
                right = True
            elif option in options:
                right = isinstance(value, TYPES[options[option]]) and not (options[option] == "number" and isinstance(value, bool))
            else:
                found.append(f"{name}: nobody reads {option}")
                continue
            if not right:
                found.append(f"{name}: {option} is {value!r}")
    return found


def test_upstream_knows_every_module_where_it_is_and_every_option(rendered):
    assert len(rendered) > 50
    assert {name: found for name, settings in rendered.items() if (found := problems(settings))} == {}


def test_a_combination_has_what_it_needs_and_nothing_of_the_others(rendered):
    for name, settings in rendered.items():
        hosts = settings["hosts"]
        main, rooms = hosts[combinations.DOMAIN], hosts[f"conference.{combinations.DOMAIN}"]
        of_tokens = {"token_verification", "token_affiliation", "muc_wait_for_host", "muc_campus_token_roles", "muc_campus_verified_tokens"}
        assert (f"guest.{combinations.DOMAIN}" in hosts) == ("-guests-" in name or name == "everything"), name
        assert (f"lobby.{combinations.DOMAIN}" in hosts) == ("lobby_off" not in name), name
        assert (f"breakout.{combinations.DOMAIN}" in hosts) == ("-plain" not in name), name
        assert (f"jigasi.{combinations.DOMAIN}" in hosts) == name.endswith("-phones"), name
        if not name.startswith(("jwt", "everything")):
            if name.endswith("-alone-everyone-lobby_on-breakout-phones") or name.endswith("-alone-first-lobby_on-breakout-phones"):
                of_tokens.remove("muc_wait_for_host")  # telephones alone wait
            assert not of_tokens & set(rooms["modules_enabled"]) and "campus_token_keys" not in main["modules_enabled"], name
        else:
            assert {"token_verification", "muc_campus_verified_tokens"} <= set(rooms["modules_enabled"]), name
        if name.endswith("-phones") and name.startswith("jwt"):
            assert f"jigasi.{combinations.DOMAIN}" in rooms["token_verification_allowlist"], name
        if name.endswith("-phones"):
            # Callers own nothing, also not as the first, and where jicofo asks nobody they wait.
            trusted = combinations.rendered()[name]["jicofo"]["jicofo"]["xmpp"]["trusted-domains"]
            assert f"jigasi.{combinations.DOMAIN}" in trusted and ("muc_allowners" in rooms["modules_enabled"]) == ("-everyone-" in name), name
            assert ("muc_wait_for_host" in rooms["modules_enabled"]) == (not name.startswith("anonymous") and "internal-guests" not in name), name
        assert rooms.get("campus_any_token_opens", False) == (name == "jwt-alone-token-lobby_on-breakout-phones"), name
        if "muc_wait_for_host" in rooms["modules_enabled"]:
            assert {"persistent_lobby", "muc_lobby_rooms"} <= set(main["modules_enabled"]), name
            assert rooms["wait_for_host_disable_auto_owners"] == ("-authenticated-" not in name), name
        if "-token-" in name:
            assert {"token_affiliation", "muc_campus_token_roles"} <= set(rooms["modules_enabled"]) and "muc_allowners" not in rooms["modules_enabled"], name
        assert ("campus_login_limit" in main["modules_enabled"]) == name.startswith(("internal", "ldap")), name
        assert "filter_iq_jibri" in main["modules_enabled"] or name.startswith("anonymous"), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda hosts: hosts[combinations.DOMAIN]["modules_enabled"].append("token_verification"), "is for a host of kind muc"),
        (lambda hosts: hosts[combinations.DOMAIN]["modules_enabled"].append("av_moderation"), "nobody has the module av_moderation"),
        (lambda hosts: hosts[combinations.DOMAIN].update(lobby_moc="x"), "nobody reads lobby_moc"),
        (lambda hosts: hosts[f"conference.{combinations.DOMAIN}"].update(muc_password_whitelist="focus"), "muc_password_whitelist is 'focus'"),
        (lambda hosts: hosts[combinations.DOMAIN]["modules_enabled"].append("bosh"), "a module twice"),
    ],
)
def test_what_upstream_does_not_know_is_found(rendered, change, said):
    settings = json.loads(json.dumps(rendered["everything"]))
    change(settings["hosts"])
    found = problems(settings)
    assert len(found) == 1 and said in found[0]
