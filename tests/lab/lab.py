#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fresh Debian hosts on this machine, for molecule, the demo and the benchmarks.

A lab is a bridge with its own subnet and some systemd-nspawn hosts on it, each a whole Debian with its own systemd
on an overlay over a shared base image: booting one costs about two seconds. Everything that a lab makes (processes,
mounts, the bridge, one nftables table, one folder) carries its id, so labs of other checkouts are never touched, and
``up`` first clears what a killed run of the same lab left behind.

    lab.py up demo --host meet:trixie [--host bridge1:bookworm] [--serve DIR]
    lab.py ssh demo meet [command ...]
    lab.py restart demo meet [--hard]     also stop and start; --hard is a power cut
    lab.py list
    lab.py down demo | --mine | --all

Only the standard library and Debian's packages are used. ``up`` prints one JSON object: the hosts with their
addresses, the SSH key, the gateway, and the URL of the folder given with ``--serve``.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

STATE = pathlib.Path(os.environ.get("CAMPUS_JITSI_LAB_DIR", "/var/tmp/campus.jitsi-lab"))
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
#: Where hosts get Debian from, such as ``http://mirror.example.edu``; without it, where mmdebstrap does.
MIRROR = os.environ.get("CAMPUS_JITSI_LAB_MIRROR", "")
SUITES = {"bookworm": "12", "trixie": "13"}
INCLUDE = (
    "systemd,systemd-sysv,dbus,python3,python3-apt,iproute2,ca-certificates,procps,openssh-server,sudo"
)
#: Commands that a lab needs, with the Debian package of each.
COMMANDS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
NETWORK = ipaddress.ip_network("10.213.0.0/16")


class Refused(Exception):
    """The lab cannot work here; the message is one sentence that names the fix."""


# --- names and addresses: pure functions ---------------------------------------------------------------------------


def lab_id(name: str, checkout: str = str(CHECKOUT)) -> str:
    """The id of lab ``name`` of this checkout: six hexadecimal digits of the checkout's path and name, and the name.

    >>> lab_id("demo", "/srv/a") != lab_id("demo", "/srv/b")
    True
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
        raise Refused(f"lab name {name!r} is not usable: take lower case letters, digits and hyphens.")
    return hashlib.sha256(f"{checkout}\0{name}".encode()).hexdigest()[:6] + "-" + name


def bridge_name(ident: str) -> str:
    """The bridge of a lab. Interface names hold 15 characters at most (IFNAMSIZ)."""
    return f"cj-{ident[:6]}"


def subnet(index: int) -> ipaddress.IPv4Network:
    """The ``index``-th /24 of the labs' range (0 to 255)."""
    return list(NETWORK.subnets(new_prefix=24))[index]


def subnet6(index: int) -> ipaddress.IPv6Network:
    """The IPv6 twin of :func:`subnet`, unique local (RFC 4193)."""
    return ipaddress.ip_network(f"fd6a:6974:7369:{index:x}::/64")


def belongs(words: list[str], ident: str) -> bool:
    """Whether a command line is of a process of the lab: a machine, or its web server, whichever Python runs that.

    >>> belongs(["/usr/bin/python3", "tests/lab/lab.py", "serve", "--lab=0a1b2c-demo", "10.213.0.1"], "0a1b2c-demo")
    True
    >>> belongs(["systemd-nspawn", "--machine=0a1b2c-demo2-meet"], "0a1b2c-demo")
    False
    """
    if words[0] == "systemd-nspawn":
        return any(word.startswith(f"--machine={ident}-") for word in words)
    return words[2:4] == ["serve", f"--lab={ident}"] and os.path.basename(words[1]) == "lab.py"


