# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings: real browsers of people in meetings, real recorders, and what is on the files that come out."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.parse

import lab
import pytest
from conftest import CHECKOUT, JSON, wait_for

sys.path.insert(0, str(CHECKOUT / "tests" / "call"))
RECORDINGS = "/srv/jitsi/recordings"
REC = "rec"


@pytest.fixture(scope="module", autouse=True)
def recorders(site):
    if not site.groups.get("jitsi_jibri"):
        pytest.skip("needs recorders: the scenario jibri tests it")


@pytest.fixture(scope="module")
def call():
    return pytest.importorskip("call")


@pytest.fixture(scope="module")
def playwright(call):
    with call.sync_playwright() as found:
        yield found


@pytest.fixture
def people(site, call, playwright):
    """Starts a browser of somebody in a room of his own; all are gone at the end, or each would take half a processor of the tests that follow."""
    options = argparse.Namespace(url=f"https://{site.domain}", ca=site.ca_file, address=site.address("meet"), map=[], network=False,
                                 inside="", locale="en-US")
    with tempfile.TemporaryDirectory(prefix="campus.jitsi-recording-") as home:
        opened = []

        def somebody(name: str, room: str, role: str = "moderator"):
            folder = pathlib.Path(home) / (room + name)
            folder.mkdir()
            browser = call.Browser(playwright, name, folder, options)
            opened.append(browser)
            # With a microphone that is on: Chromium's own beeps.
            browser.page.goto(f"{options.url}/{room}#userInfo.displayName=%22{name}%22", wait_until="domcontentloaded")
            wait_for(lambda: browser.page.evaluate(f"window.__meeting && __meeting.state === 'joined' && __meeting.role === '{role}'"), 40, role)
            return browser

        yield somebody
        for browser in opened:
            with contextlib.suppress(Exception):
                browser.context.close()


def record(browser, **options) -> None:
    """As the button does."""
    browser.page.evaluate("options => __meeting.startRecording(options)", options)


def running(browser, seconds: float = 75) -> str:
    """The id of the recording that the page shows as running."""
    def look():
        found = browser.page.evaluate("[__meeting.recording, __meeting.events.filter(e => /^recor/.test(e.name))]")
        refused = [event for event in found[1] if event["name"] == "recordingRefused" or (event.get("detail") or {}).get("error")]
        assert not refused, refused
        return found[0]
    return wait_for(look, seconds, "a running recording")


def stop(browser) -> None:
    browser.page.evaluate("__meeting.stopRecording()")


def states(site) -> dict[int, str]:
    """What each recorder says of itself."""
    found = {}
    for number in (1, 2):
        done = site.host(REC).run(f"curl -s http://127.0.0.1:{2221 + number}/jibri/api/v1.0/health")
        found[number] = json.loads(done.stdout)["status"]["busyStatus"] if done.stdout else "GONE"
    return found


def idle(site, seconds: float = 60) -> None:
    wait_for(lambda: set(states(site).values()) == {"IDLE"}, seconds, "idle recorders")


def recording_of(site, room: str, place: str = RECORDINGS) -> str:
    """The file of a room's recording, on its host."""
    found = site.host(REC).run(f"find {place} -name '{room}_*.mp4'").stdout.split()
    assert len(found) == 1, found
    return found[0]


def probe(site, path: str) -> dict[str, t.Any]:
    data = json.loads(site.host(REC).check_output("ffprobe -v error -show_format -show_streams -of json %s", path))
    return {"seconds": float(data["format"]["duration"]), **{one["codec_type"]: one for one in data["streams"]}}


def playable(site, path: str) -> float:
    """How many seconds of a file that is still written can be played by now."""
    said = site.host(REC).run("ffprobe -v error -show_entries format=duration -of csv=p=0 %s", path).stdout
    return float(said) if re.fullmatch(r"[0-9.]+\s*", said) else 0.0


