#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh Debian host becomes a Jitsi Meet, and two browsers hold a call on it.

    tests/demo.py up [--suite bookworm]     (`make demo`) the host stays, to look around
    tests/demo.py up --auth jwt             (`make demo AUTH=jwt`) a teacher and a student, with tokens as a Moodle makes them
    tests/demo.py down                      (`make demo-down`) removes it

It does what an administrator would: an inventory of one host and one variable, and one command.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import tool

DOMAIN = "meet.lab.test"
PLACE = tool.BUILD / "demo"
LAB = [sys.executable, str(tool.CHECKOUT / "tests" / "lab" / "lab.py")]
STEPS = 5


def inventory(host: dict[str, str], key: str, repository: dict[str, str], auth: str = "anonymous") -> str:
    """The inventory, as JSON, which is YAML too."""
    variables = {
        "jitsi_domain": DOMAIN,
        "ansible_host": host["address"],
        "ansible_user": "root",
        "ansible_ssh_private_key_file": key,
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
    }
    if repository:
        variables["jitsi_apt_repository"] = repository
    if auth != "anonymous":
        variables["jitsi_auth"] = auth
    return json.dumps({"jitsi": {"hosts": {"meet": variables}}}, indent=1) + "\n"


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


def up(suite: str, auth: str) -> None:
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
    step(3, f"A fresh Debian host ({suite})")
    serve = ["--serve", source["release1"]] if "release1" in source else []
    done = subprocess.run([*LAB, "up", "demo", "--host", f"meet:{suite}", *serve], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise tool.Failure("the lab could not boot a host; what it said is above.")
    lab = json.loads(done.stdout)
    host = lab["hosts"]["meet"]
    PLACE.mkdir(parents=True, exist_ok=True)
    hosts = PLACE / "inventory.json"
    repository = {"uri": "http://gateway.lab.test:8000", "key": str(pathlib.Path(source["release1"]) / "jitsi-key.gpg.key")} if serve else {}
    hosts.write_text(inventory(host, lab["key"], repository, auth), encoding="utf-8")
    command = ["ansible-playbook", "-i", str(hosts), "campus.jitsi.site"]
    step(4, " ".join(["ansible-playbook", "-i", str(hosts.relative_to(tool.CHECKOUT)), "campus.jitsi.site"]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections), "PATH": f"{tool.VENV / 'bin'}:{os.environ['PATH']}",
                   "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false", "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    if subprocess.run(command, env=environment, cwd=PLACE, check=False).returncode:
        raise tool.Failure("the site is not complete; what went wrong is above, and the host is left to look at: `tests/lab/lab.py ssh demo meet`.")
    step(5, "Two browsers hold a call")
    call = [str(tool.VENV / "bin" / "python"), str(tool.CHECKOUT / "tests" / "call" / "call.py"), f"https://{DOMAIN}",
            "--address", host["address"], "--ca", str(PLACE / ".jitsi" / "ca.crt"), "--out", str(PLACE), "--stay", "2", "--beside"]
    if auth == "jwt":
        call += ["--tokens", str(tokens(collections))]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    result = json.loads(done.stdout or "{}")
    if not result.get("ok"):
        (PLACE / "call.json").write_text(done.stdout, encoding="utf-8")
        raise tool.Failure(f"the browsers did not see each other: {result.get('error') or 'see ' + str(PLACE / 'call.json')}")
    roles = {name: (browser.get("meeting") or {}).get("role") for name, browser in result["browsers"].items()}
    if auth == "jwt" and roles["Ada"] == roles["Blas"]:
        raise tool.Failure(f"teacher and student have the same rights: {roles}")
    print(f"""
campus.jitsi: a fresh Debian host became a Jitsi Meet in {time.monotonic() - started:.0f} s, and two browsers held a call on it.

{chr(10).join('  ' + line for line in table(result))}

  site         https://{DOMAIN}  (the step-by-step check of a conference is above)
  screenshot   {result["picture"]}{chr(10) + "  rights       Ada came with the token of a teacher, Blas with that of a student" if auth == "jwt" else ""}
  open it      put `{host["address"]} {DOMAIN}` into /etc/hosts and trust {PLACE / ".jitsi" / "ca.crt"}
  look around  tests/lab/lab.py ssh demo meet
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
    verbs.add_parser("down")
    options = parser.parse_args()
    try:
        if options.verb == "up":
            up(options.suite, options.auth)
        else:
            down()
    except tool.Failure as failure:
        print(f"campus.jitsi: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
