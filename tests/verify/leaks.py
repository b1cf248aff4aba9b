# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an installation's secrets are: in files, in the journal and in the processes of its hosts, whatever form they took.

A *needle* is a piece of a secret that nothing else has, in one of the forms in which secrets get lost: as it is, in
hexadecimal digits, in base64 at any alignment, as a line of a PEM file.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import typing as t

import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
#: Searched on every host. /proc, /sys and /dev are not files; programs and libraries come from packages.
PLACES = ("/etc", "/var", "/usr/share", "/usr/local", "/tmp", "/run", "/root", "/home", "/opt", "/srv", "/dev/shm", "/boot")


def base64_pieces(data: bytes) -> set[bytes]:
    """Pieces of 16 characters that the base64 of anything with ``data`` in it has, wherever it begins and a line ends.

    >>> all(any(piece in base64.b64encode(b"x" * n + bytes(range(32))) for piece in base64_pieces(bytes(range(32)))) for n in range(3))
    True
    """
    found = set()
    for shift in range(3):
        # Characters at the edges depend on the neighbours: they are left out.
        core = base64.b64encode(bytes(shift) + data)[4 if shift else 0 : (shift + len(data)) // 3 * 4]
        found |= {core[:16], core[-16:]}
    return found


def longest_line(data: bytes) -> bytes:
    """The longest piece of ``data`` that grep can search for: without a newline and without a zero."""
    return max(re.split(rb"[\n\0]", data), key=len)


def needles(secret: bytes) -> set[bytes]:
    """The needles of a secret: a password's characters, or a key's bytes."""
    return {piece for piece in ({longest_line(secret), secret.hex().encode(), secret.hex().upper().encode()} | base64_pieces(secret)) if len(piece) >= 8}


def key_needles(key: t.Any) -> set[bytes]:
    """The needles of a private key (of cryptography): its number, and the lines of its PEM text that hold a part of it.

    The last line is left out: it holds the public key, which certificates have, too.
    """
    from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki

    lines = _pki.pem(key).encode().splitlines()[1:-1]
    found = set(lines[:2])
    if hasattr(key.private_numbers(), "private_value"):
        found |= needles(key.private_numbers().private_value.to_bytes(32, "big"))
    return found


class Secrets:
    """All secrets of an installation, by label and generation."""

    def __init__(self, site: t.Any, generations: t.Iterable[int] = (1, 2)):
        from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki, _secrets

        self.site = site
        root = _secrets.read_root(str(site.inventory / ".jitsi" / "root.key"), None)
        roles = [path.parent.name for path in (CHECKOUT / "roles").glob("*/tasks")]
        users = [user["name"] for user in site.variables.get("jitsi_users", ())]
        self.labels = _secrets.labels({**{role: site.of(role) for role in roles if role in site.roles}, "user": users})
        self.needles: dict[str, set[bytes]] = {"root key": needles(root) if root else set()}
        for label, kind in self.labels.items():
            for generation in generations:
                name = f"{label}@{generation}"
                self.needles[name] = (needles(_secrets.password(root, label, generation).encode()) if kind == "password"
                                      else key_needles(_pki.derived_key(root, label, generation)))
                # Derived bytes in hexadecimal digits are what the lookup gives who asks for a key.
                self.needles[name] |= needles(_secrets.derive(root, label, generation))
        for name, value in self._given():
            self.needles[name] = needles(value.encode())
        self._pattern = re.compile(b"|".join(re.escape(piece) for pieces in self.needles.values() for piece in pieces))
        self._owner = {piece: name for name, pieces in self.needles.items() for piece in pieces}

    def _given(self) -> t.Iterator[tuple[str, str]]:
        """Secrets that the inventory gives: variables that must not be logged, and jitsi_secrets."""
        done = subprocess.run(["ansible-inventory", "-i", str(self.site.inventory), "--list"], env=self.site.environment, stdout=subprocess.PIPE, check=True)
        hidden = {"jitsi_secrets"}
        for spec in (CHECKOUT / "roles").glob("*/meta/argument_specs.yml"):
            options = yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
            hidden |= {name for name, option in options.items() if option.get("no_log")}
        for variables in json.loads(done.stdout)["_meta"]["hostvars"].values():
            for name in hidden & set(variables):
                values = variables[name].values() if isinstance(variables[name], dict) else [variables[name]]
                yield from ((name, value) for value in values if isinstance(value, str) and len(value) >= 16 and "{{" not in value)

    def find(self, data: bytes) -> set[str]:
        """The secrets in ``data``."""
        return {self._owner[piece] for piece in self._pattern.findall(data)}

    def message(self) -> str:
        """The needles for a script on a host, by standard input: base64 of each, with its secret's name."""
        return json.dumps([[name, base64.b64encode(piece).decode()] for name, pieces in self.needles.items() for piece in sorted(pieces)])

    def on_host(self, name: str, places: t.Sequence[str] = PLACES) -> dict[str, tuple[set[str], str]]:
        """What was found on a host: by path the secrets with ``OWNER:GROUP MODE``; the journal is a path, too."""
        script = f"NEEDLES = {self.message()!r}\nPLACES = {tuple(places)!r}\n{SEARCH}"
        return {path: (set(found), who) for path, (found, who) in json.loads(self.site.on(name, script, timeout=300)).items()}

    def watch(self) -> Watch:
        """Look at all processes, as a context."""
        return Watch(self)


#: On a host. Needles go to grep by standard input, and nothing is written anywhere.
SEARCH = r"""
import base64, grp, json, os, pwd, re, subprocess
needles = [(name, base64.b64decode(piece)) for name, piece in json.loads(NEEDLES)]
owner = {piece: name for name, piece in needles}
pattern = re.compile(b"|".join(re.escape(piece) for _name, piece in needles))
lines = b"\n".join(piece for _name, piece in needles) + b"\n"
places = [place for place in PLACES if os.path.exists(place)]
grep = ["grep", "-rlaFsZ", "--devices=skip", "-f", "-", *places]
paths = subprocess.run(grep, input=lines, stdout=subprocess.PIPE, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, check=False).stdout.split(b"\0")
found = {}
for path in filter(None, paths):
    try:
        with open(path, "rb") as handle:
            names = {owner[piece] for piece in pattern.findall(handle.read())}
        info = os.stat(path)
    except OSError:
        continue
    def named(look, number):
        try:
            return look(number)[0]
        except KeyError:
            return str(number)
    who = f"{named(pwd.getpwuid, info.st_uid)}:{named(grp.getgrgid, info.st_gid)} {info.st_mode & 0o7777:04o}"
    found[path.decode(errors="replace")] = (sorted(names), who)
journal = subprocess.run(["journalctl", "--no-pager", "--quiet", "--all", "--output=export"], stdout=subprocess.PIPE, check=True).stdout
if names := {owner[piece] for piece in pattern.findall(journal)}:
    found["journal"] = (sorted(names), "systemd-journal")
print(json.dumps(found))
"""


class Watch:
    """Looks at the command line and the environment of every process, many times a second, until it is left.

    The hosts of a lab share this machine's kernel, and their processes are seen from here, beside those of the controller.
    Processes of other labs are passed over.
    """

    def __init__(self, secrets: Secrets):
        self.secrets = secrets
        self.lines: list[str] = []
        self.seen: dict[str, t.Any] = {}

    def __enter__(self) -> Watch:
        lab = json.loads(subprocess.run([str(CHECKOUT / "tests/lab/lab.py"), "show", os.environ["CAMPUS_LAB"]], stdout=subprocess.PIPE, check=True).stdout)
        self._process = subprocess.Popen([sys.executable, __file__, lab["id"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process.stdin.write(self.secrets.message() + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ready\n"
        self._reader = threading.Thread(target=lambda: self.lines.extend(iter(self._process.stdout.readline, "")), daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_what: object) -> None:
        self._process.stdin.close()
        self._reader.join(60)
        self._process.wait(10)
        self.seen = json.loads(self.lines.pop())

    @property
    def leaks(self) -> list[str]:
        """`HOST: secret in what of which program`, without repetition."""
        return sorted({line.rstrip("\n") for line in self.lines})


def watch_processes(lab: str) -> None:
    """The program of :class:`Watch`: needles come in one line, and the end of standard input is the end of the watch."""
    needles_of = [(name, base64.b64decode(piece)) for name, piece in json.loads(sys.stdin.readline())]
    owner = {piece: name for name, piece in needles_of}
    pattern = re.compile(b"|".join(re.escape(piece) for _name, piece in needles_of))
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    #: By process when it was first seen and its host; 0 for those of other labs.
    born: dict[str, tuple[float, str]] = {}
    hosts: set[str] = set()
    passes = looked = 0

    def place(process: str) -> str:
        """The host of a process, empty when it is of another lab."""
        with open(f"/proc/{process}/cgroup", encoding="ascii") as handle:
            match = re.search(r"/campus-lab-([^/\n]+)", handle.read())
        return "controller" if match is None else match[1].removeprefix(f"{lab}-") if match[1].startswith(f"{lab}-") else ""

    while not over.is_set():
        now = time.monotonic()
        passes += 1
        alive = [name for name in os.listdir("/proc") if name.isdigit()]
        for process in alive:
            try:
                if process not in born:
                    born[process] = (now, place(process))
                    hosts.add(born[process][1])
                since, host = born[process]
                # The young ones may become another program at any moment; the old ones are looked at now and then.
                if not host or (now - since > 0.5 and (passes + int(process)) % 256):
                    continue
                for what in ("cmdline", "environ"):
                    with open(f"/proc/{process}/{what}", "rb") as handle:
                        data = handle.read()
                    looked += 1
                    names = {owner[piece] for piece in pattern.findall(data)}
                    if names:
                        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as handle:
                            print(f"{host}: {', '.join(sorted(names))} in {what} of {handle.read().strip()}", flush=True)
            except OSError:
                continue
        for process in set(born) - set(alive):
            del born[process]
        if passes == 1:
            # What was there before is known, and what comes is met young.
            print("ready", flush=True)
        time.sleep(0.008)
    print(json.dumps({"hosts": sorted(hosts), "passes": passes, "looked": looked}))


if __name__ == "__main__":
    watch_processes(sys.argv[1])
