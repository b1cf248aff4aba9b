# SPDX-License-Identifier: GPL-3.0-or-later
"""Prosody's settings for every combination of who may enter, guests, who moderates, and what rooms have, as the role renders them.

The unit tests compare them with what Jitsi's modules know, and tests/verify/test_combinations.py has Prosody itself load them. Jicofo's go
with them, for tests/verify/test_moderation.py.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
#: Where each kind of rendering is kept for the next one who wants it: it takes 20 seconds, and three steps of `make test` want it.
KEPT = CHECKOUT / ".build" / "combinations"
#: That of the lab, so that what is rendered finds the lab's certificates.
DOMAIN = "meet.lab.test"
SECRETS = {label: f"{label} for the tests, long enough" for label in ("xmpp/focus", "xmpp/telephone", "turn", "jwt")}
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
                           "jitsi_turn_servers": [{"host": "turn.example.edu", "region": "east"}], "jitsi_privacy": "strict",
                           "jitsi_remote_components": True, "jitsi_web_addresses": ["192.0.2.1"]}
    # Gateways to telephones change who waits.
    for name in ("anonymous-alone-first", "internal-alone-first", "internal-guests-authenticated", "ldap-alone-everyone", "jwt-alone-authenticated",
                 "jwt-alone-token", "jwt-alone-token-wait", "jwt-guests-token-wait"):
        found[f"{name}-lobby_on-breakout-phones"] = {**found[f"{name}-lobby_on-breakout"], "jitsi_gateways": ["gateway"]}
    for name, value in {"jwt_public_keys": {"one": "-----BEGIN PUBLIC KEY-----\n"}, "jwt_keys_url": "https://sso.example.edu/certs",
                        "jwt_key_server": "https://keys.example.edu"}.items():
        found[f"jwt-alone-token-wait-{name}"] = {**found["jwt-alone-token-wait-lobby_on-breakout"], f"jitsi_{name}": value}
    return found


def sources() -> list[pathlib.Path]:
    """All that decides what is rendered."""
    places = [CHECKOUT / place for place in ("roles/jitsi", "roles/prosody", "roles/jicofo", "plugins")]
    return [pathlib.Path(__file__), *sorted(path for place in places for path in place.rglob("*") if path.suffix in (".py", ".yml", ".lua"))]


def rendered() -> dict[str, dict[str, t.Any]]:
    """For each combination its `settings` for Prosody, the `environment` of Prosody, and the settings of `jicofo`: rendered once for the
    same sources. Secrets are :data:`SECRETS`.
    """
    digest = hashlib.sha256()
    for path in sources():
        digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / ".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = KEPT / f"{digest.hexdigest()}.json"
        if not path.exists():
            for old in KEPT.glob("*.json"):
                old.unlink()
            with tempfile.TemporaryDirectory() as place:
                found = render(pathlib.Path(place))
            path.with_suffix(".new").write_text(json.dumps(found), encoding="utf-8")
            path.with_suffix(".new").rename(path)
        return json.loads(path.read_text(encoding="utf-8"))


def render(place: pathlib.Path) -> dict[str, dict[str, t.Any]]:
    """As :func:`rendered`, by Ansible itself from the variables of the roles.

    :param place: an empty folder for its files
    """
    wanted = combinations()
    files = [*(CHECKOUT / "roles" / role / part / "main.yml" for role in ("jitsi", "jicofo") for part in ("defaults", "vars")),
             CHECKOUT / "roles" / "prosody" / "defaults" / "main.yml", *sorted((CHECKOUT / "roles" / "prosody" / "vars" / "main").glob("*.yml"))]
    names = sorted({name for variables in wanted.values() for name in variables})
    defaults = {"jitsi_gateways": [], "prosody_room_policy": False, "prosody_max_occupants": 0, "prosody_reservations_url": "", "jitsi_turn_servers": [],
                "jitsi_privacy": "standard", "jitsi_remote_components": False, "jitsi_web_addresses": [], "jitsi_jwt_public_keys": {},
                "jitsi_jwt_keys_url": "", "jitsi_jwt_key_server": "", "prosody_ldap_servers": [], "prosody_ldap_base": "", "prosody_lobby": True,
                "prosody_lobby_persistent": False, "prosody_breakout_rooms": True}
    play = [{
        "hosts": "localhost", "gather_facts": False, "connection": "local", "vars_files": [str(path) for path in files],
        "tasks": [{
            # Without a module for each: that would take most of the time.
            "ansible.builtin.set_fact": {"settings": "{{ __prosody_settings }}", "environment": "{{ __prosody_environment }}",
                                         "jicofo": "{{ __jicofo_settings }}"},
            "loop": [{"name": name, "with": {**{key: defaults.get(key) for key in names}, **variables}} for name, variables in wanted.items()],
            "loop_control": {"label": "{{ item.name }}"},
            "vars": {name: f"{{{{ item.with.{name} }}}}" for name in names},
            "register": "rendered",
        }, {
            "ansible.builtin.copy": {
                "dest": "", "mode": "0600",
                "content": "{{ dict(rendered.results | map(attribute='item.name') | zip(rendered.results | map(attribute='ansible_facts'))) | to_json }}",
            },
        }],
    }]
    # In halves, one for each of two processes.
    items = play[0]["tasks"][0]["loop"]
    for part in range(2):
        play[0]["tasks"][0]["loop"] = items[part::2]
        play[0]["tasks"][1]["ansible.builtin.copy"]["dest"] = str(place / f"rendered{part}.json")
        (place / f"play{part}.yml").write_text(json.dumps(play), encoding="utf-8")
    variables = {"jitsi_domain": DOMAIN, "jitsi_jwt_app_id": "moodle", "jitsi_secrets": SECRETS, "ansible_python_interpreter": sys.executable}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e", json.dumps(variables)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(CHECKOUT / ".build" / "source")),
                   "ANSIBLE_NOCOLOR": "1"}
    runs = [subprocess.Popen([*command, str(place / f"play{part}.yml")], env=environment, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True) for part in range(2)]
    for run in runs:
        said = run.communicate()[0]
        assert run.returncode == 0, said[-3000:]
    found: dict[str, dict[str, t.Any]] = {}
    for part in range(2):
        found.update(json.loads((place / f"rendered{part}.json").read_text(encoding="utf-8")))
    return {name: found[name] for name in wanted}
