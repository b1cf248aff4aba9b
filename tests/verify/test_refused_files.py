# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that its program would not accept never replaces the live one, and the service runs on as it did."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re

import pytest
from conftest import JSON, UNITS, works

BROKEN_SITE = "server {\n    listen 8099;\n    no_such_directive on;\n}\n"

#: By role: settings, and what must be said.
REFUSED = {
    "jvb": (
        {"jvb_config": {"videobridge": {"ice": {"udp": {"prot": 10001}}}}},
        "/etc/jitsi/videobridge/jvb.conf: `videobridge.ice.udp.prot`: did you mean `videobridge.ice.udp.port`? The file was not changed; "
        "correct the setting, or set `jitsi_unknown_keys: warn` if you know better.",
    ),
    "jicofo": (
        {"jicofo_config": {"jicofo": {"conference": {"enable-auto-ownr": True}, "bridge": 5}}},
        "/etc/jitsi/jicofo/jicofo.conf: `jicofo.bridge` is a group of keys, not a value. `jicofo.conference.enable-auto-ownr`: did you mean "
        "`jicofo.conference.enable-auto-owner`? The file was not changed; correct the setting, or set `jitsi_unknown_keys: warn` if you know better.",
    ),
    "prosody": (
        {"prosody_config": {"hosts": {"conference.meet.lab.test": {"modules_enabled+": ["muc_hide_al"]}}}},
        "/etc/prosody/conf.avail/meet.lab.test.cfg.lua: `muc_hide_al` (conference.meet.lab.test): no such Prosody module: did you mean "
        "`muc_hide_all`? The file was not changed; correct the setting, or set `jitsi_unknown_keys: warn` if you know better.",
    ),
    # The site is right; another one that somebody has on this host is not.
    "nginx_meet": (
        {"nginx_meet_prosody_address": "localhost"},
        '/etc/nginx/sites-available/meet.lab.test.conf: the new text is refused by nginx -t: .*unknown directive "no_such_directive" in '
        "/etc/nginx/sites-enabled/somebodys.conf:3.* The file was not changed.",
    ),
}


@contextlib.contextmanager
def another_site(host, text):
    """A site of somebody else in this host's nginx, which has not been told of it."""
    path = "/etc/nginx/sites-enabled/somebodys.conf"
    host.check_output("printf %%s %s > %s", text, path)
    try:
        yield
    finally:
        host.check_output("rm %s", path)


@pytest.fixture(scope="module")
def runs(request, once):
    """The runs of all roles that were asked for, side by side: they change nothing. With the host before and after them."""
    items = [item for item in request.session.items if item.function is test_a_refused_file_leaves_the_service_on_the_old_one]
    roles = {item.callspec.params["role"] for item in items}
    (name,) = once.hosts

    def run(role):
        return once.playbook("campus.jitsi.site", "--tags", role, variables=REFUSED[role][0], environment=JSON)

    before = once.managed(name)
    with another_site(once.host(name), BROKEN_SITE) if "nginx_meet" in roles else contextlib.nullcontext():
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = dict(zip(REFUSED, pool.map(lambda role: run(role) if role in roles else None, REFUSED)))
    return done, before, once.managed(name)


@pytest.mark.parametrize("role", REFUSED)
def test_a_refused_file_leaves_the_service_on_the_old_one(site, runs, role):
    done, before, after = runs
    (message,) = done[role].failures
    said = REFUSED[role][1]
    assert done[role].code != 0
    assert re.fullmatch(said if role == "nginx_meet" else re.escape(said), message, re.DOTALL), message
    # Every file and the present run of every service (see managed) are what they were.
    assert f"{UNITS[role]} " in "\n".join(before) and after == before
    assert site.of_one(role).service(UNITS[role]).is_running
    assert not site.of_one(role).run("ls -A /etc/jitsi/* /etc/prosody/* /etc/nginx/* | grep campus.jitsi-").stdout


def test_the_site_works_on_its_old_files(site, runs):
    works(site.check())


def test_an_unknown_key_is_a_warning_for_who_knows_better(once):
    """The file lands with it, and the bridge runs; without it, the next run puts the old file back."""
    (name,) = once.hosts
    path = "/etc/jitsi/videobridge/jvb.conf"
    before = once.host(name).file(path).content_string
    wish = {"jitsi_unknown_keys": "warn", **REFUSED["jvb"][0]}
    try:
        done = once.playbook("campus.jitsi.site", "--tags", "jvb", variables=wish)
        assert done.code == 0 and done.changes == {"Configure the videobridge", "Run the videobridge"}, done.output
        assert re.search(r"prot = 10001", once.host(name).file(path).content_string)
        assert "`videobridge.ice.udp.prot`: did you mean `videobridge.ice.udp.port`?" in re.sub(r"\s+", " ", done.output)
    finally:
        back = once.playbook("campus.jitsi.site", "--tags", "jvb")
    assert back.code == 0 and once.host(name).file(path).content_string == before
