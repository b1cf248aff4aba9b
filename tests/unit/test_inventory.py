# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an inventory is said in one sentence that names the variable and the fix."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.campus.jitsi.plugins.action import validate
from ansible_collections.campus.jitsi.plugins.action.validate import known_variables
from ansible_collections.campus.jitsi.plugins.plugin_utils import _validate
from ansible_collections.campus.jitsi.plugins.plugin_utils._topology import place_roles


@pytest.mark.parametrize("domain", ["meet.example.edu", "a.b", "xn--mnchen-3ya.example", "meet-1.example.edu", "1.example.edu"])
def test_good_domains(domain):
    assert _validate.domain_problem(domain) is None


@pytest.mark.parametrize(
    ("domain", "said"),
    [
        ("", "is not set"), (None, "is not set"), (" ", "is not set"), (5, "is not set"),
        ("https://meet.example.edu/", "write `meet.example.edu`"), ("meet.example.edu.", "ends in a dot: write `meet.example.edu`"),
        ("https://My_Meet.example.edu.:443/", "write `my-meet.example.edu`"),
        ("Meet.Example.edu", "write `meet.example.edu`"), ("my_meet.example.edu", "such as `my-meet.example.edu`"),
        ("meet", "has one part only"), ("münchen.example", "`xn--` form"), ("192.0.2.1", "is an address"), ("meet.example.edu:443", "has a port"),
        ("-a.example.edu", "is no host name"), ("a b.example.edu", "is no host name"), ("a..b", "is no host name"), ("a.b/c", "is no host name"),
        (".".join(["a" * 60] * 4), "is too long"),
    ],
)
def test_bad_domains(domain, said):
    problem = _validate.domain_problem(domain)
    assert problem.startswith("`jitsi_domain`") and said in problem


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"jitsi_domian": "x"}, "`jitsi_domian` is no variable of campus.jitsi: did you mean `jitsi_domain`?"),
        ({"jitsi_backup_dir": "x"}, "`jitsi_backup_dir` is no variable"),
        ({"jvb_confg": {}}, "`jvb_confg` is no variable of campus.jitsi: did you mean `jvb_config`?"),
        ({"prosody_config": "yes"}, "`prosody_config` is no dictionary but a text"),
        ({"jvb_config": ["a"]}, "`jvb_config` is no dictionary but a list"),
        ({"jicofo_config": None}, "`jicofo_config` is no dictionary but empty"),
        ({"nginx_meet_config": 5}, "`nginx_meet_config` is no dictionary but a number"),
        ({"jvb_public_addresses": "192.0.2.1"}, "`jvb_public_addresses` is no list but a text"),
        ({"jitsi_tls_source": "letsencrypt"}, "`jitsi_tls_source` is 'letsencrypt': take one of self_signed, files"),
        ({"jitsi_unknown_keys": "ignore"}, "take one of error, warn"),
        ({"jvb_drain_timeout": "1h"}, "`jvb_drain_timeout` is no whole number but a text"),
        ({"jvb_drain_timeout": True}, "`jvb_drain_timeout` is no whole number but true or false"),
        ({"jitsi_remote_components": "maybe"}, "`jitsi_remote_components` is neither true nor false but a text"),
        ({"jvb_xmpp_password": "hunter2"}, "`jvb_xmpp_password`: a secret must be text of at least 16 characters"),
    ],
)
def test_bad_variables(variables, said):
    problems = _validate.variable_problems(variables, known_variables())
    assert len(problems) == 1 and said in problems[0]
    assert "hunter2" not in problems[0]


@pytest.mark.parametrize(
    "variables",
    [{}, {"jvb_config": {"a": 1}}, {"jvb_drain_timeout": 5}, {"jvb_drain_timeout": "5"}, {"jitsi_remote_components": "yes"},
     {"prosody_exporter_port": 1}, {"other": 1}, {"jvb_xmpp_password": "x" * 16}, {"jitsi_unknown_keys": "warn"}],
)
def test_good_variables(variables):
    assert _validate.variable_problems(variables, known_variables()) == []


