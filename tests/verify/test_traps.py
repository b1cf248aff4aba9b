# SPDX-License-Identifier: GPL-3.0-or-later
"""Every trap of Jitsi that touches these roles, each with a test of its name.

What a trap is and where it was met is in docs/traps.md.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import time
import uuid

import pytest
from conftest import wait_for, works

from ansible_collections.campus.jitsi.plugins.module_utils import _xmpp


@pytest.fixture
def room(site):
    """A conference with its focus, and how to enter it; everybody leaves at the end."""
    place = f"trap-{uuid.uuid4().hex[:10]}@conference.{site.domain}"
    sessions = []

    def enter():
        session = site.participant()
        if not sessions:
            session.iq("set", f"focus.{site.domain}", f'<conference xmlns="{_xmpp.FOCUS}" room="{place}" machine-uid="trap"/>')
        session.nick = uuid.uuid4().hex[:8]
        session.join(place, session.nick)
        sessions.append(session)
        return session

    enter.place = place
    yield enter
    for session in sessions:
        try:
            session.leave(place, session.nick)
            session.close()
        except (OSError, _xmpp.XmppError):
            continue


def prosody(site, code: str) -> str:
    """What the live Prosody answers to a piece of Lua."""
    return site.of_one("prosody").check_output("prosodyctl shell %s", f"> {code}")


# --- Prosody -------------------------------------------------------------------------------------------------------


def test_trap_no_room_owner_on_prosody_13(site, room):
    """component_admins_as_room_owners: without it jicofo is nobody in its own rooms on Prosody 13."""
    session = room()
    assert wait_for(lambda: (session.poll(0.3), session.occupants(room.place).get("focus"))[1], 10) == "owner"


def test_trap_the_roster_of_focus(site):
    """client_proxy forwards to jicofo only when it sees its presence, which takes a subscription in the roster."""
    session = site.participant()
    room = f"x-{uuid.uuid4().hex}@conference.{site.domain}"
    answer = session.iq("set", f"focus.{site.domain}", f'<conference xmlns="{_xmpp.FOCUS}" room="{room}" machine-uid="r"/>')
    assert answer.find(f"{{{_xmpp.FOCUS}}}conference").get("ready") == "true"
    session.close()
    stored = site.of_one("prosody").file("/var/lib/prosody/auth%2emeet%2elab%2etest/roster/focus.dat").content_string
    assert re.search(r'\["focus\.meet\.lab\.test"\] = \{[^}]*\["subscription"\] = "(both|from)"', stored)


def test_trap_10_kilobytes_a_second_on_websocket_clients(site, room):
    """The default limits of mod_limits would take half a minute for what a browser sends in a second."""
    sender, receiver = room(), room()
    number, size = 30, 10_000
    started = time.monotonic()
    for index in range(number):
        sender._write(f'<message xmlns="jabber:client" type="groupchat" to="{room.place}" id="m{index}"><body>{"x" * size}</body></message>')
        time.sleep(0.02)

    def arrived():
        receiver.poll(0.5)
        return sum(element.find("{jabber:client}body") is not None for element in receiver.received) >= number

    assert wait_for(arrived, 20, every=0)
    # 300 kB at 10 kB/s are 30 s. This asks for a limit that is not there and measures no speed.
    assert time.monotonic() - started < 20


def test_trap_ghosts_after_a_lost_client(site, room):
    """Somebody whose machine vanished is still shown while his stream hibernates: with the default for minutes."""
    watcher, ghost = room(), room()
    assert wait_for(lambda: (watcher.poll(0.3), ghost.nick in watcher.occupants(room.place))[1], 10)
    # Not a word of goodbye, neither of XMPP nor of WebSocket nor of TLS.
    raw = socket.socket(fileno=ghost.socket.socket.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raw.close()
    assert wait_for(lambda: (watcher.poll(1), ghost.nick not in watcher.occupants(room.place))[1], 45, every=0)


def test_trap_an_unfiltered_brewery(site):
    """The packaged room of the bridges lets anybody in who asks: with its passwordless stranger as a bridge."""
    session = site.participant()
    for name in ("jvbbrewery", "JvbBrewery", f"new-{uuid.uuid4().hex[:6]}"):
        with pytest.raises(_xmpp.XmppError):
            session.join(f"{name}@internal.auth.{site.domain}", "stranger", timeout=3)
    session.close()


def test_trap_x_forwarded_for_missing_on_websocket(site):
    """The packaged site passes the client's address on for BOSH only: Prosody then takes every WebSocket for loopback."""
    session = site.participant()
    user, _slash, _resource = session.jid.partition("/")
    shown = prosody(site, f'return prosody.bare_sessions["{user}"] and next(prosody.bare_sessions["{user}"].sessions) and '
                          f'select(2, next(prosody.bare_sessions["{user}"].sessions)).ip')
    session.close()
    # As the web host sees this machine: the gateway of the lab.
    gateway = site.address(site.of("nginx_meet")[0]).rpartition(".")[0] + ".1"
    assert gateway in shown


