# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings: real browsers of people in meetings, real recorders, and what is on the files that come out."""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import typing as t

import pytest
from conftest import CHECKOUT

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
def people(site, call):
    """Starts a browser of somebody in a room of his own; all are gone at the end."""
    options = argparse.Namespace(url=f"https://{site.domain}", ca=site.ca_file, address=site.address("meet"), map=[], network=False,
                                 inside="", locale="en-US")
    with tempfile.TemporaryDirectory(prefix="campus.jitsi-recording-") as home, call.sync_playwright() as playwright:
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


def wait_for(look: t.Callable[[], t.Any], seconds: float, what: str) -> t.Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what} did not come in {seconds} s; the last look said {look()!r}")


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
    site.host(REC).check_output(f"install -d -o jibri -g jibri {folder} && runuser -u jibri -- {ffmpeg} </dev/null && "
                                f"runuser -u jibri -- /usr/local/lib/campus.jitsi/recorder-done {folder}")
    return folder


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
    assert states(site) == {1: "BUSY", 2: "BUSY"}
    started = time.monotonic()
    time.sleep(15)
    for browser in browsers.values():
        stop(browser)
    lasted = time.monotonic() - started
    idle(site)
    # Nothing is there to move them to: nothing is lost, and it waits.
    assert not finish(site)
    folders = [str(pathlib.PurePosixPath(recording_of(site, room)).parent) for room in rooms.values()]
    assert all(host.file(f"{folder}/.pending").exists for folder in folders)
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


@pytest.mark.parametrize("victim", ["^ffmpeg", "chromium/chromium"])
def test_what_is_recorded_by_then_is_kept_when_a_program_dies(site, people, victim):
    idle(site)
    browser, room = meeting(people, "dies")
    number = busy(site)
    time.sleep(12)
    kill(site, number, victim)
    # jibri looks at its browser each 15 seconds. jicofo asks another recorder then, which goes on in a file of its own.
    def first_is_done():
        return states(site)[number] == "IDLE" and site.host(REC).run(f"find {RECORDINGS} -name '{room}_*.mp4'").stdout.split()
    files = wait_for(first_is_done, 60, "the end of the first recording")
    stop(browser)
    idle(site)
    first = sorted(files, key=lambda path: site.host(REC).file(path).mtime)[0]
    found = probe(site, first)
    assert found["seconds"] >= 9, found
    assert (found["video"]["codec_name"], found["audio"]["codec_name"]) == ("h264", "aac")


def test_a_restart_waits_for_the_end_of_a_recording(site, people):
    idle(site)
    browser, room = meeting(people, "drain")
    number = busy(site)
    host, pid = site.host(REC), f"systemctl show -p MainPID --value jibri@{number}"
    before = host.check_output(pid)
    host.check_output(f"systemctl restart --no-block jibri@{number}")
    time.sleep(12)
    assert host.check_output(pid) == before
    assert states(site)[number] == "BUSY"
    stop(browser)
    wait_for(lambda: host.check_output(pid) not in ("0", before), 90, "the restart")
    idle(site, 90)
    recorded_for(site, room, 10)


def test_recorders_without_room_are_not_there_and_come_back(site, people, kept):
    idle(site)
    settings(site, min_free=10**9)
    site.host(REC).run("systemctl start jibri-keeper")
    wait_for(lambda: set(states(site).values()) == {"GONE"}, 60, "the end of the recorders")
    browser = people("Carmen", f"noroom-{int(time.time())}")
    record(browser)
    refused = wait_for(lambda: browser.page.evaluate("__meeting.events.filter(e => e.name === 'recordingRefused')"), 30, "a refusal")
    assert refused
    settings(site, min_free=1)
    site.host(REC).run("systemctl start jibri-keeper")
    idle(site, 90)


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
    host.check_output(f"rm {died}/recording.json {died}/.pending")
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
        wait_for(lambda: browser.page.evaluate(failed), 60, "a refusal")
        idle(site)
        assert host.check_output(f"find {RTMP} -name '*.flv' -size +0").split() == [path]
    assert not host.run(f"find {RECORDINGS} -newer {RTMP}.conf -name '*.mp4'").stdout, "a stream is not recorded"


def test_who_does_not_moderate_cannot_record(site, people):
    idle(site)
    room = f"guest-{int(time.time())}"
    people("Ada", room)
    guest = people("Blas", room, "none")
    record(guest)
    refused = wait_for(lambda: guest.page.evaluate("__meeting.events.filter(e => e.name === 'recordingRefused')"), 20, "a refusal")
    assert refused
    assert set(states(site).values()) == {"IDLE"}