def test_secrets_and_the_archive():
    assert "`jitsi_secrets['a/b']`" in _validate.secret_problems({"a/b": "short"})[0]
    assert _validate.secret_problems({"a": "x" * 16}) == []
    assert "did you mean `uri`" in _validate.repository_problems({"url": "x"})[0]
    assert _validate.repository_problems({"uri": "x", "key": "y"}) == []


def test_generations():
    assert _validate.generation_problems({"xmpp/focus": 2}) == []
    problems = _validate.generation_problems({"a": "2", "b": 0, "c": True, "d": 1.5})
    assert len(problems) == 4 and problems[0].startswith("`jitsi_secret_generations['a']` is '2': give a whole number")


@pytest.mark.parametrize(("version", "good"), [("2.17.0", True), ("2.19.14", True), ("3.0.0", True), ("2.16.9", False), ("2.9", False)])
def test_the_version_of_ansible(version, good):
    assert (_validate.ansible_problem(version) is None) == good


@pytest.mark.parametrize(
    ("facts", "good"),
    [
        ({"distribution": "Debian", "distribution_major_version": "12"}, True),
        ({"distribution": "Debian", "distribution_major_version": "13"}, True),
        ({"distribution": "Debian", "distribution_major_version": "11", "distribution_version": "11.9"}, False),
        ({"distribution": "Ubuntu", "distribution_major_version": "24", "distribution_version": "24.04"}, False),
        ({}, True),
    ],
)
def test_the_operating_system(facts, good):
    problem = _validate.os_problem("bridge1", facts)
    assert (problem is None) == good
    assert good or ("bridge1" in problem and "Debian 12 and 13" in problem)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"jitsi": ["a"]}, {"prosody": ["a"], "jicofo": ["a"], "jvb": ["a"], "nginx_meet": ["a"]}),
        ({"jitsi": ["a", "b", "c"], "jitsi_jvb": ["b", "c"]}, {"prosody": ["a"], "jicofo": ["a"], "jvb": ["b", "c"], "nginx_meet": ["a"]}),
        ({"jitsi": ["a", "b", "c"], "jitsi_prosody": ["a"], "jitsi_jicofo": ["a"], "jitsi_jvb": ["b"], "jitsi_nginx_meet": ["c"]},
         {"prosody": ["a"], "jicofo": ["a"], "jvb": ["b"], "nginx_meet": ["c"]}),
        ({"jitsi": ["a", "t"], "jitsi_coturn": ["t"]}, {"prosody": ["a"], "jicofo": ["a"], "jvb": ["a"], "nginx_meet": ["a"], "coturn": ["t"]}),
        ({"jitsi": ["a"], "jitsi_coturn": ["a"]}, {"prosody": ["a"], "jicofo": ["a"], "jvb": ["a"], "nginx_meet": ["a"], "coturn": ["a"]}),
        ({"jitsi": ["a"], "jitsi_jvb": ["a"], "jitsi_prosody": ["a"], "jitsi_jicofo": ["a"], "jitsi_nginx_meet": ["a"]},
         {"prosody": ["a"], "jicofo": ["a"], "jvb": ["a"], "nginx_meet": ["a"]}),
    ],
)
def test_who_does_what(groups, expected):
    assert place_roles(groups) == {"coturn": [], "jibri": [], "jigasi": [], **expected}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({}, "the group `jitsi` has no host"),
        ({"jitsi": ["a", "b"], "jitsi_prosody": ["a", "b"]}, "`jitsi_prosody` has 2 hosts (a, b): put exactly one into `jitsi_prosody`"),
        ({"jitsi": ["a", "b"]}, "`jitsi_prosody` is empty, and without a group of their own are 2 hosts (a, b)"),
        ({"jitsi": ["a"], "jitsi_prosody": ["a"], "jitsi_jicofo": ["a"], "jitsi_nginx_meet": ["a"]}, "`jitsi_jvb` has no host"),
        ({"jitsi": ["a"], "jitsi_jvb": ["b"]}, "b of `jitsi_jvb` is not in `jitsi`"),
    ],
)
def test_who_cannot(groups, said):
    with pytest.raises(ValueError) as error:
        place_roles(groups)
    assert said in str(error.value)