def test_trap_rooms_that_are_locked_and_jids_that_are_hidden(site, room):
    """muc_room_locking makes clients fail to join; without public JIDs jicofo does not know who is who."""
    first, second = room(), room()
    assert wait_for(lambda: (first.poll(0.3), second.nick in first.occupants(room.place))[1], 10)
    items = [e.find(f".//{{{_xmpp.MUC_USER}}}item") for e in first.received if (e.get("from") or "").endswith("/" + second.nick)]
    assert any(item is not None and item.get("jid") for item in items)


def test_trap_a_hundred_rooms(site):
    """With storage in memory a room that falls out of the cache is gone, and the default cache holds 100."""
    text = site.of_one("prosody").file(f"/etc/prosody/conf.avail/{site.domain}.cfg.lua").content_string
    rooms = text.split('\nComponent "')
    for component in ("conference", "breakout", "lobby", "internal.auth"):
        (part,) = [part for part in rooms if part.startswith(f'{component}.{site.domain}" "muc"')]
        assert int(re.search(r"muc_room_cache_size = (\d+)", part).group(1)) >= 1000


def test_trap_5281_on_all_interfaces(site):
    """Prosody's HTTPS port listens on all interfaces with whatever certificate it finds. Federation is open, too."""
    open_ports = site.of_one("prosody").check_output("ss --no-header --listening --tcp --numeric")
    assert ":5269 " not in open_ports
    if len(site.hosts) == 1:
        assert ":5281 " not in open_ports


def test_trap_modules_that_do_not_load(site):
    """Old guides list modules that are gone; Prosody then logs errors and goes on without."""
    host = site.of_one("prosody")
    log = host.run("grep -hE '(error|warn)\\s' /var/log/prosody/prosody.log /var/log/prosody/prosody.err").stdout
    # What other tests provoke: strangers at the brewery's door, browsers that do not trust the authority.
    harmless = ("Received SIGTERM", "Error during SSL", "Resource Limit reached", "unauthorized presence", "Refused presence from")
    assert [line for line in log.splitlines() if line.strip() and not any(word in line for word in harmless)] == []


def test_trap_a_request_that_jicofo_does_not_know(site, room):
    """Smack answers one with an error that is no XML, Prosody ends jicofo's stream for it, and all meetings are over: by a single guest."""
    host = site.of_one("jicofo")
    lost = int(host.check_output("grep -c 'XMPP connection lost' /var/log/jitsi/jicofo.log || true"))
    session = room()
    for to in (f"{room.place}/focus", f"focus.{site.domain}", f"focus@auth.{site.domain}/focus"):
        for unknown in ('<foo xmlns="urn:x"/>', '<foo xmlns="http://jitsi.org/protocol/focus">a</foo>', '<conference xmlns="urn:x"><a/></conference>'):
            with pytest.raises(_xmpp.XmppError, match="feature-not-implemented"):
                session.iq("set", to, unknown)
    assert session.iq("get", f"{room.place}/focus", f'<query xmlns="{_xmpp.DISCO}"/>') is not None, "what it knows gets through"
    time.sleep(1)
    session.poll(0.3)
    assert session.occupants(room.place).get("focus") == "owner"
    assert int(host.check_output("grep -c 'XMPP connection lost' /var/log/jitsi/jicofo.log || true")) == lost


