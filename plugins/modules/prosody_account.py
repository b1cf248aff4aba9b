#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: accounts of a Prosody server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prosody_account
short_description: Bring a list of XMPP accounts of a Prosody server to a state
version_added: 0.1.0
description:
  - Makes, changes and removes accounts of Prosody's C(internal_hashed) hosts, a whole list in one task.
  - Whether an account has the wanted password is decided from the SCRAM keys (RFC 5802) in Prosody's own store, so a
    task reports a change only when something changes, and a changed password always lands.
  - Works on the store, with the rights of the user prosody, whether the server runs or not. A running server is told
    of changed rosters, and the sessions of removed accounts are closed.
  - Passwords never appear in a command line, a log or a diff.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the accounts that change, without passwords.
    support: full
options:
  accounts:
    description: The accounts. Those that are not listed are left alone, but see O(exclusive).
    type: list
    elements: dict
    default: []
    suboptions:
      jid:
        description: The bare JID, C(user@host). The host must be a VirtualHost of Prosody with C(internal_hashed).
        type: str
        required: true
      state:
        description: Whether it is there.
        type: str
        choices: [present, absent]
        default: present
      password:
        description: Its password, needed when the account is to be present.
        type: str
      roster:
        description:
          - JIDs that must be subscribed to the presence of this account, such as the component C(focus.<domain>) for
            the account of jicofo, which its C(client_proxy) needs. Other contacts are left alone.
        type: list
        elements: str
        default: []
  exclusive:
    description:
      - Patterns of JIDs, such as V(jvb-*@auth.meet.example.edu). Accounts in the store that fit one and are not in
        O(accounts) are removed.
    type: list
    elements: str
    default: []
  ledger:
    description:
      - A file on the host that remembers the accounts that were made with it. Those of them that are not in O(accounts) any more are
        removed. Accounts that were made otherwise, such as with C(prosodyctl), are never in it and stay.
      - It holds JIDs only.
    type: path
  iterations:
    description:
      - Rounds of PBKDF2 for new and changed passwords, 4096 at least. Prosody itself takes 10000.
      - An account whose password is right keeps what it has.
    type: int
    default: 10000
  config:
    description: Prosody's configuration file.
    type: path
    default: /etc/prosody/prosody.cfg.lua
"""

EXAMPLES = r"""
- name: The accounts of the components
  campus.jitsi.prosody_account:
    accounts:
      - jid: focus@auth.meet.example.edu
        password: "{{ lookup('campus.jitsi.secret', 'xmpp/focus') }}"
        roster: [focus.meet.example.edu]
      - jid: jvb-bridge1@auth.meet.example.edu
        password: "{{ lookup('campus.jitsi.secret', 'xmpp/jvb/bridge1') }}"
    exclusive: ["jvb-*@auth.meet.example.edu"]
"""

RETURN = r"""
changes:
  description: What changed or, in check mode, would change.
  type: list
  elements: dict
  returned: success
  contains:
    jid:
      description: The account.
      type: str
    change:
      description: One of C(created), C(password), C(roster) and C(removed).
      type: str
restart_needed:
  description: >-
    Whether a running Prosody must be restarted to see a changed roster, because its admin socket does not answer.
  type: bool
  returned: success