def test_everything_that_is_wrong_with_the_groups_is_said_at_once():
    with pytest.raises(ValueError) as error:
        place_roles({"jitsi": ["a", "b"], "jitsi_prosody": ["a", "b"]})
    assert [line.split()[0] for line in str(error.value).split("\n")] == ["`jitsi_prosody`", "`jitsi_jicofo`", "`jitsi_jvb`", "`jitsi_nginx_meet`"]


def test_an_old_ansible_is_all_that_is_said(monkeypatch):
    """Whatever else such a run would find may be the old version's fault."""
    monkeypatch.setattr(validate, "ansible_version", "2.16.9")
    problems = validate.ActionModule._problems(None, {"jitsi_domain": "https://x"})
    assert len(problems) == 1 and problems[0].startswith("ansible-core 2.16.9 is too old: campus.jitsi needs 2.17 or newer")


@pytest.mark.parametrize("value", ["2 GB", "2048", "75%", "0m", 2048, None, "512mb"])
def test_a_heap_that_java_cannot_read(value):
    (problem,) = _validate.memory_problems({"jvb_max_memory": value})
    assert problem.startswith(f"`jvb_max_memory` is {value!r}: write it as Java does")


def test_good_heaps():
    assert _validate.memory_problems({"jvb_max_memory": "3072m", "jicofo_max_memory": "2G", "other_max": "x"}) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ProtectSytem": "full"}, "`jvb_sandbox.ProtectSytem` is no directive of systemd: did you mean `ProtectSystem`?"),
        ({"ReadWritePath+": ["/srv"]}, "`jvb_sandbox.ReadWritePath` is no directive of systemd: did you mean `ReadWritePaths`?"),
        ({"PrivateTmp": None}, "`jvb_sandbox.PrivateTmp` is empty (null), which no directive takes; remove one with `PrivateTmp-:` instead."),
        ({"Environment": "a\nb"}, "`jvb_sandbox.Environment` has a control character or ends in a backslash: write it in one line."),
        ({"Nice ness": 1}, "`jvb_sandbox.Nice ness` is no directive of systemd."),
    ],
)
def test_bad_directives(settings, said):
    assert _validate.sandbox_problems({"jvb_sandbox": settings}, validate.known_directives()) == [said]


@pytest.mark.parametrize(
    "settings",
    [{}, {"MemoryMax": "4G"}, {"PrivateTmp-": None}, {"ReadWritePaths+": ["/srv"]}, {"Nice": 5}, {"ProtectHome": False}, {"IPAddressDeny": ["any"]}])
def test_good_directives(settings):
    assert _validate.sandbox_problems({"jvb_sandbox": settings, "jvb_config": {"ProtectSytem": 1}}, validate.known_directives()) == []


ACME = {"jitsi_tls_source": "acme", "jitsi_acme_directory": "https://ca.example.edu/dir", "jitsi_acme_terms_agreed": True, "jitsi_acme_challenge": "http"}