def test_trap_prosody_without_unbound(site):
    """Without lua-unbound every start and every prosodyctl complains."""
    done = site.of_one("prosody").run("prosodyctl shell 'host:list()'")
    assert "unable to find" not in done.stdout + done.stderr


def test_trap_a_host_that_inherits_another_certificate(site):
    """In 0.12 a host without ssl of its own takes its parent's, and the components' login fails."""
    host = site.of_one("prosody")
    names = host.check_output("openssl x509 -noout -ext subjectAltName -in /etc/prosody/certs/auth.%s.crt", site.domain)
    assert f"DNS:auth.{site.domain}" in names and f"DNS:{site.domain}" in names


# --- the bridge ----------------------------------------------------------------------------------------------------


def test_trap_a_bridge_with_only_private_addresses_is_healthy(once):
    """A bridge without a public address calls itself unhealthy a minute after its start, and jicofo leaves it out."""
    for name in once.of("jvb"):
        host = once.host(name)
        # The first check runs a minute after the start, the verdict is the one of the last check.
        started = host.check_output("systemctl show --property=ActiveEnterTimestampMonotonic --value jitsi-videobridge2")
        age = float(host.check_output("cut -d' ' -f1 /proc/uptime")) - int(started) / 1e6
        time.sleep(max(0.0, 80 - age))
        status = host.check_output("python3 -c %s", "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/about/health').status)")
        assert status == "200", name


def test_trap_somebody_elses_stun_server(site):
    """The packaged bridge asks a server of its makers for its address, and the packaged client does."""
    for name in site.of("jvb"):
        text = site.host(name).file("/etc/jitsi/videobridge/jvb.conf").content_string
        assert "addresses = []" in text and "jitsi.net" not in text
        assert re.search(r"aws \{\s+enabled = false", text)
    _status, _headers, body = site.connect().request("GET", "/config.js")
    assert b'"stunServers": []' in body and b"jitsi.net" not in body


def test_trap_tls_is_optional_on_loopback(site):
    """A bridge whose Prosody is on loopback would go on without TLS if it were not offered."""
    for name in site.of("jvb"):
        text = site.host(name).file("/etc/jitsi/videobridge/jvb.conf").content_string
        assert 'SECURITY_MODE = "required"' in text
        assert "DISABLE_CERTIFICATE_VERIFICATION" not in text
    assert "disable-certificate-verification" not in site.of_one("jicofo").file("/etc/jitsi/jicofo/jicofo.conf").content_string


def test_trap_systemctl_restart_cuts_calls(once, room):
    """A bridge with participants is drained before it is restarted; when they stay, it stays, too, on its old settings."""
    name = once.of("jvb")[0]
    host = once.host(name)
    first, second = room(), room()
    invited(first, second)
    assert "local_endpoints 0" not in metrics(host)
    before = host.check_output("systemctl show --property=InvocationID --value jitsi-videobridge2")
    wish = {"jvb_config": {"videobridge": {"stats": {"interval": "7 seconds"}}}, "jvb_drain_timeout": 3}
    refused = once.playbook("campus.jitsi.site", "--tags", "jvb", variables=wish)
    said = re.sub(r"\s+", " ", refused.output)
    assert refused.code != 0 and re.search(r"still has [0-9]+ users after 3 s; it takes new ones again", said), refused.output[-3000:]
    assert host.check_output("systemctl show --property=InvocationID --value jitsi-videobridge2") == before
    assert '"drain":false' in drain_state(host)
    for session in (first, second):
        session.leave(room.place, session.nick)
    assert wait_for(lambda: "local_endpoints 0" in metrics(host), 40)
    # The next run sees by itself that the bridge was started before its settings changed.
    done = once.playbook("campus.jitsi.site", "--tags", "jvb", variables=wish)
    assert done.code == 0 and done.changes == {"Run the videobridge"}, done.output[-3000:]
    back = once.playbook("campus.jitsi.site", "--tags", "jvb")
    assert back.code == 0, back.output[-3000:]
    works(once.check())


def invited(*sessions) -> None:
    """Wait until they are on a bridge. Its own number does not say: it may still have people of a test before."""
    for session in sessions:
        wait_for(lambda session=session: (session.poll(0.3), session.jingle("session-initiate"))[1] is not None, 20, "an invitation to a bridge")


