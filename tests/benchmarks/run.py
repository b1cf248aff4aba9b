#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection costs in time and memory, each against a floor of the same run; writes docs/benchmarks.md.

    tests/benchmarks/run.py                 (`make bench`) some rounds of each, about a quarter of an hour on two cores
    tests/benchmarks/run.py --quick         one round of each
    tests/benchmarks/run.py --output FILE   somewhere else; `-` only prints
    tests/benchmarks/run.py --recorders     that of (e) alone, printed

(a) Converge a fresh Debian 13 host with the built and installed archive; the floor is one bare ``apt-get install`` of the
    very same packages on an equally fresh host.
(b) The second run on a converged host.
(c) 500 XMPP accounts by campus.jitsi.prosody_account; the floor is a loop of ``prosodyctl register``.
(d) The people of a campus, 5,000, by the same module.
(e) A host with recorders beside a site (recorders.py): its converge, with such a floor, and what one, two and four recordings at a time take.

Times of one machine say little on another, so nothing here is a test that fails: a target that is missed is written down.
Hosts are of labs of their own and are removed at the end, also on Ctrl-C. It needs root and `tests/tool.py bootstrap test`.
JITSI_PACKAGES is as for the tests, but without it the stand-ins are taken, so that two runs compare.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests"))
import recorders  # noqa: E402
import tool  # noqa: E402

LAB = CHECKOUT / "tests" / "lab" / "lab.py"
DOMAIN = "meet.lab.test"
ACCOUNTS = 500
PEOPLE = 5000
#: The floor registers fewer and is scaled: each costs the same.
REGISTERED = 50
#: PBKDF2 rounds of `prosodyctl register`, and of the site, whose passwords are 32 derived characters.
ROUNDS_OF_PROSODY, ROUNDS_OF_SITE = 10000, 4096
#: What the packages ask, as whoever installs them answers.
ANSWERS = f"""
jitsi-meet-prosody jitsi-videobridge/jvb-hostname string {DOMAIN}
jitsi-meet-prosody jitsi-meet/cert-choice select Generate a new self-signed certificate
"""
ARCHIVE_FILES = "etc/apt/sources.list.d/jitsi.sources etc/apt/keyrings/jitsi.*"
#: What people look for in a list of 200 packages.
SHOWN = re.compile(r"prosody|nginx|jicofo|jitsi-videobridge2|jitsi-meet-(web|prosody)|openjdk-\d+-jre-headless")

#: Stands in for python3 on the host: runs it, and notes the time and the peak memory of the largest process below.
INTERPRETER = """#!/usr/bin/python3
import json, resource, subprocess, sys, time
start = time.monotonic()
code = subprocess.run(["/usr/bin/python3", *sys.argv[1:]]).returncode
row = {"seconds": time.monotonic() - start, "kib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}
with open("/run/campus.jitsi-measured", "w") as note:
    json.dump(row, note)
sys.exit(code)
"""

REGISTER = """
import json, subprocess, sys, time
host, count = sys.argv[1], int(sys.argv[2])
start = time.monotonic()
for number in range(count):
    subprocess.run(["prosodyctl", "register", f"bench-floor-{number:03}", host, f"of-thirty-two-characters-it-is-{number:03}"],
                   check=True, stdout=subprocess.DEVNULL)
print(json.dumps(time.monotonic() - start))
"""

PLAYBOOK = """
- hosts: jitsi
  gather_facts: false
  vars: {ansible_pipelining: true, ansible_python_interpreter: /run/campus.jitsi-python3}
  tasks:
    - campus.jitsi.prosody_account:
        accounts: "{{ accounts }}"
        exclusive: ["bench-*@auth.%s"]
        iterations: "{{ iterations }}"
"""


