#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh Debian host becomes a Jitsi Meet, and two browsers hold a call on it.

    tests/demo.py up [--suite bookworm]     (`make demo`) the host stays, to look around
    tests/demo.py up --auth jwt             (`make demo AUTH=jwt`) a teacher and a student, with tokens as a Moodle makes them
    tests/demo.py up --record               (`make demo RECORD=1`) a second host records the call
    tests/demo.py down                      (`make demo-down`) removes it

It does what an administrator would: an inventory of one host and one variable, and one command.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

import tool

DOMAIN = "meet.lab.test"
PLACE = tool.BUILD / "demo"
LAB = [sys.executable, str(tool.CHECKOUT / "tests" / "lab" / "lab.py")]
STEPS = 5


#: What a recorder and two browsers of people can do at a time on a small machine.
RECORDER = {"jibri_resolution": "1280x720", "jibri_framerate": 15}
SECONDS = 15


def inventory(hosts: dict[str, dict[str, str]], key: str, repository: dict[str, str], auth: str = "anonymous") -> str:
    """The inventory, as JSON, which is YAML too."""
    variables = {
        "jitsi_domain": DOMAIN,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": key,
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
    }
    if repository:
        variables["jitsi_apt_repository"] = repository
    if auth != "anonymous":
        variables["jitsi_auth"] = auth
    group: dict = {"hosts": {"meet": {"ansible_host": hosts["meet"]["address"]}}, "vars": variables}
    if "rec" in hosts:
        group["children"] = {"jitsi_jibri": {"hosts": {"rec": {"ansible_host": hosts["rec"]["address"], **RECORDER}}}}
    return json.dumps({"jitsi": group}, indent=1) + "\n"


def table(result: dict) -> list[str]:
    """What the browsers saw, as lines of a table.

    >>> table({"browsers": {"Ada": {"sees": {"Blas": {"seconds": 2.5, "frames": 31, "colour": [29, 60, 211]}}}}})[1]
    'Ada      Blas     after 2.5 s, 31 frames, colour (29, 60, 211)'
    """
    lines = [f"{'browser':<8} {'sees':<8} how"]
    for name, browser in result["browsers"].items():
        for other, video in browser["sees"].items():
            colour = ", ".join(map(str, video["colour"]))
            lines.append(f"{name:<8} {other:<8} after {video['seconds']} s, {video['frames']} frames, colour ({colour})")
    return lines


