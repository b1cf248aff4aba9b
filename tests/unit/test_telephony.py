# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of accounts, prefixes, PINs and mappers that cannot work."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _telephony as mapper
from ansible_collections.campus.jitsi.plugins.module_utils._properties import unknown_keys
from ansible_collections.campus.jitsi.plugins.plugin_utils import _telephony

GOOD = {"name": "main", "user": "4420", "domain": "pbx.example.edu", "password": "secret of theirs"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, ""),
        ({"transport": "tls", "srtp": "required", "proxy": "proxy.example.edu:5061", "room": "algebra", "settings": {"A": 1}}, ""),
        ({"srtp": False}, ""),
        ({"domain": "192.0.2.1"}, ""),
        ({"domain": ""}, "(main) has no `domain`"),
        ({"domain": None}, "(main) has no `domain`"),
        ({"domain": "sip:pbx"}, "which is no name of a host"),
        ({"password": ""}, "(main) has no `password`: give the one that the registrar gave you, from a vault."),
        ({"password": 4711}, "has a `password` that is no text: put it in quotes."),
        ({"user": "4420@pbx"}, "`user` is '4420@pbx': give the part of its address before the `@` alone."),
        ({"user": 4420}, "has a `user` that is no text: put it in quotes."),
        ({"name": "Main"}, "`name` may have small letters"),
        ({"name": "../x"}, "`name` may have small letters"),
        ({"transport": "sctp"}, "`transport` is 'sctp': take one of udp, tcp, tls."),
        ({"srtp": "on"}, "`srtp` is 'on': take one of off, optional, required."),
        ({"srtp": "required"}, "everybody in between reads over udp: set `transport: tls`."),
        ({"proxy": "a b"}, "`proxy` is 'a b'"),
        ({"room": "a@b"}, "`room` is 'a@b'"),
        ({"pasword": "x"}, "has `pasword`, which is no setting of an account: did you mean `password`."),
    ],
)
def test_accounts(more, said):
    found = _telephony.account_problems([{**GOOD, **more}])
    assert len(found) == bool(said) and said in "".join(found)
    assert "secret of theirs" not in "".join(found) and "4711" not in "".join(found)


def test_accounts_that_are_no_accounts():
    assert _telephony.account_problems(["x"]) == ["`jigasi_sip_accounts[0]` is no dictionary: write name, user, domain and password."]
    assert "two accounts called 'main'" in _telephony.account_problems([GOOD, GOOD])[0]
    assert "has ports for 5" in _telephony.account_problems([{**GOOD, "name": f"n{number}"} for number in range(6)])[0]


@pytest.mark.parametrize(
    ("variables", "bridge", "said"),
    [
        ({}, True, ""),
        ({"jigasi_min_port": 9000, "jigasi_max_port": 11000}, False, ""),
        ({"jigasi_min_port": 9000, "jigasi_max_port": 11000}, True, "has 10000 in it, the bridge's port on the same host"),
        ({"jigasi_min_port": 30000}, False, "is no range of ports"),
        ({"jigasi_max_port": 70000}, False, "is no range of ports"),
        ({"jigasi_min_port": 20000, "jigasi_max_port": 20015, "jigasi_sip_accounts": [1, 2]}, False, "has 8 ports for each account"),
    ],
)
def test_ports_of_voices(variables, bridge, said):
    found = _telephony.port_problems(variables, bridge)
    assert len(found) == bool(said) and said in "".join(found)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"prosody_dial_prefixes": ["+3491", "+346"], "prosody_dial_refused_prefixes": ["+34807"], "prosody_dial_country_prefix": "+34"}, ""),
        ({"prosody_dial_prefixes": ["+"]}, "allows every number of the world"),
        ({"prosody_dial_prefixes": [""]}, "allows every number of the world"),
        ({"prosody_dial_prefixes": [f"+{digit}" for digit in range(1, 10)]}, "has all digits from +1 to +9"),
        ({"prosody_dial_prefixes": ["0034"]}, "has '0034': write `+` and digits in quotes"),
        ({"prosody_dial_prefixes": [34]}, "has 34: write `+` and digits in quotes"),
        ({"prosody_dial_refused_prefixes": ["+"]}, "`prosody_dial_refused_prefixes` has '+'"),
        ({"prosody_dial_country_prefix": "34"}, "`prosody_dial_country_prefix` is '34'"),
    ],
)
def test_prefixes(variables, said):
    found = _telephony.prefix_problems(variables)
    assert len(found) == bool(said) and said in "".join(found)


