# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that die in the middle and are finished by the next, runs of a part, and runs that change nothing."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess

import pytest
import yaml
from conftest import CHECKOUT, JSON, UNITS, settled, works

POLICY = "/usr/sbin/policy-rc.d"


@contextlib.contextmanager
def started(site, *words):
    """A run of the site that somebody can kill, with its output as it comes."""
    command = ["ansible-playbook", "-i", str(site.inventory), "campus.jitsi.site", *words]
    # A run that is gone leaves no master of its connections behind: the next one must not find its way through that.
    environment = {**site.environment, "PYTHONUNBUFFERED": "1", "ANSIBLE_SSH_ARGS": "-o ControlMaster=no"}
    run = subprocess.Popen(command, env=environment, cwd=site.place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    with run:
        try:
            yield run
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)


def accounts(site) -> str:
    """The accounts with their keys, and the root key."""
    store = site.of_one("prosody").check_output("cat /var/lib/prosody/auth*/accounts/*.dat /var/lib/prosody/auth*/roster/*.dat")
    return store + (site.inventory / ".jitsi" / "root.key").read_text(encoding="ascii")


# --- killed --------------------------------------------------------------------------------------------------------

#: On the host: when dpkg is at it, kill the module, apt-get and dpkg, in this order, so that none of them cleans up.
KILL_DPKG = r"""
import os, signal, sys, time
def lines():
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as handle:
                command = handle.read().split(b"\0")
            with open(f"/proc/{process}/stat") as handle:
                parent = handle.read().rpartition(")")[2].split()[1]
        except OSError:
            continue
        yield int(process), int(parent), os.path.basename(command[0]), command
print("ready", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    table = {pid: (parent, name, command) for pid, parent, name, command in lines()}
    found = [pid for pid, (parent, name, command) in table.items() if name == b"dpkg" and sys.argv[1].encode() in command]
    if sys.argv[1] == "--unpack" and not os.path.isdir("/usr/share/jitsi-meet/libs"):
        # It has not yet begun.
        continue
    if found:
        chain = []
        pid = found[0]
        while pid in table and (table[pid][1] in (b"dpkg", b"apt-get") or table[pid][1].startswith(b"python3")):
            chain.append(pid)
            pid = table[pid][0]
        # At once, or on a busy machine it is through before its turn comes.
        os.kill(found[0], signal.SIGSTOP)
        for pid in reversed(chain):
            os.kill(pid, signal.SIGKILL)
        print(len(chain), flush=True)
        break
    time.sleep(0.002)
"""


