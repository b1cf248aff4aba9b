#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a configuration file that is checked before it replaces the live one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_file
short_description: Install a configuration file after the program it is for has accepted it
version_added: 0.1.0
description:
  - Writes O(content) to O(path), whole or not at all, after a check by the real parser on this host. A file that is
    refused leaves the live one as it was.
  - With O(format=hocon), the keys are compared with C(reference.conf) inside the jars that are installed here, and a key
    that nobody would read is named with the nearest one that exists.
  - With O(format=prosody), Prosody's own parser loads the file, and a module that no plugin path holds is named.
  - With O(format=nginx), C(nginx -t) runs over the whole configuration with the new file in its place, in a mount
    namespace of its own, so that a running nginx never sees a file that was not accepted.
  - With O(format=properties), the file is read as C(java.util.Properties) does, and a key that is not in O(known_keys) is named with the
    nearest one.
  - With O(format=turnserver), coturn's own program reads the file as its user, in a network namespace without addresses, where
    it stops before it would serve; an option that it does not know is named with the nearest one of its help.
  - With O(format=systemd), C(systemd-analyze verify) reads the drop-in of a unit, and O(trial) runs confined as the drop-in says.
  - The diff shows everything but the values in O(sensitive).
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Checks and compares, and writes nothing. What cannot be checked because the program is not installed
      yet is skipped with a warning.
    support: full
  diff_mode:
    description: Shows the old and new text, without secrets.
    support: full
options:
  path:
    description: The file. Its folder is made when it is missing.
    type: path
    required: true
  content:
    description: Its new text.
    type: str
    required: true
  format:
    description: What it is, and so how it is checked. V(text) is not checked.
    type: str
    choices: [hocon, properties, prosody, nginx, turnserver, systemd, text]
    default: text
  trial:
    description: For O(format=systemd), a command that must succeed with what the drop-in allows.
    type: list
    elements: str
    default: []
  trial_hint:
    description: What to do when O(trial) does not succeed, the end of a sentence.
    type: str
    default: allow what it needs
  jars:
    description: For O(format=hocon), jars (paths or patterns) whose C(reference.conf) lists the keys.
    type: list
    elements: str
    default: []
  known_keys:
    description:
      - For O(format=hocon), keys that the program reads without listing them there, and for O(format=properties) all that it reads.
        V(*) stands for any name, V([]) for the elements of a list and V(.**) at the end for anything below.
      - For O(format=prosody), modules that the run would have put there before, were it no check.
    type: list
    elements: str
    default: []
  unknown_keys:
    description: Whether a key or module that does not exist is an error or a warning.
    type: str
    choices: [error, warn]
    default: error
  needs:
    description: Files without which the check cannot be made, such as those of a package that is not installed yet.
    type: list
    elements: path
    default: []
  sensitive:
    description: Values that must not be shown, wherever they are in the text.
    type: list
    elements: str
    default: []
  owner:
    description: The owner of the file.
    type: str
    default: root
  group:
    description: The group of the file.
    type: str
    default: root
  mode:
    description: The permissions of the file, such as V('0640').
    type: str
    default: '0644'