NUMBERS = [{"number": "+34 910 000 000", "country": "ES"}]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"nginx_meet_dial_in_numbers": NUMBERS, "nginx_meet_dial_in_pins": {"algebra": "4711", "geometry": 123456}}, ""),
        ({"nginx_meet_dial_in_numbers": NUMBERS, "nginx_meet_conference_mapper_url": "https://pins.example.edu/mapper"}, ""),
        ({"nginx_meet_dial_in_numbers": NUMBERS}, "nobody knows the PINs of rooms"),
        ({"nginx_meet_dial_in_pins": {"algebra": "0123"}}, "take 4 to 12 digits"),
        ({"nginx_meet_dial_in_pins": {"Álgebra": "4711"}}, "write the name of a room in small letters"),
        ({"nginx_meet_dial_in_pins": {"a'; return 500": "4711"}}, "write the name of a room in small letters"),
        ({"nginx_meet_dial_in_pins": {"a": "4711", "b": 4711}}, "a and b have the same PIN"),
        ({"nginx_meet_conference_mapper_url": "pins.example.edu"}, "write `https://`, a host and a path"),
        ({"nginx_meet_conference_mapper_url": "https://x/y; return 500"}, "write `https://`, a host and a path"),
        ({"nginx_meet_conference_mapper_url": "https://x/y", "nginx_meet_dial_in_pins": {"a": 4711}}, "exclude each other"),
        ({"nginx_meet_dial_in_numbers": [{"number": "910 000 000", "country": "ES"}], "nginx_meet_dial_in_pins": {"a": 4711}}, "write it with its country"),
        ({"nginx_meet_dial_in_numbers": [{"number": "+34 910 000 000"}], "nginx_meet_dial_in_pins": {"a": 4711}}, "has no `country`"),
        ({"nginx_meet_dial_in_numbers": [{"country": "ES"}], "nginx_meet_dial_in_pins": {"a": 4711}}, "has no `number`"),
    ],
)
def test_dialing_in(variables, said):
    found = _telephony.dial_in_problems(variables)
    assert len(found) == bool(said) and said in "".join(found)


@pytest.mark.parametrize(
    ("variables", "gateways", "said"),
    [
        ({"jitsi_auth": "internal", "prosody_lobby": False}, ["gw"], "with `jitsi_auth: internal` callers of the gateways"),
        ({"jitsi_auth": "jwt", "prosody_lobby": "false"}, ["gw"], "with `jitsi_auth: jwt` callers of the gateways"),
        ({"jitsi_auth": "internal", "prosody_lobby": False}, [], ""),
        ({"jitsi_auth": "internal"}, ["gw"], ""),
        ({"prosody_lobby": False}, ["gw"], ""),
    ],
)
def test_callers_need_a_lobby(variables, gateways, said):
    found = _telephony.lobby_problems(variables, gateways)
    assert len(found) == bool(said) and said in "".join(found)


def test_a_gateway_needs_an_account():
    assert "gw is in `jitsi_jigasi` and has no SIP account" in _telephony.problems({}, "gw", ["gw"], [])[0]
    assert _telephony.problems({}, "meet", ["gw"], []) == []
    assert _telephony.problems({"jigasi_sip_accounts": [GOOD], "jigasi_sip_sources": ["192.0.2.0/24"], "jitsi_firewall": "nftables"}, "gw", ["gw"], []) == []
    assert "there is no firewall that would" in _telephony.problems({"jigasi_sip_sources": ["192.0.2.0/24"]}, "meet", [], [])[0]
    assert "`jigasi_sip_sources[0]` is 'pbx'" in _telephony.problems({"jigasi_sip_sources": ["pbx"]}, "meet", [], [])[0]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, '{"message": "x", "id": 4711, "conference": "a@b"}', None),
        (200, '{"message": "x", "id": "4711", "conference": "a@b"}', None),
        (200, '{"message": "none", "conference": false}', None),
        (200, '{"message": "none", "id": null, "conference": null}', None),
        (200, "<html>", "answers no JSON"),
        (200, "[]", "answers JSON without `conference`"),
        (200, "{}", "answers JSON without `conference`"),
        (200, '{"conference": "a", "id": 1}', "answers a `conference` that is no address of a room"),
        (200, '{"conference": "a@b", "id": "x"}', "answers an `id` that is no PIN of digits"),
        (200, '{"conference": "a@b"}', "answers an `id` that is no PIN of digits"),
        (404, "", "answers HTTP 404"),
    ],
)
def test_answers_of_a_mapper(status, body, said):
    assert mapper.mapper_problem(status, body) == said


