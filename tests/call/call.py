#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two headless Chromium hold a call, and each must see the other's colour.

    call.py https://meet.example.edu --ca ca.crt --address 10.0.0.1 --out DIR

Every browser is a process and profile of its own, with a camera that shows one colour. A browser has seen the call when a
video that is not its own camera's plays, counts frames, and its middle has the other's colour. It works with Jitsi's own
web client as with the stand-in's page, because it looks at nothing but `<video>` elements. The certificate is verified:
the authority is put into the profile's own trust store, and nothing is told to ignore errors.

Prints one JSON object: per browser the seconds until it saw the other, frames, colour, and the path of a screenshot; with
--stay also the frames second by second.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.parse
import uuid

from playwright.sync_api import Error, Frame, Page, Playwright, sync_playwright

#: Flags that make headless Chromium quiet and give it a camera; see the notes of the project's lab.
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
)
#: Names and colours of the participants: (red, green, blue).
COLOURS = {"Ada": (200, 30, 40), "Blas": (30, 60, 210), "Carmen": (30, 170, 60)}
WIDTH, HEIGHT = 320, 240

#: All videos of the page: whether it plays, its frames, and the colour of its middle.
LOOK = """() => [...document.querySelectorAll('video')].map(video => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 8;
    const pen = canvas.getContext('2d');
    let colour = null;
    if (video.videoWidth > 0) {
        pen.drawImage(video, video.videoWidth / 4, video.videoHeight / 4, video.videoWidth / 2, video.videoHeight / 2, 0, 0, 8, 8);
        const data = pen.getImageData(0, 0, 8, 8).data;
        colour = [0, 1, 2].map(part => Math.round([...data].filter((_, i) => i % 4 === part).reduce((a, b) => a + b) / 64));
    }
    const quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : {};
    return {frames: quality.totalVideoFrames || 0, time: video.currentTime, paused: video.paused, colour};
})"""


#: The page of an LMS that has the meeting in a frame, and hands on what a meeting needs, as Jitsi's IFrame API does.
FRAME = """<!DOCTYPE html><title>Course</title><style>iframe {{ width: 900px; height: 500px }}</style>
<iframe name="meeting" src="{url}" allow="camera; microphone; display-capture; autoplay; fullscreen"></iframe>"""
#: What the stand-in's page says of itself; null on Jitsi's own.
MEETING = """() => window.__meeting ? JSON.parse(JSON.stringify({
    state: __meeting.state, layer: __meeting.layer, error: __meeting.error, p2p: __meeting.p2p, stats: __meeting.stats, role: __meeting.role,
    myId: __meeting.myId, participants: __meeting.participants,
})) : null"""