# --- pure functions ------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    """One line of the table.

    :param target: in words; ``met`` says whether it was, None without a target
    """

    what: str
    measured: str
    floor: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None

    def cells(self) -> list[str]:
        return [self.what, self.measured, self.floor, self.ratio, self.target, {True: "yes", False: "**no**", None: ""}[self.met]]


def spread(values: t.Sequence[float], unit: str = "s", digits: int = 1) -> str:
    """The median and, of several values, the smallest and the largest.

    >>> spread([3, 1, 2])
    '2.0 s (1.0..3.0)'
    >>> spread([2.25])
    '2.2 s'
    """
    text = f"{statistics.median(values):.{digits}f} {unit}"
    return text + (f" ({min(values):.{digits}f}..{max(values):.{digits}f})" if len(values) > 1 else "")


def added(before: t.Iterable[str], after: t.Iterable[str]) -> list[str]:
    """The packages that came in between, as apt takes them.

    :param before: lines ``name:architecture=version``, as :meth:`Bench.packages` has them
    """
    return sorted(set(after) - set(before))


def task_times(lines: t.Iterable[tuple[float, str]], end: float) -> list[tuple[float, str]]:
    """How long each task of a run of Ansible took, the longest first; tasks of one name are added up.

    :param lines: its output, each line with the second at which it came
    :param end: when the run ended

    >>> task_times([(1, "PLAY [Hosts] **"), (2, "TASK [jvb : Run] ***"), (5, "ok: [meet]"), (6, "PLAY RECAP ***")], 7)
    [(4, 'jvb : Run')]
    """
    marks = [(second, re.match(r"(?:TASK|RUNNING HANDLER) \[(.+)\] \*+$", line))
             for second, line in lines if re.match(r"(TASK|RUNNING HANDLER|PLAY)\b.*\*$", line)]
    found: dict[str, float] = {}
    for (second, match), (following, _match) in itertools.pairwise([*marks, (end, None)]):
        if match:
            name = match[1].removeprefix("campus.jitsi.")
            found[name] = found.get(name, 0) + following - second
    return sorted(((seconds, name) for name, seconds in found.items()), reverse=True)


def table(rows: t.Sequence[t.Sequence[str]], head: t.Sequence[str]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def changes(output: str) -> int:
    """The changes that a run of Ansible reports, over all hosts.

    >>> changes("meet   : ok=51   changed=2    unreachable=0")
    2
    """
    return sum(map(int, re.findall(r"(?m)^\S+\s+: ok=\d+\s+changed=(\d+)", output)))


# --- the machinery -------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Run:
    """A run of Ansible."""

    seconds: float
    lines: list[tuple[float, str]]

    @property
    def output(self) -> str:
        return "\n".join(line for _second, line in self.lines)

    @property
    def tasks(self) -> list[tuple[float, str]]:
        return task_times(self.lines, self.seconds)


class Host:
    """A fresh Debian 13 host in a lab of its own.

    :param name: in the lab and in the inventory
    """

    def __init__(self, lab: str, up: dict[str, t.Any], name: str = "meet"):
        self.lab, self.name = lab, name
        self.address, self.key = up["hosts"][name]["address"], up["key"]
        #: Those of the same lab and inventory, and variables of its own there.
        self.others: list[Host] = []
        self.variables: dict[str, t.Any] = {}
        self.options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"

    def sh(self, script: str, *words: str, stdin: bytes | None = None) -> bytes:
        """Run a shell script, its arguments in ``words``; returns what it prints.

        :raises tool.Failure: it fails
        """
        remote = shlex.join(["sh", "-c", script, "sh", *words])
        done = subprocess.run(["ssh", "-i", self.key, *self.options.split(), f"root@{self.address}", "--", remote],
                              input=b"" if stdin is None else stdin, capture_output=True, check=False)
        if done.returncode:
            raise tool.Failure(f"on the host, `{script[:60]}` failed: {(done.stdout + done.stderr).decode(errors='replace')[-2000:]}")
        return done.stdout

    def packages(self) -> list[str]:
        """What is installed, as ``name:architecture=version``."""
        return self.sh("dpkg-query --show --showformat='${Package}:${Architecture}=${Version}\\n'").decode().split()


class Bench:
    """Labs, runs of Ansible, and where the files of both are."""

    def __init__(self, rounds: int):
        self.rounds = rounds
        self.began = time.monotonic()
        self.labs: list[str] = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="campus.jitsi-bench-"))
        self.collections = tool.collection()
        self.source = tool.packages(os.environ.get("JITSI_PACKAGES", "standins"))

    def say(self, text: str) -> None:
        tool.say(f"[{time.monotonic() - self.began:.0f} s] {text}")

    def close(self) -> None:
        """Remove all labs. A second Ctrl-C does not stop it."""
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        for lab in self.labs.copy():
            self.down(lab)
        shutil.rmtree(self.folder, ignore_errors=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def down(self, lab: str) -> None:
        # A session of its own: Ctrl-C on the terminal reaches all processes of ours.
        subprocess.run([LAB, "down", lab], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, check=True)
        self.labs.remove(lab)

    @contextlib.contextmanager
    def host(self, name: str, *others: str) -> t.Iterator[Host]:
        """A fresh host, for as long as the context lasts; with others beside it."""
        lab = f"bench-{os.getpid()}-{name}"
        serve = ["--serve", self.source["release1"]] if "release1" in self.source else []
        self.labs.append(lab)
        wanted = [word for one in ("meet", *others) for word in ("--host", f"{one}:trixie")]
        done = subprocess.run([LAB, "up", lab, *wanted, *serve], capture_output=True, text=True, check=False)
        if done.returncode:
            raise tool.Failure(f"the lab could not boot a host: {done.stderr.strip()}")
        host = Host(lab, json.loads(done.stdout))
        host.others = [Host(lab, json.loads(done.stdout), one) for one in others]
        yield host
        self.down(lab)

    def place(self, host: Host) -> pathlib.Path:
        """The folder of an installation's inventory."""
        return self.folder / host.lab

    def ansible(self, host: Host, playbook: str, *words: str, groups: t.Mapping[str, t.Sequence[str]] | None = None) -> Run:
        """Run a playbook on a host and those beside it, of a new installation when the host is new; :raises tool.Failure: it fails.

        :param groups: their groups besides `jitsi`
        """
        place = self.place(host)
        place.mkdir(exist_ok=True)
        variables = {
            "jitsi_domain": DOMAIN,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": host.key,
            "ansible_ssh_common_args": host.options,
        }
        if "release1" in self.source:
            key = str(pathlib.Path(self.source["release1"]) / "jitsi-key.gpg.key")
            variables["jitsi_apt_repository"] = {"uri": "http://gateway.lab.test:8000", "key": key}
        inventory = place / "hosts.yml"
        hosts = {one.name: {"ansible_host": one.address, **one.variables} for one in (host, *host.others)}
        children = {name: {"hosts": dict.fromkeys(members)} for name, members in (groups or {}).items()}
        inventory.write_text(json.dumps({"jitsi": {"hosts": hosts, "vars": variables, "children": children}}), encoding="utf-8")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONUNBUFFERED": "1",
            # The connection that a run leaves open for a minute would be one to a host that is gone, or a head start.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": tempfile.mkdtemp(dir=self.folder),
        }
        os.sync()
        start = time.monotonic()
        with subprocess.Popen([tool.VENV / "bin" / "ansible-playbook", "-i", inventory, playbook, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=place) as process:
            lines = [(time.monotonic() - start, line.rstrip()) for line in process.stdout or ()]
        run = Run(time.monotonic() - start, lines)
        if process.returncode:
            raise tool.Failure(f"ansible-playbook {playbook} failed:\n{run.output[-3000:]}")
        return run


# --- (a) converge, (b) second run ----------------------------------------------------------------------------------


def floor(bench: Bench, host: Host, wanted: t.Sequence[str], archive: bytes) -> float:
    """The seconds of one bare apt-get on a fresh host.

    :param archive: a tar of the key and the source of Jitsi's archive
    """
    before = host.packages()
    host.sh("tar --extract --directory=/", stdin=archive)
    os.sync()
    start = time.monotonic()
    host.sh("export DEBIAN_FRONTEND=noninteractive; apt-get --quiet update && printf %s \"$1\" | debconf-set-selections && "
            "xargs apt-get --quiet --yes --no-install-recommends install", ANSWERS, stdin="\n".join(wanted).encode())
    seconds = time.monotonic() - start
    got = added(before, host.packages())
    if got != list(wanted):
        raise tool.Failure(f"the floor installed other packages: {', '.join(sorted(set(got) ^ set(wanted))[:9])}; run this again.")
    return seconds


def rounds_of_converge(bench: Bench, wanted: t.Sequence[str], archive: bytes) -> tuple[list[Run], list[float]]:
    """Converge and floor by turns, each on a host of its own; who goes first changes, too."""
    converges: list[Run] = []
    floors: list[float] = []
    for number in range(bench.rounds):
        for what in ("converge", "floor") if number % 2 == 0 else ("floor", "converge"):
            with bench.host(f"{what}{number + 1}") as host:
                if what == "floor":
                    floors.append(floor(bench, host, wanted, archive))
                    seconds = floors[-1]
                else:
                    converges.append(bench.ansible(host, "campus.jitsi.site"))
                    seconds = converges[-1].seconds
            bench.say(f"round {number + 1} of {bench.rounds}: {what} in {seconds:.1f} s")
    return converges, floors


def second_runs(bench: Bench, host: Host) -> list[Run]:
    runs = []
    for number in range(bench.rounds):
        run = bench.ansible(host, "campus.jitsi.site")
        if changes(run.output):
            raise tool.Failure(f"the second run changed something:\n{run.output[-3000:]}")
        runs.append(run)
        bench.say(f"round {number + 1} of {bench.rounds}: second run, nothing changed, in {run.seconds:.1f} s")
    return runs


# --- (c) accounts --------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Accounts:
    """Seconds on the host by what was done, those of whole runs, and the peak memory of all of it.

    :param people: on the host, with as many accounts as a campus has people, by what was done
    """

    seconds: dict[str, list[float]]
    whole: list[float]
    people: dict[str, list[float]]
    whole_of_people: list[float]
    kib: int = 0


def accounts(bench: Bench, host: Host) -> Accounts:
    """The module and the loop by turns, on a host whose Prosody runs."""
    host.sh("cat > /run/campus.jitsi-python3; chmod 755 /run/campus.jitsi-python3", stdin=INTERPRETER.encode())
    playbook = bench.folder / "accounts.yml"
    playbook.write_text(PLAYBOOK % DOMAIN, encoding="utf-8")
    result = Accounts({}, [], {}, [])

    def reconcile(name: str, rounds: int, generation: int, expected: int, count: int = ACCOUNTS) -> tuple[float, float]:
        wanted = [{"jid": f"bench-{number:03}@auth.{DOMAIN}", "password": f"{generation}-of-thirty-two-characters-{number:03}"}
                  for number in range(count)]
        variables = bench.folder / "accounts.json"
        variables.write_text(json.dumps({"accounts": wanted, "iterations": rounds}), encoding="utf-8")
        run = bench.ansible(host, str(playbook), "-e", f"@{variables}")
        if changes(run.output) != expected:
            raise tool.Failure(f"accounts, {name}: the module reported {changes(run.output)} changed tasks instead of {expected}.")
        row = json.loads(host.sh("cat /run/campus.jitsi-measured"))
        if name:
            result.seconds.setdefault(name, []).append(row["seconds"])
            result.whole.append(run.seconds)
        result.kib = max(result.kib, row["kib"])
        return row["seconds"], run.seconds

    for number in range(bench.rounds):
        script = host.sh("python3 - \"$@\"", f"auth.{DOMAIN}", str(REGISTERED), stdin=REGISTER.encode())
        result.seconds.setdefault("floor", []).append(json.loads(script) * ACCOUNTS / REGISTERED)
        # Of the loop's accounts, too, the next one begins with none.
        reconcile("", ROUNDS_OF_PROSODY, 1, 1, count=0)
        for prefix, rounds in (("", ROUNDS_OF_PROSODY), ("site: ", ROUNDS_OF_SITE)):
            reconcile(f"{prefix}created", rounds, 1, 1)
            reconcile(f"{prefix}nothing to do", rounds, 1, 0)
            reconcile(f"{prefix}changed", rounds, 2, 1)
            reconcile(f"{prefix}removed", rounds, 1, 1, count=0)
        for name, expected in (("created", 1), ("nothing to do", 0)):
            seconds, whole = reconcile("", ROUNDS_OF_PROSODY, 1, expected, count=PEOPLE)
            result.people.setdefault(name, []).append(seconds)
            result.whole_of_people.append(whole)
        reconcile("", ROUNDS_OF_PROSODY, 1, 1, count=0)
        people = {f"{PEOPLE} {name}": values for name, values in result.people.items()}
        latest = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in {**result.seconds, **people}.items())
        bench.say(f"round {number + 1} of {bench.rounds}: {ACCOUNTS} accounts: {latest}")
    return result


