# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asking Prosody itself: what a configuration file says, and a running server through its admin socket."""

from __future__ import annotations

import json
import os
import socket
import typing as t

LUA = "lua5.4"
CONFIG = "/etc/prosody/prosody.cfg.lua"
SOURCE = "/usr/lib/prosody"
DATA = "/var/lib/prosody"

#: Loads a file with Prosody's own parser (core/configmanager.lua of 0.12 and 13) and prints what it says as JSON.
_READ_CONFIG = r"""
local source, file = arg[1], arg[2]
CFG_SOURCEDIR, CFG_CONFIGDIR = source, "/etc/prosody"
package.path = source .. "/?.lua;" .. package.path
package.cpath = source .. "/?.so;" .. package.cpath
if not pcall(require, "prosody.loader") then pcall(require, "loader") end
local config = require "core.configmanager"
local json = require "util.json"
local loaded, why, detail = config.load(file)
if not loaded then
    print(json.encode({ error = tostring(why) .. ": " .. tostring(detail) }))
    return
end
local function names(list)
    local found = {}
    if type(list) == "table" then
        for key, value in pairs(list) do found[#found + 1] = tostring(type(key) == "number" and value or key) end
    end
    return json.array and json.array(found) or found
end
local hosts = {}
for name in pairs(config.getconfig()) do
    if name ~= "*" then
        hosts[name] = {
            component = config.get(name, "component_module"),
            defined = config.get(name, "defined") and true or false,
            authentication = config.get(name, "authentication") or "internal_hashed",
            storage = config.get(name, "storage") or "internal",
            password_hash = config.get(name, "password_hash") or "SHA-1",
            modules = names(rawget(config.getconfig()[name], "modules_enabled")),
        }
    end
end
local version = io.open(source .. "/prosody.version")
print(json.encode({
    version = version and version:read("*l") or "",
    hosts = hosts,
    modules = names(config.get("*", "modules_enabled")),
    plugin_paths = names(config.get("*", "plugin_paths")),
    data_path = config.get("*", "data_path"),
    admin_socket = config.get("*", "admin_socket"),
}))
"""


class ProsodyError(Exception):
    """Prosody cannot be asked, or refuses its configuration; the message is one sentence."""


def read_config(run_command: t.Callable[..., tuple[int, str, str]], path: str = CONFIG) -> dict[str, t.Any]:
    """What Prosody's own parser reads in ``path``: version, modules, plugin_paths and hosts.

    :param run_command: AnsibleModule.run_command
    :raises ProsodyError: Prosody is not installed or refuses the file
    """
    if not os.path.isdir(SOURCE):
        raise ProsodyError(f"Prosody is not installed on this host ({SOURCE} is missing): run the role prosody first.")
    code, out, err = run_command([LUA, "-", SOURCE, path], data=_READ_CONFIG, environ_update={"LC_ALL": "C"})
    try:
        answer = json.loads(out)
    except ValueError:
        raise ProsodyError(f"Prosody's configuration parser failed on {path}: {(err or out).strip()[-500:]} ({code})") from None
    if answer.get("error"):
        raise ProsodyError(f"Prosody refuses {path}: {answer['error']}")
    for key in ("modules", "plugin_paths"):
        answer[key] = sorted(answer[key] or [])
    # An empty Lua table is written as an empty array.
    answer["hosts"] = dict(answer["hosts"] or {})
    return answer


def missing_modules(config: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The modules that a configuration enables and that no plugin path holds, each with the host that enables it."""
    folders = [*config["plugin_paths"], os.path.join(SOURCE, "modules")]
    wanted: dict[str, str] = {name: "global" for name in config["modules"]}
    for host, options in config["hosts"].items():
        for name in options["modules"] or []:
            wanted.setdefault(name, host)
        if options.get("component"):
            wanted.setdefault(options["component"], host)
        elif options["defined"]:
            wanted.setdefault("auth_" + options["authentication"], host)
    have = available_modules(folders)
    return {name: host for name, host in sorted(wanted.items()) if name not in have and name != "component"}


def available_modules(folders: t.Iterable[str]) -> set[str]:
    """The modules in these folders, as files ``mod_x.lua`` or folders ``mod_x`` (util/pluginloader.lua)."""
    found = set()
    for folder in folders:
        for _place, names, files in os.walk(folder, followlinks=True):
            found.update(name[4:] for name in names if name.startswith("mod_"))
            found.update(name[4:-4] for name in files if name.startswith("mod_") and name.endswith(".lua"))
    return found


def running(config: t.Mapping[str, t.Any]) -> bool:
    """Whether a Prosody answers on its admin socket (mod_admin_socket)."""
    place = config.get("admin_socket") or os.path.join(config.get("data_path") or DATA, "prosody.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(place)
        except OSError:
            return False
    return True


def shell(run_command: t.Callable[..., tuple[int, str, str]], code: str, config: str = CONFIG) -> None:
    """Run Lua in the live server. The code is visible in the process list: it must hold no secret.

    :raises ProsodyError: the server does not run it or it fails
    """
    marker = "campus.jitsi-done"
    wrapped = f"> local done, why = pcall(function() {code} end) return done and '{marker}' or why"
    _code, out, err = run_command(["prosodyctl", "--config", config, "shell", wrapped])
    if marker not in out:
        raise ProsodyError(f"the running Prosody did not take a change: {(out + err).strip()[-300:]}")


def lua_string(text: str) -> str:
    """``text`` as a Lua string of plain ASCII."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03d}" for b in text.encode()) + '"'
