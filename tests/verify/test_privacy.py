# SPDX-License-Identifier: GPL-3.0-or-later
"""What others and the logs learn of people with `jitsi_privacy: strict`, which some of the scenarios have in their inventory."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import time
import uuid

import pytest
from conftest import CHECKOUT

from ansible_collections.campus.jitsi.plugins.module_utils._conference import read_config
from ansible_collections.campus.jitsi.plugins.module_utils._https import Site as Https
from ansible_collections.campus.jitsi.plugins.module_utils._turn import Relay, TurnError
from ansible_collections.campus.jitsi.plugins.module_utils._xmpp import Login, WebSocketSession, XmppError

#: What Chromium itself looks for, whatever page it has; its network log does not say for whom a request is.
BROWSERS_OWN = {"accounts.google.com", "clients2.google.com", "content-autofill.googleapis.com", "update.googleapis.com", "optimizationguide-pa.googleapis.com",
                "edgedl.me.gvt1.com", "redirector.gvt1.com", "clientservices.googleapis.com", "safebrowsingohttpgateway.googleapis.com"}
#: Programs through which people go. SSH, which has the address of whoever ran Ansible in the journal, is not among them.
UNITS = ("nginx", "prosody", "jicofo", "jitsi-videobridge2", "coturn")
#: Addresses of nobody (RFC 5737 and 3849), that only a test would say.
NOBODY4, NOBODY6 = "203.0.113.9", "2001:db8::9"


@pytest.fixture(scope="module")
def strict(site):
    """The installation, when it keeps its people to itself."""
    if site.variables.get("jitsi_privacy") != "strict":
        pytest.skip("the scenarios auth_internal and perimeter are strict")
    return site


def ours(site, name):
    """The addresses of this machine, as a host sees who comes from here: of IPv4 and of IPv6."""
    found = []
    for address in site.addresses(name):
        route = subprocess.run(["ip", "-json", "route", "get", address], stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(route.stdout)[0]["prefsrc"])
    return found


#: Prints, as JSON, the lines with one of some texts in the logs of a host, also in what logrotate and we have put aside, and in the journal.
SEARCH = r"""
import gzip, json, os, re, subprocess, sys
texts, units = json.loads(sys.argv[1]), json.loads(sys.argv[2])
# 10.0.0.1 is not in 10.0.0.13.
wanted = re.compile("|".join("(?<![0-9a-z.])%s(?![0-9a-z])" % re.escape(text) for text in texts).encode(), re.IGNORECASE)
found = []
def look(where, data):
    for line in data.splitlines():
        if wanted.search(line):
            found.append([where, line.decode(errors="replace")])
for folder, _folders, names in os.walk("/var/log"):
    # The journal is asked below; the others have the logins of SSH.
    if folder.startswith("/var/log/journal"):
        continue
    for name in names:
        path = os.path.join(folder, name)
        if name in ("wtmp", "btmp", "lastlog", "wtmp.db", "auth.log"):
            continue
        with (gzip.open if name.endswith(".gz") else open)(path, "rb") as log:
            look(path, log.read())