# --- the document --------------------------------------------------------------------------------------------------


def rows_of(converges: t.Sequence[Run], floors: t.Sequence[float], seconds: t.Sequence[Run], account: Accounts) -> list[Row]:
    converge, bare = statistics.median(run.seconds for run in converges), statistics.median(floors)
    second = statistics.median(run.seconds for run in seconds)
    loop = account.seconds["floor"]
    rows = [
        Row("Converge a fresh host", spread([run.seconds for run in converges]), spread(floors), f"{converge / bare:.2f} x",
            f"1.5 x floor + 20 s = {1.5 * bare + 20:.1f} s", converge <= 1.5 * bare + 20),
        Row("Second run, 0 changed", spread([run.seconds for run in seconds]), "", "", "15 s", second <= 15),
    ]
    for name in account.seconds:
        if name != "floor" and not name.startswith("site: "):
            rows.append(account_row(name, account.seconds[name], loop, targeted=name != "removed"))
    for name, values in account.seconds.items():
        if name.startswith("site: ") and name != "site: removed":
            rows.append(account_row(f"{name.removeprefix('site: ')}, {ROUNDS_OF_SITE} rounds as the site has them", values, loop, targeted=False))
    for name, values in account.people.items():
        times, scaled = statistics.median(values), [seconds * PEOPLE / ACCOUNTS for seconds in loop]
        rows.append(Row(f"{PEOPLE} people of a campus, {name}", spread(values), spread(scaled), f"{statistics.median(scaled) / times:.0f} times faster",
                        "20 s", times < 20))
    rows.append(Row("Peak memory of the module", f"{account.kib / 1024:.1f} MiB", "", "", "100 MB", account.kib * 1024 < 100e6))
    return rows