def metrics(host) -> str:
    # Without the header the bridge answers with an error.
    asked = "r.Request('http://127.0.0.1:8080/metrics', headers={'Accept': 'text/plain'})"
    return host.check_output("python3 -c %s", f"import urllib.request as r; print(r.urlopen({asked}).read().decode())")


def drain_state(host) -> str:
    return host.check_output("python3 -c %s", "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/colibri/drain').read().decode())")


# --- packages and nginx --------------------------------------------------------------------------------------------


def test_trap_a_stray_account_of_the_package(site):
    """The package registers jvb with a password of its own when it thinks that it made the configuration."""
    accounts = site.of_one("prosody").check_output("ls /var/lib/prosody/auth%2emeet%2elab%2etest/accounts")
    assert "jvb.dat" not in accounts.split()


def test_trap_jaas_hosts_that_nobody_asked_for(site):
    """The package adds hosts for a paid service unless it finds their name."""
    assert not site.of_one("prosody").file("/etc/prosody/conf.avail/jaas.cfg.lua").exists


def test_trap_memory_settings_in_files_that_packages_rewrite(site):
    """/etc/jitsi/jicofo/config loses JICOFO_MAX_MEMORY on every upgrade: the setting is in the unit."""
    host = site.of_one("jicofo")
    assert "JICOFO_MAX_MEMORY" not in host.file("/etc/jitsi/jicofo/config").content_string
    assert "JICOFO_MAX_MEMORY=" in host.check_output("systemctl show --property=Environment --value jicofo")


def test_trap_a_service_that_upgrades_leave_stopped(site):
    """invoke-rc.d --skip-systemd-native passes over a service with a unit file of its own: jicofo must not have one."""
    host = site.of_one("jicofo")
    assert host.check_output("systemctl show --property=SourcePath --value jicofo") == "/etc/init.d/jicofo"


def test_trap_the_upgrade_header_of_websockets(site):
    """Without Upgrade and Connection, and with a Host that Prosody does not know, browsers fall back or fail."""
    session = site.participant()
    assert session.jid
    session.close()


def test_trap_config_js_inside_the_page(site):
    """The page includes config.js through nginx: a text that ends a script there would end the page."""
    _status, _headers, page = site.connect().request("GET", "/some-room")
    _status, _headers, config = site.connect().request("GET", "/config.js")
    assert config.split(b"\n")[1][:20] in page
    assert b"<!--#" not in page and b"<!--#" not in config


def test_trap_rooms_of_a_tenant(site):
    """/TENANT/ROOM: the addresses in config.js follow, and BOSH and WebSocket under the tenant reach Prosody."""
    https = site.connect()
    _status, _headers, config = https.request("GET", "/physics/config.js")
    assert b"}('physics.', 'physics/'));" in config
    _status, _headers, page = https.request("GET", "/physics/some-room")
    assert b"}('physics.', 'physics/'));" in page
    session = _xmpp.WebSocketSession(https, site.domain, "/physics/xmpp-websocket?room=x")
    session.close()
    _xmpp.BoshSession(https, site.domain, "/physics/http-bind?room=x").close()
    # What is asked for by other programs is no room of the tenant `.well-known`.
    assert https.request("GET", "/.well-known/acme-challenge/x")[0] == 404


def test_trap_tokens_in_the_log(site):
    """Tokens come in the query of a URL, and a log keeps it."""
    site.connect().request("GET", "/some-room?jwt=verysecrettoken&x=1")
    site.connect().request("GET", "/http-bind?room=x&token=verysecrettoken")
    log = site.of_one("nginx_meet").file("/var/log/nginx/access.log").content_string
    assert "some-room?[redacted]" in log and "verysecrettoken" not in log


# --- more ----------------------------------------------------------------------------------------------------------


def test_trap_focus_must_be_admin_of_all_room_hosts(site):
    """Upstream needs it on the main host since breakout rooms are signalled there, and on each MUC."""
    for name in (site.domain, f"conference.{site.domain}", f"breakout.{site.domain}", f"internal.auth.{site.domain}"):
        answer = prosody(site, f'return tostring(require"core.usermanager".is_admin("focus@auth.{site.domain}", "{name}"))')
        assert "true" in answer, f"{name}: {answer}"