@pytest.mark.parametrize(
    ("changes", "web", "said"),
    [
        ({}, ["a"], []),
        ({"jitsi_acme_terms_agreed": "yes"}, ["a"], []),
        ({"jitsi_tls_source": "files", "jitsi_acme_terms_agreed": False}, ["a", "b"], []),
        ({"jitsi_acme_terms_agreed": False}, ["a"], ["`jitsi_acme_terms_agreed` is not true: read the terms of service that https://ca.example.edu/dir"]),
        ({"jitsi_acme_directory": "http://ca.example.edu/dir"}, ["a"], ["`jitsi_acme_directory` is no https URL"]),
        ({"jitsi_acme_directory": ""}, ["a"], ["`jitsi_acme_directory` is no https URL"]),
        ({"jitsi_acme_eab_key_id": "k"}, ["a"], ["`jitsi_acme_eab_key_id` is set and `jitsi_acme_eab_hmac_key` is not"]),
        ({"jitsi_acme_eab_hmac_key": "k"}, ["a"], ["`jitsi_acme_eab_hmac_key` is set and `jitsi_acme_eab_key_id` is not"]),
        ({"jitsi_acme_eab_key_id": "k", "jitsi_acme_eab_hmac_key": "h"}, ["a"], []),
        ({}, ["a", "b"], ["`jitsi_acme_challenge: http` works with one web host, and there are 2 (a, b)"]),
        ({"jitsi_acme_challenge": "dns", "jitsi_acme_dns_auth_hook": "/x"}, ["a", "b"], []),
        ({"jitsi_acme_challenge": "dns"}, ["a"], ["`jitsi_acme_dns_auth_hook` is not set"]),
    ],
)
def test_what_is_wrong_with_acme(changes, web, said):
    problems = _validate.acme_problems({**ACME, **changes}, web)
    assert len(problems) == len(said) and all(problem.startswith(start) for problem, start in zip(problems, said)), problems


@pytest.mark.parametrize(
    ("leaf", "warn", "said"),
    [
        (90, 14, None), (90, 29, None), ("90", "14", None), (3, 0, None), (824, 270, None), ("a", 14, None),
        (90, 30, "`jitsi_tls_warn_days` is 30, and certificates of 90 days are renewed when 30 are left"),
        (90, -1, "`jitsi_tls_warn_days` is -1"), (2, 0, "`jitsi_tls_leaf_days` is 2"), (825, 0, "`jitsi_tls_leaf_days` is 825"),
    ],
)
def test_days_that_do_not_go_together(leaf, warn, said):
    problems = _validate.day_problems({"jitsi_tls_leaf_days": leaf, "jitsi_tls_warn_days": warn})
    assert len(problems) == (said is not None) and all(problem.startswith(said) for problem in problems)


def test_a_secret_that_may_be_left_out():
    option = {"type": "str", "no_log": True, "default": ""}
    assert _validate.type_problems("jitsi_acme_eab_hmac_key", "", option) == []
    assert len(_validate.type_problems("jitsi_acme_eab_hmac_key", "short", option)) == 1