def account_row(name: str, values: t.Sequence[float], loop: t.Sequence[float], targeted: bool) -> Row:
    times = statistics.median(loop) / statistics.median(values)
    what = f"{ACCOUNTS} accounts, {name}"
    if not targeted:
        return Row(what, spread(values, digits=2), spread(loop), f"{times:.0f} times faster")
    return Row(what, spread(values, digits=2), spread(loop), f"{times:.0f} times faster", "20 times faster", times >= 20)


def machine() -> str:
    info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"(?m)^model name\s*: (.+)$", info)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores{f' ({model[1].strip()})' if model else ''}, {memory:.0f} GiB of memory"


def first_line(*command: str | pathlib.Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=CHECKOUT, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0].strip()


def document(rows: t.Sequence[Row], facts: t.Mapping[str, str], converge: Run, second: Run, account: Accounts, recordings: str, mode: str) -> str:
    stand_ins = {
        "standins": "Jitsi's own packages (jicofo, jitsi-videobridge2, jitsi-meet-web, jitsi-meet-prosody) are stand-ins, see\n"
                    "[tests/standins](../tests/standins/README.md): smaller than the real ones and sooner up, on both sides of the comparison.\n"
                    "All else is real and from Debian: Prosody, nginx, Java, systemd, apt. Hosts are systemd-nspawn machines on the machine that\n"
                    "also runs Ansible, so both share its cores, and no network lies between them.",
    }.get(mode, "All packages are real. Hosts are systemd-nspawn machines on the machine that also runs Ansible.")

    def longest(run: Run) -> str:
        return table([[name, f"{seconds:.1f} s"] for seconds, name in run.tasks[:8]], ["task", "time"])

    return f"""# Benchmarks

Made by `make bench`, whole; do not edit. Figures are medians, with the smallest and the largest where there was more than
one round. Each is compared with a floor that was measured in the same run, by turns; absolute times are of this machine.

{table([row.cells() for row in rows], ["", "measured", "floor", "ratio", "target", "met"])}
{table([[name, text] for name, text in facts.items()], ["", ""])}
## How it was measured

- **Converge**: `ansible-playbook campus.jitsi.site` from its start to its end, with the built and installed archive, from a host that
  has nothing but Debian 13 to one on which the run's own check has held a conference. **Floor**: one SSH call to an equally fresh host,
  with the same archive and key in place, runs `apt-get update`, answers the packages' questions, and runs one `apt-get install` of
  exactly the packages that the converge had added, in their versions, which start their services. Neither takes recommended packages. Downloads count
  on both sides; a first converge, which is not counted, finds the packages and warms whatever caches lie between here and the archives.
- **Second run**: the same command again on a converged host, from start to end, the conference check included.
- **Accounts**: seconds on the host itself, without SSH and without Ansible on the controller, on both sides. The module is run by Ansible
  through an interpreter that notes its time and the peak memory of its largest process. The whole of such a run on the controller took
  {spread(account.whole)}. The floor is a loop of {REGISTERED} `prosodyctl register` to the running Prosody, times {ACCOUNTS // REGISTERED}.
  Both make {ROUNDS_OF_PROSODY} rounds of PBKDF2, Prosody's default. A changed password costs the module these twice, once to see that the
  stored one is another. The site itself takes {ROUNDS_OF_SITE} for its own long derived passwords. `removed` has no counterpart in the
  loop and no target.
- **People of a campus**: the same with {PEOPLE} accounts and Prosody's own rounds; the floor is the same loop, times {PEOPLE // REGISTERED}. The whole
  of such a run on the controller took {spread(account.whole_of_people)}.

{recordings}
## What is a stand-in

{stand_ins}

## Where the time goes

The longest tasks of a converge of {converge.seconds:.1f} s:

{longest(converge)}
The longest tasks of a second run of {second.seconds:.1f} s, of {len(second.tasks)}:

{longest(second)}"""