@pytest.mark.parametrize("phase", ["--unpack", "--configure"])
def test_killed_while_packages_are_installed(once, phase):
    """Controller and host: dpkg needs `dpkg --configure -a`, and the policy that keeps services from starting is left behind."""
    (name,) = once.hosts
    host = once.host(name)
    before, known = once.managed(name), accounts(once)
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq remove jitsi-meet-web >/dev/null")
    killer = subprocess.Popen(once.ssh(name, "python3", "-", phase), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with killer:
        killer.stdin.write(KILL_DPKG)
        killer.stdin.close()
        assert killer.stdout.readline() == "ready\n"
        with started(once, "--tags", "nginx_meet"):
            killed = killer.stdout.readline()
    audit = host.check_output("dpkg --audit")
    if "jitsi-meet-web" not in audit:
        # The tests that come next want a sound host.
        host.check_output("dpkg --configure -a")
    assert int(killed or 0) >= 3, "dpkg, apt-get and the module"
    assert "jitsi-meet-web" in audit and host.file(POLICY).exists
    done = once.playbook("campus.jitsi.site", "--tags", "nginx_meet")
    assert done.code == 0 and "Install nginx and the web client" in done.changes, done.output[-3000:]
    assert host.check_output("dpkg --audit; dpkg-query --show --showformat='${Status}' jitsi-meet-web") == "install ok installed"
    assert not host.file(POLICY).exists
    assert once.managed(name) == before and accounts(once) == known
    works(once.check())


def test_killed_between_a_file_and_the_restart_for_it(once):
    """The next run sees that the service was started before its file changed, and has no other work."""
    (name,) = once.hosts
    known, wish = accounts(once), {"jicofo_config": {"jicofo": {"conference": {"initial-timeout": "17 seconds"}}}}
    invocation = once.invocation(name, "jicofo")
    try:
        with started(once, "--tags", "jicofo", "-e", yaml.safe_dump(wish, default_flow_style=True, width=1000).strip()) as run:
            for line in run.stdout:
                if line.startswith("TASK [campus.jitsi.jicofo : Have systemd bring"):
                    break
        assert 'initial-timeout = "17 seconds"' in once.host(name).file("/etc/jitsi/jicofo/jicofo.conf").content_string
        assert once.invocation(name, "jicofo") == invocation
        done = once.playbook("campus.jitsi.site", "--tags", "jicofo", variables=wish)
        assert done.code == 0 and done.changes == {"Run jicofo"}, done.output[-3000:]
        assert once.invocation(name, "jicofo") != invocation
    finally:
        back = once.playbook("campus.jitsi.site", "--tags", "jicofo")
    assert back.code == 0 and accounts(once) == known, back.output[-3000:]
    works(settled(once))


# --- another apt ---------------------------------------------------------------------------------------------------

#: On the host: hold a lock until somebody was seen to want it, and for a second more; or, for nobody, until input ends.
HOLD = """
import fcntl, os, sys, time

def wanted():
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline") as handle:
                if sys.argv[2] in handle.read() and int(process) not in (os.getpid(), os.getppid()):
                    return True
        except OSError:
            continue
    return False

with open(sys.argv[1], "r+") as handle:
    (fcntl.flock if "debconf" in sys.argv[1] else fcntl.lockf)(handle, fcntl.LOCK_EX)
    print("held", flush=True)
    if not sys.argv[2:]:
        sys.stdin.read()
        sys.exit()
    end = time.monotonic() + 60
    while not wanted() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(1)
    print("seen" if time.monotonic() < end else "nobody came", flush=True)
"""
APT, DEBCONF = "/var/lib/dpkg/lock-frontend", "/var/cache/debconf/config.dat"


def install(site, **more):
    """Ask for a small package, with an answer to a question that was asked before."""
    (name,) = site.hosts
    question = {"package": "jicofo", "question": "jitsi-videobridge/jvb-hostname", "value": site.domain}
    return site.module(name, "packages", {"names": ["lua-unbound"], "answers": [question], **more})


@pytest.fixture
def lacking(once):
    """A host that lacks a small package."""
    (name,) = once.hosts
    once.host(name).check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq remove lua-unbound >/dev/null")
    yield once
    once.host(name).check_output("DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends lua-unbound >/dev/null")


@contextlib.contextmanager
def held(site, name, path, *program):
    """A lock that another program holds until ``program`` was seen to want it; without one, to the end of the block."""
    command = site.ssh(name, "python3", "-c", HOLD, path, *program)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        yield
        holder.stdin.close()
        assert holder.stdout.readline() == ("seen\n" if program else "")


def test_another_apt_is_waited_for(lacking):
    (name,) = lacking.hosts
    with held(lacking, name, APT, "apt-get"):
        result = install(lacking)
    assert not result["failed"] and result["installed"] == ["lua-unbound"], result
    assert lacking.host(name).check_output("dpkg-query --show --showformat='${Status}' lua-unbound") == "install ok installed"


def test_debconf_that_is_at_work_is_waited_for(once):
    """What it cannot say at the moment is not different: nothing changes."""
    (name,) = once.hosts
    with held(once, name, DEBCONF, "debconf-communicate"):
        result = install(once)
    assert not result["failed"] and not result["changed"], result


def test_another_apt_that_does_not_end_is_named(lacking):
    (name,) = lacking.hosts
    # It is gone too soon for being seen.
    with held(lacking, name, APT):
        result = install(lacking, lock_timeout=0)
    assert result["failed"]
    assert re.fullmatch(r"Another apt or dpkg held its lock for more than 0 s: .* Wait for it to end and run this again\.", result["msg"], re.DOTALL)
    assert "held by process" in result["msg"] and not lacking.host(name).file(POLICY).exists


# --- a part, or nothing --------------------------------------------------------------------------------------------


def test_a_check_of_an_installed_site_finds_nothing_to_do(once):
    (name,) = once.hosts
    before = once.managed(name)
    done = once.playbook("campus.jitsi.site", "--check", "--diff")
    assert done.code == 0 and done.changed == 0, done.output[-3000:]
    assert not re.search(r"(?m)^(---|\+\+\+) ", done.output)
    assert once.managed(name) == before


def test_a_check_of_a_switch_to_tokens_goes_through_and_changes_nothing(once):
    """It takes modules of ours, libraries and a TURN server that are not there yet."""
    (name,) = once.hosts
    before = once.managed(name)
    wish = {"jitsi_auth": "jwt", "jitsi_turn_servers": [{"host": "turn.lab.test", "secret": "hush-hush-hush-hush-hush-hush-hush"}]}
    done = once.playbook("campus.jitsi.site", "--check", "--diff", "--tags", "prosody", variables=wish)
    assert done.code == 0 and {"Install our own modules that are used", "Configure the hosts"} <= done.changes, done.output[-3000:]
    assert "+/usr/local/lib/prosody/lua/basexx.lua: link to /usr/share/lua/5.2/basexx.lua" in done.output and "hush-hush" not in done.output
    assert once.managed(name) == before


#: What runs for every tag.
ALWAYS = {"Group", "Inventory", "Hosts"}
#: By tag. The firewall opens before a component needs it, so it comes with each.
PLAYS = {
    "prosody": {"Perimeter", "Recorders that are to be no more", "Prosody"}, "jicofo": {"Perimeter", "Jicofo"}, "jvb": {"Perimeter", "Bridges"},
    "nginx_meet": {"Perimeter", "Web"}, "coturn": {"Perimeter", "TURN", "TURN certificates"}, "firewall": {"Perimeter", "No perimeter"},
    "check": {"Conference"}, "jibri": {"Perimeter", "Recorders that are to be no more", "Recorders"}, "jigasi": {"Perimeter", "Gateways to telephones"},
}


def test_a_tag_runs_the_play_of_its_role_and_no_other(once):
    """But for the checks of variables, which every role has. That such runs work is seen by the tests that use them."""
    def plays(tag):
        listed = once.playbook("campus.jitsi.site", "--list-tasks", "--tags", tag)
        assert listed.code == 0, listed.output
        parts = re.split(r"(?m)^  play #\d+ \(.*\): (.+?)\s*TAGS.*$", listed.output)[1:]
        return {title for title, text in zip(parts[::2], parts[1::2]) if re.search(r"(?m)^      (?!.*(?:Check the inventory|Validating arguments))\S", text)}

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert dict(zip(PLAYS, pool.map(plays, PLAYS))) == {tag: ALWAYS | own for tag, own in PLAYS.items()}


def test_a_run_limited_to_one_bridge_touches_no_other_host(site):
    if len(site.of("jvb")) < 2:
        pytest.skip("needs two bridges: the split scenario tests it")
    one, *others = [site.of("jvb")[0], *(name for name in site.hosts if name != site.of("jvb")[0])]

    def elsewhere():
        return {name: site.on(name, (CHECKOUT / "molecule/shared/managed.py").read_text(encoding="utf-8")) for name in others}

    before, runs = elsewhere(), {name: site.invocation(name, UNITS["jvb"]) for name in site.of("jvb")}
    wish = {"jvb_config": {"videobridge": {"stats": {"interval": "8 seconds"}}}}
    try:
        done = site.playbook("campus.jitsi.site", "--limit", one, variables=wish)
        assert done.code == 0 and done.changes == {"Configure the videobridge", "Run the videobridge"}, done.output[-3000:]
        assert set(re.findall(r"(?m)^(\S+)\s+: ok=", done.output)) == {one}
        assert elsewhere() == before
        now = {name: site.invocation(name, UNITS["jvb"]) for name in site.of("jvb")}
        assert {name for name in now if now[name] != runs[name]} == {one}
    finally:
        back = site.playbook("campus.jitsi.site", "--limit", one)
    assert back.code == 0, back.output[-3000:]
    works(settled(site))


THEIRS = "\n-- somebody's\nVirtualHost \"im.lab.test\"\n    authentication = \"internal_hashed\"\n"
THEIR_SITE = "server {\n    listen 127.0.0.1:8099;\n    return 200 somebodys;\n}\n"


def test_what_somebody_else_has_in_prosody_and_nginx_survives_a_run_and_an_upgrade(once):
    """Prosody's own file is Debian's and the administrator's; a web server may have other sites."""
    (name,) = once.hosts
    host = once.host(name)
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8099').read().decode())"
    host.check_output("cp -a /etc/prosody/prosody.cfg.lua /run/kept && printf %%s %s >> /etc/prosody/prosody.cfg.lua", THEIRS)
    host.check_output("printf %%s %s > /etc/nginx/sites-available/theirs.conf && ln -s ../sites-available/theirs.conf /etc/nginx/sites-enabled/", THEIR_SITE)
    try:
        host.check_output("systemctl reload nginx && systemctl restart prosody")
        before = host.check_output("sha256sum /etc/prosody/prosody.cfg.lua /etc/nginx/sites-available/theirs.conf")
        packages = "prosody jitsi-meet-prosody nginx nginx-common jitsi-meet-web jitsi-meet-web-config"
        host.check_output("apt-get -qq update >/dev/null")
        host.check_output(f"for p in {packages}; do dpkg-query -W $p >/dev/null 2>&1 && echo $p; done | "
                          "DEBIAN_FRONTEND=noninteractive xargs apt-get -qq -o Dpkg::Options::=--force-confold install --reinstall >/dev/null")
        done = once.playbook("campus.jitsi.site", "--tags", "prosody,nginx_meet", environment=JSON)
        assert done.code == 0, done.output[-3000:]
        assert host.check_output("sha256sum /etc/prosody/prosody.cfg.lua /etc/nginx/sites-available/theirs.conf") == before
        assert host.file("/etc/nginx/sites-enabled/theirs.conf").linked_to == "/etc/nginx/sites-available/theirs.conf"
        assert host.check_output("python3 -c %s", ask) == "somebodys"
        assert "im.lab.test" in host.check_output("prosodyctl shell %s", "host:list()")
    finally:
        host.check_output("rm /etc/nginx/sites-enabled/theirs.conf /etc/nginx/sites-available/theirs.conf && mv /run/kept /etc/prosody/prosody.cfg.lua")
        host.check_output("systemctl reload nginx && systemctl restart prosody")
    works(settled(once))
