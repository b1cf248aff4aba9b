#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: packages of an archive, installed the way that a service needs it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Install packages with their archive, their debconf answers and their versions
version_added: 0.1.0
description:
  - One task for what belongs together, the archive with its key, the answers to the packages' questions, the versions that
    packages are held at, and the packages. It does nothing that is already so.
  - Services of packages that are installed for the first time are not started, so that none runs with a configuration that
    is not yet yours.
  - What an interrupted run of dpkg left half done is finished first. Another apt or dpkg is waited for.
  - Files that an administrator changed are kept when a package comes with a new version of them.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says what would change. A key behind a URL is not fetched.
    support: full
  diff_mode:
    description: Shows the source and the packages.
    support: full
options:
  names:
    description: The packages.
    type: list
    elements: str
    required: true
  versions:
    description:
      - Versions to hold packages at, by package, also when somebody upgrades the host by hand. It may name more packages
        than O(names), for the other tasks that hold them.
      - An older version than the installed one is taken.
    type: dict
    default: {}
  answers:
    description: Answers to the packages' debconf questions.
    type: list
    elements: dict
    default: []
    suboptions:
      package:
        description: The package that asks.
        type: str
        required: true
      question:
        description: The question.
        type: str
        required: true
      type:
        description: Its type.
        type: str
        default: string
      value:
        description: The answer.
        type: str
        required: true
  source:
    description: The archive. Packages that it does not have come from the host's other archives.
    type: dict
    suboptions:
      name:
        description: The name of its files, C(/etc/apt/sources.list.d/NAME.sources) and C(/etc/apt/keyrings/NAME.asc).
        type: str
        required: true
      uri:
        description: Where it is, in any scheme that apt knows.
        type: str
        required: true
      suite:
        description: The suite. One that ends in V(/) is the folder of a flat archive.
        type: str
        required: true
      components:
        description: The components, none for a flat archive.
        type: list
        elements: str
        default: []
      key:
        description:
          - The OpenPGP key that signs it and is trusted for it alone, as ASCII-armoured text or as a URL that the host
            fetches once. It is fetched again when the URL changes or the file is gone.
        type: str
        required: true
  lock_timeout:
    description: How many seconds to wait for another apt or dpkg.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Install jicofo
  campus.jitsi.packages:
    names: [jicofo]
    answers:
      - {package: jicofo, question: jitsi-videobridge/jvb-hostname, value: meet.example.edu}
    source:
      name: jitsi
      uri: https://download.jitsi.org
      suite: stable/
      key: https://download.jitsi.org/jitsi-key.gpg.key
"""

RETURN = r"""
installed:
  description: The packages that were installed, or would be in check mode.
  type: list
  elements: str
  returned: success