def test_trap_people_before_the_focus(site):
    """A room that nobody asked jicofo for must not open, or its first occupant owns it and nobody is invited to a bridge."""
    session = site.participant()
    with pytest.raises(_xmpp.XmppError):
        session.join(f"early-{uuid.uuid4().hex[:8]}@conference.{site.domain}", "early", timeout=3)
    session.close()


def test_trap_two_bridges_under_one_nickname(site):
    """Two bridges of one name are one bridge to the brewery, and one of them never gets a conference."""
    statistics = json.loads(fetch(site.of_one("jicofo"), "http://127.0.0.1:8888/stats"))
    assert statistics["bridge_selector"]["bridge_count"] == len(site.of("jvb")), statistics["bridge_selector"]


def test_trap_a_census_without_a_password(site):
    """muc_census and muc_size tell everybody who is in which room: nothing leads to them from outside."""
    for place in ("room-census", "room-size?room=x&domain=x", "rooms", "metrics", "http-bind/../room-census"):
        _status, _headers, body = site.connect().request("GET", f"/{place}")
        assert not body.lstrip().startswith((b"{", b"[", b"#")), place


def test_trap_http2_in_the_syntax_of_another_release(site):
    """Debian 12's nginx does not know `http2 on`, and Debian 13's warns about `listen ... http2` on every start."""
    for name in site.of("nginx_meet"):
        host = site.host(name)
        done = host.run("nginx -t")
        assert done.rc == 0 and "[warn]" not in done.stderr, done.stderr
        _status, _headers, _body = site.connect().request("GET", "/")


def test_trap_two_jitsi_sites_in_one_nginx(site):
    """The packaged site sets a log format, maps and sizes for the whole of nginx: a second one would not load."""
    host = site.of_one("nginx_meet")
    other = "/etc/nginx/sites-enabled/other.lab.test.conf"
    host.check_output(f"sed 's/meet\\.lab\\.test/other.lab.test/g; s/meet_lab_test/other_lab_test/g; s#/etc/jitsi/meet/other#/etc/jitsi/meet/meet#' "
                      f"/etc/nginx/sites-available/{site.domain}.conf > {other}")
    try:
        done = host.run("nginx -t")
        assert done.rc == 0, done.stderr
    finally:
        host.check_output(f"rm {other}")


def test_trap_files_of_packages_that_are_changed_in_place(site):
    """An upgrade takes back what was changed under /usr/share."""
    for role, package in (("nginx_meet", "jitsi-meet-web"), ("prosody", "jitsi-meet-prosody"), ("jicofo", "jicofo"), ("jvb", "jitsi-videobridge2")):
        for name in site.of(role):
            changed = [line for line in site.host(name).run(f"dpkg --verify {package}").stdout.splitlines() if line.strip()]
            # Files below /etc are an administrator's.
            assert [line for line in changed if " /etc/" not in line] == [], f"{name}: {package}"


@pytest.mark.parametrize(("role", "package"), [("prosody", "prosody"), ("jicofo", "jicofo"), ("jvb", "jitsi-videobridge2"), ("nginx_meet", "nginx")])
def test_trap_services_that_start_before_they_are_configured(site, role, package):
    """Maintainer scripts start what they installed: for a moment something else is in the network, with open ports."""
    for name in site.of(role):
        host = site.host(name)
        installed = host.check_output(f"grep -h ' status installed {package}:' /var/log/dpkg.log | head -1 | cut -c1-19")
        started = host.check_output(f"journalctl --quiet --no-pager --output=short-unix --unit={package} | grep -E 'Started|Starting' | head -1 | cut -d. -f1")
        assert int(started) >= int(host.check_output(f"date --date='{installed}' +%s")), f"{name}: {package} was started before its installation ended"


def test_trap_a_trust_store_that_restarts_components(site):
    """jitsi-meet-prosody restarts jicofo and the bridge whenever Java's trust store changes: so it is complete before they run."""
    host = site.of_one("jicofo")
    store = int(host.check_output("stat --format=%Y /etc/ssl/certs/java/cacerts"))
    started = host.check_output("journalctl --quiet --no-pager --output=short-unix --unit=jicofo | grep -E 'Started|Starting' | head -1 | cut -d. -f1")
    assert store <= int(started) + 1