def turn(**variables):
    return _validate.turn_problems(variables)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"coturn_min_port": 9000, "coturn_max_port": 11000}, "9000 to 11000, has 10000 in it, the bridge's port: take a range such as 49152"),
        ({"coturn_min_port": 3000, "coturn_max_port": 4000}, "has 3478 in it, coturn's own port"),
        ({"coturn_min_port": "50000", "coturn_max_port": "40000"}, "is upside down: put the lower port into `coturn_min_port`."),
        ({"coturn_min_port": 40000, "coturn_max_port": 30000}, "is upside down"),
        ({"coturn_min_port": 80}, "80 to 65535, starts below 1024"),
        ({"coturn_max_port": 70000}, "ends above 65535"),
        ({"coturn_allowed_peers": ["bridge1"]}, "`coturn_allowed_peers` has 'bridge1': write an address, a network"),
        ({"coturn_allowed_peers": ["192.0.2.9-192.0.2.1"]}, "`coturn_allowed_peers` has '192.0.2.9-192.0.2.1'"),
        ({"coturn_allowed_peers": ["192.0.2.1/24"]}, "`coturn_allowed_peers` has '192.0.2.1/24'"),
        ({"coturn_allowed_peers": [5]}, "`coturn_allowed_peers` has 5"),
        ({"coturn_public_addresses": ["192.0.2.0/24"]}, "`coturn_public_addresses` has '192.0.2.0/24': write an address such as 192.0.2.1."),
        ({"coturn_domain": "Turn.example.edu"}, "`coturn_domain` is 'Turn.example.edu', which is no host name"),
        ({"coturn_domain": "turn"}, "which is no host name"),
        ({"coturn_region": "north east"}, "`coturn_region` is 'north east': write one word"),
        ({"coturn_user_quota": -1}, "`coturn_user_quota` is -1: write 0 or more."),
        ({"coturn_extra_secrets": ["hunter2hunter2-"]}, "`coturn_extra_secrets[0]`: a secret must be text of at least 16 characters"),
        ({"nginx_meet_stun_servers": ["stun:stun.example.edu:3478"]}, "`nginx_meet_stun_servers` has 'stun:stun.example.edu:3478': write `host:port`"),
        ({"nginx_meet_stun_servers": [5]}, "`nginx_meet_stun_servers` has 5"),
        ({"jitsi_turn_servers": ["turn.example.edu"]}, "`jitsi_turn_servers[0]` has no `host`"),
        ({"jitsi_turn_servers": [{"host": "t.x.edu", "reigon": "a"}]}, "`jitsi_turn_servers[0].reigon` is no setting: did you mean `region`?"),
        ({"jitsi_turn_servers": [{"host": "t.x.edu", "port": 70000}]}, "`jitsi_turn_servers[0].port` is 70000: write a port number."),
        ({"jitsi_turn_servers": [{"host": "t.x.edu", "region": "a b"}]}, "`jitsi_turn_servers[0].region` is 'a b'"),
        ({"jitsi_turn_servers": [{"host": "t.x.edu", "secret": "hunter2"}]}, "`jitsi_turn_servers[0].secret`: a secret must be text"),
    ],
)
def test_what_is_wrong_with_variables_for_turn(variables, said):
    problems = turn(**variables)
    assert len(problems) == 1 and said in problems[0]
    assert "hunter2" not in problems[0]


@pytest.mark.parametrize(
    "variables",
    [{}, {"coturn_min_port": 20000, "coturn_max_port": 30000}, {"coturn_allowed_peers": ["192.0.2.1", "192.0.2.0/24", "2001:db8::/48", "10.0.0.1-10.0.0.9"]},
     {"coturn_domain": "turn.example.edu", "coturn_region": "north-1", "coturn_user_quota": 0},
     {"nginx_meet_stun_servers": ["stun.example.edu:3478", "[2001:db8::1]:3478"]},
     {"coturn_min_port": "a"}, {"coturn_allowed_peers": "a text"},
     {"jitsi_turn_servers": [{"host": "turn.example.edu", "region": "", "port": 3478, "tls_port": 0, "address": "192.0.2.1", "secret": "x" * 16}]}],
)
def test_what_is_right_or_said_of_its_type_already(variables):
    assert turn(**variables) == []


def test_turn_servers_of_an_inventory():
    host = _validate.TurnHost
    there = {"turn.x.edu", "other.y.edu"}

    def problems(*hosts):
        return _validate.turn_host_problems(hosts, "x.edu", there.__contains__)

    assert problems(host("a", "turn.x.edu", True, "self_signed"), host("b", "other.y.edu", True, "files")) == []
    assert problems(host("a", "new.x.edu", False, "self_signed")) == []
    assert problems(host("a", "turn.x.edu", True, "files"), host("b", "turn.x.edu", True, "files")) == [
        "`coturn_domain` is turn.x.edu for a and b: give each TURN server a name of its own."]
    assert problems(host("a", "new.x.edu", True, "files")) == [
        "`coturn_domain` of a, new.x.edu, is not in DNS: add its address record, or set `coturn_check_name: false` when it comes later."]
    (outside,) = problems(host("b", "other.y.edu", True, "self_signed"))
    assert outside.startswith("`coturn_domain` of b, other.y.edu, is outside of x.edu") and "take a name such as turn.x.edu" in outside


# --- who may enter -------------------------------------------------------------------------------------------------