def camera(path: pathlib.Path, colour: tuple[int, int, int]) -> None:
    """A YUV4MPEG2 film of ten frames of one colour, which Chromium plays over and over (ITU-R BT.601, limited range)."""
    red, green, blue = colour
    luma = round(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255)
    cb = round(128 + (-37.797 * red - 74.203 * green + 112 * blue) / 255)
    cr = round(128 + (112 * red - 93.786 * green - 18.214 * blue) / 255)
    frame = b"FRAME\n" + bytes([luma]) * (WIDTH * HEIGHT) + bytes([cb]) * (WIDTH * HEIGHT // 4) + bytes([cr]) * (WIDTH * HEIGHT // 4)
    path.write_bytes(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F15:1 Ip A1:1 C420jpeg\n".encode() + frame * 10)


def near(one, other) -> bool:
    """Whether two colours are the same to somebody who looks; codecs move them a little."""
    return one is not None and all(abs(a - b) < 60 for a, b in zip(one, other))


#: Notes the servers that a page gives to its peer connections, which it may or may not ask.
SERVERS = """(() => {
    const Real = window.RTCPeerConnection;
    window.__iceServers = [];
    const note = options => ((options || {}).iceServers || []).forEach(server => window.__iceServers.push(...[].concat(server.urls || server.url || [])));
    window.RTCPeerConnection = class extends Real {
        constructor(options, ...more) { super(options, ...more); note(options); }
        setConfiguration(options) { note(options); super.setConfiguration(options); }
    };
})();"""


def reached(path: pathlib.Path) -> list[str]:
    """The hosts in a browser's own log of its network (NetLog): of every request and WebSocket, and every name that was looked up.

    The browser is closed by then, or the log has no end.
    """
    log = json.loads(path.read_text(encoding="utf-8"))
    kinds = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    found = set()
    for event in log["events"]:
        about = event.get("params") or {}
        if isinstance(about.get("url"), str) and about["url"].startswith(("http", "ws")):
            found.add(urllib.parse.urlsplit(about["url"]).hostname or "")
        elif kinds[event["type"]].startswith("HOST_RESOLVER_MANAGER") and isinstance(about.get("host"), str):
            found.add(urllib.parse.urlsplit(about["host"] if "//" in about["host"] else "//" + about["host"]).hostname or "")
    return sorted(found - {""})


class Browser:
    """One participant."""

    def __init__(self, playwright: Playwright, name: str, home: pathlib.Path, options: argparse.Namespace):
        self.name, self.home, self.inside = name, home / name, options.inside
        self.home.mkdir()
        camera(self.home / "camera.y4m", COLOURS[name])
        self._trust(options.ca)
        host = urllib.parse.urlsplit(options.url).hostname or ""
        places = ([(host, options.address)] if options.address else []) + [tuple(pair.split("=", 1)) for pair in options.map]
        # Chromium asks for a TURN server's name with a dot at its end.
        rules = [f"MAP {name}{dot} {where}" for name, where in places for dot in ("", ".")]
        self.log: list[str] = []
        #: What the browser did not do because the site forbids it, and headers of the site that it does not understand.
        self.forbidden: list[str] = []
        self.context = playwright.chromium.launch_persistent_context(
            str(self.home / "profile"),
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            headless=True,
            args=[
                *FLAGS, f"--use-file-for-fake-video-capture={self.home}/camera.y4m",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                *([f"--log-net-log={self.home}/net.json", "--net-log-capture-mode=Default"] if options.network else []),
                *([f"--host-resolver-rules={','.join(rules)}"] if rules else []),
            ],
            env={**os.environ, "HOME": str(self.home)},
            locale=options.locale,
            viewport={"width": 960, "height": 540},
        )
        self.context.add_init_script(SERVERS)
        #: Whom the pages asked, for anything.
        self.asked: set[str] = set()
        self.context.on("request", lambda request: self._ask(request.url))
        self.page: Page = self.context.pages[0] if self.context.pages else self.context.new_page()
        self.page.on("websocket", lambda socket: self._ask(socket.url))
        self.page.on("console", lambda message: self._say(f"{message.type}: {message.text}"))
        self.page.on("requestfailed", lambda request: self.log.append(f"failed: {request.url} {request.failure}"))
        self.page.on("pageerror", lambda error: self.log.append(f"error: {error}"))

    def _ask(self, url: str) -> None:
        if url.startswith(("http", "ws")):
            self.asked.add("{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url)))

    def _say(self, line: str) -> None:
        self.log.append(line)
        if re.search(r"content security policy|permissions[ -]policy", line, re.IGNORECASE):
            self.forbidden.append(line)

    def _trust(self, ca: str) -> None:
        """Chromium on Linux reads its user's trust from an NSS database in the home folder."""
        store = self.home / ".pki" / "nssdb"
        store.mkdir(parents=True)
        base = ["certutil", "-d", f"sql:{store}"]
        subprocess.run([*base, "-N", "--empty-password"], check=True)
        if ca:
            subprocess.run([*base, "-A", "-n", "campus", "-t", "C,,", "-i", ca], check=True)

    def join(self, url: str, room: str, relay: bool, token: str = "") -> None:
        only_relay = ['config.p2p.iceTransportPolicy="relay"', "config.forceTurnRelay=true"] if relay else []
        fragment = "&".join([
            *only_relay,
            "config.prejoinConfig.enabled=false", "config.prejoinPageEnabled=false", "config.startWithAudioMuted=true",
            f"userInfo.displayName={urllib.parse.quote(json.dumps(self.name))}",
        ])
        room += f"?jwt={token}" if token else ""
        if not self.inside:
            self.page.goto(f"{url}/{room}#{fragment}", wait_until="domcontentloaded", timeout=30000)
            return
        # Nobody serves that page: the browser gets it from here, with its address.
        page = FRAME.format(url=f"{url}/{room}#{fragment}")
        self.page.route(f"{self.inside}/**", lambda route: route.fulfill(body=page, content_type="text/html"))
        self.page.goto(f"{self.inside}/course", wait_until="domcontentloaded", timeout=30000)

    @property
    def meeting(self) -> Page | Frame:
        """Where the meeting is: the page, or the frame in it."""
        return (self.inside and self.page.frame(name="meeting")) or self.page

    def pair(self) -> dict | None:
        """The candidate pair of the direct connection, as the stand-in's page tells."""
        meeting = self.page.evaluate(MEETING) or {}
        return (meeting.get("stats") or {}).get("p2p")

    def look(self) -> list[dict]:
        try:
            return self.meeting.evaluate(LOOK)
        except Error:
            return []  # the page is just being loaded

    def sees(self, other: str) -> dict | None:
        """The playing video in the other's colour, when there is one with enough frames."""
        for video in self.look():
            if near(video["colour"], COLOURS[other]) and video["frames"] >= 10 and not video["paused"]:
                return video
        return None


#: Start a recording as the button does; what becomes of it is noted. Jitsi's own web client and the stand-in's page have these names alike.
RECORD = """async () => {
    const room = APP.conference._room;
    window.__recording = {status: 'asked'};
    room.on(JitsiMeetJS.events.conference.RECORDER_STATE_CHANGED, session => {
        window.__recording = {status: session.getStatus() || window.__recording.status, error: session.getError(), id: session.getID()};
    });
    await room.startRecording({mode: 'file'}).catch(error => { window.__recording.error = String(error && error.getError ? error.getError() : error); });
}"""


def recorded(browser: Browser, seconds: float, timeout: float = 90) -> dict:
    """Have the meeting recorded for so many seconds, which are counted from when the page says that it is: how long that took, or the error."""
    def until(status: str) -> str:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            now = browser.meeting.evaluate("window.__recording")
            if now.get("error"):
                return str(now["error"])
            if now["status"] == status:
                return ""
            time.sleep(0.2)
        return f"not {status} in {timeout:.0f} s"

    started = time.monotonic()
    browser.meeting.evaluate(RECORD)
    error = until("on")
    if error:
        return {"error": error}
    after = round(time.monotonic() - started, 1)
    time.sleep(seconds)
    browser.meeting.evaluate("APP.conference._room.stopRecording(window.__recording.id)")
    return {"after": after, "seconds": seconds, "error": until("off")}


def relayed_over(browser: Browser, transport: str, timeout: float = 15) -> bool:
    """Whether a browser's media goes over a TURN server, reached over that transport.

    The page looks once a second, so the first look can be from before the first byte; and the other side's relay has the
    type `prflx` until its candidate has come over XMPP, which is later than its first packet on a busy machine.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        pair = browser.pair() or {}
        if (pair.get("local"), pair.get("remote"), pair.get("protocol")) == ("relay", "relay", transport) and pair["bytesReceived"] > 0:
            return True
        time.sleep(0.1)
    return False


def beside(browsers: t.Sequence[Browser], out: pathlib.Path) -> str:
    """One picture of all pages, side by side; its path."""
    path = out / "call.png"
    page = browsers[0].context.new_page()
    page.set_viewport_size({"width": 970 * len(browsers), "height": 560})
    shown = "".join(f'<img src="data:image/png;base64,{base64.b64encode((out / (one.name + ".png")).read_bytes()).decode()}">' for one in browsers)
    page.set_content(f"<style>body {{ margin: 5px; background: #ccc }} img {{ margin: 5px; width: 955px }}</style><nobr>{shown}</nobr>")
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth)")
    page.screenshot(path=str(path))
    return str(path)


def hold(options: argparse.Namespace) -> dict:
    """The call; raises AssertionError with what each browser saw."""
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    room = options.room or "call-" + uuid.uuid4().hex[:10]
    names = list(COLOURS)[: options.participants]
    home = pathlib.Path(tempfile.mkdtemp(prefix="campus.jitsi-call-"))
    started = time.monotonic()
    browsers: list[Browser] = []
    try:
        with sync_playwright() as playwright:
            for name in names:
                browsers.append(Browser(playwright, name, home, options))
            opened = time.monotonic()
            if options.network:
                browsers[0].page.goto(options.url, wait_until="networkidle", timeout=30000)
            tokens = json.loads(pathlib.Path(options.tokens).read_text(encoding="utf-8")) if options.tokens else {}
            for browser in browsers:
                browser.join(options.url, room, bool(options.relay), tokens.get(browser.name, ""))
            seen: dict[tuple[str, str], dict] = {}
            wanted = [(one.name, other) for one in browsers for other in names if other != one.name]
            if len(names) > 2 and not options.bridge:
                wanted = []
            while len(seen) < len(wanted) and time.monotonic() - opened < options.timeout:
                for browser in browsers:
                    for pair in wanted:
                        if pair[0] == browser.name and pair not in seen:
                            video = browser.sees(pair[1])
                            if video:
                                seen[pair] = {**video, "seconds": round(time.monotonic() - opened, 1)}
                time.sleep(0.1)
            relayed = {browser.name: relayed_over(browser, options.relay) for browser in browsers} if options.relay else {}
            recording = recorded(browsers[0], options.record) if options.record and len(seen) == len(wanted) else {}
            (out / "seen").touch()
            # What happens over time, second by second: the frames of each other's video, and null where it is not seen.
            watched: dict[str, list] = {browser.name: [] for browser in browsers}
            end = time.monotonic() + options.stay
            while time.monotonic() < end and not (out / "enough").exists():
                for browser in browsers:
                    frames = {other: (browser.sees(other) or {}).get("frames") for one, other in wanted if one == browser.name}
                    watched[browser.name].append({"time": time.time(), "frames": frames})
                time.sleep(min(1, max(0, end - time.monotonic())))
            result: dict = {"url": f"{options.url}/{room}", "relayed": relayed, "browsers": {}, "seconds": round(time.monotonic() - started, 1)}
            for browser in browsers:
                picture = out / f"{browser.name}.png"
                browser.page.screenshot(path=str(picture))
                meeting = browser.meeting.evaluate(MEETING)
                result["browsers"][browser.name] = {
                    "colour": list(COLOURS[browser.name]),
                    "screenshot": str(picture),
                    "sees": {pair[1]: video for pair, video in seen.items() if pair[0] == browser.name},
                    "videos": browser.look(),
                    "watched": watched[browser.name],
                    "meeting": meeting,
                    "log": browser.log[-15:],
                    "forbidden": browser.forbidden,
                    "asked": sorted(browser.asked),
                    "ice": sorted(set(browser.meeting.evaluate("window.__iceServers || []"))),
                }
            if options.record:
                result["recording"] = recording
            if options.beside:
                result["picture"] = beside(browsers, out)
            result["ok"] = len(seen) == len(wanted) and all(relayed.values()) and not recording.get("error")
            for browser in browsers:
                browser.context.close()
                if options.network:
                    result["browsers"][browser.name]["reached"] = reached(browser.home / "net.json")
            return result
    finally:
        shutil.rmtree(home, ignore_errors=True)


def arguments() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the site, https://NAME")
    parser.add_argument("--address", default="", help="where NAME is, when DNS does not know it")
    parser.add_argument("--map", action="append", default=[], metavar="NAME=ADDRESS", help="where another name is, such as a TURN server's")
    parser.add_argument("--relay", default="", choices=["", "udp", "tcp", "tls"],
                        help="no way but a TURN server, and it must be reached over this transport")
    parser.add_argument("--ca", default="", help="PEM file of an authority to trust")
    parser.add_argument("--room", default="", help="the room, a random one by default")
    parser.add_argument("--participants", type=int, default=2, choices=[2, 3])
    parser.add_argument("--bridge", action="store_true",
                        help="three must see each other, too, which takes a bridge that forwards media: the stand-in's does not")
    parser.add_argument("--timeout", type=float, default=45, help="seconds until both must have seen each other")
    parser.add_argument("--stay", type=float, default=0,
                        help="seconds to stay in the call after that; the file `seen` in --out says when they begin, a file `enough` ends them")
    parser.add_argument("--record", type=float, default=0, metavar="SECONDS", help="have a recorder record the call for so long, too; the first browser asks")
    parser.add_argument("--beside", action="store_true", help="one picture more, of all pages side by side")
    parser.add_argument("--tokens", default="", metavar="FILE", help="JSON with a token for each browser that has one, by name; read, and not shown")
    parser.add_argument("--inside", default="", metavar="ORIGIN", help="hold it in a frame of a page of ORIGIN, such as an LMS has")
    parser.add_argument("--network", action="store_true",
                        help="look at the welcome page first, and say which hosts each browser's own log of its network has")
    parser.add_argument("--locale", default="en-US")
    parser.add_argument("--out", default=".", help="where the screenshots go")
    return parser


def main() -> int:
    options = arguments().parse_args()
    options.url = options.url.rstrip("/")
    try:
        result = hold(options)
    except (Error, subprocess.CalledProcessError, OSError) as error:
        print(json.dumps({"ok": False, "error": str(error)}))
        return 1
    print(json.dumps(result, indent=1))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
