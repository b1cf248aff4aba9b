# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs where, and what is open to whom."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from conftest import CHECKOUT, UNITS, works

from ansible_collections.campus.jitsi.plugins.module_utils._conference import read_config


def listening(host) -> dict[str, set[str]]:
    """Port and protocol to the addresses that listen there."""
    found: dict[str, set[str]] = {}
    for line in host.check_output("ss --no-header --listening --tcp --udp --numeric").splitlines():
        words = line.split()
        address, _colon, port = words[4].rpartition(":")
        found.setdefault(f"{port}/{words[0]}", set()).add(address.strip("[]").replace("::ffff:", "").partition("%")[0])
    return found


@pytest.mark.parametrize("role", UNITS)
def test_the_service_runs_and_starts_with_the_host(site, role):
    for name in site.of(role):
        service = site.host(name).service(UNITS[role])
        assert service.is_running and service.is_enabled, name


def test_open_to_the_world_is_what_browsers_need_and_5222_for_components(site):
    split = len(site.hosts) > 1
    for name in site.hosts:
        roles = {role for role in UNITS if name in site.of(role)}
        expected = {"22/tcp"}
        if "nginx_meet" in roles:
            expected |= {"80/tcp", "443/tcp"}
        if "jvb" in roles:
            expected |= {"10000/udp"}
        if "prosody" in roles and split:
            # Components on other hosts, and nginx over TLS.
            expected |= {"5222/tcp", "5281/tcp"}
        public = {port for port, addresses in listening(site.host(name)).items() if not addresses <= {"127.0.0.1", "::1"}}
        assert public == expected, name


def test_a_conference_works(site):
    works(site.check())


def test_buttons_are_those_of_what_is_there(site):
    """What the client is told of recorders and telephones: nothing where there are none."""
    told = read_config(site.connect().request("GET", "/config.js")[2].decode())
    recorders, gateways = (bool(site.groups.get(f"jitsi_{role}")) for role in ("jibri", "jigasi"))
    assert told.get("recordingService", {}).get("enabled", False) is recorders
    assert told.get("recordings", {}).get("requireConsent", False) is recorders
    assert told.get("liveStreaming", {}).get("enabled", False) is (recorders and bool(site.variables.get("jitsi_streaming_targets")))
    assert ("hiddenDomain" in told) is recorders
    numbers = gateways and bool(site.variables.get("nginx_meet_dial_in_numbers"))
    assert [bool(told.get(key)) for key in ("dialInNumbersUrl", "dialInConfCodeUrl")] == [numbers, numbers]


def test_two_browsers_see_each_other(site, tmp_path):
    web = site.address(site.of("nginx_meet")[0])
    command = [sys.executable, str(CHECKOUT / "tests/call/call.py"), f"https://{site.domain}", "--address", web, "--ca", site.ca_file, "--out", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=180)
    result = json.loads(done.stdout)
    assert result["ok"], done.stdout[:4000]
    assert {name: list(browser["sees"]) for name, browser in result["browsers"].items()} == {"Ada": ["Blas"], "Blas": ["Ada"]}
    # The site's Content-Security-Policy and Permissions-Policy forbid nothing of it.
    assert [line for browser in result["browsers"].values() for line in browser["forbidden"]] == []


def test_a_browser_that_does_not_trust_the_authority_stays_outside(site, tmp_path):
    web = site.address(site.of("nginx_meet")[0])
    command = [sys.executable, str(CHECKOUT / "tests/call/call.py"), f"https://{site.domain}", "--address", web, "--timeout", "5", "--out", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=180)
    assert "ERR_CERT_AUTHORITY_INVALID" in done.stdout


def test_the_right_password_is_taken_and_a_wrong_one_refused(site):
    host = site.of_one("jicofo")
    server = "127.0.0.1" if site.of("jicofo") == site.of("prosody") else site.address(site.of("prosody")[0])
    password = site.secret("xmpp/focus")
    assert site.log_in(host, "focus", password, server) == "success"
    assert site.log_in(host, "focus", password[:-1], server) == "not-authorized"
    assert site.log_in(host, "focus", site.secret(f"xmpp/jvb/{site.of('jvb')[0]}"), server) == "not-authorized"
    assert site.log_in(host, "nobody", password, server) == "not-authorized"


def test_a_component_that_does_not_trust_the_authority_does_not_log_in(site):
    host = site.of_one("jicofo")
    server = "127.0.0.1" if site.of("jicofo") == site.of("prosody") else site.address(site.of("prosody")[0])
    assert site.log_in(host, "focus", "x" * 20, server, ca="/etc/ssl/certs/ISRG_Root_X1.pem") == "untrusted"


def test_every_bridge_has_an_account_of_its_own(site):
    host = site.of_one("prosody")
    names = set(host.check_output("ls /var/lib/prosody/auth%2emeet%2elab%2etest/accounts").split())
    assert names == {"focus.dat"} | {f"jvb%2d{name}.dat" for name in site.of("jvb")}
    for name in site.of("jvb"):
        content = site.host(name).file("/etc/jitsi/videobridge/jvb.conf").content_string
        assert f'USERNAME = "jvb-{name}"' in content and site.secret(f"xmpp/jvb/{name}") in content


def test_memory_is_sized_to_the_host(site):
    for role, unit, share in (("jicofo", "jicofo", 8), ("jvb", "jitsi-videobridge2", 4)):
        host = site.of_one(role)
        total = int(re.search(r"MemTotal:\s+(\d+)", host.file("/proc/meminfo").content_string).group(1)) // 1024
        command = host.check_output("tr '\\0' ' ' < /proc/$(systemctl show --property=MainPID --value %s)/cmdline", unit)
        assert f"-Xmx{min(3072, max(512, total // share))}m" in command