LONG = "0123456789abcdef" * 2
DIRECTORY = {"jitsi_auth": "ldap", "prosody_ldap_servers": ["ldap.example.edu"], "prosody_ldap_base": "ou=people,dc=example,dc=edu"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"jitsi_auth_guests": True}, "where everybody is a guest"),
        ({"jitsi_auth": "anonymous", "jitsi_auth_guests": "yes"}, "where everybody is a guest"),
        ({"jitsi_moderation": "authenticated"}, "nobody logs in: take first or everyone"),
        ({"jitsi_moderation": "token"}, "there are no tokens: take first, or `jitsi_auth: jwt`"),
        ({**DIRECTORY, "jitsi_moderation": "token"}, "there are no tokens: take authenticated"),
        ({"jitsi_auth": "internal", "jitsi_auth_guests": True, "jitsi_moderation": "first"}, "the first could be a guest; take authenticated or everyone"),
        ({"jitsi_auth": "jwt", "jitsi_auth_guests": True, "jitsi_moderation": "first"}, "take authenticated, token or everyone"),
        ({"jitsi_auth": "jwt", "jitsi_auth_guests": True, "jitsi_moderation": "token", "jitsi_wait_for_moderator": False}, "guests would open rooms"),
        ({"jitsi_auth": "internal", "jitsi_moderation": "authenticated", "jitsi_wait_for_moderator": True}, "guests wait by themselves; leave it out"),
        ({"jitsi_users": [{"name": "ana"}]}, "`jitsi_users` is set and `jitsi_auth` is anonymous"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "ana"}, {"name": "ANA"}]}, "`jitsi_users` has ana twice"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "ana garcia"}]}, "`jitsi_users[0].name`: the local part of a JID cannot hold U+0020"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "a@b"}]}, "cannot hold U+0040"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"password": "x"}]}, "`jitsi_users[0]` has no `name`"),
        ({"jitsi_auth": "internal", "jitsi_users": ["ana"]}, "`jitsi_users[0]` has no `name`"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "ana", "pasword": "x"}]}, "`jitsi_users[0].pasword` is no setting: did you mean `password`?"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "ana", "password": 1234}]}, "`jitsi_users[0].password` is no text"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "ana", "password": ""}]}, "`jitsi_users[0].password` is no text"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "ana", "password": "a\x00b"}]}, "a password cannot hold U+0000"),
        ({"jitsi_auth": "internal", "jitsi_users": [{"name": "\u00f1u\u00f1ez"}]}, "`jitsi_users[0]` needs a `password`"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_secret": "too short for it"}, "`jitsi_jwt_secret`: the secret is shorter than 32 bytes"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_extra_secrets": [LONG, "x"]}, "`jitsi_jwt_extra_secrets[1]`: the secret is shorter"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_app_id": " "}, "`jitsi_jwt_app_id` is empty"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_audiences": []}, "`jitsi_jwt_audiences` is empty"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_issuers": ["*"]}, "`jitsi_jwt_issuers` has `*`"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_keys_url": "http://keys.example.edu"}, "`jitsi_jwt_keys_url` is no https URL"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_keys_url": "https://a.example.edu/", "jitsi_jwt_public_keys": {"k": "key.pem"}}, "there is one place for keys"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_public_keys": {"k": ""}}, "`jitsi_jwt_public_keys['k']` is empty"),
        ({"jitsi_auth": "jwt", "jitsi_jwt_previous_secrets": -1}, "write 0 or more"),
        ({"jitsi_auth": "jwt", "nginx_meet_login_url": "login.example.edu"}, "`nginx_meet_login_url` is no https URL"),
    ],
)
def test_doors_that_cannot_be(variables, said):
    problems = _validate.access_problems(variables)
    assert len(problems) == 1 and said in problems[0], problems
    assert "too short for it" not in problems[0]