RUNS = "jitsi_jigasi_conferences {calls}\njitsi_jigasi_shutdown_in_progress {going}\n"


LOG = """\
2026-11-26 21:00:00.000 INFO: [42] SipGateway.registrationStateChanged#120: REG STATE CHANGE ProtocolProviderServiceSipImpl(4420@pbx (SIP)) -> RegistrationStateChangeEvent[ oldState=Unregistered; newState=RegistrationState=Registering; userRequest=false; reasonCode=-1; reason=null]
2026-11-26 21:00:01.000 INFO: [43] SipGateway.registrationStateChanged#120: REG STATE CHANGE ProtocolProviderServiceSipImpl(4420@pbx (SIP)) -> RegistrationStateChangeEvent[ oldState=Registering; newState=RegistrationState=Authentication Failed; userRequest=false; reasonCode=1; reason=Incorrect password]
2026-11-26 21:00:02.000 INFO: something else
"""  # noqa: E501


@pytest.mark.parametrize(
    ("metrics", "health", "own", "log", "state", "why"),
    [
        (RUNS.format(calls="0.0", going="0.0"), 500, False, "", "idle", ""),
        (RUNS.format(calls="3.0", going="0.0"), 500, False, LOG, "busy", ""),
        (RUNS.format(calls="0", going="0"), 200, True, "", "idle", ""),
        (RUNS.format(calls="0", going="0"), 500, True, "", "unhealthy", "fails its own check (HTTP 500)"),
        (RUNS.format(calls="0", going="0"), None, True, "", "unhealthy", "does not say whether it is registered"),
        (RUNS.format(calls="0", going="0"), 503, False, LOG, "unhealthy", "is not registered (Authentication Failed, Incorrect password)"),
        (RUNS.format(calls="0", going="0"), 503, True, LOG.replace("Incorrect password", "null"), "unhealthy", "is not registered (Authentication Failed)"),
        (RUNS.format(calls="2", going="0"), 503, True, "", "unhealthy", "is not registered"),
        (RUNS.format(calls="1", going="1.0"), 500, False, "", "unhealthy", "is shutting down"),
        ("<html>", 500, False, "", "unhealthy", "says nothing of its calls"),
        (None, None, False, "", "unhealthy", "does not answer"),
    ],
)
def test_how_a_gateway_is(metrics, health, own, log, state, why):
    found = mapper.gateway("main", metrics, health, own_check=own, log=log)
    assert (found.state, found.why) == (state, why)


def test_what_people_see_of_gateways():
    gateways = [mapper.Gateway("main", "busy", 2), mapper.Gateway("secure", "unhealthy", 0, "does not answer")]
    assert mapper.table(gateways, 10) == ["main    busy  2 of 10 calls", "secure  unhealthy  does not answer"]
    assert mapper.table(gateways, 0)[0] == "main    busy  2 calls"