"""

import contextlib
import os
import tempfile
import time
import typing as t
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

SOURCES = "/etc/apt/sources.list.d"
KEYRINGS = "/etc/apt/keyrings"
PREFERENCES = "/etc/apt/preferences.d/campus-jitsi.pref"
LISTS = "/var/lib/apt/lists"
POLICY = "/usr/sbin/policy-rc.d"
#: invoke-rc.d(8): 101 forbids. The second line tells a file that a killed run left from one that is somebody's.
POLICY_TEXT = "#!/bin/sh\n# campus.jitsi: services start when they are configured\nexit 101\n"
ARMOUR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
APT = ["apt-get", "--quiet", "--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confdef", "-o",
       "Dpkg::Options::=--force-confold", "-o", "Dpkg::Use-Pty=0"]
#: In what apt, dpkg and debconf say when another one is at work.
LOCKED = ("Could not get lock", "Unable to lock", "is locked by another process", "lock was locked by")
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical", "LC_ALL": "C",
               "APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_SUSPEND": "1"}


# --- pure functions ------------------------------------------------------------------------------------------------


def render_source(*, uri: str, suite: str, components: t.Sequence[str], keyring: str, origin: str) -> str:
    """The text of a ``.sources`` file (sources.list(5)).

    :param origin: the URL that the key came from, to see when that changes
    """
    fields = {"Types": "deb", "URIs": uri, "Suites": suite, "Components": " ".join(components), "Signed-By": keyring,
              "X-Key-From": origin}
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def render_preferences(versions: t.Mapping[str, str]) -> str:
    """The text of apt_preferences(5) that holds packages at versions, also below what is installed."""
    return "\n".join(f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n" for name, version in sorted(versions.items()))


def key_suffix(key: bytes) -> str:
    """``asc`` or ``gpg``, the endings by which apt knows the form of a key.

    :raises ValueError: it is no OpenPGP public key
    """
    if key.lstrip().startswith(ARMOUR):
        return "asc"
    # RFC 9580, section 4.2: a public key packet (type 6) in either header form.
    if key[:1] and (key[0] & 0xC0 == 0xC0 and key[0] & 0x3F == 6 or key[0] & 0xFC == 0x98):
        return "gpg"
    raise ValueError("is no OpenPGP public key")


def wanted(names: t.Sequence[str], versions: t.Mapping[str, str], installed: t.Mapping[str, str]) -> list[str]:
    """The packages to install, each as apt takes it.

    >>> wanted(["a", "b"], {"a": "2"}, {"a": "1", "b": "1"})
    ['a=2']
    """
    return [f"{name}={versions[name]}" if name in versions else name for name in names
            if name not in installed or versions.get(name, installed[name]) != installed[name]]


def locked(text: str) -> bool:
    """Whether this is what apt, dpkg or debconf says when another one is at work.

    >>> locked("dpkg: error: dpkg database lock was locked by another process with pid 5817"), locked("E: Broken packages")
    (True, False)
    """
    return any(word in text for word in LOCKED)


# --- files ---------------------------------------------------------------------------------------------------------


def read(path: str) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        with open(path, "rb") as handle:
            return handle.read()
    return None


def put(path: str, content: bytes, mode: int = 0o644) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".campus.jitsi-")
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
    os.replace(partial, path)


def write(files: t.Mapping[str, bytes | None]) -> None:
    """Bring files to their content; those without any are removed."""
    for name, content in files.items():
        if content:
            put(name, content)
        elif os.path.exists(name):
            os.unlink(name)


def setting(module: AnsibleModule) -> str:
    """The variable that has the key."""
    return "jitsi_apt_repository.key" if module.params["source"]["name"] == "jitsi" else "jibri_chrome_repository.key"


def fetch(module: AnsibleModule, url: str) -> bytes:
    try:
        return open_url(url, timeout=30, http_agent="campus.jitsi").read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        module.fail_json(msg=f"The archive key cannot be fetched from {url} ({error}): set `{setting(module)}` to a "
                             "URL that this host reaches, or to a file or the text of the key.")


def source_files(module: AnsibleModule) -> dict[str, bytes]:
    """The files of the archive that are not yet as they should be, with their content."""
    source = module.params["source"]
    if not source:
        return {}
    path = os.path.join(SOURCES, source["name"] + ".sources")
    rings = {suffix: os.path.join(KEYRINGS, f"{source['name']}.{suffix}") for suffix in ("asc", "gpg")}
    is_url = source["key"].startswith(("http://", "https://"))
    origin = source["key"] if is_url else ""
    present = [ring for ring in rings.values() if os.path.exists(ring)]
    if is_url and present and f"X-Key-From: {origin}\n".encode() in (read(path) or b""):
        ring, key = present[0], read(present[0]) or b""
    elif is_url and module.check_mode:
        ring, key = rings["asc"], b""
    else:
        key = fetch(module, source["key"]) if is_url else source["key"].strip().encode() + b"\n"
        try:
            ring = rings[key_suffix(key)]
        except ValueError as error:
            module.fail_json(msg=f"`{setting(module)}` {error}: give the key that signs the archive.")
    text = render_source(uri=source["uri"], suite=source["suite"], components=source["components"], keyring=ring, origin=origin)
    return {name: content for name, content in ((ring, key), (path, text.encode())) if read(name) != content}


# --- apt, dpkg, debconf --------------------------------------------------------------------------------------------


def installed_versions(module: AnsibleModule) -> dict[str, str]:
    """What is wholly installed, of the packages in question."""
    names = sorted(set(module.params["names"]))
    _code, out, _err = module.run_command(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}|${Package}|${Version}\n", *names])
    rows = [line.split("|") for line in out.splitlines() if line.count("|") == 2]
    return {name: version for status, name, version in rows if status.strip() == "ii"}


def unanswered(module: AnsibleModule) -> list[dict[str, str]]:
    """The questions whose answer is not yet the wanted one."""
    answers = module.params["answers"]
    if not answers:
        return []
    asked = "".join(f"GET {answer['question']}\n" for answer in answers)
    _code, out, _err = run_unlocked(module, ["debconf-communicate", "--frontend=noninteractive"], asked)
    lines = out.splitlines() + [""] * len(answers)
    return [answer for answer, line in zip(answers, lines) if line != f"0 {answer['value']}"]


#: What apt says when its lists are behind the archive.
STALE = ("Unable to fetch", "Failed to fetch", "Unable to locate package", "has no installation candidate", "was not found")


def update(module: AnsibleModule, undo: t.Callable[[], None] = lambda: None) -> None:
    """Fetch the package lists; an archive that cannot be reached is an error.

    :param undo: what to do before failing
    """
    run_apt(module, ["apt-get", "--quiet", "update", "-o", "APT::Update::Error-Mode=any"], undo=undo)


def run_unlocked(module: AnsibleModule, words: t.Sequence[str], data: str | None = None) -> tuple[int, str, str]:
    """Run apt-get, dpkg or debconf, waiting for another one that holds a lock; fails when it holds it for too long."""
    end = time.monotonic() + module.params["lock_timeout"]
    while True:
        code, out, err = module.run_command(list(words), data=data, environ_update=ENVIRONMENT)
        text = (err or out).strip()
        if code == 0 or not locked(text):
            return code, out, err
        if time.monotonic() > end:
            module.fail_json(msg=f"Another apt or dpkg held its lock for more than {module.params['lock_timeout']} s: {text[-300:]} "
                                 "Wait for it to end and run this again.")
        time.sleep(2)


def run_apt(module: AnsibleModule, words: t.Sequence[str], retry_stale: bool = False, undo: t.Callable[[], None] = lambda: None) -> None:
    """Run apt-get or dpkg; fails with its last lines.

    :param retry_stale: whether to fetch the lists and try once more when they seem to be old
    :param undo: what to do before failing
    """
    code, out, err = run_unlocked(module, words)
    text = (err or out).strip()
    if code and retry_stale and any(word in text for word in STALE):
        update(module)
        code, out, err = run_unlocked(module, words)
        text = (err or out).strip()
    if code:
        undo()
        module.fail_json(msg=f"`{' '.join(word for word in words if not word.startswith(('-', 'Dpkg::')))}` failed: {text[-1500:]}",
                         stdout=out[-5000:])


@contextlib.contextmanager
def services_held(hold: bool) -> t.Iterator[None]:
    """Keep maintainer scripts from starting services (policy-rc.d). A file that a killed run left is taken away."""
    if (read(POLICY) or b"").decode(errors="replace") == POLICY_TEXT:
        os.unlink(POLICY)
    if not hold or os.path.lexists(POLICY):
        yield
        return
    put(POLICY, POLICY_TEXT.encode(), 0o755)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(POLICY)


def finish_interrupted(module: AnsibleModule) -> bool:
    """Finish what an interrupted dpkg left (dpkg --configure -a). True when there was something."""
    journal = [name for name in os.listdir("/var/lib/dpkg/updates") if name.isdigit()]
    if not journal:
        _code, out, _err = module.run_command(["dpkg", "--audit"], environ_update=ENVIRONMENT)
        if not out.strip():
            return False
    run_apt(module, ["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"])
    return True


def lists_are_old() -> bool:
    """Whether the package lists are missing or were fetched more than a day ago."""
    try:
        return time.time() - os.stat(os.path.join(LISTS, "partial")).st_mtime > 86400 or not any(
            name.endswith(("_Packages", "_InRelease")) for name in os.listdir(LISTS))
    except FileNotFoundError:
        return True


def main() -> None:
    """Compare, and unless in check mode write, answer and install."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "versions": {"type": "dict", "default": {}},
            "answers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "package": {"type": "str", "required": True},
                    "question": {"type": "str", "required": True},
                    "type": {"type": "str", "default": "string"},
                    "value": {"type": "str", "required": True},
                },
            },
            "source": {
                "type": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "uri": {"type": "str", "required": True},
                    "suite": {"type": "str", "required": True},
                    "components": {"type": "list", "elements": "str", "default": []},
                    "key": {"type": "str", "required": True, "no_log": False},
                },
            },
            "lock_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    params = module.params
    pins = {name: str(version) for name, version in params["versions"].items()}
    files = source_files(module)
    preferences = render_preferences(pins).encode()
    if (read(PREFERENCES) or b"") != preferences:
        files[PREFERENCES] = preferences
    before = installed_versions(module)
    needed = wanted(params["names"], pins, before)
    answers = unanswered(module)
    result = {
        "changed": bool(files or needed or answers),
        "installed": needed,
        "diff": {
            "before": "".join(f"{name} {version}\n" for name, version in sorted(before.items()) if any(n.split("=")[0] == name for n in needed)),
            "after": "".join(f"{name}\n" for name in needed) + "".join(f"{name}\n" for name in files),
        },
    }
    if module.check_mode or not result["changed"]:
        # Even when nothing is to be installed, a killed run's policy must not stay.
        if not module.check_mode:
            with services_held(False):
                pass
        module.exit_json(**result)

    former = {name: read(name) for name in files}
    write(files)
    with services_held(any(name.split("=")[0] not in before for name in needed)):
        if needed:
            finish_interrupted(module)
        if answers:
            lines = "".join("{package} {question} {type} {value}\n".format(**answer) for answer in answers)
            code, _out, err = run_unlocked(module, ["debconf-set-selections"], lines)
            if code:
                module.fail_json(msg=f"debconf did not take the answers: {err.strip()}")
        if needed:
            fresh = bool(files) or lists_are_old()
            if fresh:
                # An archive that apt refuses would be in the way of every other one of this host.
                update(module, undo=lambda: write(former))
            downgrade = ["--allow-downgrades"] if pins else []
            run_apt(module, [*APT, *downgrade, "install", *needed], retry_stale=not fresh)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
