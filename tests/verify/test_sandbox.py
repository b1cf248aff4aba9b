# SPDX-License-Identifier: GPL-3.0-or-later
"""Services are confined by systemd: what they cannot do, and what still works."""

from __future__ import annotations

import re
import time

import pytest
from conftest import JSON, PATIENCE, UNITS, settled, works

#: Services by role, those of optional roles among them.
SERVICES = {**UNITS, "coturn": "coturn", "jigasi": "jigasi"}


@pytest.fixture(params=SERVICES)
def role(request, site) -> str:
    """Each role that some host has."""
    if request.param not in site.roles:
        pytest.skip("no host has this role")
    return request.param


def systemd(host, unit: str, name: str) -> str:
    return host.check_output("systemctl show --property=%s --value %s", name, unit)


def status(host, unit: str) -> dict[str, str]:
    """What the kernel says of the main process of a unit: the lines of /proc/PID/status."""
    text = host.file(f"/proc/{systemd(host, unit, 'MainPID')}/status").content_string
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_the_exposure_of_the_service(site, role):
    """`systemd-analyze security` counts what a service could do to its host, from 10 down to 0."""
    for name in site.of(role):
        shown = site.host(name).check_output("systemd-analyze security --no-pager %s | tail -1", SERVICES[role])
        assert float(re.search(r"exposure level for \S+: ([0-9.]+)", shown).group(1)) <= 4.0, f"{name}: {shown}"


def test_what_breaks_into_a_service_changes_nothing_of_the_host(site, role):
    """From the place of the running process, even root finds programs and settings read-only. Its own logs are not."""
    places = ("/etc", "/usr/bin", "/usr/share", "/var/lib/dpkg", "/var/cache/apt", "/root")
    script = 'for f in "$@"; do if touch "$f/campus.test" 2>/dev/null; then rm "$f/campus.test"; echo "$f"; fi; done'
    writable = {"prosody": "/var/log/prosody", "jicofo": "/var/log/jitsi", "jvb": "/var/log/jitsi", "nginx_meet": "/var/log/nginx",
                "coturn": "/var/lib/turn", "jigasi": "/var/log/jitsi"}[role]
    for name in site.of(role):
        host = site.host(name)
        allowed = {"/var/cache/apt"} if role == "nginx_meet" else set()
        pid = systemd(host, SERVICES[role], "MainPID")
        words = " ".join((*places, writable))
        found = host.check_output(f"nsenter --target {pid} --mount sh -c '{script}' sh {words}").split()
        assert set(found) - allowed == {writable}, f"{name}: {found}"


def test_the_bridge_unpacks_native_libraries_where_they_can_be_run(site):
    """JNA goes by XDG_CACHE_HOME, and falls back to /tmp, which may be mounted noexec."""
    script = 'cp /bin/true "$1/campus.test" && "$1/campus.test"; code=$?; rm -f "$1/campus.test"; exit $code'
    for name in site.of("jvb"):
        host = site.host(name)
        pid = systemd(host, SERVICES["jvb"], "MainPID")
        place = re.search(r"(?m)^XDG_CACHE_HOME=(.+)$", host.check_output("tr '\\0' '\\n' < /proc/%s/environ", pid)).group(1)
        user = host.check_output("ps -o user= -p %s", pid)
        host.check_output(f"nsenter --target {pid} --mount setpriv --reuid={user} --clear-groups sh -c '{script}' sh {place}")


def test_the_kernel_holds_the_process_to_it(site, role):
    """No new privileges, a filter of system calls, and no capability but what the program is there for."""
    ours = {"prosody": 0, "jicofo": 0, "jvb": 1 << 10, "coturn": 1 << 10, "jigasi": 0}
    for name in site.of(role):
        have = status(site.host(name), SERVICES[role])
        assert (have["NoNewPrivs"], have["Seccomp"]) == ("1", "2"), name
        bounding = int(have["CapBnd"], 16)
        if role in ours:
            assert bounding in (0, ours[role]) and have["Uid"].split()[0] != "0", name
        else:
            # The master of nginx starts workers that are somebody else. It cannot trace, mount, load modules or make devices.
            assert not bounding & (1 << 19 | 1 << 21 | 1 << 16 | 1 << 27 | 1 << 12), name