def parse_host(text: str) -> tuple[str, str]:
    """``name[:suite]`` to (name, suite); the suite is trixie when it is not given."""
    name, _colon, suite = text.partition(":")
    suite = suite or "trixie"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
        raise Refused(f"host name {name!r} is not usable: take lower case letters, digits and hyphens.")
    if suite not in SUITES:
        raise Refused(f"suite {suite!r} is not known to the lab: take one of {', '.join(sorted(SUITES))}.")
    return name, suite


# --- running things ------------------------------------------------------------------------------------------------


def run(*command: str, check: bool = True, **kwargs) -> subprocess.CompletedProcess:
    kwargs.setdefault("text", True)
    kwargs.setdefault("stdout", subprocess.PIPE)
    kwargs.setdefault("stderr", subprocess.STDOUT)
    done = subprocess.run(command, check=False, **kwargs)
    if check and done.returncode != 0:
        raise Refused(f"`{' '.join(command)}` failed: {(done.stdout or '').strip() or done.returncode}")
    return done


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(name: str):
    """One process at a time, machine-wide."""
    STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(STATE / f".{name}.lock", "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def doctor() -> None:
    """Refuse, in one sentence, where a lab cannot work."""
    if os.geteuid() != 0:
        raise Refused("the lab boots hosts and needs root: run it as root or with sudo.")
    release = pathlib.Path("/etc/os-release")
    words = release.read_text(encoding="utf-8") if release.exists() else ""
    family = set(re.findall(r'(?m)^ID(?:_LIKE)?="?([^"\n]+)', words))
    if not {word for line in family for word in line.split()} & {"debian", "ubuntu"}:
        raise Refused("the lab needs Debian or Ubuntu: run it on such a machine.")
    missing = sorted({package for command, package in COMMANDS.items() if not shutil.which(command)})
    if missing:
        raise Refused(f"the lab needs some packages: run `apt-get install {' '.join(missing)}`.")
    STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    probe = pathlib.Path(tempfile.mkdtemp(prefix=".probe-", dir=STATE))
    for part in ("lower", "upper", "work", "root"):
        (probe / part).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={probe}/lower,upperdir={probe}/upper,workdir={probe}/work"
    done = run("mount", "-t", "overlay", "overlay", "-o", options, str(probe / "root"), check=False)
    if not done.returncode:
        run("umount", str(probe / "root"))
    shutil.rmtree(probe)
    if done.returncode:
        raise Refused(
            f"the lab needs overlayfs on {STATE} and the kernel refused it: "
            "set CAMPUS_JITSI_LAB_DIR to a folder on ext4 or xfs, outside a container."
        )


# --- base images ---------------------------------------------------------------------------------------------------


def base_image(suite: str) -> pathlib.Path:
    """The folder of a fresh Debian ``suite``, made once and kept; its name carries the recipe."""
    recipe = "\n".join([INCLUDE, MIRROR, suite, "3"])
    folder = STATE / "base" / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"
    with locked(f"base-{suite}"):
        if (folder / "usr").is_dir():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        say(f"building the base image of Debian {SUITES[suite]} ({suite}), about half a minute, once")
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        sources = [
            f"deb {MIRROR}/debian {suite} main",
            f"deb {MIRROR}/debian {suite}-updates main",
            f"deb {MIRROR}/debian-security {suite}-security main",
        ] if MIRROR else []
        run(
            "mmdebstrap",
            "--variant=apt",
            f"--include={INCLUDE}",
            # A test host may lose its last seconds in a power cut; it is not worth an fsync a file.
            "--dpkgopt=force-unsafe-io",
            # A fresh host knows no package lists: what updates them must be the roles.
            '--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin',
            "--customize-hook=chroot \"$1\" systemctl enable systemd-networkd ssh",
            suite,
            str(partial),
            *sources,
        )
        partial.rename(folder)
    return folder


# --- one lab -------------------------------------------------------------------------------------------------------


class Lab:
    """A lab on disk: ``STATE/labs/ID/lab.json`` says what it made."""

    def __init__(self, ident: str):
        self.ident = ident
        self.folder = STATE / "labs" / ident
        self.file = self.folder / "lab.json"
        self.bridge = bridge_name(ident)
        self.table = "campus_jitsi_lab_" + ident[:6]

    @property
    def key(self) -> pathlib.Path:
        return self.folder / "id_ed25519"

    def load(self) -> dict:
        try:
            return json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def save(self, data: dict) -> None:
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(data, indent=1), encoding="utf-8")
        partial.replace(self.file)

    # -- down

    def down(self) -> bool:
        """Remove all that carries this lab's id, whatever state a killed run left it in. True when there was any."""
        found = self.folder.exists() or bool(self._links())
        processes = self._processes()
        for sign, patience in ((signal.SIGTERM, 6.0), (signal.SIGKILL, 6.0)):
            for pid in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            end = time.monotonic() + patience
            while (processes := self._processes()) and time.monotonic() < end:
                time.sleep(0.1)
            if not processes:
                break
        for mount in self._mounts():
            run("umount", "--lazy", mount, check=False)
        for name in self.load().get("hosts", {}):
            for group in control_groups(f"{self.ident}-{name}"):
                for folder in sorted(group.rglob("*"), key=lambda path: len(path.parts), reverse=True):
                    if folder.is_dir():
                        remove_group(folder)
                remove_group(group)
        for link in self._links():
            run("ip", "link", "delete", link, check=False)
        run("nft", "delete", "table", "inet", self.table, check=False)
        if self.folder.exists():
            if self._mounts():
                raise Refused(f"{self.folder} still has mounts: run `umount` on them and then this again.")
            shutil.rmtree(self.folder)
        return found

    def _processes(self) -> list[int]:
        """The nspawn and web server processes of this lab: those whose command line names the lab's folder."""
        mine = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if belongs(words, self.ident):
                    mine.append(int(entry.name))
        return mine

    def _links(self) -> list[str]:
        """The bridge, and machines' ends at it: one that is killed in the first moment leaves its own behind."""
        names = [entry.name for entry in pathlib.Path("/sys/class/net").iterdir()]
        return [name for name in names if name == self.bridge or name.startswith(f"vb-{self.ident[:6]}-")]

    def _mounts(self) -> list[str]:
        lines = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        points = [line.split()[1] for line in lines]
        return [point for point in reversed(points) if point.startswith(f"{self.folder}/")]

    # -- up

    def up(self, hosts: list[tuple[str, str]], serve: str | None) -> dict:
        images = {suite: base_image(suite) for suite in sorted({suite for _name, suite in hosts})}
        with locked("labs"):
            self.down()
            index = self._free_index()
            self.folder.mkdir(mode=0o700, parents=True)
            net, net6 = subnet(index), subnet6(index)
            data = {
                "id": self.ident,
                "index": index,
                "bridge": self.bridge,
                "gateway": str(net[1]),
                "key": str(self.key),
                "hosts": {
                    name: {
                        "suite": suite,
                        "debian": SUITES[suite],
                        "address": str(net[11 + number]),
                        "address6": str(net6[11 + number]),
                        "root": str(self.folder / "hosts" / name / "root"),
                    }
                    for number, (name, suite) in enumerate(hosts)
                },
            }
            self.save(data)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.ident}", "-f", str(self.key))
        self._network(net, net6)
        if serve:
            data["url"] = self._serve(serve, data["gateway"])
            self.save(data)
        for name, host in data["hosts"].items():
            self._boot(name, host, images[host["suite"]], data)
        for name, host in data["hosts"].items():
            self._wait(name, host)
        return data

    def _free_index(self) -> int:
        taken = {json.loads(f.read_text(encoding="utf-8"))["index"] for f in STATE.glob("labs/*/lab.json")}
        routes = run("ip", "-4", "-o", "addr", "show").stdout
        for index in range(256):
            if index not in taken and f" {subnet(index)[1]}/" not in routes:
                return index
        raise Refused("all 256 lab subnets are taken: run `lab.py down --all`.")

    def _network(self, net, net6) -> None:
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "addr", "add", f"{net[1]}/24", "dev", self.bridge)
        run("ip", "-6", "addr", "add", f"{net6[1]}/64", "dev", self.bridge, "nodad", check=False)
        run("ip", "link", "set", self.bridge, "up")
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
        rules = f"""
            table inet {self.table} {{
              chain postrouting {{
                type nat hook postrouting priority srcnat;
                ip saddr {net} oifname != "{self.bridge}" masquerade
              }}
            }}
        """
        run("nft", "-f", "-", input=rules)

    def _serve(self, directory: str, address: str) -> str:
        """A web server for ``directory`` on the bridge only; the hosts use it as a package mirror."""
        port = 8000
        with open(self.folder / "serve.log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(
                [sys.executable, __file__, "serve", f"--lab={self.ident}", address, str(port), directory],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        # Somebody else's server on this address would answer, too, with packages that are not ours.
        wait_for(lambda: server.poll() is not None or listens(server.pid, address, port), 10, f"the web server of lab {self.ident}")
        if server.poll() is not None:
            raise Refused(f"the web server of lab {self.ident} did not start: {self.folder}/serve.log says why.")
        return f"http://{address}:{port}"

    def _boot(self, name: str, host: dict, image: pathlib.Path, data: dict) -> None:
        place = self.folder / "hosts" / name
        for part in ("upper", "work", "root"):
            (place / part).mkdir(parents=True)
        root = place / "root"
        options = f"lowerdir={image},upperdir={place}/upper,workdir={place}/work"
        run("mount", "-t", "overlay", "overlay", "-o", options, str(root))
        (root / "etc/hostname").write_text(name + "\n", encoding="ascii")
        table = f"{data['gateway']} gateway.lab.test\n"
        table += "".join(f"{h['address']} {n}\n{h['address6']} {n}\n" for n, h in data["hosts"].items())
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n" + table, encoding="ascii")
        (root / "etc/machine-id").write_text("", encoding="ascii")
        self._resolver(root)
        network = root / "etc/systemd/network/10-lab.network"
        network.write_text(
            "[Match]\nName=host0\n[Network]\n"
            f"Address={host['address']}/24\nGateway={data['gateway']}\n"
            f"Address={host['address6']}/64\nGateway={subnet6(data['index'])[1]}\n"
            "IPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n",
            encoding="ascii",
        )
        ssh = root / "root/.ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.key.with_suffix(".pub"), ssh / "authorized_keys")
        self.start(name)

    def start(self, name: str) -> None:
        """Start (again) the machine of host ``name``, whose root is mounted."""
        place = self.folder / "hosts" / name
        groups = control_groups(f"{self.ident}-{name}")

        def enter_groups() -> None:
            for group in groups:
                group.mkdir(exist_ok=True)
                (group / "cgroup.procs").write_text("0", encoding="ascii")

        with open(place / "console.log", "a", encoding="utf-8") as log:
            subprocess.Popen(
                [
                    "systemd-nspawn", "--quiet", f"--directory={place}/root", f"--machine={self.ident}-{name}",
                    "--register=no", "--keep-unit", f"--network-bridge={self.bridge}", "--resolv-conf=off",
                    "--timezone=off", "--link-journal=no", "--console=read-only", "--boot",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                # On an outer machine with hybrid cgroups a Debian 12 inside cannot read its own: unified ones work.
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=enter_groups,
            )

    def machine(self, name: str) -> list[int]:
        """The processes that run the machine of host ``name``."""
        word = f"--machine={self.ident}-{name}"
        found = []
        for process in self._processes():
            with contextlib.suppress(OSError):
                if word in pathlib.Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0"):
                    found.append(process)
        return found

    def stop(self, name: str, hard: bool = False) -> None:
        """Stop the machine of host ``name``: it shuts down, or with ``hard`` is gone from one moment to the next."""
        machine = self.machine(name)
        if not machine:
            raise Refused(f"host {name} of lab {self.ident} does not run: `lab.py start` starts it.")
        if hard:
            # With its init, all of a machine is gone at once: nothing of it is told, as in a power cut.
            for process in machine:
                children = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
                for child in map(int, children):
                    if child not in machine:
                        os.kill(child, signal.SIGKILL)
        else:
            run(*self.ssh(name, "systemctl", "poweroff"), check=False)
        wait_for(lambda: not self.machine(name), 90, f"the end of host {name}")

    def begin(self, name: str) -> None:
        """Start the machine of host ``name`` again and wait until it answers."""
        if self.machine(name):
            raise Refused(f"host {name} of lab {self.ident} runs already: `lab.py restart` restarts it.")
        self.start(name)
        self._wait(name, self.load()["hosts"][name])

    @staticmethod
    def _resolver(root: pathlib.Path) -> None:
        """The outer machine's resolvers; a stub on loopback would not answer inside, so its upstream is taken."""
        for candidate in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
            path = pathlib.Path(candidate)
            if path.exists() and not re.search(r"(?m)^nameserver\s+127\.", path.read_text(encoding="utf-8")):
                (root / "etc/resolv.conf").unlink(missing_ok=True)
                shutil.copyfile(path, root / "etc/resolv.conf")
                return

    def _wait(self, name: str, host: dict) -> None:
        def ready() -> bool:
            return connects(host["address"], 22) and run(*self.ssh(name, "true"), check=False).returncode == 0

        wait_for(ready, 60, f"host {name} (its console: {self.folder}/hosts/{name}/console.log)")

    def ssh(self, name: str, *command: str) -> list[str]:
        """The ssh command line that runs ``command`` as root on host ``name``."""
        hosts = self.load().get("hosts", {})
        if name not in hosts:
            raise Refused(f"lab {self.ident} has no host {name!r}: `lab.py list` shows what runs.")
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=5"]
        flags = [word for option in options for word in ("-o", option)]
        return ["ssh", "-i", str(self.key), *flags, f"root@{hosts[name]['address']}", "--", *command]


def control_groups(name: str) -> list[pathlib.Path]:
    """The folder of a control group of its own for a machine, in each hierarchy that its systemd uses.

    Without one, all machines started from one shell have one root of control groups, and a unit that is stopped on one
    takes its namesakes on the others with it.
    """
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    found = []
    for line in pathlib.Path("/proc/1/cgroup").read_text(encoding="utf-8").splitlines():
        _number, controllers, path = line.split(":", 2)
        for _device, place, kind, options, *_rest in mounts:
            named = controllers == "name=systemd" and kind == "cgroup" and "name=systemd" in options.split(",")
            if named or (not controllers and kind == "cgroup2"):
                root = "" if path in ("/", "/init.scope") else path
                found.append(pathlib.Path(f"{place}{root}/campus-lab-{name}"))
                break
    return found


def remove_group(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def connects(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=0.5):
        return True
    return False


def listens(pid: int, address: str, port: int) -> bool:
    """Whether the process ``pid`` itself has a TCP socket that listens there, over IPv4."""
    raw = int.from_bytes(ipaddress.ip_address(address).packed, sys.byteorder)
    wanted = f"{raw:08X}:{port:04X}"
    with contextlib.suppress(OSError):
        rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        inodes = {f"socket:[{row[9]}]" for row in rows if row[1] == wanted and row[3] == "0A"}
        return any(os.readlink(entry) in inodes for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    return False


def wait_for(ready, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise Refused(f"{what} did not come up within {seconds:.0f} s.")
        time.sleep(0.1)


def serve(address: str, port: int, directory: str) -> None:
    import functools
    import http.server

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=directory)
    http.server.ThreadingHTTPServer((address, port), handler).serve_forever()


def all_labs() -> list[Lab]:
    return [Lab(folder.name) for folder in sorted((STATE / "labs").glob("*"))]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("up", help="boot fresh hosts (removes an older lab of that name first)")
    verb.add_argument("name")
    verb.add_argument("--host", action="append", required=True, metavar="NAME[:SUITE]")
    verb.add_argument("--serve", metavar="DIR", help="a folder to serve over HTTP to the hosts, as a package mirror")
    verb = verbs.add_parser("down", help="remove a lab and all that it made")
    verb.add_argument("name", nargs="?")
    verb.add_argument("--mine", action="store_true", help="all labs of this checkout")
    verb.add_argument("--all", action="store_true", help="the labs of every checkout of this machine")
    verb = verbs.add_parser("base", help="build the base images, so that the first `up` is quick")
    verb.add_argument("suite", nargs="*", default=sorted(SUITES))
    verbs.add_parser("list", help="what runs")
    verb = verbs.add_parser("show", help="a lab as `up` printed it")
    verb.add_argument("name")
    verbs.add_parser("doctor", help="say whether a lab can work on this machine")
    verb = verbs.add_parser("ssh", help="a shell on a host, or a command")
    verb.add_argument("name")
    verb.add_argument("host")
    verb.add_argument("command", nargs=argparse.REMAINDER)
    for word, text in (("stop", "shut a host down"), ("start", "start a host again"), ("restart", "both")):
        verb = verbs.add_parser(word, help=text)
        verb.add_argument("name")
        verb.add_argument("host")
        if word != "start":
            verb.add_argument("--hard", action="store_true", help="as in a power cut")
    verb = verbs.add_parser("serve")
    verb.add_argument("--lab", required=True)
    verb.add_argument("address")
    verb.add_argument("port", type=int)
    verb.add_argument("directory")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "serve":
            serve(options.address, options.port, options.directory)
            return 0
        doctor()
        if options.verb == "up":
            lab = Lab(lab_id(options.name))
            hosts = [parse_host(text) for text in options.host]
            if len({name for name, _suite in hosts}) != len(hosts):
                raise Refused("two hosts have the same name: give each its own.")
            started = time.monotonic()
            print(json.dumps(lab.up(hosts, options.serve), indent=1))
            say(f"{options.name}: {len(hosts)} host(s) up in {time.monotonic() - started:.1f} s")
        elif options.verb == "down":
            if not (options.all or options.mine or options.name):
                raise Refused("say which lab to remove, or --mine, or --all.")
            mine = [lab for lab in all_labs() if lab.ident == lab_id(lab.ident[7:])]
            for lab in all_labs() if options.all else mine if options.mine else [Lab(lab_id(options.name))]:
                with locked("labs"):
                    say(f"{lab.ident}: {'removed' if lab.down() else 'was not there'}")
        elif options.verb == "base":
            for suite in options.suite:
                print(base_image(suite))
        elif options.verb == "show":
            print(json.dumps(Lab(lab_id(options.name)).load(), indent=1))
        elif options.verb == "list":
            for lab in all_labs():
                for name, host in lab.load().get("hosts", {}).items():
                    state = "up" if connects(host["address"], 22) else "down"
                    print(f"{lab.ident}  {name}  Debian {host['debian']}  {host['address']}  {state}")
        elif options.verb in ("stop", "start", "restart"):
            lab = Lab(lab_id(options.name))
            if options.host not in lab.load().get("hosts", {}):
                raise Refused(f"lab {lab.ident} has no host {options.host!r}: `lab.py list` shows what runs.")
            if options.verb != "start":
                lab.stop(options.host, options.hard)
            if options.verb != "stop":
                lab.begin(options.host)
        elif options.verb == "ssh":
            command = Lab(lab_id(options.name)).ssh(options.host, *options.command)
            os.execvp(command[0], command)
    except Refused as error:
        print(f"lab: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
