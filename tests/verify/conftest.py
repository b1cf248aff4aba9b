# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of deployed hosts share. They run inside molecule, against the lab of a scenario, as `molecule verify`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

import pytest
import testinfra
import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests" / "lab"))
import lab  # noqa: E402

#: Results in a form that can be read back.
JSON = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
SSH = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
UNITS = {"prosody": "prosody", "jicofo": "jicofo", "jvb": "jitsi-videobridge2", "nginx_meet": "nginx"}


@dataclasses.dataclass
class Run:
    """How a run of Ansible ended."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """The number of changes over all hosts."""
        return sum(map(int, re.findall(r"(?m)^\S+\s+: ok=\d+\s+changed=(\d+)", self.output)))

    @property
    def changes(self) -> set[str]:
        """The tasks that reported a change."""
        return set(re.findall(r"(?s)TASK \[(?:\S+ : )?([^\]]+)\] \*+\n(?:(?!TASK \[).)*?^changed: ", self.output, re.MULTILINE))

    @property
    def tasks(self) -> list[str]:
        """The tasks that ran or were skipped."""
        return re.findall(r"(?m)^TASK \[(?:\S+ : )?([^\]]+)\] \*", self.output)

    @property
    def failures(self) -> list[str]:
        """The message of each task that failed, host by host; needs results as JSON."""
        found = [json.JSONDecoder().raw_decode(self.output, match.end())[0] for match in re.finditer(r"(?m)^fatal: \[[^\]]+\]: FAILED! => ", self.output)]
        return [result["msg"] for result in found]


class Site:
    """The installation under test."""

    def __init__(self) -> None:
        self.place = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
        self.inventory = self.place / "inventory"
        data = yaml.safe_load((self.inventory / "ansible_inventory.yml").read_text(encoding="utf-8"))
        self.hosts: dict[str, dict[str, t.Any]] = {}
        self.groups: dict[str, list[str]] = {}
        for name, group in data.items():
            for host, variables in (group.get("hosts") or {}).items():
                self.hosts.setdefault(host, {}).update(variables or {})
                self.groups.setdefault(name, []).append(host)
        self.domain = "meet.lab.test"
        self.ca_file = str(self.inventory / ".jitsi" / "ca.crt")
        self.environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"}
        #: The sockets of connections that commands share; a path in it is no longer than what a socket may have.
        self.connections = pathlib.Path(tempfile.mkdtemp(prefix="campus-"))

    def of(self, role: str) -> list[str]:
        """The names of the hosts of a role."""
        return self.groups.get(f"jitsi_{role}") or self.groups["jitsi"]

    @property
    def roles(self) -> list[str]:
        """The roles that some host has."""
        return [*UNITS, *(role for role in ("coturn", "jigasi") if role not in UNITS and self.groups.get(f"jitsi_{role}"))]

    def address(self, name: str) -> str:
        return self.hosts[name]["ansible_host"]

    def host(self, name: str) -> testinfra.host.Host:
        """A host to look at."""
        key = self.hosts[name]["ansible_private_key_file"]
        return testinfra.get_host(
            f"ssh://root@{self.address(name)}", ssh_identity_file=key, ssh_extra_args=shlex.join([*SSH, *self._sharing]),
        )

    def of_one(self, role: str) -> testinfra.host.Host:
        return self.host(self.of(role)[0])

    def playbook(self, name: str = "campus.jitsi.site", *words: str, variables: dict[str, t.Any] | None = None,
                 inventory: pathlib.Path | None = None, timeout: float = 300, environment: dict[str, str] | None = None) -> Run:
        """Run a playbook of the collection as users do."""
        command = ["ansible-playbook", "-i", str(inventory or self.inventory), name, *words]
        if variables:
            command += ["-e", json.dumps(variables)]
        values = {**self.environment, **(environment or {})}
        done = subprocess.run(command, env=values, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              cwd=self.place, timeout=timeout)
        return Run(done.returncode, done.stdout)

    def module(self, host: str, name: str, arguments: dict[str, t.Any], *words: str) -> dict[str, t.Any]:
        """Run one module on a host and return its result, with ``failed`` set either way."""
        command = ["ansible", host, "-i", str(self.inventory), "-m", f"campus.jitsi.{name}", "-a", json.dumps(arguments), *words]
        done = subprocess.run(command, env={**self.environment, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}, capture_output=True, text=True,
                              check=False, cwd=self.place, timeout=300)
        start = done.stdout.find("=> {")
        assert start >= 0, done.stdout + done.stderr
        result = json.JSONDecoder().raw_decode(done.stdout, start + 3)[0]
        result["failed"] = bool(result.get("failed")) or done.returncode != 0
        result["_shown"] = done.stdout + done.stderr
        return result

    def secret(self, label: str, generation: int = 1) -> str:
        """A secret as the collection derives it."""
        from ansible_collections.campus.jitsi.plugins.plugin_utils import _secrets

        return _secrets.password(_secrets.read_root(str(self.inventory / ".jitsi" / "root.key"), None), label, generation)

    def log_in(self, host: testinfra.host.Host, user: str, password: str, server: str = "127.0.0.1", domain: str | None = None,
               ca: str = "/usr/local/share/ca-certificates/campus.jitsi.crt") -> str:
        """What becomes of a login at Prosody's port 5222 from a host, in one word."""
        name = next(name for name, values in self.hosts.items() if values["ansible_host"] == host.backend.hostname)
        return self.on(name, login_script(password), server, domain or f"auth.{self.domain}", user, ca).strip()

    def ssh(self, name: str, *words: str, options: t.Sequence[str] = ()) -> list[str]:
        """The command line that runs another one on a host, over a connection of its own."""
        host = self.hosts[name]
        return ["ssh", "-i", host["ansible_private_key_file"], *SSH, *options, f"root@{host['ansible_host']}", *map(shlex.quote, words)]

    @property
    def _sharing(self) -> list[str]:
        """The options for commands that share a connection: to make one takes ten times as long as most commands."""
        return ["-o", "ControlMaster=auto", "-o", f"ControlPath={self.connections}/%C", "-o", "ControlPersist=60s"]

    def hang_up(self, *names: str) -> None:
        """Close the shared connections to hosts, or to all. Those to a host that lost its power would wait for it."""
        for name in names or self.hosts:
            subprocess.run(self.ssh(name, options=["-O", "exit", *self._sharing]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def network_of(self, name: str) -> list[str]:
        """The words before a command of this machine that has it run in the network of a host of the lab."""
        machine = f"--machine={lab.lab_id(os.environ['CAMPUS_LAB'])}-{name}".encode()
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if machine in (entry / "cmdline").read_bytes().split(b"\0"):
                        children = (entry / "task" / entry.name / "children").read_text(encoding="ascii").split()
                        if children:
                            return ["nsenter", f"--target={children[0]}", "--net", "--"]
        raise AssertionError(f"{name} does not run")

    def addresses(self, name: str) -> tuple[str, str]:
        """The addresses of a host, of IPv4 and of IPv6."""
        host = lab.Lab(lab.lab_id(os.environ["CAMPUS_LAB"])).load()["hosts"][name]
        return host["address"], host["address6"]

    def on(self, name: str, script: str, *words: str, timeout: float = 60) -> str:
        """What a Python script prints on a host. It goes there by standard input, so secrets in it are in no command line."""
        command = self.ssh(name, "python3", "-", *words, options=self._sharing)
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def managed(self, name: str) -> list[str]:
        """All that the collection manages on a host, with owners, modes and content, and what its services run."""
        lines = self.on(name, (CHECKOUT / "molecule" / "shared" / "managed.py").read_text(encoding="utf-8")).splitlines()
        return lines + [f"{unit} {self.invocation(name, unit)}" for unit in UNITS.values()]

    def invocation(self, name: str, unit: str) -> str:
        """The present run of a service: another one after every start; empty when it does not run."""
        return self.host(name).check_output("systemctl show --property=InvocationID --value %s", unit)

    def check(self, policy: str = "") -> list[t.Any]:
        """Hold a conference of two participants; the steps. With another policy than the scenario's, of people without an account."""
        from ansible_collections.campus.jitsi.plugins.module_utils._conference import Check

        web = self.address(self.of("nginx_meet")[0])
        ca = pathlib.Path(self.ca_file).read_text(encoding="utf-8")
        if policy:
            return Check(self.domain, address=web, ca=ca, hosts=self.turn_servers(), policy=policy).run()
        return Check(self.domain, address=web, ca=ca, hosts=self.turn_servers(), policy=self.auth, guests=self.variables.get("jitsi_auth_guests", False),
                     login=self.host_login(), issuer=self.variables.get("jitsi_jwt_app_id", "jitsi")).run()

    @property
    def variables(self) -> dict[str, t.Any]:
        """What the scenario says for the whole group `jitsi`."""
        path = self.inventory / "group_vars" / "jitsi"
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}

    @property
    def auth(self) -> str:
        """Who may enter."""
        return self.variables.get("jitsi_auth", "anonymous")

    def host_login(self) -> t.Any:
        """Somebody who may open a room."""
        from ansible_collections.campus.jitsi.plugins.module_utils._xmpp import Login
        from people import moodle_claims, signed

        if self.auth == "internal":
            user = self.variables["jitsi_users"][0]
            return Login(user["name"], user.get("password") or self.secret(f"users/{user['name']}"))
        if self.auth == "jwt":
            return Login(token=signed(self.jwt_secret(), moodle_claims(self.domain, teacher=True)))
        return Login(self.variables.get("jitsi_check_user", ""), self.variables.get("jitsi_check_password", ""))

    def jwt_secret(self, generation: int = 1) -> str:
        """The secret that signs tokens, as the collection derives it."""
        from ansible_collections.campus.jitsi.plugins.plugin_utils import _secrets

        return _secrets.derive(_secrets.read_root(str(self.inventory / ".jitsi" / "root.key"), None), "jwt", generation).hex()

    def turn_servers(self) -> dict[str, str]:
        """The addresses of the TURN servers of the installation, by name."""
        found = {}
        for host in self.groups.get("jitsi_coturn") or []:
            path = self.inventory / "host_vars" / host
            own = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
            found[own.get("coturn_domain", f"turn.{self.domain}")] = self.address(host)
        return found

    def connect(self) -> t.Any:
        """How to reach the web site."""
        from ansible_collections.campus.jitsi.plugins.module_utils._https import Site as Https

        return Https(self.domain, address=self.address(self.of("nginx_meet")[0]), ca=pathlib.Path(self.ca_file).read_text(encoding="utf-8"))

    def participant(self) -> t.Any:
        """An anonymous XMPP session over WebSocket."""
        from ansible_collections.campus.jitsi.plugins.module_utils._xmpp import WebSocketSession

        return WebSocketSession(self.connect(), self.domain, "/xmpp-websocket?room=verify")


@pytest.fixture(scope="session")
def site() -> t.Iterator[Site]:
    """The installation under test."""
    if "MOLECULE_EPHEMERAL_DIRECTORY" not in os.environ:
        pytest.skip("runs inside molecule: tests/scenario.py default verify")
    made = Site()
    yield made
    made.hang_up()
    shutil.rmtree(made.connections)


def is_older() -> bool:
    """Whether the scenario was asked for on the older of the two releases."""
    return os.environ.get("CAMPUS_SUITE") == "bookworm"


# Those of a session, so that they skip before anything of a module is led to where a test wants it.


@pytest.fixture(scope="session")
def single(site: Site) -> Site:
    """The installation on one host, for what has nothing to do with where the roles are."""
    if len(site.hosts) > 1:
        pytest.skip("is the same wherever the roles are: the one-host scenarios test it")
    return site


@pytest.fixture(scope="session")
def once(single: Site) -> Site:
    """One host, of one release, for what has nothing to do with the release of Debian either."""
    if is_older():
        pytest.skip("is the same on both releases: default:trixie tests it")
    return single


@pytest.fixture(scope="session")
def parted(site: Site) -> Site:
    """The installation on several hosts, with two bridges."""
    if len(site.of("jvb")) < 2:
        pytest.skip("needs two bridges: the split scenario tests it")
    return site


def login_script(password: str) -> str:
    """A login for a host's Python to run; the password is in its text, and so in no command line."""
    return f"PASSWORD = {password!r}\n" + (pathlib.Path(__file__).parent / "xmpp_login.py").read_text(encoding="utf-8")


#: How much longer than on a quiet machine something may take: another scenario's hosts run beside a test's.
PATIENCE = 3


def wait_for(look: t.Callable[[], t.Any], seconds: float, what: str = "it", *, every: float = 0.3,
             through: tuple[type[Exception], ...] = ()) -> t.Any:
    """What ``look`` answers once that is true, which takes up to ``seconds`` on a quiet machine; errors of ``through`` are no answer."""
    end, answer = time.monotonic() + PATIENCE * seconds, None
    while time.monotonic() < end:
        try:
            answer = look()
        except through as error:
            answer = error
        else:
            if answer:
                return answer
        time.sleep(every)
    raise AssertionError(f"{what} did not come in {PATIENCE * seconds} s; the last look said {answer!r}")


def settled(site: Site, seconds: float = 60, policy: str = "") -> list[t.Any]:
    """The steps of a check, once components that were away are back."""
    end = time.monotonic() + PATIENCE * seconds
    while not (steps := site.check(policy))[-1].ok and time.monotonic() < end:
        time.sleep(1)
    return steps


def works(steps: t.Sequence[t.Any]) -> None:
    """Assert that a conference works."""
    from ansible_collections.campus.jitsi.plugins.module_utils._conference import table

    assert steps[-1].ok, "\n".join(table(steps)) + f"\n{steps[-1].hint}"