words = [word for unit in units for word in ("--unit", unit)]
look("journal", subprocess.run(["journalctl", "--quiet", "--no-pager", "--output=short", *words], stdout=subprocess.PIPE, check=True).stdout)
print(json.dumps(found))
"""


def said(site, *texts):
    """Where one of some texts is in the logs of the installation."""
    hosts = [name for name in site.hosts if name in site.groups["jitsi"]]
    return {name: lines for name in hosts if (lines := json.loads(site.on(name, SEARCH, json.dumps(texts), json.dumps(UNITS))))}


def knock(site, address):
    """Come from one address family in all ways that a stranger and a guest can, and do what is refused."""
    marker = "room" + uuid.uuid4().hex[:8]
    https = Https(site.domain, address=address, ca=pathlib.Path(site.ca_file).read_text(encoding="utf-8"))
    for path in (f"/{marker}", "/config.js", f"/libs/{marker}.js", f"/http-bind?room={marker}", f"/{marker}/%00"):
        https.request("GET", path)
    https.request("POST", f"/http-bind?room={marker}", b"x" * 2_000_000)
    login = site.host_login()
    for who in ([login] if login.user else [Login()]) + [Login("ana", "not her password"), Login("nobody", "x")]:
        with contextlib.suppress(XmppError):
            WebSocketSession(https, site.domain, f"/xmpp-websocket?room={marker}", who).close()
    # A flood of requests for one path, of which some are turned away.
    with contextlib.suppress(OSError), https.connect() as raw:
        raw.sendall((f"GET /http-bind?room={marker} HTTP/1.1\r\nHost: {site.domain}\r\n\r\n" * 400).encode())
        raw.settimeout(0.5)
        while raw.recv(65536):
            pass
    asks = f"GET /{marker} HTTP/1.1\r\nHost: {site.domain}\r\n\r\n".encode()
    hello = b"\x16\x03\x01\x00\x05hello"
    # By a bare address, one comes to Debian's own site on port 80.
    bare = f"POST /{marker} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n".encode()
    for port, nonsense in ((443, hello), (443, asks), (80, asks), (80, bare), (5222, hello), (5222, b"<nonsense"), (80, b"\0nonsense\r\n\r\n")):
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=2) as plain:
            plain.sendall(nonsense)
            plain.settimeout(0.5)
            plain.recv(1000)
    return marker


def use_turn(site, name, address):
    """Be relayed, be refused by a password, and want to go where nobody may."""
    session = site.participant()
    try:
        service = next(one for one in session.services() if one["type"] == "turn" and site.turn_servers().get(one["host"]) == site.address(name))
    finally:
        session.close()
    with Relay(service["host"], 3478, "udp", address=address) as relay:
        relay.allocate(service["username"], service["password"])
        with pytest.raises(TurnError):
            relay.permit("192.168.77.77")
        relay.free()
    with Relay(service["host"], 3478, "tcp", address=address) as relay, pytest.raises(TurnError):
        relay.allocate(service["username"], "wrong")


def call(site, out, *words):
    web = site.of("nginx_meet")[0]
    names = [word for name, address in site.turn_servers().items() for word in ("--map", f"{name}={address}")]
    command = [sys.executable, str(CHECKOUT / "tests/call/call.py"), f"https://{site.domain}", "--address", site.address(web), *names,
               "--ca", site.ca_file, "--out", str(out), *words]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=180).stdout)


@pytest.fixture(scope="module")
def talked(strict, tmp_path_factory):
    """A call of two browsers, over TURN where there is a server. With accounts somebody with one opens the room before."""
    from people import Person, some_room

    site, room = strict, some_room()
    login = site.host_login()
    words = ["--room", room, "--network", *(["--relay", "udp"] if site.turn_servers() else [])]
    if site.auth == "anonymous":
        return call(site, tmp_path_factory.mktemp("call"), *words)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with Person(site, room, user=login.user, password=login.password) as host:
            host.enter()
            result = pool.submit(call, site, tmp_path_factory.mktemp("call"), *words)
            end = time.monotonic() + 60
            # Two see each other directly, three do not: he goes when both are there, besides himself and jicofo.
            while len(host.occupants(host.room)) < 4 and time.monotonic() < end:
                host.see(0.5)
        return result.result()


def test_no_address_of_anybody_is_in_a_log(strict, talked):
    web = strict.of("nginx_meet")[0]
    markers = [knock(strict, address) for address in strict.addresses(web)]
    for name in strict.groups.get("jitsi_coturn", []):
        for address in strict.addresses(name):
            use_turn(strict, name, address)
    time.sleep(1)
    addresses = {address for name in strict.groups["jitsi"] for address in ours(strict, name)}
    assert len(addresses) == 2, addresses
    assert said(strict, *addresses) == {}
    # That there is a log which could have them.
    lines = said(strict, *markers)[web]
    assert {where for where, _line in lines} == {"/var/log/nginx/access.log"} and len(lines) > 8, lines


def prosody_says(site, message, *words):
    """Have Prosody log something at the level of warnings."""
    code = f'require"util.logger".init("verify")("warn", {json.dumps(message)}, {", ".join(map(json.dumps, words))})'
    site.of_one("prosody").check_output("prosodyctl shell %s", f"> {code}")


def test_a_line_of_prosody_that_would_have_an_address_has_none(strict):
    """Also after its logs were opened anew, as logrotate has it do. What has no address stays as it is."""
    host, marker = strict.of_one("prosody"), uuid.uuid4().hex[:8]
    name = strict.of("prosody")[0]
    no_address = "at 12:30:45 (mod_x::y; 13.0.1; aa:bb:cc:dd:ee:ff; on 127.0.0.1:5280 and [::1]; "
    for number in range(2):
        prosody_says(strict, f"{marker} {number} %s, [%s]:5222, ::ffff:%s {no_address}%s%%): %s.", NOBODY4, NOBODY6, NOBODY4, "7", NOBODY6)
        host.check_output("systemctl reload prosody")
        time.sleep(1)
    lines = [line.partition(marker)[2] for where, line in said(strict, marker)[name] if where == "/var/log/prosody/prosody.log"]
    assert [re.sub(r"^ \d ", "", line) for line in lines] == [
        "[address], [[address]]:5222, [address]:[address] " + no_address + "7%): [address]."] * 2


def test_pages_ask_nobody_but_the_installation(strict, talked):
    """The welcome page and a meeting, as the pages' requests and as the browser's own log of its network has it.

    The pages are the stand-in's, with Jitsi's library in it; what Jitsi's own client would do is in config.js.
    """
    assert talked["ok"], json.dumps(talked)[:4000]
    known = {strict.domain, *strict.turn_servers(), *(address for name in strict.groups["jitsi"] for address in strict.addresses(name))}
    for browser in talked["browsers"].values():
        assert set(browser["asked"]) == {f"https://{strict.domain}", f"wss://{strict.domain}"}, browser["asked"]
        assert browser["forbidden"] == []
        assert strict.domain in browser["reached"] and set(browser["reached"]) - BROWSERS_OWN <= known, browser["reached"]
        servers = {re.split(r"[:?]", url)[1] for url in browser["ice"]}
        assert servers == set(strict.turn_servers()), browser["ice"]


def values(tree, way=""):
    for key, value in tree.items():
        yield from values(value, f"{way}{key}.") if isinstance(value, dict) else [(f"{way}{key}", value)]


def test_the_client_is_told_to_ask_nobody_else(strict):
    status, _headers, body = strict.connect().request("GET", "/config.js")
    told = dict(values(read_config(body.decode())))
    assert status == 200
    assert {key: told[key] for key in ("disableThirdPartyRequests", "gravatar.disabled", "analytics.disabled", "deeplinking.disabled", "disableDeepLinking")} \
        == dict.fromkeys(("disableThirdPartyRequests", "gravatar.disabled", "analytics.disabled", "deeplinking.disabled", "disableDeepLinking"), True)
    assert told["analytics.scriptURLs"] == [] and told["giphy.enabled"] is False and told["enableCalendarIntegration"] is False
    # No address of anybody else, in whatever setting.
    hosts = {match for match in re.findall(r"(?:https?|wss?)://([^/\"']+)", json.dumps(told))}
    assert hosts == {strict.domain}, hosts


#: Makes logs old and young, as logrotate and we put them aside, and a file of somebody else's beside them.
MAKE = r"""
import gzip, json, os, pwd, sys, time
for path in json.loads(sys.argv[1]):
    info = os.stat(path)
    for ending, days in ((".1", 5.5), (".2.gz", 6.5), ("-20200101.gz", 300), ("-20200101-000000.gz", 5.9), (".3.gz", 6.01)):
        with open(path + ending, "wb") as log:
            log.write(b"x")
        os.chown(path + ending, info.st_uid, info.st_gid)
        os.utime(path + ending, (time.time(), time.time() - days * 86400))
    others = os.path.join(os.path.dirname(path), "others.log.1")
    open(others, "w").close()
    os.utime(others, (0, 0))
