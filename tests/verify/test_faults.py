# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault drill: what must survive survives, and the rest recovers without a hand."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import json
import os
import pathlib
import subprocess
import sys
import time

import conftest
import pytest
from conftest import CHECKOUT, UNITS, settled, works


def lab(*words: str) -> str:
    """Run the lab's own tool."""
    done = subprocess.run([str(CHECKOUT / "tests/lab/lab.py"), *words], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lasting(site) -> dict[str, list[str]]:
    """What must survive anything: files with owners, modes and content, accounts, keys and certificates among them; and the root key."""
    script = (CHECKOUT / "molecule/shared/managed.py").read_text(encoding="utf-8")
    found = {name: [line for line in site.on(name, script).splitlines() if line.startswith("/")] for name in site.hosts}
    return {**found, "controller": [(site.inventory / ".jitsi" / "root.key").read_text(encoding="ascii")]}


@pytest.fixture
def sound(site):
    """A site that works before the drill and after it, with all that must last as it was."""
    works(settled(site))
    before = lasting(site)
    yield site
    works(settled(site, 120))
    assert lasting(site) == before


def main_process(host, unit: str) -> str:
    return host.check_output("systemctl show --property=MainPID --value %s", unit)


#: As of all tests, but a call that fails meanwhile is no answer.
wait_for = functools.partial(conftest.wait_for, through=(AssertionError, OSError, subprocess.SubprocessError, RuntimeError))


# --- services ------------------------------------------------------------------------------------------------------


def kill_twice(site, role: str) -> None:
    unit, host = UNITS[role], site.of_one(role)
    assert host.check_output("systemctl show --property=StartLimitIntervalUSec --value %s", unit) == "0"
    for _time in range(2):
        before = main_process(host, unit)
        host.check_output("kill -KILL %s", before)
        wait_for(lambda before=before: main_process(host, unit) not in ("0", before) and host.service(unit).is_running, 60, f"{unit} stays dead")


def test_a_killed_service_is_back_by_itself(sound):
    """SIGKILL to the main process, again as soon as it is back; all services of the installation at once."""
    roles = [role for role in UNITS if role in sound.roles]
    with concurrent.futures.ThreadPoolExecutor(len(roles)) as pool:
        list(pool.map(lambda role: kill_twice(sound, role), roles))


def test_nginx_waits_for_a_name_that_comes_later(sound):
    """At boot a name server may come after nginx, which does not start with a name that it cannot resolve."""
    host = sound.of_one("nginx_meet")
    site = f"/etc/nginx/sites-available/{sound.domain}.conf"
    host.check_output("cp --preserve=all %s /run/kept && cp --preserve=all /etc/hosts /run/kept.hosts", site)
    try:
        host.check_output("sed -Ei 's/^( *server )[^ ]+:(528[01];)/\\1later.lab.test:\\2/' %s && grep -q 'server later.lab.test:' %s", site, site)
        host.check_output("systemctl stop nginx && systemctl start --no-block nginx")
        wait_for(lambda: int(host.check_output("systemctl show --property=NRestarts --value nginx")) >= 2, 60, "nginx gives up")
        assert not host.service("nginx").is_running
        address = "127.0.0.1" if sound.of("prosody")[0] == sound.of("nginx_meet")[0] else sound.address(sound.of("prosody")[0])
        host.check_output("echo %s later.lab.test >> /etc/hosts", address)
        wait_for(lambda: host.service("nginx").is_running, 60, "nginx stays down")
        works(settled(sound))
    finally:
        host.check_output("cat /run/kept.hosts > /etc/hosts && cp --preserve=all /run/kept %s && systemctl restart nginx", site)


# --- disks ---------------------------------------------------------------------------------------------------------

LOGS = {"/var/log/prosody": ["prosody"], "/var/log/jitsi": ["jicofo", "jvb"], "/var/log/nginx": ["nginx_meet"]}


@contextlib.contextmanager
def small_disks(host):
    """Each folder of logs is a disk of its own with 256 kB."""
    units = " ".join(UNITS.values())
    try:
        for folder in LOGS:
            who = host.check_output("stat --format='uid=%%u,gid=%%g,mode=%%a' %s", folder)
            host.check_output("mount -t tmpfs -o size=256k,%s tmpfs %s", who, folder)
        host.check_output(f"systemctl restart {units}")
        yield
    finally:
        for folder in LOGS:
            host.run("umount --lazy %s", folder)
        host.check_output(f"systemctl restart {units}")


def test_a_full_disk_of_logs_stops_nobody(once, sound):
    """Services go on and start again without a byte left to log to, and log again when there is room."""
    (name,) = sound.hosts
    host = sound.host(name)
    with small_disks(host):
        works(settled(sound))
        for folder in LOGS:
            host.run("dd if=/dev/zero of=%s/filling bs=4k 2>/dev/null; cat /dev/zero >> %s/filling", folder, folder)
            assert host.check_output("df --output=avail %s | tail -1", folder).strip() == "0"
        before = {unit: sound.invocation(name, unit) for unit in UNITS.values()}
        works(settled(sound))
        assert {unit: sound.invocation(name, unit) for unit in UNITS.values()} == before, "nobody died of it"
        host.check_output("systemctl restart %s" % " ".join(UNITS.values()))
        works(settled(sound))
        host.check_output("rm /var/log/*/filling")
        sizes = "stat --format=%s /var/log/prosody/prosody.log /var/log/jitsi/jicofo.log /var/log/jitsi/jvb.log /var/log/nginx/access.log"
        small = list(map(int, host.check_output(sizes).split()))
        works(settled(sound))

        def grown():
            works(sound.check())
            return [new > old for new, old in zip(map(int, host.check_output(sizes).split()), small)][:2] == [True, True]

        # A bridge says little while all is well.
        wait_for(grown, 60, "logs do not grow")


# --- machines ------------------------------------------------------------------------------------------------------


def restarted(site, name: str, *words: str) -> None:
    """Restart a host and see that its services came with it, and nothing failed."""
    boot = site.on(name, "print(open('/proc/sys/kernel/random/boot_id').read(), open('/proc/1/stat').read().rpartition(')')[2].split()[19])")
    site.hang_up(name)
    lab("restart", os.environ["CAMPUS_LAB"], name, *words)
    assert boot != site.on(name, "print(open('/proc/sys/kernel/random/boot_id').read(), open('/proc/1/stat').read().rpartition(')')[2].split()[19])")
    units = [UNITS[role] for role in UNITS if role in site.roles and name in site.of(role)]
    script = "import subprocess, sys\nprint(*(subprocess.run(['systemctl', 'is-active', u], stdout=-1, text=True).stdout.strip() for u in sys.argv[1:]))"
    wait_for(lambda: set(site.on(name, script, *units).split()) == {"active"}, 120, f"{name} after its restart")


@pytest.mark.parametrize("words", [(), ("--hard",)], ids=["shut down", "power cut"])
def test_the_host_restarts_into_a_working_conference(single, sound, words):
    (name,) = sound.hosts
    restarted(sound, name, *words)


@pytest.mark.parametrize("number", range(4))
def test_each_host_of_several_restarts_into_a_working_conference(parted, sound, number):
    """Two are shut down, two lose their power."""
    if number >= len(sound.hosts):
        pytest.skip("has fewer hosts")
    restarted(sound, sorted(sound.hosts)[number], *(["--hard"] if number % 2 else []))


def test_a_bridge_whose_host_is_gone_is_left_out_and_taken_back(parted, sound):
    name = sound.of("jvb")[0]
    sound.hang_up(name)
    lab("stop", os.environ["CAMPUS_LAB"], name, "--hard")
    try:
        # The next conferences, whichever bridge each would have had.
        works(settled(sound, 120))
        for _number in range(3):
            works(settled(sound, 60))
    finally:
        lab("start", os.environ["CAMPUS_LAB"], name)

    def bridges():
        script = "import json, urllib.request as r; print(json.load(r.urlopen('http://127.0.0.1:8888/stats'))['bridge_selector']['bridge_count'])"
        return int(sound.on(sound.of("jicofo")[0], script)) == len(sound.of("jvb"))

    wait_for(bridges, 120, "the bridge is not taken back")


# --- people in a call ----------------------------------------------------------------------------------------------


class Call:
    """Two browsers in a call from this machine, browser to browser, with their frames second by second."""

    def __init__(self, site, place: pathlib.Path):
        self.place, web = place, site.address(site.of("nginx_meet")[0])
        command = [sys.executable, str(CHECKOUT / "tests/call/call.py"), f"https://{site.domain}", "--address", web, "--ca", site.ca_file,
                   "--out", str(place), "--stay", "300"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: (place / "seen").exists() or self.process.poll() is not None, 90, "the browsers do not see each other", every=0.1)

    def end(self) -> dict:
        """What they saw."""
        (self.place / "enough").touch()
        output, _nothing = self.process.communicate(timeout=90)
        return json.loads(output)


@pytest.fixture
def call(site, tmp_path):
    """A call that ends with the test, whatever becomes of it."""
    calls = []

    def begin():
        calls.append(Call(site, tmp_path))
        return calls[0]

    yield begin
    for each in calls:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def went_on(result: dict, since: float, until: float) -> None:
    """Assert that each browser decoded new frames all the time between two moments: no look met the frame of the one before."""
    for name, browser in result["browsers"].items():
        frames = [next(iter(look["frames"].values())) for look in browser["watched"] if since <= look["time"] <= until]
        assert len(frames) > 5 and None not in frames, f"{name}: {frames}"
        assert all(later > earlier for earlier, later in zip(frames, frames[2:])), f"{name}: {frames}"


def test_a_call_between_browsers_goes_on_when_prosody_dies(once, sound, call):
    """What they say to each other does not go through it, as long as it is away."""
    running = call()
    host = sound.of_one("prosody")
    # Held down for longer than it takes to look.
    folder = "/run/systemd/system/prosody.service.d"
    host.check_output("mkdir -p %s && printf '[Service]\nRestartSec=20\n' > %s/zz-test.conf && systemctl daemon-reload", folder, folder)
    try:
        since = time.time()
        host.check_output("kill -KILL %s", main_process(host, "prosody"))
        time.sleep(15)
        until = time.time()
        assert not host.service("prosody").is_running
    finally:
        host.check_output("rm -r %s && systemctl daemon-reload", folder)
    wait_for(lambda: host.service("prosody").is_running, 60, "Prosody stays dead")
    went_on(running.end(), since, until)


def test_a_call_is_taken_up_again_when_prosody_restarts(once, sound, call):
    """It takes leave of every room and comes back without knowing anybody, which no client survives with its session:
    people's pages are loaded anew after 10 to 30 seconds, as Jitsi's client does, and find the same room without a hand."""
    running = call()
    host = sound.of_one("prosody")
    host.check_output("systemctl restart prosody")
    until = time.time() + 75
    works(settled(sound, 60))
    time.sleep(max(0.0, until - time.time()))
    result = running.end()
    went_on(result, until - 15, until)
    for name, browser in result["browsers"].items():
        frames = [next(iter(look["frames"].values())) for look in browser["watched"]]
        assert None in frames or any(later < earlier for earlier, later in zip(frames, frames[1:])), f"{name} never left: {frames}"
        assert browser["meeting"] is None or browser["meeting"]["p2p"], f"{name}: {browser['meeting']}"


@contextlib.contextmanager
def no_network():
    """The lab's bridge passes nothing on, between no two hosts and to nobody outside; links stay up, nobody is told."""
    bridge = json.loads(lab("show", os.environ["CAMPUS_LAB"]))["bridge"]
    ports = os.listdir(f"/sys/class/net/{bridge}/brif")
    try:
        for port in ports:
            subprocess.run(["bridge", "link", "set", "dev", port, "state", "0"], check=True)
        yield
    finally:
        for port in ports:
            subprocess.run(["bridge", "link", "set", "dev", port, "state", "3"], check=True)


def test_half_a_minute_without_a_network(parted, sound, call):
    """The call between browsers goes on meanwhile; components find their way back. When jicofo has had no bridge for a moment then,
    it says so to the room, which Jitsi's client takes for a reason to load its page anew: people are in the call again without a hand."""
    running = call()
    since = time.time()
    with no_network():
        time.sleep(30)
    away = time.time()
    works(settled(sound, 120))
    # A client waits longer with each try, and whoever comes back while the room still says that may have to do so twice.
    until = since + 140
    time.sleep(max(0.0, until - time.time()))
    result = running.end()
    went_on(result, since, away)
    went_on(result, until - 15, until)
    for name, browser in result["browsers"].items():
        if browser["meeting"] is not None:
            assert browser["meeting"]["p2p"], f"{name}: {browser['meeting']}"