def middle(runs: t.Sequence[Run]) -> Run:
    """The run whose time is the median."""
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]


def measure(bench: Bench, command: str) -> str:
    load = os.getloadavg()[0]
    bench.say(f"a fresh host, converged to see which packages it gets ({bench.source['mode']})")
    with bench.host("first") as host:
        before = host.packages()
        run = bench.ansible(host, "campus.jitsi.site")
        wanted = added(before, host.packages())
        archive = host.sh(f"cd / && tar --create {ARCHIVE_FILES}")
        bench.say(f"converged in {run.seconds:.1f} s, not counted; {len(wanted)} packages")
        seconds = second_runs(bench, host)
        account = accounts(bench, host)
    converges, floors = rounds_of_converge(bench, wanted, archive)
    recorded = recorders.measure(bench, floor, ARCHIVE_FILES)
    rows = rows_of(converges, floors, seconds, account)
    rows.append(Row("Converge a recorder's host", spread([recorded.converge]), spread([recorded.floor]), f"{recorded.converge / recorded.floor:.2f} x",
                    f"1.5 x floor + 20 s = {1.5 * recorded.floor + 20:.1f} s", recorded.converge <= 1.5 * recorded.floor + 20))
    shown = [package.replace("=", " ").replace(":all", "").replace(":amd64", "") for package in wanted if SHOWN.fullmatch(package.split(":")[0])]
    galaxy = re.search(r"(?m)^version: (\S+)", (CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": machine(),
        "load before and after": f"{load:.1f} and {os.getloadavg()[0]:.1f} (1 minute; more than the benchmark's own is another's)",
        "command": f"`{command}`, {bench.rounds} round{'s' if bench.rounds > 1 else ''} of each, {time.monotonic() - bench.began:.0f} s",
        "collection": f"campus.jitsi {galaxy[1] if galaxy else ''}, on top of commit {first_line('git', 'rev-parse', '--short', 'HEAD')}",
        "Ansible": f"{first_line(tool.VENV / 'bin' / 'ansible', '--version')}, Python {platform.python_version()}",
        "packages": f"{len(wanted)}, among them {', '.join(shown)}",
    }
    for row in rows:
        bench.say(f"{row.what}: {row.measured}" + (f", floor {row.floor}, {row.ratio}" if row.floor else "")
                  + (f"; target {row.target}: {'met' if row.met else 'MISSED'}" if row.target else ""))
    return document(rows, facts, middle(converges), middle(seconds), account, recorders.chapter(recorded), bench.source["mode"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--output", default=str(CHECKOUT / "docs" / "benchmarks.md"), metavar="FILE")
    parser.add_argument("--recorders", action="store_true", help="recorders alone, printed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bench = None
    try:
        bench = Bench(rounds=1 if options.quick else 3)
        if options.recorders:
            print(recorders.chapter(recorders.measure(bench, floor, ARCHIVE_FILES)))
            return 0
        text = measure(bench, "tests/benchmarks/run.py --quick" if options.quick else "make bench")
    except tool.Failure as failure:
        print(f"campus.jitsi: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        tool.say("interrupted; the hosts are removed")
        return 130
    finally:
        if bench:
            bench.close()
    if options.output == "-":
        print(text)
    else:
        pathlib.Path(options.output).write_text(text, encoding="utf-8")
        tool.say(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
