#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile's targets have in common: the tools, the built collection, and where Jitsi's packages come from.

    tests/tool.py bootstrap demo|test   install what is missing (Debian packages as root, Python packages in .venv)
    tests/tool.py collection            build the archive, install it into .build/collections, print that path
    tests/tool.py stage                 copy the checkout to where Ansible's own tools want a collection, print that path
    tests/tool.py packages              build or find Jitsi's packages, print where hosts of a lab get them as JSON
    tests/tool.py sanity                ansible-test sanity over what the archive holds
    tests/tool.py clean                 remove .build, and all labs of this checkout
    tests/tool.py docs [--check]        write the tables of variables into the roles' READMEs, or fail when they are old

Only the standard library is used, so that it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
BUILD = CHECKOUT / ".build"
VENV = CHECKOUT / ".venv"
ARCHIVE = "https://download.jitsi.org"

#: Debian packages by the command that shows them to be there.
DEMO = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "chromium": "chromium",
    "certutil": "libnss3-tools",
    "javac": "openjdk-17-jdk-headless",
    "gpg": "gnupg",
    "dpkg-deb": "dpkg",
    "mvn": "maven",
    "npm": "npm",
}
TEST = {**DEMO, "nmap": "nmap", "node": "nodejs", "ruby": "ruby", "lua5.4": "lua5.4", "git": "git", "openssl": "openssl", "testssl": "testssl.sh"}
#: Packages that no command shows, with a file of theirs.
TEST_FILES = {"ruby-hocon": "/usr/share/doc/ruby-hocon", "python3-venv": "/usr/share/doc/python3-venv"}
DEMO_FILES = {"python3-venv": "/usr/share/doc/python3-venv"}


class Failure(Exception):
    """Something is missing; the message is one sentence with the fix."""


def say(text: str) -> None:
    print(f"campus.jitsi: {text}", file=sys.stderr, flush=True)


def run(*command: str | pathlib.Path, **keywords) -> None:
    """Run a command whose output is only of interest when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **keywords)
    if done.returncode:
        raise Failure(f"`{' '.join(words[:4])} ...` failed:\n{done.stdout.strip()[-3000:]}")


def digest(*paths: pathlib.Path) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


# --- bootstrap -----------------------------------------------------------------------------------------------------


def bootstrap(what: str) -> None:
    """Install what is missing and nothing else; a second call does nothing."""
    apt(TEST if what == "test" else DEMO, TEST_FILES if what == "test" else DEMO_FILES)
    requirements = [CHECKOUT / "tests" / "requirements-demo.txt"]
    if what == "test":
        requirements.append(CHECKOUT / "tests" / "requirements.txt")
    for requirement in requirements:
        stamp = VENV / f".{requirement.stem}"
        wanted = digest(requirement)
        if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
            continue
        started = time.monotonic()
        say(f"installing {requirement.name} into .venv")
        if not (VENV / "bin" / "python").exists():
            run(sys.executable, "-m", "venv", VENV)
        run(VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirement)
        stamp.write_text(wanted, encoding="ascii")
        say(f"... took {time.monotonic() - started:.0f} s")


def apt(commands: dict[str, str], files: dict[str, str]) -> None:
    missing = {package for command, package in commands.items() if not shutil.which(command)}
    missing |= {package for package, file in files.items() if not os.path.exists(file)}
    if not missing:
        return
    if os.geteuid():
        raise Failure(f"some Debian packages are missing: run `apt-get install {' '.join(sorted(missing))}` as root, or all of this as root.")
    say(f"installing Debian packages: {' '.join(sorted(missing))}")
    started = time.monotonic()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "--quiet", "update", env=environment)
    run("apt-get", "--quiet", "--yes", "--no-install-recommends", "install", *sorted(missing), env=environment)
    say(f"... took {time.monotonic() - started:.0f} s")


# --- the collection ------------------------------------------------------------------------------------------------


def tracked() -> list[str]:
    """The files of the checkout that are or would be in git; of an unpacked archive without git, all but ours."""
    if (CHECKOUT / ".git").exists() and shutil.which("git"):
        done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=CHECKOUT, check=True, stdout=subprocess.PIPE)
        names = done.stdout.decode().split("\0")
    else:
        names = [str(path.relative_to(CHECKOUT)) for path in CHECKOUT.rglob("*") if path.is_file()]
        names = [name for name in names if not name.startswith((".build/", ".venv/"))]
    return sorted(name for name in names if name and (CHECKOUT / name).is_file())


@contextlib.contextmanager
def one_at_a_time() -> t.Iterator[None]:
    """Steps that run side by side share .build: none may see what another one has half written."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / ".lock", "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@one_at_a_time()