def colours(site, path: str) -> list[tuple[int, int, int]]:
    """The colour of the middle of the picture, second by second."""
    raw = subprocess.run(site.ssh(REC, "ffmpeg", "-v", "error", "-i", path, "-vf", "fps=1,crop=iw/4:ih/4,scale=1:1:flags=area", "-f", "rawvideo",
                                  "-pix_fmt", "rgb24", "-"), capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    return [tuple(raw[i:i + 3]) for i in range(0, len(raw), 3)]


def loudness(site, path: str) -> float:
    """The loudest moment, in dB below full scale; -91 is silence."""
    said = site.host(REC).run("ffmpeg -nostdin -i %s -vn -af volumedetect -f null -", path).stderr
    return float(re.search(r"max_volume: (-?[\d.]+) dB", said).group(1))


def settings(site, **changed) -> None:
    """Changes what the program on the host reads, as a run of the playbook would."""
    script = ("import json,sys; p='/etc/jitsi/jibri/recorder.json'; d=json.load(open(p)); d.update(json.loads(sys.argv[1]));"
              "open(p,'w').write(json.dumps(d, indent=4, sort_keys=True)+'\\n')")
    site.host(REC).check_output("python3 -c %s %s", script, json.dumps(changed))


@contextlib.contextmanager
def by_hand(site):
    """What becomes of recordings happens when a test says so, and not when the host's timer does."""
    host = site.host(REC)
    host.check_output("systemctl stop jibri-finish.timer jibri-finish.service")
    try:
        yield
    finally:
        host.run("systemctl start jibri-finish.timer")


def settled(site, *folders: str) -> None:
    """As if some time had passed in which nobody went on with recordings."""
    for folder in folders:
        site.host(REC).check_output(f"touch -c -d '-5 minutes' {folder}/* {folder}/.pending {folder}")


def finish(site) -> bool:
    """As the host's timer does each minute: whether all of it went well."""
    return site.host(REC).run("systemctl start jibri-finish").rc == 0


@pytest.fixture
def kept(site):
    """The settings as they were, whatever a test does, which looks after recordings by hand."""
    before = site.host(REC).file("/etc/jitsi/jibri/recorder.json").content_string
    with by_hand(site):
        yield
        subprocess.run(site.ssh(REC, "tee", "/etc/jitsi/jibri/recorder.json"), input=before.encode(), stdout=subprocess.DEVNULL, check=True)
        site.host(REC).run("systemctl start jibri-keeper")
        idle(site, 90)


def made(site, name: str) -> str:
    """A folder with a recording of the encoder alone, up to jibri's last call."""
    folder = f"{RECORDINGS}/{name}"
    ffmpeg = f"ffmpeg -v error -f lavfi -i testsrc=s=640x360:r=10 -f lavfi -i sine -t 10 -c:v libx264 -c:a aac {folder}/{name}_today.mp4"
    site.host(REC).check_output(f"rm -rf {folder}; install -d -o jibri -g jibri {folder} && runuser -u jibri -- {ffmpeg} </dev/null && "
                                f"runuser -u jibri -- /usr/local/lib/campus.jitsi/recorder-done {folder}")
    return folder


@pytest.mark.parametrize(("unit", "most"), [("jibri@1", 6.0), ("jibri-xorg@1", 4.0), ("jibri-pulse@1", 4.0), ("jibri-finish", 4.0), ("jibri-keeper", 4.0)])
def test_the_exposure_of_a_recorder(site, unit, most):
    """As test_sandbox.py has it for the other roles; the browser's own sandbox needs more."""
    shown = site.host(REC).check_output("systemd-analyze security --no-pager %s | tail -1", f"{unit}.service")
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", shown).group(1)) <= most, shown


def test_two_meetings_at_a_time_are_recorded_by_two_recorders_of_one_host(site, call, people, kept):
    """And moved, for which no recorder waits."""
    host = site.host(REC)
    host.check_output("rm -rf /srv/moved")
    settings(site, finalize="move", move_to="/srv/moved")
    idle(site)
    stamp = str(int(time.time()))
    rooms = {"Ada": "red-" + stamp, "Blas": "blue-" + stamp}
    browsers = {name: people(name, room) for name, room in rooms.items()}
    for browser in browsers.values():
        record(browser)
    for browser in browsers.values():
        running(browser)
    started = time.monotonic()
    shown = site.playbook("campus.jitsi.check")
    assert shown.code == 0, shown.output[-3000:]
    assert re.search(r"recorders +ok .* rec: recorder 1 busy, recorder 2 busy, 0 of 2 free\n", shown.output), shown.output[-3000:]
    time.sleep(max(0.0, started + 15 - time.monotonic()))
    for browser in browsers.values():
        stop(browser)
    lasted = time.monotonic() - started
    idle(site)
    folders = [str(pathlib.PurePosixPath(recording_of(site, room)).parent) for room in rooms.values()]
    assert all(host.file(f"{folder}/.pending").exists for folder in folders)
    # Another recorder could still go on with them; and then nothing is there to move them to: nothing is lost, and it waits.
    assert finish(site) and all(host.file(folder).exists for folder in folders)
    settled(site, *folders)
    assert not finish(site) and all(host.file(folder).exists for folder in folders)
    host.check_output("install -d -o jibri /srv/moved")
    assert finish(site)
    assert not any(host.file(folder).exists for folder in folders)
    for name, room in rooms.items():
        file = recording_of(site, room, "/srv/moved")
        found = probe(site, file)
        assert lasted - 3 < found["seconds"] < lasted + 12, (found["seconds"], lasted)
        assert (found["video"]["codec_name"], found["audio"]["codec_name"]) == ("h264", "aac")
        assert (found["video"]["width"], found["video"]["height"]) == (640, 360)
        seen = colours(site, file)
        own = [colour for colour in seen if call.near(colour, call.COLOURS[name])]
        others = [colour for colour in seen for other in rooms if other != name and call.near(colour, call.COLOURS[other])]
        assert len(own) > len(seen) / 2, seen
        assert not others, seen
        assert loudness(site, file) > -40
        folder = str(pathlib.PurePosixPath(file).parent)
        people_told = json.loads(host.file(f"{folder}/metadata.json").content_string)
        assert people_told["meeting_url"] == f"https://{site.domain}/{room}"
        note = json.loads(host.file(f"{folder}/recording.json").content_string)
        assert {one["name"]: one["sha256"] for one in note["files"]} == {
            path.rpartition("/")[2]: host.file(path).sha256sum for path in (file, f"{folder}/metadata.json")}


def meeting(people, prefix: str):
    """A recorded meeting of one, in a room of that name."""
    room = f"{prefix}-{int(time.time())}"
    browser = people("Carmen", room)
    record(browser)
    running(browser)
    return browser, room


def busy(site) -> int:
    return next(number for number, state in states(site).items() if state == "BUSY")


def kill(site, number: int, pattern: str) -> None:
    """Kill processes of one recorder, and of no other."""
    site.host(REC).check_output(
        f"g=$(systemctl show -p ControlGroup --value jibri@{number}); f=$(ls -d /sys/fs/cgroup$g /sys/fs/cgroup/systemd$g /sys/fs/cgroup/unified$g"
        f" 2>/dev/null | head -1); for p in $(cat $f/cgroup.procs); do grep -qa {pattern} /proc/$p/cmdline && kill -9 $p; done; true")


def recorded_for(site, room: str, least: float) -> None:
    """What is left of a recording can be played: all of its time, with sound."""
    found = probe(site, recording_of(site, room))
    assert found["seconds"] >= least, found
    assert (found["video"]["codec_name"], found["audio"]["codec_name"]) == ("h264", "aac")


def recorded_by_now(site, room: str, seconds: float) -> None:
    """Wait until so much can be played of a recording that goes on: an encoder without a processor to itself is late."""
    wait_for(lambda: playable(site, recording_of(site, room)) >= seconds, 3 * seconds, "a piece of the recording", through=(AssertionError,))


def test_what_is_recorded_by_then_is_kept_when_a_program_dies(site, people):
    """First the encoder. jicofo asks the other recorder then, which goes on in a file of its own, and loses its browser."""
    idle(site)
    # Meanwhile the host's timer comes to what waits.
    timed = made(site, "timed")
    site.host(REC).check_output(f"touch {timed}/.pending")
    settled(site, timed)
    browser, room = meeting(people, "dies")
    first = busy(site)
    recorded_by_now(site, room, 10)

    def files():
        return sorted(site.host(REC).check_output(f"find {RECORDINGS} -name '{room}_*.mp4' -size +20k").split(), key=lambda path: path.rpartition("_")[2])
    kill(site, first, "^ffmpeg")
    wait_for(lambda: len(files()) == 2, 75, "a second file")
    second = busy(site)
    assert second != first
    wait_for(lambda: playable(site, files()[1]) >= 10, 30, "a piece of the second file")
    kill(site, second, "chromium/chromium")
    # jibri looks at its browser each 15 seconds.
    wait_for(lambda: states(site)[second] == "IDLE", 60, "the end of the second recording")
    stop(browser)
    idle(site)
    for path in files()[:2]:
        found = probe(site, path)
        assert found["seconds"] >= 8, found
        assert (found["video"]["codec_name"], found["audio"]["codec_name"]) == ("h264", "aac")
    wait_for(lambda: not site.host(REC).file(f"{timed}/.pending").exists, 75, "the timer")


def test_an_upgrade_and_the_end_of_a_recorder_wait_for_recordings(site, people, tmp_path):
    """Both recorders record while the package is upgraded and the site gets one recorder instead of two, whose recordings go to a script."""
    host, prosody = site.host(REC), site.of_one("prosody")
    script = tmp_path / "to-the-archive"
    script.write_text("#!/bin/sh\nset -e\ncd $1\nsha256sum *.mp4 >>/srv/archive/sums\n", encoding="utf-8")
    wish = {"jibri_instances": 1, "jibri_finalize": "script", "jibri_finalize_script": str(script),
            "jibri_finish_sandbox": {"ReadWritePaths+": ["/srv/archive"]}}
    mirror, version = pathlib.Path(os.environ["CAMPUS_MIRROR"]), "dpkg-query --show --showformat='${Version}' jibri"
    pid, state = "systemctl show -p MainPID --value jibri@1", "systemctl is-active jibri@%s"
    account = f"test -e /var/lib/prosody/auth%2emeet%2elab%2etest/accounts/jibri%2d{REC}%2d2.dat"

    def served(release: str) -> None:
        mirror.unlink()
        mirror.symlink_to(release)

    def stop_all() -> None:
        for browser, _room in meetings.values():
            with contextlib.suppress(Exception):
                stop(browser)
    host.check_output("install -d -o jibri /srv/archive")
    idle(site)
    meetings = {}
    for prefix in ("here", "there"):
        taken = {number for number, said in states(site).items() if said == "BUSY"}
        browser, room = meeting(people, prefix)
        (number,) = {number for number, said in states(site).items() if said == "BUSY"} - taken
        meetings[number] = (browser, room)

    def back() -> None:
        done = site.playbook("campus.jitsi.site", "--tags", "jibri", "--limit", REC, timeout=600)
        assert done.code == 0, done.output[-3000:]
        idle(site)
    with contextlib.ExitStack() as ends:
        ends.callback(back)
        ends.callback(stop_all)
        old, first = host.check_output(version), host.check_output(pid)
        ends.callback(served, mirror.resolve())
        served(os.environ["CAMPUS_RELEASE2"])
        host.check_output("apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --only-upgrade jibri >/dev/null")
        assert host.check_output(version) != old and prosody.run(account).rc == 0
        run = ends.enter_context(concurrent.futures.ThreadPoolExecutor()).submit(
            site.playbook, "campus.jitsi.site", "--tags", "prosody,jibri", variables=wish, timeout=600)
        # The pool waits for the run, so recordings end before, whatever happens.
        ends.callback(stop_all)
        wait_for(lambda: run.done() or host.run(state, "2").stdout.strip() == "deactivating", 300, "the end of the second recorder")
        time.sleep(5)
        assert states(site) == {1: "BUSY", 2: "BUSY"} and not run.done()
        stop(meetings[2][0])
        wait_for(lambda: run.done() or host.run(state, "1").stdout.strip() == "deactivating", 300, "the restart of the first one")
        time.sleep(5)
        assert states(site) == {1: "BUSY", 2: "GONE"} and not run.done()
        assert host.check_output(pid) == first
        stop(meetings[1][0])
        done = run.result()
        assert done.code == 0, done.output[-3000:]
        assert states(site) == {1: "IDLE", 2: "GONE"}
        assert host.check_output(pid) not in ("0", first)
        left = host.check_output("systemctl list-units --plain --no-legend 'jibri*@2.service'; find /etc/systemd/system/*.wants -name 'jibri@2*'")
        assert not left and not host.file("/etc/jitsi/jibri/2").exists, left
        assert prosody.run(account).rc != 0
        for _browser, room in meetings.values():
            recorded_for(site, room, 10)
        # The one that ended when the script was there already.
        path = recording_of(site, meetings[1][1])
        settled(site, path.rpartition("/")[0])
        assert finish(site), host.check_output("journalctl --unit jibri-finish --lines 5 --output cat")
        assert host.file(path).sha256sum in host.file("/srv/archive/sums").content_string


def test_what_is_recorded_before_the_disk_is_full_is_kept_and_recorders_go_until_there_is_room(site, people, kept):
    """A small file system where recordings go: first it is not mounted, then it is full."""
    host = site.host(REC)
    keeper = "systemctl start jibri-keeper"
    idle(site)
    settings(site, recordings_mounted=True, min_free=1)
    host.check_output(keeper)
    wait_for(lambda: set(states(site).values()) == {"GONE"}, 60, "the end of the recorders")
    shown = site.playbook("campus.jitsi.check", environment=JSON)
    assert shown.code != 0
    assert re.search(r"A conference on \S+ works: .* But on rec: .*Recorder 2 pauses for want of room for recordings: look at ", shown.failures[0])
    host.check_output(f"mount -t tmpfs -o size=64m,mode=0750,uid=jibri,gid=jibri tmpfs {RECORDINGS}")
    try:
        host.check_output(keeper)
        idle(site, 90)
        browser, room = meeting(people, "full")
        assert busy(site)
        recorded_by_now(site, room, 10)
        host.run(f"dd if=/dev/zero of={RECORDINGS}/filler bs=64k")
        # jicofo asks the other one, which cannot record either.
        # And perhaps the host's timer comes before us.
        wait_for(lambda: set(states(site).values()) <= {"IDLE", "GONE"}, 90, "the end of the recording")
        first = host.check_output(f"find {RECORDINGS} -name '{room}_*.mp4' -size +20k")
        found = probe(site, first)
        assert found["seconds"] >= 8, found
        host.check_output(keeper)
        wait_for(lambda: set(states(site).values()) == {"GONE"}, 60, "the end of the recorders")
        browser.page.evaluate("__meeting.events.length = 0")
        record(browser)
        wait_for(lambda: browser.page.evaluate("__meeting.events.filter(e => e.name === 'recordingRefused')"), 30, "a refusal")
        # With room again it gets its description, when nobody can be at it any more, and the recorders come back.
        host.check_output(f"rm {RECORDINGS}/filler; touch -d '-11 minutes' {first} $(dirname {first})/* $(dirname {first})")
        assert finish(site)
        note = json.loads(host.file(f"{first.rpartition('/')[0]}/recording.json").content_string)
        assert first.rpartition("/")[2] in [one["name"] for one in note["files"]]
    finally:
        host.run(f"umount --lazy {RECORDINGS}")
        settings(site, recordings_mounted=False)
        host.check_output(keeper)
    idle(site, 90)


def test_no_room_for_a_second_copy_costs_no_recording(site, kept):
    """ffmpeg does not say each time that it could not write the end of a file, by which alone the rest can be read."""
    host, folder = site.host(REC), f"{RECORDINGS}/copied"
    host.check_output(f"mount -t tmpfs -o size=8m,mode=0750,uid=jibri,gid=jibri tmpfs {RECORDINGS}")
    try:
        encode = "ffmpeg -v error -f lavfi -i testsrc=s=640x360:r=10 -f lavfi -i sine -t 12 -c:v libx264 -preset ultrafast -g 20 -c:a aac"
        host.check_output(f"install -d -o jibri -g jibri {folder}; runuser -u jibri -- {encode} -movflags +frag_keyframe+empty_moov+default_base_moof "
                          f"{folder}/lecture.mp4 < /dev/null")
        done = f"runuser -u jibri -- /usr/local/lib/campus.jitsi/recorder-done {folder} < /dev/null"
        size, before = host.file(f"{folder}/lecture.mp4").size, host.file(f"{folder}/lecture.mp4").sha256sum
        for share in (0.5, 0.8, 0.9, 0.95):
            host.check_output(f"rm -f {RECORDINGS}/filler {folder}/recording.json; left=$(df --output=avail --block-size=1 {RECORDINGS} | tail -1); "
                              f"head -c $((left - {int(size * share)} / 4096 * 4096)) /dev/zero > {RECORDINGS}/filler")
            host.run(done)
            assert probe(site, f"{folder}/lecture.mp4")["seconds"] > 11.5, share
            assert host.file(f"{folder}/lecture.mp4").sha256sum == before, share
            assert sorted(host.file(folder).listdir()) in (["lecture.mp4"], ["lecture.mp4", "recording.json"]), share
        host.check_output(f"rm {RECORDINGS}/filler; rm -f {folder}/recording.json; {done}")
        assert probe(site, f"{folder}/lecture.mp4")["seconds"] > 11.5 and host.file(f"{folder}/lecture.mp4").sha256sum != before
    finally:
        host.run(f"umount --lazy {RECORDINGS}")


def test_old_recordings_go_and_younger_ones_and_those_not_yet_moved_stay(site, kept):
    host = site.host(REC)
    settings(site, retention_days=7, finalize="move", move_to="/nowhere")
    folders = {name: made(site, name) for name in ("old", "young", "waiting")}
    host.check_output(f"rm {folders['old']}/.pending {folders['young']}/.pending")
    host.check_output(f"touch -d '-8 days' {folders['old']}/* {folders['old']} {folders['waiting']}/* {folders['waiting']}/.pending {folders['waiting']}")
    host.check_output("systemctl start jibri-keeper")
    assert {name: host.file(folder).exists for name, folder in folders.items()} == {"old": False, "young": True, "waiting": True}
    host.check_output(f"rm -r {folders['young']} {folders['waiting']}")


def test_a_recording_that_cannot_be_moved_is_in_the_way_of_no_other(site, kept):
    """It stays, and the host says so. One that a recorder left when it died is moved, too, once nobody can be at it any more."""
    host = site.host(REC)
    host.check_output("rm -rf /srv/moved; install -d -o jibri /srv/moved /srv/moved/a-first")
    settings(site, finalize="move", move_to="/srv/moved")
    first, second, died = (made(site, name) for name in ("a-first", "b-second", "c-died"))
    settled(site, first, second, died)
    host.check_output(f"rm {died}/recording.json {died}/.pending; touch {died}/*")
    assert not finish(site)
    assert host.file(first).exists and not host.file(second).exists and host.file(died).exists
    assert "jibri-finish.service" in host.check_output("systemctl --failed --plain --no-legend")
    assert "is not the same in /srv/moved" in host.check_output("journalctl --unit jibri-finish --lines 5 --output cat")
    host.check_output(f"rmdir /srv/moved/a-first; touch -d '-11 minutes' {died} {died}/*")
    # It is the user jibri, and may write where recordings are and go.
    assert finish(site)
    for folder in (first, second, died):
        assert not host.file(folder).exists
        name = folder.rpartition("/")[2]
        assert sorted(host.file(f"/srv/moved/{name}").listdir()) == [f"{name}_today.mp4", "recording.json"]


DAV = "/srv/verify-dav"


@contextlib.contextmanager
def server(host, unit: str, command: str):
    """A service of the host for as long as a test wants it."""
    host.check_output(f"systemd-run --quiet --collect --unit={unit} {command}")
    try:
        yield
    finally:
        host.run("systemctl stop %s", unit)


def install(host, *names: str) -> None:
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends %s >/dev/null" % " ".join(names))


def test_an_upload_that_is_cut_off_is_taken_up_again(site):
    """To a real WebDAV server, which says nothing of what is in a file: it is read back before the recording is deleted here."""
    host = site.host(REC)
    install(host, "rclone")
    word = host.check_output("rclone obscure 'a word for the archive'")
    dav = f"rclone serve webdav {DAV} --addr 127.0.0.1:8090 --user campus --pass 'a word for the archive'"
    wish = {"jibri_finalize": "rclone", "jibri_rclone_remote": "campus:lectures",
            "jibri_rclone_config": f"[campus]\ntype = webdav\nurl = http://127.0.0.1:8090\nvendor = other\nuser = campus\npass = {word}"}
    try:
        done = site.playbook("campus.jitsi.site", "--tags", "jibri", "--limit", REC, "--diff", variables=wish)
        assert done.code == 0 and word not in done.output, done.output[-3000:]
        file = host.file("/etc/jitsi/jibri/rclone.conf")
        assert word in file.content_string and (file.user, file.mode) == ("jibri", 0o600)
        host.check_output("mkdir -p %s", DAV)
        with by_hand(site):
            folder = made(site, "upload")
            whole = host.file(f"{folder}/upload_today.mp4").sha256sum
            settled(site, folder)
            with server(host, "verify-dav", dav + " --bwlimit 8k"):
                wait_for(lambda: host.socket("tcp://127.0.0.1:8090").is_listening, 20, "the server")
                host.check_output("systemctl start --no-block jibri-finish")
                wait_for(lambda: host.run(f"find {DAV} -type f -size +0").stdout, 60, "the beginning of the upload")
                host.check_output("systemctl kill --signal=KILL verify-dav")
            wait_for(lambda: host.run("systemctl is-failed jibri-finish").rc == 0, 90, "the end of the upload")
            assert host.file(f"{folder}/.pending").exists and host.file(f"{folder}/upload_today.mp4").sha256sum == whole
            with server(host, "verify-dav", dav):
                wait_for(lambda: host.socket("tcp://127.0.0.1:8090").is_listening, 20, "the server")
                assert finish(site)
        assert host.file(recording_of(site, "upload", DAV)).sha256sum == whole
        assert not host.file(folder).exists
    finally:
        back = site.playbook("campus.jitsi.site", "--tags", "jibri", "--limit", REC)
    assert back.code == 0, back.output[-3000:]
    assert not host.file("/etc/jitsi/jibri/rclone.conf").exists


RTMP = "/run/verify-rtmp"
RTMP_SERVER = f"""
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
user www-data;
daemon off;
pid {RTMP}.pid;
error_log stderr;
events {{}}
rtmp {{
    server {{
        listen 127.0.0.1:1935;
        application live {{ live on; record all; record_path {RTMP}; }}
        application elsewhere {{ live on; record all; record_path {RTMP}; }}
    }}
}}
"""


def test_a_meeting_is_streamed_to_where_it_may_be_and_nowhere_else(site, call, people):
    host = site.host(REC)
    install(host, "nginx", "libnginx-mod-rtmp")
    host.check_output("systemctl stop nginx; install -d -o www-data %s; printf %%s %s > %s.conf", RTMP, RTMP_SERVER, RTMP)
    idle(site)
    with server(host, "verify-rtmp", f"/usr/sbin/nginx -c {RTMP}.conf"):
        wait_for(lambda: host.socket("tcp://127.0.0.1:1935").is_listening, 20, "the server")
        browser = people("Ada", f"stream-{int(time.time())}")
        record(browser, mode="stream", streamId="rtmp://127.0.0.1/live/lecture")
        running(browser)
        time.sleep(12)
        stop(browser)
        idle(site)
        (path,) = host.check_output(f"find {RTMP} -name '*.flv' -size +0").split()
        found = probe(site, path)
        assert found["seconds"] > 9, found
        assert (found["video"]["codec_name"], found["audio"]["codec_name"]) == ("h264", "aac")
        seen = colours(site, path)
        assert sum(call.near(colour, call.COLOURS["Ada"]) for colour in seen) > len(seen) / 2, seen
        assert loudness(site, path) > -40
        browser.page.evaluate("__meeting.events.length = 0")
        record(browser, mode="stream", streamId="rtmp://127.0.0.1/elsewhere/lecture")
        failed = "__meeting.events.filter(e => e.name === 'recordingRefused' || (/^recor/.test(e.name) && (e.detail || {}).error))"
        # One recorder after the other is asked, each with a browser that it starts.
        wait_for(lambda: browser.page.evaluate(failed), 180, "a refusal")
        idle(site)
        assert host.check_output(f"find {RTMP} -name '*.flv' -size +0").split() == [path]
    assert not host.run(f"find {RECORDINGS} -newer {RTMP}.conf -name '*.mp4'").stdout, "a stream is not recorded"


def test_recorders_with_google_chrome_from_an_archive_of_ones_own(site):
    """What stands in for it is Debian's Chromium under Chrome's names: this is about where it comes from, its policies, and its driver."""
    host, archive = site.host(REC), json.loads(os.environ["CAMPUS_REPOSITORY"])
    if not archive or "google-chrome-stable" not in host.run("apt-cache madison google-chrome-stable").stdout:
        pytest.skip("needs an archive with google-chrome-stable and chromedriver")
    # The test of an upgrade leaves lists of a release that is not served any more, which apt takes for the newer ones.
    host.check_output("rm -f /var/lib/apt/lists/*_stable_*; apt-get -qq update")
    # Under another name: apt takes no archive twice with two keys.
    name = urllib.parse.urlsplit(archive["uri"]).hostname
    archive["uri"] = archive["uri"].replace(name, host.check_output("getent ahostsv4 %s", name).split()[0])
    policies = {name: f"/etc/{name}/policies/managed/campus.jitsi.json" for name in ("opt/chrome", "chromium")}
    sources = "/etc/apt/sources.list.d/"

    def run(**variables) -> None:
        done = site.playbook("campus.jitsi.site", "--tags", "jibri", "--limit", REC, variables=variables)
        assert done.code == 0, done.output[-3000:]
        idle(site)
    idle(site)
    before = host.file(policies["chromium"]).content_string
    try:
        run(jibri_browser="chrome", jibri_chrome_repository={**archive, "suite": "stable/"})
        assert host.package("google-chrome-stable").is_installed and host.package("chromedriver").is_installed
        assert host.file(policies["opt/chrome"]).content_string == before and not host.file(policies["chromium"]).exists
        assert host.file(f"{sources}campus-chrome.sources").exists and not host.file(f"{sources}google-chrome.list").exists
        own = "/usr/local/lib/campus.jitsi/recorder browser"
        host.check_output("printf '#!/bin/sh\\necho Google Chrome 1.2.3.4\\n' > /opt/google/chrome/chrome")
        said = host.run(own)
        assert said.rc != 0 and "browser and driver are of two versions" in said.stdout + said.stderr, said
    finally:
        host.run("apt-get -qq purge google-chrome-stable chromedriver > /dev/null")
        run()
    assert host.file(policies["chromium"]).content_string == before and not host.file(policies["opt/chrome"]).exists
    assert not host.file(f"{sources}campus-chrome.sources").exists


def test_who_does_not_moderate_cannot_record(site, people):
    idle(site)
    room = f"guest-{int(time.time())}"
    people("Ada", room)
    guest = people("Blas", room, "none")
    record(guest)
    refused = wait_for(lambda: guest.page.evaluate("__meeting.events.filter(e => e.name === 'recordingRefused')"), 20, "a refusal")
    assert refused
    assert set(states(site).values()) == {"IDLE"}


def test_sound_through_alsa_is_refused_on_a_kernel_without_loopbacks(site):
    if site.host(REC).file("/proc/asound/Loopback").exists:
        pytest.skip("this kernel has them")
    done = site.playbook("campus.jitsi.site", "--tags", "jibri", "--limit", REC, variables={"jibri_sound": "alsa"}, environment=JSON)
    assert done.code != 0 and done.changed == 0, done.output[-3000:]
    assert any("has no module snd-aloop: install one that has it" in failure for failure in done.failures), done.failures


def test_a_host_that_goes_down_ends_its_recordings_properly(site, people):
    """It does not wait for the end of the meeting. The last test: afterwards the host has just started."""
    idle(site)
    browser, room = meeting(people, "down")
    recorded_by_now(site, room, 10)
    machines = lab.Lab(lab.lab_id(os.environ["CAMPUS_LAB"]))
    machines.stop(REC)
    machines.begin(REC)
    recorded_for(site, room, 8)
    folder = recording_of(site, room).rpartition("/")[0]
    for name in ("metadata.json", "recording.json"):
        assert site.host(REC).file(f"{folder}/{name}").exists
    idle(site, 120)