"""

import concurrent.futures
import contextlib
import fnmatch
import html
import json
import os
import pwd
import re
import time
import typing as t
import uuid

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _prosody, _prosody_store, _scram
from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean
from ansible_collections.campus.jitsi.plugins.module_utils._stringprep import nodeprep, saslprep

#: How much fits into a stanza of the admin socket (10000 bytes in util/xmppstream.lua), with something for what is around it.
SHELL_LIMIT = 9000
#: Subscriptions with which a contact sees the account's presence (RFC 6121, section 2.1.2.5).
SEES_PRESENCE = ("from", "both")


def split_jid(jid: str) -> tuple[str, str]:
    """A bare JID to (local part as Prosody stores it, host).

    :raises ValueError: it is none
    """
    user, at, host = jid.partition("@")
    if not at or not host or "/" in host:
        raise ValueError(f"{jid!r} is no bare JID: write user@host")
    try:
        return nodeprep(user), host.lower().rstrip(".")
    except ValueError as error:
        hint = f": write `{escape_node(user)}@{host}` (XEP-0106)" if escape_node(user) != user else ""
        raise ValueError(f"{error}{hint}") from error


def escape_node(user: str) -> str:
    """A local part with what a JID cannot hold in the escapes that clients show as those characters (XEP-0106).

    >>> escape_node("o'brien")
    'o\\\\27brien'
    """
    return re.sub("[ \"&'/:<>@]", lambda match: f"\\{ord(match.group()):02x}", user)


def plan(*, account: t.Mapping[str, t.Any], stored: t.Mapping[str, t.Any] | None, right: bool,
         roster: t.Mapping[t.Any, t.Any]) -> list[str]:
    """What must change for one account: any of ``created``, ``password``, ``roster`` or ``removed``.

    :param stored: its fields in the store, None when it is not there
    :param right: whether these match the wanted password
    :param roster: its roster in the store
    """
    if account["state"] == "absent":
        return ["removed"] if stored is not None else []
    changes = ["created"] if stored is None else [] if right else ["password"]
    if any((roster.get(jid) or {}).get("subscription") not in SEES_PRESENCE for jid in account["roster"]):
        changes.append("roster")
    return changes


def new_fields(stored: t.Mapping[str, t.Any] | None, password: str, iterations: int, hash_name: str,
               timestamps: bool, now: int) -> dict[str, t.Any]:
    """The fields of an account with ``password``; what else was stored is kept (except that it is enabled).

    :param timestamps: whether to keep ``created`` and ``updated``, as Prosody 13 does
    """
    fields = {k: v for k, v in (stored or {}).items() if k not in ("password", "disabled", "disabled_meta")}
    salt = str(uuid.uuid4())
    stored_key, server_key = _scram.scram_keys(password, salt, iterations, hash_name)
    fields.update(stored_key=stored_key, server_key=server_key, salt=salt, iteration_count=iterations)
    if timestamps:
        fields.update(created=fields.get("created", now), updated=now)
    return fields


class Store:
    """Prosody's files, read and written with the rights of their owner."""

    def __init__(self, data_path: str):
        self.data_path = data_path
        try:
            owner = pwd.getpwnam("prosody")
        except KeyError:
            raise _prosody.ProsodyError("this host has no user prosody: run the role prosody first.") from None
        self.uid, self.gid = owner.pw_uid, owner.pw_gid

    @contextlib.contextmanager
    def as_owner(self) -> t.Iterator[None]:
        """Prosody owns the folder and could put links there; so root never follows them as root."""
        if os.geteuid() != 0:
            yield
            return
        groups = os.getgroups()
        mask = os.umask(0o027)
        os.setgroups([])
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
            os.umask(mask)

    def read(self, host: str, store: str, user: str) -> dict[t.Any, t.Any] | None:
        """:raises ProsodyError: the file is there and cannot be read"""
        name = _prosody_store.path(self.data_path, host, store, user)
        try:
            with open(name, encoding="utf-8", errors="surrogateescape") as handle:
                return _prosody_store.loads(handle.read()) or None
        except FileNotFoundError:
            return None
        except (OSError, _prosody_store.StoreError) as error:
            raise _prosody.ProsodyError(
                f"{name} cannot be read ({error}): restore or remove it; it was not touched."
            ) from error

    def has(self, host: str, user: str) -> bool:
        return os.path.lexists(_prosody_store.path(self.data_path, host, "accounts", user))

    def write(self, host: str, store: str, user: str, table: t.Mapping[t.Any, t.Any]) -> None:
        name = _prosody_store.path(self.data_path, host, store, user)
        os.makedirs(os.path.dirname(name), mode=0o750, exist_ok=True)
        partial = f"{name}.campus~"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(_prosody_store.dumps(table))
        os.replace(partial, name)

    def remove(self, host: str, user: str) -> None:
        """All that the store holds of a user, the account first."""
        folder = os.path.join(self.data_path, _prosody_store.encode(host))
        names = sorted(os.listdir(folder), key=lambda name: name != "accounts")
        for store in names:
            for ending in ("dat", "list", "lidx"):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(os.path.join(folder, store, f"{_prosody_store.encode(user)}.{ending}"))

    def users(self, host: str) -> list[str]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder = os.path.join(self.data_path, _prosody_store.encode(host), "accounts")
            return sorted(_prosody_store.decode(name[:-4]) for name in os.listdir(folder) if name.endswith(".dat"))
        return []