def test_memory_is_limited_and_the_limit_leaves_room(site):
    """A limit is for what runs away: the heap, as much again and half a GiB for Java, half of the host for the others."""
    for role, unit in SERVICES.items():
        for name in site.of(role) if role in site.roles else []:
            host = site.host(name)
            limit = int(systemd(host, unit, "MemoryMax")) >> 20
            total = int(re.search(r"MemTotal:\s+(\d+)", host.file("/proc/meminfo").content_string).group(1)) >> 10
            heap = re.search(r"_MAX_MEMORY=(\d+)m", systemd(host, unit, "Environment"))
            assert limit == int(heap.group(1)) * 2 + 512 if heap else abs(limit - total // 2) <= 1, f"{name}: {unit} {limit} of {total}"


# --- what still works ----------------------------------------------------------------------------------------------


def test_logs_are_rotated_and_written_on(site):
    """By the packages' own rules for logrotate: nginx and Prosody open new files, Java goes on in its old one."""
    package = {"prosody": "prosody", "jicofo": "jicofo", "jvb": "jitsi-videobridge", "nginx_meet": "nginx"}
    logs = {"prosody": "/var/log/prosody/prosody.log", "jicofo": "/var/log/jitsi/jicofo.log", "jvb": "/var/log/jitsi/jvb.log",
            "nginx_meet": "/var/log/nginx/access.log"}
    for role, unit in UNITS.items():
        host = site.of_one(role)
        host.check_output("command -v logrotate >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends logrotate >/dev/null")
        before = site.invocation(site.of(role)[0], unit)
        if role == "nginx_meet":
            site.connect().request("GET", "/before-the-rotation")
        host.check_output("logrotate --force /etc/logrotate.d/%s", package[role])
        assert site.invocation(site.of(role)[0], unit) == before, "no rotation restarts anything"
        if role == "nginx_meet":
            end = time.monotonic() + PATIENCE * 20
            while time.monotonic() < end:
                site.connect().request("GET", "/after-the-rotation")
                text = host.file(logs[role]).content_string
                if "after-the-rotation" in text:
                    break
                time.sleep(0.2)
            assert "after-the-rotation" in text and "before-the-rotation" not in text
        elif role == "prosody":
            host.check_output("prosodyctl shell %s", '> require"prosody.util.logger".init"campus"("info", "after the rotation")'
                              if "13." in host.check_output("prosodyctl about | grep -m1 '^Prosody '")
                              else '> require"util.logger".init"campus"("info", "after the rotation")')
            assert "after the rotation" in host.file(logs[role]).content_string
        opened = host.check_output("ls -l /proc/%s/fd", systemd(host, unit, "MainPID"))
        assert logs[role] in opened and "(deleted)" not in [line.split()[-1] for line in opened.splitlines() if "/var/log" in line]
    works(site.check())


def test_root_talks_to_prosody_and_nothing_restarts_it(site):
    """prosodyctl, a reload and a new account work as before, and people stay in their rooms meanwhile."""
    name = site.of("prosody")[0]
    host, before = site.host(name), site.invocation(name, "prosody")
    assert site.domain in host.check_output("prosodyctl shell %s", "host:list()")
    host.check_output("systemctl reload prosody")
    host.check_output("service prosody reload")
    host.check_output("prosodyctl register sandbox auth.%s correct-horse-battery", site.domain)
    try:
        assert site.log_in(host, "sandbox", "correct-horse-battery") == "success"
    finally:
        host.check_output("prosodyctl deluser sandbox@auth.%s", site.domain)
    assert host.run("prosodyctl check config").rc in (0, 1)
    done = site.playbook("campus.jitsi.site", "--tags", "prosody")
    assert done.code == 0 and done.changed == 0, done.output[-3000:]
    assert site.invocation(name, "prosody") == before


#: A usual other site: files, a log, a program behind a socket in /run and in /tmp and behind a TCP port, a cache, uploads.
OTHER_SITE = """
proxy_cache_path /var/cache/campus-test keys_zone=campus_test:1m;
server {
    listen 127.0.0.1:8098;
    access_log /var/log/nginx/other.access.log;
    error_log /var/log/nginx/other.error.log;
    root /srv/www;
    client_body_temp_path /var/lib/nginx/body;
    location /run { proxy_pass http://unix:/run/campus-test.sock:/; }
    location /tmp { proxy_pass http://unix:/tmp/campus-test.sock:/; }
    location /tcp { proxy_cache campus_test; proxy_cache_valid 1m; proxy_pass http://127.0.0.1:8097/; }
    location /people { alias /home/campus-test; }
}
"""
SERVER = """
import http.server, os, socketserver, sys, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"behind")
    def address_string(self): return "x"
    def log_message(self, *words): pass
servers = [http.server.HTTPServer(("127.0.0.1", 8097), Answer)]
for path in ("/run/campus-test.sock", "/tmp/campus-test.sock"):
    servers.append(socketserver.UnixStreamServer(path, Answer)); os.chmod(path, 0o666)
for server in servers: threading.Thread(target=server.serve_forever).start()
"""
ASK = "import urllib.request as r; print(*(r.urlopen('http://127.0.0.1:8098/' + p).read().decode() for p in ('x', 'run', 'tmp', 'tcp', 'people/x')))"


@pytest.fixture
def other_site(single):
    """Another site of the same nginx, with programs behind it."""
    host = single.host(single.of("nginx_meet")[0])
    path = "/etc/nginx/sites-enabled/campus-test.conf"
    host.check_output("mkdir -p /srv/www /home/campus-test && echo files > /srv/www/x && echo home > /home/campus-test/x "
                      "&& printf %%s %s > /run/campus-test.py", SERVER)
    host.check_output("systemd-run --quiet --unit=campus-test python3 /run/campus-test.py")
    host.check_output("printf %%s %s > %s", OTHER_SITE, path)
    yield host, path
    host.run("systemctl stop campus-test; rm -rf %s /srv/www /home/campus-test /run/campus-test* /tmp/campus-test* "
             "/var/cache/campus-test /opt/campus-test", path)
    host.check_output("systemctl reload-or-restart nginx")


def test_another_site_of_the_same_nginx_works_on(other_site):
    host, _path = other_site
    for verb in ("reload", "restart"):
        host.check_output("systemctl %s nginx", verb)
        end = time.monotonic() + PATIENCE * 10
        while (done := host.run("python3 -c %s", ASK)).rc and time.monotonic() < end:
            time.sleep(0.2)
        assert done.stdout.split() == ["files", "behind", "behind", "behind", "home"], done.stderr
    assert '"GET /people/x' in host.file("/var/log/nginx/other.access.log").content_string


def test_a_site_that_writes_elsewhere_is_met_before_nginx_is_confined(once, other_site):
    """Otherwise nginx would not start any more, and all sites would be down."""
    host, path = other_site
    dropin = "/etc/systemd/system/nginx.service.d/campus.jitsi.conf"
    host.check_output("mkdir -p /opt/campus-test && sed -i s#/var/log/nginx/other.access.log#/opt/campus-test/log# %s", path)
    # As on a host whose nginx was there before us.
    host.check_output("rm %s && systemctl daemon-reload && systemctl restart nginx", dropin)
    refused = once.playbook("campus.jitsi.site", "--tags", "nginx_meet", environment=JSON)
    try:
        assert refused.code != 0 and not host.file(dropin).exists, refused.output[-3000:]
        (said,) = refused.failures
        assert "does not let `/usr/sbin/nginx -t -q` do its work" in said and "/opt/campus-test/log" in said and "Read-only file system" in said, said
        assert "allow it in `nginx_meet_sandbox`, such as a place to write with `ReadWritePaths+: [/where]`. The file was not changed." in said, said
        wish = {"nginx_meet_sandbox": {"ReadWritePaths+": ["/opt/campus-test"]}}
        done = once.playbook("campus.jitsi.site", "--tags", "nginx_meet", variables=wish)
        assert done.code == 0, done.output[-3000:]
        host.check_output("python3 -c %s", ASK)
        assert "GET" in host.file("/opt/campus-test/log").content_string
    finally:
        host.check_output("rm %s && systemctl reload nginx", path)
        back = once.playbook("campus.jitsi.site", "--tags", "nginx_meet")
    assert back.code == 0, back.output[-3000:]
    host.check_output("touch %s", path)
    works(settled(once))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ProtectTheWorld=yes", "`ProtectTheWorld` is no directive of this systemd. The file was not changed;"),
        ("ProtectHome=maybe", "is refused by systemd: Failed to parse"),
        ("SystemCallFilter=@nonsense", "is refused by systemd: Unknown system call group"),
    ],
)
def test_a_directive_that_this_systemd_does_not_take(single, line, said):
    """systemd itself would pass over it with a line in the journal."""
    arguments = {"path": "/etc/systemd/system/jicofo.service.d/campus.jitsi.conf", "content": f"[Service]\n{line}\n", "format": "systemd"}
    refused = single.module(single.of("jicofo")[0], "config_file", arguments)
    assert refused["failed"] and said in refused["msg"], refused
    assert not single.module(single.of("jicofo")[0], "config_file", {**arguments, "unknown_keys": "warn"}, "--check")["failed"] or "yes" not in line