def test_trap_a_component_under_the_limits_of_browsers(site):
    """unlimited_jids and limits_exception lift the limit of mod_limits for jicofo, which talks for everybody."""
    text = prosody(site, f'local s = next(prosody.bare_sessions["focus@auth.{site.domain}"].sessions); '
                         f's = prosody.bare_sessions["focus@auth.{site.domain}"].sessions[s]; return "throttle " .. tostring(s.throttle)')
    assert "throttle nil" in text or "throttle false" in text, text


def test_trap_a_bridge_behind_nat(once):
    """A bridge behind NAT offers addresses that nobody outside reaches, unless it is told under which it is seen."""
    told = once.playbook("campus.jitsi.site", "--tags", "jvb", variables={"jvb_public_addresses": ["203.0.113.7"]})
    try:
        assert told.code == 0, told.output[-3000:]
        last = wait_for(lambda: (step := once.check()[-1]).name == "media path" and step, 40)
        # The address is offered and answers nobody here, as that of a NAT which does not forward would not.
        assert last and not last.ok and "203.0.113.7 port 10000" in last.detail and "`jvb_public_addresses`" in last.hint, last
        host = once.of_one("jvb")
        assert once.address(once.of("jvb")[0]) in host.file("/etc/jitsi/videobridge/jvb.conf").content_string
    finally:
        back = once.playbook("campus.jitsi.site", "--tags", "jvb")
    assert back.code == 0, back.output[-3000:]
    assert wait_for(lambda: once.check()[-1].ok, 40)


def test_trap_a_package_that_stops_the_bridge(once, room):
    """The maintainer script stops the bridge, whoever is on it: a bridge whose pin is raised is drained before."""
    if os.environ["CAMPUS_RELEASE2"] == os.environ["CAMPUS_RELEASE1"]:
        pytest.skip("needs a second release to upgrade to")
    host = once.of_one("jvb")
    have = host.package("jitsi-videobridge2").version
    mirror = pathlib.Path(os.environ["CAMPUS_MIRROR"])
    first, second = room(), room()
    invited(first, second)
    before = host.check_output("systemctl show --property=InvocationID --value jitsi-videobridge2")
    try:
        mirror.unlink()
        mirror.symlink_to(os.environ["CAMPUS_RELEASE2"])
        host.check_output("apt-get update -qq")
        new = next(line.split("|")[1].strip() for line in host.check_output("apt-cache madison jitsi-videobridge2").splitlines())
        assert new != have
        wish = {"jitsi_package_versions": {"jitsi-videobridge2": new}, "jvb_drain_timeout": 3}
        refused = once.playbook("campus.jitsi.site", "--tags", "jvb", variables=wish)
        assert refused.code != 0 and re.search(r"still has [0-9]+ users after 3 s", re.sub(r"\s+", " ", refused.output)), refused.output[-3000:]
        assert host.package("jitsi-videobridge2").version == have
        assert host.check_output("systemctl show --property=InvocationID --value jitsi-videobridge2") == before
        for session in (first, second):
            session.leave(room.place, session.nick)
        assert wait_for(lambda: "local_endpoints 0" in metrics(host), 40)
        done = once.playbook("campus.jitsi.site", "--tags", "jvb", variables=wish)
        assert done.code == 0, done.output[-3000:]
        assert host.package("jitsi-videobridge2").version == new
    finally:
        mirror.unlink()
        mirror.symlink_to(os.environ["CAMPUS_RELEASE1"])
        host.check_output("apt-get update -qq")
        # A pin leads back, too; without one, what is there stays.
        back = [once.playbook("campus.jitsi.site", "--tags", "jvb", variables=wish)
                for wish in ({"jitsi_package_versions": {"jitsi-videobridge2": have}}, {})]
    assert [run.code for run in back] == [0, 0], back[0].output[-3000:]
    assert host.package("jitsi-videobridge2").version == have
    assert wait_for(lambda: once.check()[-1].ok, 40)


def fetch(host, url: str) -> str:
    return host.check_output("python3 -c %s", f"import urllib.request as r; print(r.urlopen('{url}').read().decode())")
