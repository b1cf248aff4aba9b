# SPDX-License-Identifier: GPL-3.0-or-later
"""What recorders cost: the converge of a host with them, and the processors, memory and lost frames of recordings at the same time.

The recorder is a stand-in that starts the real Chromium and the real ffmpeg, which is what takes the time; people are real browsers, too.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "tests" / "call")]
import tool  # noqa: E402

#: So many at a time.
NUMBERS = (1, 2, 4)
#: How long each is looked at, once all of them run.
SECONDS = 20
FRAMERATE = 30
#: How much of a host's processors recordings may take, so that a lecture with more movement than ours does not lose frames.
SHARE = 0.75

#: On the host: what the user jibri takes of processors, and the memory of all its processes, what they share counted once (PSS).
SAMPLE = """
import json, os, pwd, sys, time
UID, TICK = str(pwd.getpwnam("jibri").pw_uid), os.sysconf("SC_CLK_TCK")

def each():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = open(f"/proc/{pid}/status").read()
            if status.split("\\nUid:")[1].split()[0] == UID:
                yield pid
        except OSError:
            pass

def used():
    found = {}
    for pid in each():
        try:
            fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
            found[pid] = int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return found

def memory():
    total = 0
    for pid in each():
        try:
            total += sum(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))
        except OSError:
            pass
    return total / 1024

start, before = time.monotonic(), used()
peak = 0
while time.monotonic() - start < float(sys.argv[1]):
    peak = max(peak, memory())
    time.sleep(4)
