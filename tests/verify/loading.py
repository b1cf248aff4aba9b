# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host, with Prosody: load each of many configurations once, beside the real one, and say what Prosody made of it.

Each runs in the unit as it is deployed, in a network of its own, with folders of its own in the places of /etc/prosody/conf.d,
/var/lib/prosody and the like. The caller adds a call of :func:`main`.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

PLACE = pathlib.Path("/run/combinations")
UNIT = pathlib.Path("/run/systemd/system/combination@.service")
#: What the unit is given besides what it has: of everything that a run writes to, one of its own. systemd would remove a PIDFile.
OVERRIDES = """
[Service]
Environment=
EnvironmentFile=/run/combinations/%i/environment
Restart=no
KillSignal=SIGKILL
PrivateNetwork=yes
RuntimeDirectory=
PIDFile=
WorkingDirectory=/
TemporaryFileSystem=/usr/local/lib:ro
BindReadOnlyPaths=/run/combinations/%i/conf.d:/etc/prosody/conf.d
BindReadOnlyPaths=/run/combinations/%i/lib:/usr/local/lib/prosody
BindPaths=/run/combinations/%i/data:/var/lib/prosody
BindPaths=/run/combinations/%i/log:/var/log/prosody
BindPaths=/run/combinations/%i/run:/run/prosody
"""
#: For the administrators' shell of Prosody, which is there once everything is loaded.
ASK = """> local found = {}; local manager = require "core.modulemanager";
for _, host in ipairs { "*", (table.unpack or unpack)(require "util.iterators".to_array(require "util.iterators".keys(prosody.hosts))) } do
found[host] = require "util.iterators".to_array(require "util.iterators".keys(manager.get_modules(host))); end
return require "util.json".encode(found)""".replace("\n", " ")
STREAM = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='xmpp:prosody.im/admin'>"


def prepare(name, wanted, texts, domain):
    place = PLACE / name
    for part in ("conf.d", "lib/modules", "lib/lua", "data", "log", "run"):
        (place / part).mkdir(parents=True)
    for part in ("data", "log", "run"):
        shutil.chown(place / part, "prosody", "prosody")
    (place / "conf.d" / f"{domain}.cfg.lua").write_text(wanted["text"])
    pairs = [entry.split("=", 1) for entry in wanted["environment"]]
    (place / "environment").write_text("".join(f'{variable}="{value}"\n' for variable, value in pairs))
    for module in wanted["modules"]:
        (place / "lib" / "modules" / f"mod_{module}.lua").write_text(texts[module])
    for library in wanted["libraries"]:
        (place / "lib" / "lua" / pathlib.Path(library).name).symlink_to(library)


def loaded(path, until):
    """What Prosody says is loaded, once it listens there; nothing when it does not."""
    while time.monotonic() < until:
        try:
            with socket.socket(socket.AF_UNIX) as shell:
                shell.settimeout(10)
                shell.connect(str(path))
                shell.sendall(f"{STREAM}<repl-input>{ASK.replace('>', '&gt;')}</repl-input>".encode())
                said = ""
                while "</repl-result>" not in said:
                    more = shell.recv(65536).decode()
                    if not more:
                        return {"said": [said]}
                    said += more
        except OSError:
            time.sleep(0.05)
            continue
        answer = re.search(r"<repl-result[^>]*>(.*)</repl-result>", said, re.DOTALL)[1]
        for text, character in (("&quot;", '"'), ("&apos;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            answer = answer.replace(text, character)
        start = answer.find("{")
        return json.JSONDecoder().raw_decode(answer, start)[0] if start >= 0 else {"said": [answer]}
    return {}


def run(name):
    began = time.monotonic()
    unit = f"combination@{name}.service"
    subprocess.run(["systemctl", "start", unit], check=True)
    try:
        found = loaded(PLACE / name / "data" / "prosody.sock", began + 60)
    finally:
        subprocess.run(["systemctl", "stop", unit], check=True)
        subprocess.run(["systemctl", "reset-failed", unit], check=False, stderr=subprocess.DEVNULL)
    log = PLACE / name / "log" / "prosody.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else ["no log"]
    complained = [line for line in lines if not re.search(r"\t(info|debug)\t", line)]
    return {"loaded": found, "complained": complained, "lines": len(lines), "seconds": round(time.monotonic() - began, 2)}


def main(configurations, texts, domain):
    """Prints JSON: by name what is `loaded` on each host, what it `complained` of, and how many `seconds` it took.

    :param configurations: by name, each with `text`, `environment`, and names of the `modules` of ours and paths of `libraries` that it has
    :param texts: the modules of ours, by name
    """
    try:
        shutil.rmtree(PLACE, ignore_errors=True)
        for name, wanted in configurations.items():
            prepare(name, wanted, texts, domain)
        text = subprocess.run(["systemctl", "cat", "prosody.service"], check=True, stdout=subprocess.PIPE, text=True).stdout
        UNIT.write_text(text + OVERRIDES)
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            print(json.dumps(dict(zip(configurations, pool.map(run, configurations)))))
    finally:
        UNIT.unlink(missing_ok=True)
        shutil.rmtree(PLACE, ignore_errors=True)
        subprocess.run(["systemctl", "daemon-reload"], check=True)