@pytest.mark.parametrize(
    "variables",
    [
        {}, {"jitsi_moderation": "everyone"}, {"jitsi_auth": "internal", "jitsi_moderation": "first"},
        {**DIRECTORY, "jitsi_auth_guests": True, "jitsi_moderation": "everyone"},
        {"jitsi_auth": "jwt", "jitsi_auth_guests": True, "jitsi_moderation": "token", "jitsi_wait_for_moderator": True, "jitsi_jwt_secret": LONG},
        {"jitsi_auth": "jwt", "jitsi_moderation": "token", "jitsi_wait_for_moderator": False},
        {"jitsi_auth": "internal", "jitsi_users": [{"name": "ana"}, {"name": "\u00f1u\u00f1ez", "password": "contrase\u00f1a"}]},
        {"jitsi_auth": "jwt", "jitsi_jwt_keys_url": "https://login.example.edu/certs", "jitsi_jwt_audiences": ["*"]},
    ],
)
def test_doors_that_can_be(variables):
    assert _validate.access_problems(variables) == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"prosody_lobby": "no", "prosody_lobby_persistent": True, "jitsi_auth": "ldap"}, "`prosody_lobby` is false: leave one of them out"),
        ({"prosody_lobby_persistent": True}, "nobody could come back"),
        ({"prosody_lobby": False, "jitsi_auth": "jwt"}, "`prosody_lobby` is false, and people without rights wait"),
        ({"prosody_lobby": False, "jitsi_auth": "jwt", "jitsi_moderation": "everyone", "jitsi_auth_guests": True}, "wait in a lobby"),
        ({"prosody_room_minimum": 0}, "from 1 to 23"),
        ({"prosody_room_minimum": "24"}, "from 1 to 23"),
        ({"prosody_max_occupants": -1}, "`prosody_max_occupants` is -1: take a number from 0 up"),
        ({"prosody_reservations_retries": -1}, "from 0 up"),
        ({"prosody_room_weak_names": ["test", 123]}, "`prosody_room_weak_names[1]` is no text but a number"),
        ({"prosody_room_weak_names": ["123"]}, "has no letter"),
        ({"prosody_room_refused_names": ["**"]}, "is every room"),
        ({"prosody_room_refused_names": ["Campus*"]}, "the room of the check"),
        ({"prosody_room_refused_names": ["*-check-*"]}, "the room of the check"),
        ({"prosody_room_refused_names": ["sala de juntas"]}, "no name of a room"),
        ({"prosody_room_message": " "}, "`prosody_room_message` is no text"),
        ({"prosody_reservations_url": "rooms.example.edu"}, "is no URL"),
        ({"prosody_reservations_url": "https://user:word@rooms.example.edu"}, "is no URL"),
        ({"prosody_reservations_url": "http://rooms.example.edu"}, "not https"),
        ({"prosody_reservations_headers": {"Authorization": "Bearer abc"}}, "set both, or none"),
        ({"prosody_reservations_url": "https://rooms.example.edu", "prosody_reservations_headers": {"X": "a\nY: b"}}, "is no header"),
        ({"prosody_reservations_url": "https://rooms.example.edu", "prosody_reservations_headers": {"X y": "abc"}}, "is no header"),
    ],
)
def test_rooms_that_cannot_be(variables, said):
    problems = _validate.room_problems(variables)
    assert len(problems) == 1 and said in problems[0], problems
    assert "abc" not in problems[0]


@pytest.mark.parametrize(
    "variables",
    [
        {}, {"prosody_lobby": False}, {"prosody_lobby": False, "jitsi_auth": "jwt", "jitsi_wait_for_moderator": False},
        {"prosody_lobby": False, "jitsi_auth": "jwt", "jitsi_moderation": "everyone"},
        {"prosody_lobby_persistent": True, "jitsi_auth": "internal"}, {"prosody_max_occupants": "75"},
        {"prosody_room_minimum": 23, "prosody_room_refused_names": ["rector*", "exam-*-2026", "claustro", "reuni\u00f3n*", "*[x]"]},
        {"prosody_reservations_url": "http://127.0.0.1:8080/rooms/"}, {"prosody_reservations_url": "http://[::1]:8080"},
        {"prosody_reservations_url": "https://rooms.example.edu", "prosody_reservations_headers": {"Authorization": "Bearer a.b-c="}},
    ],
)
def test_rooms_that_can_be(variables):
    assert _validate.room_problems(variables) == []