after, seconds = used(), time.monotonic() - start
ticks = sum(value - before.get(pid, 0) for pid, value in after.items())
print(json.dumps({"processors": ticks / TICK / seconds, "mib": peak}))
"""


@dataclasses.dataclass
class Load:
    """What so many recordings at a time took.

    :param processors: how many they used, of those that there are
    :param mib: their memory at its peak
    :param frames: those that there should be by the clock
    :param lost: those of them that are not in the files, because the encoder did not come to it in time, or are the one before once more
    """

    number: int
    processors: float
    mib: float
    frames: int
    lost: int


@dataclasses.dataclass
class Recorded:
    """Seconds of the converge and of its floor, and the loads."""

    converge: float
    floor: float
    loads: list[Load]


def moving(path: pathlib.Path, _colour: t.Any) -> None:
    """A YUV4MPEG2 film of a second of stripes that wander over noise, for a camera: more than a face moves."""
    width, height, rate = 640, 360, 15
    noise = bytes((number * 2654435761 >> 13) % 200 + 20 for number in range(width * 2))
    frames = []
    for number in range(rate):
        rows = [noise[(row * 7 + number * 11) % width:][:width] for row in range(height)]
        frames.append(b"FRAME\n" + b"".join(rows) + bytes([100 + number]) * (width * height // 4) + bytes([150]) * (width * height // 4))
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n".encode() + b"".join(frames))


def counted(lines: str) -> tuple[int, int]:
    """Frames, and how many are repeated or left out, by ffmpeg's last words, which speak of those only where there are some.

    >>> counted("frame=  300 fps= 30 q=-1.0 Lsize= 1 time=00:00:10.00 dup=4 drop=1 speed=1x")
    (300, 5)
    >>> counted("frame=300 fps=30 q=20.0 size=1kB speed=1x")
    (300, 0)
    """
    found = re.findall(r"frame=\s*(\d+)", lines)
    lost = re.findall(r"(?:dup|drop)=(\d+)", lines)
    return sum(map(int, found)), sum(map(int, lost))


def wait_for(look: t.Callable[[], t.Any], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise tool.Failure(f"{what} did not come in {seconds} s")
        time.sleep(0.5)


class Meetings:
    """Each of one person with a moving picture, and a recorder."""

    def __init__(self, meet: t.Any, rec: t.Any, ca: pathlib.Path):
        self.meet, self.rec, self.ca = meet, rec, ca

    def idle(self) -> bool:
        """Whether all recorders are there and do nothing."""
        script = "for n in $(seq $1); do curl --silent http://127.0.0.1:$((2221 + n))/jibri/api/v1.0/health; done"
        return self.rec.sh(script, str(max(NUMBERS))).decode().count('"IDLE"') == max(NUMBERS)

    def last_words(self, since: dict[str, int]) -> str:
        """Of each ffmpeg that ended since then."""
        script = 'tail --bytes=+"$2" "$1" | grep "frame=" | tail -n 1 || true'
        return "".join(self.rec.sh(script, path, str(since.get(path, 0) + 1)).decode() for path in self.logs())

    def logs(self) -> dict[str, int]:
        """The logs of recorders, and how long they are."""
        lines = self.rec.sh("stat --format='%s %n' /var/log/jitsi/jibri/log-*.0.txt").decode().splitlines()
        return {path: int(size) for size, _space, path in (line.partition(" ") for line in lines)}

    def record(self, number: int) -> Load:
        import call

        call.camera = moving
        options = argparse.Namespace(url="https://meet.lab.test", ca=str(self.ca), address=self.meet.address, map=[], network=False, inside="", locale="en-US")
        wait_for(self.idle, 120, "idle recorders")
        logs = self.logs()
        with tempfile.TemporaryDirectory(prefix="campus.jitsi-bench-") as home, call.sync_playwright() as playwright, contextlib.ExitStack() as opened:
            pages = []
            for index in range(number):
                folder = pathlib.Path(home) / str(index)
                folder.mkdir()
                browser = call.Browser(playwright, "Ada", folder, options)
                opened.callback(browser.context.close)
                browser.page.goto(f"{options.url}/bench-{number}-{index}#userInfo.displayName=%22Ada%22", wait_until="domcontentloaded")
                pages.append(browser.page)
            for page in pages:
                wait_for(lambda page=page: page.evaluate("window.__meeting && __meeting.state === 'joined' && __meeting.role === 'moderator'"), 60, "a meeting")
                page.evaluate("__meeting.startRecording({})")
            began = []
            for page in pages:
                wait_for(lambda page=page: page.evaluate("__meeting.recording"), 120, "a recording")
                began.append(time.monotonic())
            time.sleep(5)
            taken = json.loads(self.rec.sh("python3 - \"$1\"", str(SECONDS), stdin=SAMPLE.encode()))
            for page in pages:
                page.evaluate("__meeting.stopRecording()")
            # That a recording runs is known here a moment after its first frame, and so is less than there could be.
            expected = round(FRAMERATE * sum(time.monotonic() - start for start in began))
            wait_for(self.idle, 180, "the end of recordings")
        frames, repeated = counted(self.last_words(logs))
        return Load(number, taken["processors"], taken["mib"], expected, max(expected - frames, 0) + repeated)


def measure(bench: t.Any, floor: t.Callable[[t.Any, t.Any, list[str], bytes], float], archive_files: str) -> Recorded:
    """A site and a host with recorders, as one comes to a site that is there; and recordings.

    :param floor: the seconds of a bare installation of packages on a fresh host, with a tar of the files that say where they are
    :param archive_files: these files
    """
    groups = {"jitsi_jibri": ["rec"], **{f"jitsi_{role}": ["meet"] for role in ("prosody", "jicofo", "jvb", "nginx_meet")}}
    with bench.host("recorders", "rec") as meet:
        (rec,) = meet.others
        rec.variables = {"jibri_instances": max(NUMBERS), "jibri_memory": "2048m"}
        rec.sh('echo "$1 meet.lab.test" >> /etc/hosts', meet.address)
        bench.ansible(meet, "campus.jitsi.site", "--limit", "meet", groups=groups)
        before = rec.packages()
        converge = bench.ansible(meet, "campus.jitsi.site", "--limit", "rec", groups=groups).seconds
        packages = sorted(set(rec.packages()) - set(before))
        archive = rec.sh(f"cd / && tar --create {archive_files}")
        bench.say(f"a recorder's host: {converge:.1f} s, {len(packages)} packages")
        meetings = Meetings(meet, rec, bench.place(meet) / ".jitsi" / "ca.crt")
        loads = []
        for number in NUMBERS:
            loads.append(meetings.record(number))
            bench.say(f"recordings at a time: {loads[-1]}")
    with bench.host("recorders-floor") as host:
        bare = floor(bench, host, packages, archive)
    bench.say(f"the floor of a recorder's host: {bare:.1f} s")
    return Recorded(converge, bare, loads)


def held(one: Load, cores: int) -> int:
    """How many recordings a host would hold, by what one takes.

    >>> held(Load(1, 1.5, 700.0, 300, 0), 8)
    4
    """
    return int(cores * SHARE / one.processors)


def chapter(recorded: Recorded) -> str:
    """That of the document."""
    one = recorded.loads[0]
    rows = "".join(f"| {load.number} | {load.processors:.2f} | {load.mib:.0f} MiB | {load.frames} | {load.lost} "
                   f"({100 * load.lost / max(load.frames, 1):.1f} %) |\n" for load in recorded.loads)
    extrapolated = "".join(f"| {cores} | {held(one, cores)} | {held(one, cores) * one.mib / 1024:.1f} GiB |\n" for cores in (8, 16))
    return f"""## Recordings at the same time

1280x720, {FRAMERATE} frames a second, the encoder's preset as the role has it. Each meeting has one person, whose camera shows stripes that wander over
noise. A frame is lost when the encoder did not come to it in time and it is not in the file, or is the one before once more.

| recordings | processors used | memory | frames by the clock | lost |
| --- | --- | --- | --- | --- |
{rows}
All else was on the same {os.cpu_count()} processors: the site, the controller, and a browser for each person. So what two and four lose is more than
they would on a host of their own.

**Extrapolated, not measured**: with as much for each as one alone takes, and a quarter of the processors left over:

| processors | recordings | their memory |
| --- | --- | --- |
{extrapolated}"""