def check_host(host: str, config: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with ``host`` as the host of accounts, in one sentence, or None."""
    virtual = {name for name, options in config["hosts"].items() if not options.get("component") and options["defined"]}
    if host not in virtual:
        return f"Prosody has no VirtualHost {host!r}{did_you_mean(host, virtual) or ': add it to prosody_config.hosts.'}"
    options = config["hosts"][host]
    if options["authentication"] != "internal_hashed":
        return f"VirtualHost {host!r} has authentication {options['authentication']!r}: accounts need internal_hashed."
    storage = options["storage"]
    if isinstance(storage, dict):
        storage = storage.get("accounts", "internal")
    if storage != "internal":
        return f"VirtualHost {host!r} keeps accounts in storage {storage!r}: this module needs Prosody's internal one."
    if options["password_hash"] not in _scram.HASHES:
        return f"VirtualHost {host!r} has password_hash {options['password_hash']!r}: take SHA-1 or SHA-256."
    return None


def read_ledger(path: str | None) -> set[str]:
    """The JIDs in a ledger; none when it is not there.

    :raises ProsodyError: it cannot be read, so that nobody knows which accounts are ours
    """
    if not path:
        return set()
    try:
        with open(path, encoding="utf-8") as handle:
            found = json.load(handle)["accounts"]
        if not isinstance(found, list) or not all(isinstance(jid, str) for jid in found):
            raise ValueError("it is no list of JIDs")
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _prosody.ProsodyError(f"{path} cannot be read ({error}): restore it, or remove it and accounts that are not listed any more by hand.") from error
    return set(found)


def write_ledger(path: str, jids: t.Collection[str]) -> None:
    """Write a ledger as a whole; root's, and nobody else reads it."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    partial = f"{path}.campus~"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as stream:
        json.dump({"accounts": sorted(jids)}, stream, indent=0)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


def prepare(module: AnsibleModule, config: t.Mapping[str, t.Any], store: Store, ledger: t.Collection[str]) -> list[dict[str, t.Any]]:
    """The wanted accounts with their parts; fails with all that is wrong with them.

    :param ledger: accounts that were made with the ledger
    """
    problems, wanted, seen = [], [], set()
    for account in module.params["accounts"]:
        try:
            user, host = split_jid(account["jid"])
            problem = check_host(host, config)
            if account["state"] == "present" and not problem:
                if not account["password"]:
                    problem = f"account {account['jid']} needs a password to be present"
                else:
                    saslprep(account["password"])
        except ValueError as error:
            problem = f"account {account['jid']}: {error}"
            user, host = "", ""
        if not problem and (user, host) in seen:
            problem = f"account {account['jid']} is in the list twice"
        seen.add((user, host))
        if problem:
            problems.append(problem)
        wanted.append({**account, "user": user, "host": host, "jid": f"{user}@{host}"})
    for pattern in module.params["exclusive"]:
        problem = check_host(pattern.partition("@")[2], config)
        if problem:
            problems.append(f"exclusive {pattern!r}: {problem}")
            continue
        host = pattern.partition("@")[2]
        for user in store.users(host):
            if fnmatch.fnmatchcase(f"{user}@{host}", pattern) and (user, host) not in seen:
                seen.add((user, host))
                wanted.append({"jid": f"{user}@{host}", "user": user, "host": host, "state": "absent", "roster": []})
    for jid in sorted(ledger):
        user, _at, host = jid.partition("@")
        # One whose host has other accounts meanwhile is not seen by anybody, and is remembered for the day when it is again.
        if (user, host) not in seen and not check_host(host, config):
            seen.add((user, host))
            wanted.append({"jid": jid, "user": user, "host": host, "state": "absent", "roster": []})
    if problems:
        module.fail_json(msg="; ".join(problems), problems=problems)
    return wanted


def live_changes(changed: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Pieces of Lua for the running server, which keeps rosters in memory, and in which a removed account's sessions would stay.

    They are few, because each costs a start of prosodyctl, and short enough for its stanza (see SHELL_LIMIT).
    """
    rosters, jids = [], []
    for account in changed:
        user, host = _prosody.lua_string(account["user"]), _prosody.lua_string(account["host"])
        if "roster" in account["changes"]:
            rosters += [f"do local roster = rm.load_roster({user}, {host}); roster[{_prosody.lua_string(contact)}] = "
                        f"{{ subscription = 'both', groups = {{}} }}; assert(rm.save_roster({user}, {host}, roster)); end; " for contact in account["roster"]]
        if {"roster", "removed"} & set(account["changes"]):
            jids.append(_prosody.lua_string(f"{account['user']}@{account['host']}"))
    return [
        *("local rm = require 'core.rostermanager'; " + "".join(part) for part in in_parts(rosters)),
        *(f"for _, jid in ipairs({{ {', '.join(part)} }}) do local user = prosody.bare_sessions[jid]; if user then "
          "local list = {}; for _, session in pairs(user.sessions) do list[#list + 1] = session; end; "
          "for _, session in ipairs(list) do session:close('reset'); end; end; end; " for part in in_parts(jids)),
    ]


def in_parts(texts: t.Sequence[str], length: int = SHELL_LIMIT) -> t.Iterator[list[str]]:
    """``texts`` in lists of no more than ``length`` characters of XML each, unless a single one is longer.

    >>> list(in_parts(["aa", "b", "cc"], 3)), list(in_parts(["<", "b"], 4))
    ([['aa', 'b'], ['cc']], [['<'], ['b']])
    """
    part: list[str] = []
    for text in texts:
        if part and len(html.escape("".join([*part, text]))) > length:
            yield part
            part = []
        part.append(text)
    if part:
        yield part


def main() -> None:
    """Read, plan, and unless in check mode write."""
    module = AnsibleModule(
        argument_spec={
            "accounts": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "jid": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "password": {"type": "str", "no_log": True},
                    "roster": {"type": "list", "elements": "str", "default": []},
                },
            },
            "exclusive": {"type": "list", "elements": "str", "default": []},
            "ledger": {"type": "path"},
            "iterations": {"type": "int", "default": _scram.ITERATIONS},
            "config": {"type": "path", "default": _prosody.CONFIG},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except _prosody.ProsodyError as error:
        module.fail_json(msg=str(error))


def run(module: AnsibleModule) -> None:
    """The work of :func:`main`; raises ProsodyError."""
    params = module.params
    if module.check_mode and not os.path.exists(params["config"]):
        # A check of a host that has no Prosody yet: everything would be made.
        changes = [{"jid": a["jid"], "change": "created"} for a in params["accounts"] if a["state"] == "present"]
        module.exit_json(changed=bool(changes), changes=changes, restart_needed=False)
    if not 4096 <= params["iterations"] <= 10_000_000:
        module.fail_json(msg=f"iterations {params['iterations']} is out of range: RFC 5802 asks for 4096 at least.")
    config = _prosody.read_config(module.run_command, params["config"])
    store = Store(config.get("data_path") or _prosody.DATA)
    ledger = read_ledger(params["ledger"])
    wanted = prepare(module, config, store, ledger)

    def examine(account: dict[str, t.Any]) -> None:
        user, host = account["user"], account["host"]
        account["hash"] = config["hosts"][host]["password_hash"]
        # What is to go need not be whole.
        account["stored"] = store.read(host, "accounts", user) if account["state"] == "present" else {} if store.has(host, user) else None
        roster = (store.read(host, "roster", user) or {}) if account["roster"] else {}
        right = account["state"] == "present" and account["stored"] is not None and _scram.matches(
            account["stored"], account["password"], account["hash"])
        account["old_roster"] = roster
        account["changes"] = plan(account=account, stored=account["stored"], right=right, roster=roster)

    # PBKDF2 is nearly all of the time, and hashlib lets other threads run meanwhile.
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        list(pool.map(examine, wanted))
        changed = [account for account in wanted if account["changes"]]
        live, restart_needed = False, False
        if changed and not module.check_mode:
            now, timestamps = int(time.time()), int(config["version"].partition(".")[0] or 0) >= 13

            def compute(account: dict[str, t.Any]) -> None:
                if {"created", "password"} & set(account["changes"]):
                    account["fields"] = new_fields(account["stored"], account["password"], params["iterations"],
                                                   account["hash"], timestamps, now)

            list(pool.map(compute, changed))
            live = _prosody.running(config)
            made = {account["jid"] for account in changed if "created" in account["changes"]}
            if params["ledger"] and made - ledger:
                # Before they are made, so that a run that dies in between leaves none that nobody knows of.
                write_ledger(params["ledger"], ledger | made)
            restart_needed = apply(changed, store, live)
            gone = {account["jid"] for account in changed if "removed" in account["changes"]}
            if params["ledger"] and ledger & gone:
                write_ledger(params["ledger"], (ledger | made) - gone)
    if live:
        for code in live_changes(changed):
            _prosody.shell(module.run_command, code, params["config"])
    changes = [{"jid": a["jid"], "change": change} for a in changed for change in a["changes"]]
    module.exit_json(changed=bool(changes), changes=changes, restart_needed=restart_needed, diff=diff(wanted))


def apply(changed: t.Sequence[t.Mapping[str, t.Any]], store: Store, live: bool) -> bool:
    """Write the changes to the store. True when a running server that cannot be told must be restarted."""
    with store.as_owner():
        for account in changed:
            if "removed" in account["changes"]:
                store.remove(account["host"], account["user"])
            if "fields" in account:
                store.write(account["host"], "accounts", account["user"], account["fields"])
            if "roster" in account["changes"] and not live:
                roster = account["old_roster"]
                roster.update({jid: {"subscription": "both", "groups": {}} for jid in account["roster"]})
                meta = roster.setdefault(False, {"pending": {}})
                meta["version"] = (meta.get("version") or 0) + 1
                store.write(account["host"], "roster", account["user"], roster)
    return not live and any("roster" in a["changes"] for a in changed) and os.path.exists("/run/prosody/prosody.pid")


def diff(wanted: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """The accounts before and after; a changed password shows as such and no further."""
    before, after = [], []
    for account in wanted:
        changes = account["changes"]
        if account["stored"] is not None:
            before.append(account["jid"] + (" (another password)" if "password" in changes else ""))
        if account["state"] == "present":
            after.append(account["jid"])
            seen = f"{account['jid']} is seen by {', '.join(account['roster'])}"
            if account["roster"]:
                after.append(seen)
                if "roster" not in changes:
                    before.append(seen)
    return {"before": "\n".join([*before, ""]), "after": "\n".join([*after, ""])}


if __name__ == "__main__":
    main()