"""
LOGS = {"nginx_meet": ("/var/log/nginx/access.log",), "prosody": ("/var/log/prosody/prosody.log",), "jicofo": ("/var/log/jitsi/jicofo.log",),
        "jvb": ("/var/log/jitsi/jvb.log",)}


def test_logs_are_kept_for_a_week_and_no_longer(strict):
    """What is put aside today began yesterday: a line is gone after seven days when its file goes after six."""
    for role, paths in LOGS.items():
        for name in strict.of(role):
            host = strict.host(name)
            strict.on(name, MAKE, json.dumps(paths))
            try:
                for path in paths:
                    # What is put aside is named after the second, and each start looks at all logs.
                    time.sleep(1.1)
                    host.check_output("echo what was before >> %s", path)
                    text, owner = host.file(path).content_string, host.check_output("stat --format=%%u:%%g:%%a:%%i %s", path)
                    host.check_output("systemctl start campus.jitsi-logs.service")
                    left = set(host.check_output("ls -1 %s", str(pathlib.PurePath(path).parent)).split())
                    base = pathlib.PurePath(path).name
                    assert {f"{base}.1", f"{base}-20200101-000000.gz", "others.log.1"} <= left
                    assert not {f"{base}.2.gz", f"{base}.3.gz", f"{base}-20200101.gz"} & left, left
                    # What was written until now is put aside, for nobody else to read, and the program writes on into the same file.
                    made = max(one for one in left if re.fullmatch(re.escape(base) + r"-2[0-9]{7}-[0-9]{6}\.gz", one))
                    aside = str(pathlib.PurePath(path).parent / made)
                    assert text[:1000].strip() in host.check_output("zcat %s", aside) and host.file(aside).mode & 0o007 == 0
                    assert host.check_output("stat --format=%%u:%%g:%%a:%%i %s", path) == owner
                    assert "what was before" not in host.file(path).content_string
            finally:
                host.check_output("rm -f /var/log/*/others.log.1 /var/log/*/*.log.1 /var/log/*/*.log.[23].gz /var/log/*/*.log-20200101*")
    marker = "room" + uuid.uuid4().hex[:8]
    strict.connect().request("GET", f"/{marker}")
    prosody_says(strict, marker + "%s", "")
    time.sleep(1)
    wheres = {where for lines in said(strict, marker).values() for where, _line in lines}
    assert {"/var/log/nginx/access.log", "/var/log/prosody/prosody.log"} <= wheres
    works_on = strict.host(strict.of("nginx_meet")[0]).run("systemctl is-active campus.jitsi-logs.timer")
    assert works_on.stdout.strip() == "active"