"""

EXAMPLES = r"""
- name: Configure jicofo
  campus.jitsi.config_file:
    path: /etc/jitsi/jicofo/jicofo.conf
    content: "{{ jicofo_settings | campus.jitsi.to_hocon }}"
    format: hocon
    jars: [/usr/share/jicofo/jicofo.jar, /usr/share/jicofo/lib/*.jar]
    sensitive: "{{ jicofo_settings | campus.jitsi.sensitive_values }}"
    owner: jicofo
    group: jitsi
    mode: '0600'
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
unknown:
  description: The keys or modules that do not exist, with what may have been meant.
  type: list
  elements: str
  returned: success
"""

import contextlib
import glob
import os
import pwd
import re
import shutil
import stat
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _hocon, _hocon_keys, _properties, _prosody, _turnserver
from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean

NGINX = "/etc/nginx"


class Refused(Exception):
    """The new file was not accepted; the message says why."""


class Unchecked(Exception):
    """The program that would check the file is not here (yet)."""


def check_hocon(module: AnsibleModule, content: str) -> list[str]:
    """The keys that nobody would read."""
    params = module.params
    references = _hocon.references(params["jars"])
    if params["jars"] and not references:
        raise Unchecked(f"no jar of {', '.join(params['jars'])} is there to compare the keys with")
    try:
        data, reference = _hocon.read(module.run_command, content, references)
    except _hocon.HoconError as error:
        if not shutil.which("ruby"):
            raise Unchecked(str(error)) from error
        raise Refused(str(error)) from error
    return _hocon_keys.unknown_keys(data, reference, params["known_keys"]) if references else []


def check_properties(module: AnsibleModule, content: str) -> list[str]:
    """The keys that nobody would read. A key that is there twice is refused: Java takes the last without a word."""
    try:
        keys = [name for name, _value in _properties.parse(content)]
    except ValueError as error:
        raise Refused(f"is refused by java.util.Properties: {error}") from error
    twice = sorted({name for name in keys if keys.count(name) > 1})
    if twice:
        raise Refused(f"has `{twice[0]}` twice")
    return _properties.unknown_keys(keys, module.params["known_keys"])


def check_prosody(module: AnsibleModule, content: str) -> list[str]:
    """The modules that no plugin path holds."""
    if not os.path.isdir(_prosody.SOURCE):
        raise Unchecked("Prosody is not installed")
    with tempfile.TemporaryDirectory(prefix="campus.jitsi-") as folder:
        name = os.path.join(folder, os.path.basename(module.params["path"]))
        write(name, content)
        try:
            config = _prosody.read_config(module.run_command, name)
        except _prosody.ProsodyError as error:
            raise Refused(str(error)) from error
    missing = {name: host for name, host in _prosody.missing_modules(config).items()
               if not (module.check_mode and name in module.params["known_keys"])}
    have = _prosody.available_modules([*config["plugin_paths"], os.path.join(_prosody.SOURCE, "modules")])
    return [f"`{name}` ({host}): no such Prosody module" + did_you_mean(name, have) for name, host in missing.items()]


def check_nginx(module: AnsibleModule, content: str) -> list[str]:
    """Test the tree under /etc/nginx with the new file in place, bound over the real one where only nginx -t sees it."""
    if not shutil.which("nginx"):
        raise Unchecked("nginx is not installed")
    path = os.path.realpath(module.params["path"])
    if not path.startswith(NGINX + "/"):
        raise Refused(f"is outside {NGINX}")
    with tempfile.TemporaryDirectory(prefix="campus.jitsi-") as folder:
        tree = os.path.join(folder, "nginx")
        shutil.copytree(NGINX, tree, symlinks=True)
        candidate = os.path.join(tree, os.path.relpath(path, NGINX))
        os.makedirs(os.path.dirname(candidate), exist_ok=True)
        write(candidate, content)
        enabled = os.path.join(tree, "sites-enabled", os.path.basename(path))
        if os.path.dirname(path) == os.path.join(NGINX, "sites-available") and not os.path.lexists(enabled):
            os.symlink(path, enabled)
        script = 'mount --bind "$1" /etc/nginx && exec nginx -t -q'
        code, out, err = module.run_command(["unshare", "--mount", "sh", "-c", script, "sh", tree])
    if code:
        raise Refused(f"is refused by nginx -t: {(err or out).strip()}")
    return []


def check_turnserver(module: AnsibleModule, content: str) -> list[str]:
    """The options that coturn does not know; a value that it does not take, or a certificate that it cannot read, is refused."""
    program = shutil.which("turnserver")
    try:
        user = pwd.getpwnam("turnserver")
    except KeyError:
        user = None
    if not program or user is None:
        raise Unchecked("coturn is not installed")
    with tempfile.TemporaryDirectory(prefix="campus.jitsi-") as folder:
        name = os.path.join(folder, "turnserver.conf")
        os.chown(folder, 0, user.pw_gid)
        os.chmod(folder, 0o710)
        with open(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as handle:
            # What it has to say is wanted here, wherever the file sends it; and from the first word, or it makes a file of its own.
            handle.write("log-file=stdout\n" + re.sub(r"(?m)^(no-stdout-log|log-file|syslog)\b.*\n", "", content))
        os.chown(name, 0, user.pw_gid)
        os.chmod(name, 0o640)
        command = ["timeout", "10", "unshare", "--net", "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
                   program, "-c", name, "--pidfile="]
        _code, out, err = module.run_command(command, cwd=folder)
    complaints = _turnserver.complaints(out + err)
    if module.check_mode:
        # What a run would have put there before.
        complaints = [text for text in complaints if " file" not in text]
    if complaints:
        raise Refused(f"is refused by turnserver: {'; '.join(complaints)}")
    if not _turnserver.was_read(out + err):
        raise Refused(f"is not read by turnserver: {(err or out).strip()[-300:]}")
    unknown = _turnserver.unknown_options(out + err)
    if not unknown:
        return []
    _code, usage, _err = module.run_command([program, "-h"])
    names = _turnserver.option_names(usage)
    return [f"`{name}`: coturn has no such option" + did_you_mean(name, names) for name in unknown]


#: Directives that confine a service, as a transient unit takes them, too. The rest says what runs and when.
NOT_FOR_TRIALS = re.compile(r"(Exec|Restart|Type|PIDFile|Environment|Success|Timeout|Kill|GuessMainPID|RemainAfterExit|Notify|Watchdog|RuntimeDirectory)")


def check_systemd(module: AnsibleModule, content: str) -> list[str]:
    """The directives that this systemd does not know; and a trial of what the drop-in lets a command do."""
    path, trial = module.params["path"], module.params["trial"]
    unit = os.path.basename(os.path.dirname(path)).removesuffix(".d")
    with tempfile.TemporaryDirectory(prefix="campus.jitsi-") as folder:
        os.mkdir(os.path.join(folder, unit + ".d"))
        name = os.path.join(folder, unit + ".d", os.path.basename(path))
        write(name, content)
        write(os.path.join(folder, unit), "[Service]\nExecStart=/bin/true\n")
        _code, _out, err = module.run_command(["systemd-analyze", "verify", "--man=no", os.path.join(folder, unit)])
    said = [text for _name, text in re.findall(rf"(?m)^{re.escape(name)}:([0-9]+): (.*)$", err)]
    unknown = [text for text in said if text.startswith("Unknown key")]
    if len(unknown) < len(said):
        raise Refused("is refused by systemd: " + " ".join(text for text in said if text not in unknown))
    if trial:
        if not shutil.which(trial[0]):
            raise Unchecked(f"{trial[0]} is not there")
        limits = [f"--property={line}" for line in directives(content) if not NOT_FOR_TRIALS.match(line)]
        code, out, err = module.run_command(["systemd-run", "--quiet", "--wait", "--pipe", "--collect", *limits, "--", *trial])
        if code:
            raise Refused(f"does not let `{' '.join(trial)}` do its work: {(err or out).strip()}; {module.params['trial_hint']}")
    names = [text.removeprefix("Unknown key ").removeprefix("name ") for text in unknown]
    return [re.sub(r"'([^']+)' in section.*", r"`\1` is no directive of this systemd", name) for name in names]


def directives(content: str) -> list[str]:
    """The lines of section Service of a unit.

    >>> directives("[Unit]\\nAfter=x\\n[Service]\\n# why\\nUMask=0027\\n")
    ['UMask=0027']
    """
    section = content.partition("[Service]\n")[2].partition("\n[")[0]
    return [line for line in section.splitlines() if line and not line.startswith(("#", ";"))]


CHECKS: dict[str, t.Callable[[AnsibleModule, str], list[str]]] = {
    "hocon": check_hocon,
    "properties": check_properties,
    "prosody": check_prosody,
    "nginx": check_nginx,
    "turnserver": check_turnserver,
    "systemd": check_systemd,
}


def write(name: str, content: str) -> None:
    with open(name, "w", encoding="utf-8") as handle:
        handle.write(content)


#: A key that says that its value is a secret, with the value, as HOCON, Lua and JavaScript write it; and a private key.
NAMED_SECRET = re.compile(
    r"""(?ix) ((?: pass (?:word|wd|phrase)? | secret | token | api[_-]?key | private[_-]?key ) "? \]? \s* [=:] \s*) "((?: [^"\\\n] | \\. )+)\""""
)
#: The same as coturn writes it.
TURN_SECRET = re.compile(r"(?m)^((?:static-auth-secret|user|cli-password|pkey-pwd|[a-z-]*userdb|redis-statsdb)=)(.+)$")
#: The same as Java's properties have it. Encoded (base64) it is as much of a secret.
PROPERTY_SECRET = re.compile(r"(?im)^((?:[^\s=:]+\.)?(?:[a-z]+_)*(?:pass|password|token|private_key|subscription_key)=)(.+)$")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)


def redact(text: str, sensitive: t.Iterable[str]) -> str:
    """``text`` without the values, also where a language escaped them, and without what only its name shows to be a secret.

    The second is for what a file held before: nobody tells this run what the secret was.

    >>> redact('password = "a\\\\"b c d e f"', ['a"b c d e f'])
    'password = "********"'
    >>> redact('"app_secret": "what it was"', [])
    '"app_secret": "(another secret)"'
    >>> redact("static-auth-secret=new\\nstatic-auth-secret=old", ["new"])
    'static-auth-secret=********\\nstatic-auth-secret=(another secret)'
    """
    for value in sorted(set(sensitive), key=len, reverse=True):
        for form in (value, value.replace("\\", "\\\\").replace('"', '\\"')):
            if form:
                text = text.replace(form, "********")
    text = NAMED_SECRET.sub(lambda match: match[1] + ('"********"' if match[2] == "********" else '"(another secret)"'), text)
    text = PROPERTY_SECRET.sub(lambda match: match[1] + ("********" if match[2] == "********" else "(another secret)"), text)
    text = TURN_SECRET.sub(lambda match: match[1] + ("********" if match[2] == "********" else "(another secret)"), text)
    return PRIVATE_KEY.sub("(another private key)", text)


def sentence(text: str) -> str:
    """``text`` with a full stop, unless it ends already.

    >>> sentence("no such key"), sentence("did you mean `x`?")
    ('no such key.', 'did you mean `x`?')
    """
    return text if text.endswith(("?", ".")) else text + "."


def read(path: str) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read()
    return None


def main() -> None:
    """Compare, check, and unless in check mode replace."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True, "no_log": True},
            "format": {"type": "str", "choices": ["hocon", "properties", "prosody", "nginx", "turnserver", "systemd", "text"], "default": "text"},
            "trial": {"type": "list", "elements": "str", "default": []},
            "trial_hint": {"type": "str", "default": "allow what it needs"},
            "jars": {"type": "list", "elements": "str", "default": []},
            "known_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "unknown_keys": {"type": "str", "choices": ["error", "warn"], "default": "error"},
            "needs": {"type": "list", "elements": "path", "default": []},
            "sensitive": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "default": "0644"},
        },
        supports_check_mode=True,
    )
    params = module.params
    # `no_log` keeps the text out of the system's log. From here on it would also empty the diff, which takes the secrets out by
    # itself; so the text stays in this function, and in what it calls.
    content = params["content"]
    params["content"] = "(see the diff)"
    if content not in params["sensitive"]:
        module.no_log_values.discard(content)
    old = read(params["path"])
    unknown = [] if old == content and not newer_programs(module) else accepted(module, content)
    for what in unknown:
        module.warn(f"{params['path']}: {what}")
    changed = old != content
    if changed and not module.check_mode:
        replace(module, content)
    with contextlib.suppress(KeyError):
        if not module.check_mode or (os.path.exists(params["path"]) and pwd.getpwnam(params["owner"])):
            arguments = module.load_file_common_arguments(params, path=params["path"])
            changed = module.set_fs_attributes_if_different(arguments, changed)
    diff = {
        "before_header": params["path"],
        "after_header": params["path"],
        "before": redact(old or "", params["sensitive"]),
        "after": redact(content, params["sensitive"]),
    }
    module.exit_json(changed=changed, path=params["path"], unknown=unknown, diff=diff)


def newer_programs(module: AnsibleModule) -> bool:
    """Whether what the file is for was installed after the file was: then even an unchanged file is looked at again."""
    jars = [name for pattern in module.params["jars"] for name in glob.glob(pattern)]
    return any(os.stat(name).st_ctime > os.stat(module.params["path"]).st_mtime for name in jars)


def accepted(module: AnsibleModule, content: str) -> list[str]:
    """Run the check of the file's format; fail when the file is refused, return what is only worth a warning."""
    params = module.params
    check = CHECKS.get(params["format"])
    if check is None:
        return []
    try:
        for name in params["needs"]:
            if not os.path.exists(name):
                raise Unchecked(f"{name} is not there")
        unknown = check(module, content)
    except Unchecked as reason:
        if not module.check_mode:
            module.fail_json(msg=f"{params['path']} cannot be checked: {reason}. The file was not changed.")
        module.warn(f"{params['path']} is not checked: {reason}")
        return []
    except Refused as reason:
        text = redact(str(reason), params["sensitive"])
        module.fail_json(msg=f"{params['path']}: the new text {text}. The file was not changed.")
    if unknown and params["unknown_keys"] == "error":
        module.fail_json(
            msg=f"{params['path']}: {' '.join(sentence(part) for part in unknown)} The file was not changed; correct the setting, "
            "or set `jitsi_unknown_keys: warn` if you know better.",
            unknown=unknown,
        )
    return unknown


def replace(module: AnsibleModule, content: str) -> None:
    """Put the new text in place with its final owner and mode from the first moment."""
    path = module.params["path"]
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".campus.jitsi-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        with contextlib.suppress(FileNotFoundError):
            # What replaces a file keeps its mode until the task's own is set, if that is stricter.
            os.chmod(partial, stat.S_IMODE(os.stat(path).st_mode) & 0o600)
        arguments = module.load_file_common_arguments(module.params, path=partial)
        module.set_fs_attributes_if_different(arguments, False)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise


if __name__ == "__main__":
    main()
