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

        def somebody(name: str, room: str):
            folder = pathlib.Path(home) / room
            folder.mkdir()
            browser = call.Browser(playwright, name, folder, options)
            opened.append(browser)
            # With a microphone that is on: Chromium's own beeps.
            browser.page.goto(f"{options.url}/{room}#userInfo.displayName=%22{name}%22", wait_until="domcontentloaded")
            wait_for(lambda: browser.page.evaluate("window.__meeting && __meeting.state === 'joined' && __meeting.role === 'moderator'"), 40,
                     "a meeting with its moderator")
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


def test_two_meetings_at_a_time_are_recorded_by_two_recorders_of_one_host(site, call, people):
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
    for name, room in rooms.items():
        file = recording_of(site, room)
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
        people_told = json.loads(site.host(REC).file(f"{folder}/metadata.json").content_string)
        assert people_told["meeting_url"] == f"https://{site.domain}/{room}"
        note = json.loads(site.host(REC).file(f"{folder}/recording.json").content_string)
        listed = {one["name"]: one["sha256"] for one in note["files"]}
        assert listed[pathlib.PurePosixPath(file).name] == site.host(REC).file(file).sha256sum