# --- what is rendered ----------------------------------------------------------------------------------------------

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
SIP, CALL = "net.java.sip.communicator.impl.protocol.sip.acc1.", "org.jitsi.jigasi.xmpp.acc."


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The settings of a gateway by jitsi_auth, and by the account's transport and srtp, as Ansible makes them."""
    place = tmp_path_factory.mktemp("gateway")
    files = [str(ROLES / role / part) for role, part in (("jitsi", "defaults/main.yml"), ("jitsi", "vars/main.yml"), ("jigasi", "defaults/main.yml"),
                                                         ("jigasi", "vars/main/main.yml"), ("jigasi", "vars/main/keys.yml"))]
    wanted = {auth: {"jitsi_auth": auth} for auth in ("anonymous", "internal", "ldap", "jwt")}
    wanted |= {"tcp": {"account": {"transport": "tcp", "proxy": "proxy.example.edu"}}, "off": {"account": {"srtp": False}},
               "optional": {"account": {"transport": "tls", "srtp": "optional", "proxy": "proxy.example.edu"}},
               "required": {"account": {"transport": "tls", "srtp": "required", "proxy": "proxy.example.edu:5099"}}}
    play = [{"hosts": "localhost", "gather_facts": False, "connection": "local", "vars_files": files, "tasks": [
        {"ansible.builtin.set_fact": {"settings": "{{ __jigasi_settings }}", "known": "{{ __jigasi_known_keys }}"},
         "loop": [{"name": name, "auth": one.get("jitsi_auth", "anonymous"), "account": {**GOOD, **one.get("account", {})}} for name, one in wanted.items()],
         "vars": {"jitsi_auth": "{{ item.auth }}", "jigasi_sip_accounts": "{{ [item.account] }}", "gateway": "{{ __jigasi_gateways[0] }}"},
         "register": "found"},
        {"ansible.builtin.copy": {"dest": str(place / "found.json"), "mode": "0600", "content":
            "{{ dict(found.results | map(attribute='item.name') | zip(found.results | map(attribute='ansible_facts'))) | to_json }}"}}]}]
    (place / "play.yml").write_text(json.dumps(play), encoding="utf-8")
    variables = {"jitsi_domain": "meet.example.edu", "jigasi_xmpp_password": "brewery", "jigasi_call_password": "calls", "jitsi_gateways": ["gw"],
                 "ansible_python_interpreter": sys.executable}
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1",
                   "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(ROLES.parent / ".build" / "source"))}
    done = subprocess.run([str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e", json.dumps(variables),
                           str(place / "play.yml")], env=environment, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return json.loads((place / "found.json").read_text(encoding="utf-8"))


def test_jigasi_reads_every_property(rendered):
    for name, one in rendered.items():
        assert unknown_keys(one["settings"], one["known"]) == [], name
        assert unknown_keys([*one["settings"], "org.jitsi.jigasi.JVB_INVITE_TIMEOT"], one["known"]) != []


def test_a_gateway_enters_by_itself_whoever_else_may(rendered):
    """A name for each call, on a host where one password is good for any name, whatever people need."""
    for auth in ("anonymous", "internal", "ldap", "jwt"):
        settings = rendered[auth]["settings"]
        assert settings[f"{CALL}USER_ID"] == "telephone@jigasi.meet.example.edu" and settings[f"{CALL}UNIQUE_USER_ID"] is True, auth
        # Plain here, for a reason of jigasi's; the other two are in base64.
        assert settings[f"{CALL}PASS"] == "calls" and settings[f"{CALL}ANONYMOUS_AUTH"] is False and settings[f"{CALL}ALLOW_NON_SECURE"] is False, auth
        assert settings["org.jitsi.jigasi.TRUSTED_DOMAINS"] == ["recorder.meet.example.edu", "jigasi.meet.example.edu"], auth
        assert settings["org.jitsi.jigasi.JVB_INVITE_TIMEOUT"] == 300000


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("tcp", {"PREFERRED_TRANSPORT": "TCP", "PROXY_ADDRESS": "proxy.example.edu", "PROXY_PORT": 5060, "PROXY_AUTO_CONFIG": False, "SAVP_OPTION": 0}),
        ("off", {"PREFERRED_TRANSPORT": "UDP", "PROXY_AUTO_CONFIG": True, "DEFAULT_ENCRYPTION": False, "SAVP_OPTION": 0,
                 "ENCRYPTION_PROTOCOL_STATUS.SDES": False}),
        ("optional", {"PREFERRED_TRANSPORT": "TLS", "PROXY_PORT": 5061, "DEFAULT_ENCRYPTION": True, "SAVP_OPTION": 2,
                      "ENCRYPTION_PROTOCOL_STATUS.SDES": True, "ENCRYPTION_PROTOCOL_STATUS.ZRTP": False, "DEFAULT_SIPZRTP_ATTRIBUTE": False,
                      "SDES_CIPHER_SUITES": "AES_CM_128_HMAC_SHA1_80,AES_CM_128_HMAC_SHA1_32"}),
        ("required", {"PROXY_PORT": "5099", "DEFAULT_ENCRYPTION": True, "SAVP_OPTION": 1}),
    ],
)
def test_how_an_account_talks(rendered, name, wanted):
    settings = rendered[name]["settings"]
    assert {key: settings.get(SIP + key) for key in wanted} == wanted
    assert base64.b64decode(settings[f"{SIP}PASSWORD"]).decode() == GOOD["password"]