def on(host: str, *words: str) -> bytes:
    """What a command on a host of the lab says."""
    done = subprocess.run([*LAB, "ssh", "demo", host, shlex.join(words)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise tool.Failure(f"`{' '.join(words)}` failed on {host}; what it said is above.")
    return done.stdout


def about(probed: dict) -> str:
    """What is on a file, from ffprobe, in a few words.

    >>> about({"format": {"duration": "17.26", "size": "1300000"}, "streams": [
    ...     {"codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720}, {"codec_type": "audio", "codec_name": "aac"}]})
    '17.3 s, h264 1280x720, aac, 1.3 MB'
    """
    streams = [f"{one['codec_name']} {one['width']}x{one['height']}" if one["codec_type"] == "video" else one["codec_name"] for one in probed["streams"]]
    return ", ".join([f"{float(probed['format']['duration']):.1f} s", *streams, f"{int(probed['format']['size']) / 1e6:.1f} MB"])


def recording() -> tuple[pathlib.Path, str]:
    """The recording of the call, brought here, and what is on it."""
    end = time.monotonic() + 120
    while not (found := on("rec", "find", "/srv/jitsi/recordings", "-name", "recording.json").split()):
        if time.monotonic() > end:
            raise tool.Failure("the call was recorded, and no recording came of it: `tests/lab/lab.py ssh demo rec journalctl -u jibri@1`.")
        time.sleep(1)
    folder = pathlib.PurePosixPath(found[-1].decode()).parent
    (file,) = on("rec", "find", str(folder), "-name", "*.mp4").decode().split()
    path = PLACE / "call.mp4"
    path.write_bytes(on("rec", "cat", file))
    return path, about(json.loads(on("rec", "ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", file)))


def tokens(collections: pathlib.Path) -> pathlib.Path:
    """A file with a teacher's token for the first browser and a student's for the second, made by the filter campus.jitsi.jwt."""
    path = PLACE / "tokens.json"
    play = [{
        "hosts": "localhost", "gather_facts": False, "connection": "local", "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [{
            "ansible.builtin.copy": {"dest": str(path), "mode": "0600", "content": "{{ {'Ada': teacher, 'Blas': student} | to_json }}"},
            "vars": {
                "secret": "{{ lookup('campus.jitsi.secret', 'jwt', encoding='hex', file='" + str(PLACE / ".jitsi" / "root.key") + "') }}",
                **{who: "{{ '*' | campus.jitsi.jwt(secret=secret, app_id='jitsi', domain='" + DOMAIN + "', user={'moderator': " + says + "}) }}"
                   for who, says in (("teacher", "true"), ("student", "false"))},
            },
        }],
    }]
    (PLACE / "tokens.yml").write_text(json.dumps(play), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "PATH": f"{tool.VENV / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["ansible-playbook", "-i", "localhost,", "tokens.yml"], env=environment, cwd=PLACE, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise tool.Failure(f"the tokens could not be made: {done.stdout[-500:]}")
    return path


def up(suite: str, auth: str, record: bool) -> None:
    started = time.monotonic()

    def step(number: int, text: str) -> None:
        tool.say(f"[{number}/{STEPS}, {time.monotonic() - started:.0f} s] {text}")

    step(1, "Tools, and the collection as an archive")
    tool.bootstrap("demo")
    collections = tool.collection()
    step(2, "Jitsi's packages")
    source = tool.packages(os.environ.get("JITSI_PACKAGES", "auto"))
    tool.say({
        "archive": "from Jitsi's own archive",
        "standins": "Jitsi's archive does not answer from here, or stand-ins were asked for: jicofo, the videobridge, the Prosody "
                    "modules and the page are STAND-INS (tests/standins); Prosody, nginx, TLS, XMPP, the client library and the "
                    "browsers are real",
        "mirror": "from the given folder",
    }[source["mode"]])
    step(3, f"{'Two fresh Debian hosts' if record else 'A fresh Debian host'} ({suite})")
    serve = ["--serve", source["release1"]] if "release1" in source else []
    names = ["meet", *(["rec"] if record else [])]
    machines = [word for name in names for word in ("--host", f"{name}:{suite}")]
    done = subprocess.run([*LAB, "up", "demo", *machines, *serve], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise tool.Failure("the lab could not boot a host; what it said is above.")
    lab = json.loads(done.stdout)
    host = lab["hosts"]["meet"]
    if record:
        # What a campus has in DNS: the browser of a recorder goes to the site like everybody else's.
        on("rec", "sh", "-c", f"echo {host['address']} {DOMAIN} >>/etc/hosts")
    PLACE.mkdir(parents=True, exist_ok=True)
    hosts = PLACE / "inventory.json"
    repository = {"uri": "http://gateway.lab.test:8000", "key": str(pathlib.Path(source["release1"]) / "jitsi-key.gpg.key")} if serve else {}
    hosts.write_text(inventory(lab["hosts"], lab["key"], repository, auth), encoding="utf-8")
    command = ["ansible-playbook", "-i", str(hosts), "campus.jitsi.site"]
    step(4, " ".join(["ansible-playbook", "-i", str(hosts.relative_to(tool.CHECKOUT)), "campus.jitsi.site"]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "PATH": f"{tool.VENV / 'bin'}:{os.environ['PATH']}",
                   "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false", "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    if subprocess.run(command, env=environment, cwd=PLACE, check=False).returncode:
        raise tool.Failure("the site is not complete; what went wrong is above, and the host is left to look at: `tests/lab/lab.py ssh demo meet`.")
    step(5, f"Two browsers hold a call{', and it is recorded' if record else ''}")
    call = [str(tool.VENV / "bin" / "python"), str(tool.CHECKOUT / "tests" / "call" / "call.py"), f"https://{DOMAIN}",
            "--address", host["address"], "--ca", str(PLACE / ".jitsi" / "ca.crt"), "--out", str(PLACE), "--stay", "2", "--beside"]
    if record:
        call += ["--record", str(SECONDS)]
    if auth == "jwt":
        call += ["--tokens", str(tokens(collections))]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    result = json.loads(done.stdout or "{}")
    if not result.get("ok"):
        (PLACE / "call.json").write_text(done.stdout, encoding="utf-8")
        refused = (result.get("recording") or {}).get("error")
        if refused:
            raise tool.Failure(f"the call was not recorded: {refused}; `tests/lab/lab.py ssh demo rec journalctl -u jibri@1` may say why.")
        raise tool.Failure(f"the browsers did not see each other: {result.get('error') or 'see ' + str(PLACE / 'call.json')}")
    roles = {name: (browser.get("meeting") or {}).get("role") for name, browser in result["browsers"].items()}
    if auth == "jwt" and roles["Ada"] == roles["Blas"]:
        raise tool.Failure(f"teacher and student have the same rights: {roles}")
    more = []
    if record:
        path, what = recording()
        more.append(f"recording    {path}  ({what})")
        if source["mode"] == "standins":
            more += ["             It shows what the recorder's browser showed: the stand-in bridge forwards no media, so neither",
                     "             picture nor sound of the two is on it."]
    if auth == "jwt":
        more.append("rights       Ada came with the token of a teacher, Blas with that of a student")
    print(f"""
campus.jitsi: a fresh Debian host became a Jitsi Meet in {time.monotonic() - started:.0f} s, and two browsers held a call on it.

{chr(10).join('  ' + line for line in table(result))}

  site         https://{DOMAIN}  (the step-by-step check of a conference is above)
  screenshot   {result["picture"]}{"".join(f"{chr(10)}  {line}" for line in more)}
  open it      put `{host["address"]} {DOMAIN}` into /etc/hosts and trust {PLACE / ".jitsi" / "ca.crt"}
  look around  tests/lab/lab.py ssh demo meet{chr(10) + "               tests/lab/lab.py ssh demo rec" if record else ""}
  remove it    make demo-down
""")


def down() -> None:
    if subprocess.run([*LAB, "down", "demo"], check=False).returncode:
        raise tool.Failure("not everything of the lab could be removed; what is left is above.")
    shutil.rmtree(PLACE, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    upwards = verbs.add_parser("up")
    upwards.add_argument("--suite", default="trixie", choices=["trixie", "bookworm"])
    upwards.add_argument("--auth", default="anonymous", choices=["anonymous", "jwt"])
    upwards.add_argument("--record", action="store_true")
    verbs.add_parser("down")
    options = parser.parse_args()
    try:
        if options.verb == "up":
            up(options.suite, options.auth, options.record)
        else:
            down()
    except tool.Failure as failure:
        print(f"campus.jitsi: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
