# SPDX-License-Identifier: GPL-3.0-or-later
"""Prosody's settings for every combination of who may enter, guests, who moderates, and what rooms have, as the role renders them."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import subprocess
import sys
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
LDAP = {"prosody_ldap_servers": ["ldap.example.edu"], "prosody_ldap_base": "ou=people,dc=example,dc=edu"}


def combinations() -> dict[str, dict[str, t.Any]]:
    """Variables by name: those that the collection does not refuse."""
    from ansible_collections.campus.jitsi.plugins.plugin_utils import _validate

    found = {}
    for auth, guests, moderation, wait in itertools.product(
            ("anonymous", "internal", "ldap", "jwt"), (False, True), ("first", "authenticated", "token", "everyone"), (False, True)):
        variables = {"jitsi_auth": auth, "jitsi_auth_guests": guests, "jitsi_moderation": moderation, "jitsi_wait_for_moderator": wait,
                     **(LDAP if auth == "ldap" else {})}
        if _validate.access_problems(variables):
            continue
        for lobby, breakout in (("on", True), ("persistent", False), ("off", True), ("off", False)):
            rooms = {"prosody_lobby": lobby != "off", "prosody_lobby_persistent": lobby == "persistent", "prosody_breakout_rooms": breakout}
            if not _validate.room_problems({**variables, **rooms}):
                name = "-".join([auth, "guests" if guests else "alone", moderation, *(["wait"] if wait else []), f"lobby_{lobby}",
                                 "breakout" if breakout else "plain"])
                found[name] = {**variables, **rooms}
    # What has no share in the others.
    found["everything"] = {"jitsi_auth": "jwt", "jitsi_auth_guests": True, "jitsi_moderation": "token", "jitsi_wait_for_moderator": True,
                           "prosody_room_policy": True, "prosody_max_occupants": 50, "prosody_reservations_url": "https://rooms.example.edu",
                           "jitsi_turn_servers": [{"host": "turn.example.edu", "region": "east"}]}
    return found


def render(place: pathlib.Path) -> dict[str, dict[str, t.Any]]:
    """The settings of each combination, by Ansible itself from the variables of the roles.

    :param place: an empty folder for its files
    """
    wanted = combinations()
    files = [CHECKOUT / "roles" / "jitsi" / "defaults" / "main.yml", CHECKOUT / "roles" / "jitsi" / "vars" / "main.yml",
             CHECKOUT / "roles" / "prosody" / "defaults" / "main.yml", *sorted((CHECKOUT / "roles" / "prosody" / "vars" / "main").glob("*.yml"))]
    names = sorted({name for variables in wanted.values() for name in variables})
    defaults = {"prosody_room_policy": False, "prosody_max_occupants": 0, "prosody_reservations_url": "", "jitsi_turn_servers": [],
                "prosody_ldap_servers": [], "prosody_ldap_base": "", "prosody_lobby": True, "prosody_lobby_persistent": False, "prosody_breakout_rooms": True}
    play = [{
        "hosts": "localhost", "gather_facts": False, "connection": "local", "vars_files": [str(path) for path in files],
        "tasks": [{
            "ansible.builtin.copy": {"dest": str(place / "{{ item.name }}.json"), "content": "{{ __prosody_settings | to_json }}", "mode": "0600"},
            "loop": [{"name": name, "with": {**{key: defaults.get(key) for key in names}, **variables}} for name, variables in wanted.items()],
            "loop_control": {"label": "{{ item.name }}"},
            "vars": {name: f"{{{{ item.with.{name} }}}}" for name in names},
            "no_log": False,
        }],
    }]
    # In halves, one for each of two processes.
    items = play[0]["tasks"][0]["loop"]
    for part in range(2):
        play[0]["tasks"][0]["loop"] = items[part::2]
        (place / f"play{part}.yml").write_text(json.dumps(play), encoding="utf-8")
    secrets = {label: f"{label} for the tests, long enough" for label in ("xmpp/focus", "turn", "jwt")}
    variables = {"jitsi_domain": "meet.example.edu", "jitsi_secrets": secrets, "ansible_python_interpreter": sys.executable}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e", json.dumps(variables)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(CHECKOUT / ".build" / "source")),
                   "ANSIBLE_NOCOLOR": "1"}
    runs = [subprocess.Popen([*command, str(place / f"play{part}.yml")], env=environment, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True) for part in range(2)]
    for run in runs:
        said = run.communicate()[0]
        assert run.returncode == 0, said[-3000:]
    return {name: json.loads((place / f"{name}.json").read_text(encoding="utf-8")) for name in wanted}