def test_the_default_names_are_names():
    roles = pathlib.Path(_validate.__file__).resolve().parents[2] / "roles"
    names = yaml.safe_load((roles / "prosody" / "vars" / "main" / "rooms.yml").read_text(encoding="utf-8"))["__prosody_weak_names"]
    assert _validate.room_problems({"prosody_room_weak_names": names}) == []
    assert len(set(names)) == len(names) and {"test", "prueba", "pepe", "sala", "room"} <= set(names)


@pytest.mark.parametrize(("variables", "part"), [
    ({"jibri_instances": 0}, "take the host out of `jitsi_jibri`"),
    ({"jibri_instances": "many"}, "`jibri_instances` is 'many'"),
    ({"jibri_resolution": "1281x720"}, "both even"),
    ({"jibri_framerate": 0}, "`jibri_framerate` is 0"),
    ({"jibri_memory": "2 GB"}, "a whole number with `m` or `g`"),
    ({"jibri_memory": "256m"}, "1024m at the least"),
    ({"jibri_instances": 9, "jibri_sound": "alsa"}, "eight loopbacks"),
    ({"jibri_browser": "chrome"}, "`jibri_chrome_repository` has no uri and no suite and no key: name an archive"),
    ({"jibri_browser": "chrome", "jibri_chrome_repository": {"uri": "https://apt.example.edu", "suite": "stable/"}}, "has no key: name an archive"),
    ({"jibri_chrome_repository": {"url": "https://apt.example.edu"}}, "`jibri_chrome_repository.url` is no setting: did you mean `uri`?"),
    ({"jibri_recordings": "/home/rooms/recordings"}, "which services do not see"),
    ({"jibri_recordings": "/"}, "a folder of its own"),
    ({"jibri_recordings": "recordings"}, "as a whole path"),
    ({"jibri_finalize": "move"}, "`jibri_move_to` does not say where to"),
    ({"jibri_finalize": "script"}, "`jibri_finalize_script` is not set"),
    ({"jibri_finalize": "rclone", "jibri_rclone_remote": "cloud"}, "no REMOTE:PATH"),
    ({"jibri_finalize": "rclone", "jibri_rclone_remote": "cloud:x", "jibri_rclone_config": "[s3]\ntype = s3"}, "`jibri_rclone_config` has s3"),
    ({"jibri_finalize": "rclone", "jibri_rclone_remote": "cloud:x"}, "is empty"),
    ({"jitsi_streaming_targets": [".*"]}, "allows every server"),
    ({"jitsi_streaming_targets": ["rtmp://(["]}, "no regular expression"),
])
def test_what_recorders_cannot_be(variables, part):
    (problem,) = _validate.recorder_problems(variables)
    assert part in problem


def test_a_text_with_secrets_has_lines():
    option = {"type": "str", "no_log": True, "default": ""}
    text = "[cloud]\ntype = webdav\n"
    assert _validate.variable_problems({"jibri_rclone_config": text}, {"jibri_rclone_config": option}) == []
    (problem,) = _validate.variable_problems({"jvb_xmpp_password": text}, {"jvb_xmpp_password": option})
    assert "one line" in problem


def test_what_recorders_can_be():
    assert _validate.recorder_problems({
        "jibri_instances": "4", "jibri_resolution": "1920x1080", "jibri_memory": "4g", "jibri_recordings": "/srv/jitsi/recordings",
        "jibri_finalize": "rclone", "jibri_rclone_remote": "cloud:", "jibri_rclone_config": "[cloud]\ntype = webdav\n",
        "jitsi_streaming_targets": ["rtmps?://a[.]rtmp[.]youtube[.]com/live2/.*"]}) == []