def stage() -> pathlib.Path:
    """A copy of the checkout in ``.build/stage/ansible_collections/campus/jitsi``; returns ``.build/stage``."""
    place = BUILD / "stage" / "ansible_collections" / "campus" / "jitsi"
    names = tracked()
    for old in [path for path in place.rglob("*") if path.is_file()]:
        if str(old.relative_to(place)) not in names:
            old.unlink()
    for name in names:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        old, new = (path.stat() if path.exists() else None for path in (target, CHECKOUT / name))
        if old is None or new is None or (old.st_mtime_ns, old.st_size, old.st_mode) != (new.st_mtime_ns, new.st_size, new.st_mode):
            shutil.copy2(CHECKOUT / name, target)
    return BUILD / "stage"


def collection() -> pathlib.Path:
    """Build the archive and install it into ``.build/collections``; returns that."""
    place = BUILD / "collections"
    source = stage() / "ansible_collections" / "campus" / "jitsi"
    with one_at_a_time():
        return build(source, place)


def build(source: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    stamp = place / ".stamp"
    # What the archive leaves out (see galaxy.yml) may change under a run of tests.
    shipped = [name for name in tracked() if not name.startswith((".", "tests/", "molecule/", "changelogs/fragments/"))]
    wanted = hashlib.sha256("\0".join(f"{name} {digest(source / name)}" for name in shipped).encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    galaxy = VENV / "bin" / "ansible-galaxy"
    run(galaxy, "collection", "build", "--force", "--output-path", BUILD / "dist", cwd=source)
    (archive,) = (BUILD / "dist").glob("campus-jitsi-*.tar.gz")
    run(galaxy, "collection", "install", "--force", "--offline", "--collections-path", place, archive)
    stamp.write_text(wanted, encoding="ascii")
    return place


def kept_modules(collections: pathlib.Path) -> pathlib.Path:
    """The folder in which runs of Ansible share the modules that they built (see tests/callback), of this collection and this Ansible."""
    (ansible,) = VENV.glob("lib/python*/site-packages/ansible_core-*.dist-info")
    wanted = hashlib.sha256(f"{(collections / '.stamp').read_text(encoding='ascii')} {ansible.name}".encode())
    place = BUILD / "modules" / wanted.hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    return place


def sanity() -> None:
    """ansible-test sanity over the content of the archive, with the output on the terminal."""
    place = BUILD / "sanity"
    target = place / "ansible_collections" / "campus" / "jitsi"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(collection() / "ansible_collections" / "campus" / "jitsi", target)
    # ansible-test asks git for the files; without a repository here it would find the checkout's, which ignores this folder.
    run("git", "init", "--quiet", target)
    # Its environments are made without pip, which it would download from a host of its own; Python brings one along. The
    # name of the file has the version that this release of ansible-test asks for.
    requirements = VENV / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/ansible_test/_internal/python_requirements.py"
    version = re.search(r"pip='([0-9.]+)'", requirements.read_text(encoding="utf-8"))
    if not version:
        raise Failure(f"{requirements} does not say which pip ansible-test wants: adapt `sanity` in tests/tool.py to this release.")
    script = place / ".ansible" / "test" / "cache" / f"get_pip_{version[1].replace('.', '_')}.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("import ensurepip\nensurepip.bootstrap(upgrade=True)\n", encoding="ascii")
    command = [str(VENV / "bin" / "ansible-test"), "sanity", "--color", "no", "--python", f"{sys.version_info[0]}.{sys.version_info[1]}"]
    environment = {**os.environ, "HOME": str(place), "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
    if subprocess.run(command, cwd=target, env=environment, check=False).returncode:
        raise Failure("ansible-test sanity found something, see above.")


def clean() -> None:
    """Remove all that the other commands made in the checkout, but for the Python environment."""
    run(sys.executable, CHECKOUT / "tests/lab/lab.py", "down", "--mine")
    shutil.rmtree(BUILD, ignore_errors=True)


# --- Jitsi's packages ----------------------------------------------------------------------------------------------


def packages(mode: str) -> dict[str, str]:
    """Where Jitsi's packages come from.

    :param mode: ``auto``, ``archive``, ``standins``, or a folder with mirrors of one's own, ``release1`` and ``release2``
    :returns: ``mode`` as it was decided, and but for the archive the folders ``release1`` and ``release2`` to serve
    """
    if mode == "auto":
        mode = "archive" if archive_answers() else "standins"
    if mode == "archive":
        return {"mode": mode}
    if os.path.isdir(mode):
        return {"mode": "mirror", **{name: os.path.join(os.path.abspath(mode), name) for name in ("release1", "release2")}}
    if mode != "standins":
        raise Failure(f"JITSI_PACKAGES is {mode!r}: take auto, archive, standins or a folder with mirrors.")
    result = {"mode": mode}
    for number, release in (("1", "1"), ("2", "both")):
        place = BUILD / "standins" / f"release{number}"
        command = [CHECKOUT / "tests" / "standins" / "build.py", "--out", place, "--release", release, "--cache", BUILD / "cache", "--quiet"]
        run(sys.executable, *command)
        result[f"release{number}"] = str(place)
    return result


def archive_answers() -> bool:
    try:
        with urllib.request.urlopen(f"{ARCHIVE}/stable/Release", timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


# --- documentation -------------------------------------------------------------------------------------------------

BEGIN, END = "<!-- variables: made by `tests/tool.py docs` -->\n", "<!-- end of variables -->\n"


def docs(check: bool) -> None:
    """Put the table of each role's variables, from its argument spec and defaults, into its README."""
    python = VENV / "bin" / "python"
    if python.exists() and pathlib.Path(sys.executable).resolve() != python.resolve() and not os.environ.get("CAMPUS_DOCS"):
        # PyYAML comes with Ansible.
        os.execve(python, [str(python), __file__, "docs", *(["--check"] if check else [])], {**os.environ, "CAMPUS_DOCS": "1"})
    old = []
    for spec in sorted((CHECKOUT / "roles").glob("*/meta/argument_specs.yml")):
        readme = spec.parents[1] / "README.md"
        text = readme.read_text(encoding="utf-8")
        head, mark, rest = text.partition(BEGIN)
        _table, end, tail = rest.partition(END)
        if not mark or not end:
            raise Failure(f"{readme.relative_to(CHECKOUT)} lacks the marks between which the table of variables goes.")
        new = head + BEGIN + variables(spec) + END + tail
        if new != text:
            old.append(str(readme.relative_to(CHECKOUT)))
            if not check:
                readme.write_text(new, encoding="utf-8")
    page = CHECKOUT / "docs" / "ports.md"
    text = page.read_text(encoding="utf-8")
    if (new := ports(text)) != text:
        old.append("docs/ports.md")
        if not check:
            page.write_text(new, encoding="utf-8")
    if old and check:
        raise Failure(f"{', '.join(old)}: the tables are old; run `make docs`.")


#: Installations that docs/ports.md shows: a title, and the groups of the inventory.
TOPOLOGIES = {
    "One host": {"jitsi": ["meet"]},
    "One host, with TURN": {"jitsi": ["meet"], "jitsi_coturn": ["meet"]},
    "A gateway to telephones on a host of its own": {"jitsi": ["meet", "phones"], "jitsi_jigasi": ["phones"]},
    "Several hosts": {"jitsi": ["core", "web", "bridge1", "bridge2"], "jitsi_prosody": ["core"], "jitsi_jicofo": ["core"],
                      "jitsi_nginx_meet": ["web"], "jitsi_jvb": ["bridge1", "bridge2"]},
    "Several hosts, with TURN on one of its own": {"jitsi": ["core", "web", "bridge1", "turn"], "jitsi_prosody": ["core"], "jitsi_jicofo": ["core"],
                                                   "jitsi_nginx_meet": ["web"], "jitsi_jvb": ["bridge1"], "jitsi_coturn": ["turn"]},
}


def ports(text: str) -> str:
    """docs/ports.md with its two parts made anew from the table of ports, which the firewall reads as well."""
    link = BUILD / "source" / "ansible_collections" / "campus" / "jitsi"
    if not link.exists() or link.resolve() != CHECKOUT:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(CHECKOUT)
    sys.path.insert(0, str(BUILD / "source"))
    from ansible_collections.campus.jitsi.plugins.module_utils import _ports
    from ansible_collections.campus.jitsi.plugins.plugin_utils import _firewall, _topology

    def number(row: t.Any) -> str:
        return "22/tcp" if not row.role else _ports.shown(*_ports.span(row), row.protocol)

    conditions = {row: ", ".join([*(["not beside " + row.alone] if row.alone else []), *(f"with `{name}: {value}`" for name, value in row.when)])
                  for row in _ports.PORTS}
    rows = ["| role | port | open to | what for |", "| --- | --- | --- | --- |"]
    rows += [f"| {row.role or 'every host'} | {number(row)} | {', '.join(row.who)} | {row.purpose}{' (' + conditions[row] + ')' if conditions[row] else ''} |"
             for row in _ports.PORTS]
    parts = {"ports": "\n".join(rows) + "\n", "topologies": ""}
    for title, groups in TOPOLOGIES.items():
        placed = _topology.place_roles(groups)
        lines = [f"**{title}**", "", "| host | port | open to |", "| --- | --- | --- |"]
        for host in groups["jitsi"]:
            for row in _ports.rows(_firewall.roles_of(host, placed)):
                who = _firewall.meant(row, host, placed, _firewall.named_sources([], [], None))
                if who != "nobody":
                    lines.append(f"| {host} | {number(row)} | {who} |")
        parts["topologies"] += "\n".join(lines) + "\n\n"
    for name, part in parts.items():
        begin, end = f"<!-- {name}: made by `tests/tool.py docs` -->\n", f"<!-- end of {name} -->\n"
        head, mark, rest = text.partition(begin)
        _old, close, tail = rest.partition(end)
        if not mark or not close:
            raise Failure(f"docs/ports.md lacks the marks between which the {name} go.")
        text = head + begin + part + end + tail
    return text


def variables(spec: pathlib.Path) -> str:
    import yaml

    options = yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((spec.parents[1] / "defaults" / "main.yml").read_text(encoding="utf-8")) or {}
    rows = ["| variable | type | default | |", "| --- | --- | --- | --- |"]
    for name, option in options.items():
        text = option["description"]
        text = " ".join(text) if isinstance(text, list) else text
        kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
        if option.get("choices"):
            kind += ": " + ", ".join(f"`{choice}`" for choice in option["choices"])
        default = defaults.get(name)
        if option.get("required"):
            shown = "**required**"
        elif isinstance(default, str) and "{{" in default:
            shown = "see there"
        else:
            shown = f"`{json.dumps(default)}`"
        text = text.replace("C(", "`").replace("|", "\\|")
        rows.append(f"| `{name}` | {kind} | {shown} | {close_marks(text)} |")
    return "\n".join(rows) + "\n"


def close_marks(text: str) -> str:
    """Turn the ``)`` that closes a ``C(`` (already a back-quote) into a back-quote."""
    parts = text.split("`")
    for index in range(1, len(parts)):
        parts[index] = parts[index].replace(")", "`", 1)
    return parts[0] + "`".join(["", *parts[1:]]) if len(parts) > 1 else text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("bootstrap").add_argument("what", choices=["demo", "test"])
    verbs.add_parser("collection")
    verbs.add_parser("stage")
    verbs.add_parser("packages").add_argument("--mode", default=os.environ.get("JITSI_PACKAGES", "auto"))
    verbs.add_parser("sanity")
    verbs.add_parser("clean")
    verbs.add_parser("docs").add_argument("--check", action="store_true")
    options = parser.parse_args()
    try:
        if options.verb == "bootstrap":
            bootstrap(options.what)
        elif options.verb == "collection":
            print(collection())
        elif options.verb == "stage":
            print(stage())
        elif options.verb == "packages":
            print(json.dumps(packages(options.mode), indent=1))
        elif options.verb == "sanity":
            sanity()
        elif options.verb == "clean":
            clean()
        else:
            docs(options.check)
    except Failure as failure:
        print(f"campus.jitsi: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
