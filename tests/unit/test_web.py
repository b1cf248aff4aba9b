# SPDX-License-Identifier: GPL-3.0-or-later
"""The web front's decisions: what stands in the way of a shared port, policies as headers, and what is no good as input."""

from __future__ import annotations

import pytest
from ansible_collections.campus.jitsi.plugins.action.validate import known_variables
from ansible_collections.campus.jitsi.plugins.module_utils import _nginx
from ansible_collections.campus.jitsi.plugins.modules import preflight
from ansible_collections.campus.jitsi.plugins.plugin_utils import _headers, _validate

TREE = """
# a comment with { and ; in it
user www-data;
events { worker_connections 768; }
http {
    map $a $b { default "x;y}"; '~^{$' ${c}d; }
    server { listen 80; location / { return 200 "listen 443;"; } }
    server { listen [::]:443 ssl; server_name a.b; }
    include sites/*;
}
include streams/*.conf;
"""


def test_a_configuration_is_read_through_its_includes(tmp_path):
    (tmp_path / "sites").mkdir()
    (tmp_path / "streams").mkdir()
    (tmp_path / "nginx.conf").write_text(TREE, encoding="utf-8")
    (tmp_path / "sites" / "one").write_text("server {\n listen 127.0.0.1:443 ssl;\n}\nserver { listen unix:/run/x:443; }", encoding="utf-8")
    (tmp_path / "streams" / "one.conf").write_text("stream { server { listen 443; } }", encoding="utf-8")
    tree = _nginx.load(str(tmp_path / "nginx.conf"), str(tmp_path))
    assert _nginx.listeners(tree, 443) == [str(tmp_path / "nginx.conf"), str(tmp_path / "sites" / "one")]
    assert _nginx.listeners(tree, 443, "stream") == [str(tmp_path / "streams" / "one.conf")]
    assert [directive.words for directive in tree[0:1]] == [["user", "www-data"]]
    (block,) = _nginx.blocks(tree, "http", "map")
    assert [directive.words for directive in block.block] == [["default", "x;y}"], ["~^{$", "${c}d"]]
    assert _nginx.load(str(tmp_path / "missing"), str(tmp_path)) == []


@pytest.mark.parametrize("text", ["", "}", "a {", "a { b", "; ; {}", 'a "b', "include x;", "include /nonexistent/*;"])
def test_what_is_no_configuration_is_no_error(text):
    assert _nginx.listeners(_nginx.parse(text), 443) == []


def test_an_include_of_itself_ends(tmp_path):
    (tmp_path / "nginx.conf").write_text("include nginx.conf; http { server { listen 443; } }", encoding="utf-8")
    assert _nginx.listeners(_nginx.load(str(tmp_path / "nginx.conf"), str(tmp_path)), 443) == [str(tmp_path / "nginx.conf")]


OWN = _nginx.own_files("meet.example.edu")


@pytest.mark.parametrize(
    ("text", "file", "ours", "said"),
    [
        ("http { server { listen 443 ssl; } }", OWN[0], True, []),
        ("stream { server { listen 443; } }", OWN[1], True, []),
        ("http { server { listen 80; } server { listen 8443 ssl; } }", "/x", True, []),
        ("http { server { listen 443 ssl; listen [::]:443 ssl; } }", "/x", True, ["/x listens on port 443"]),
        ("stream { server { listen 5000; } }", "/x", True, ["/x has a `stream` block"]),
        ("stream { server { listen 5000; } }", "/x", False, []),
        ("stream { server { listen 443; } }", "/x", False, ["/x has port 443 in a `stream` block"]),
        ("http { }", "/x", False, ["`nginx_meet_stream_block` is false"]),
    ],
)
def test_what_stands_in_the_way_of_a_shared_port(text, file, ours, said):
    found = _nginx.sharing_problems(_nginx.parse(text, file), own=OWN, inner_port=8447, stream_block=ours)
    assert len(found) == len(said) and all(part in whole for part, whole in zip(said, found)), found


def test_behind_a_proxy_the_ports_of_the_web_are_somebody_elses():
    listening = {("tcp", 443): "/usr/sbin/haproxy -f x", ("tcp", 80): "/usr/sbin/haproxy -f x"}
    assert len(preflight.port_problems("web", ["nginx_meet"], listening)) == 1
    behind = {"nginx_meet_behind_proxy": "true", "nginx_meet_http_port": 8000}
    assert preflight.port_problems("web", ["nginx_meet"], listening, behind) == []
    (problem,) = preflight.port_problems("web", ["nginx_meet"], {("tcp", 8000): "/usr/bin/other"}, behind)
    assert problem.startswith("web: port 8000/tcp is held by `other`")


@pytest.mark.parametrize("policy", [
    {"script-src": ["'self'; img-src *"]}, {"script-src": ['"']}, {"script src": ["'self'"]}, {"script-src": "'self'"}, {"script-src": [5]},
    {"img-src": ["https://a.example\n"]}, {"img-src": ["a\\b"]}, ["'self'"],
])
def test_what_would_end_the_header_is_no_policy(policy):
    with pytest.raises(ValueError, match="policy|`"):
        _headers.to_csp(policy)


def test_features_for_origins():
    assert _headers.to_permissions_policy({"camera": ["self", "https://a.example.edu"], "usb": []}) == 'camera=(self "https://a.example.edu"), usb=()'
    with pytest.raises(ValueError, match="`camera`"):
        _headers.to_permissions_policy({"camera": ["a.example.edu"]})


TURN = {"name": "turn.example.edu", "address": "127.0.0.1:5349"}


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ([TURN], []),
        ([{**TURN, "address": "[2001:db8::1]:5349"}], []),
        ([{"address": "127.0.0.1:5349"}], ["`nginx_meet_tls_routes[0]` has no `name`"]),
        ([{"name": "turn.example.edu"}], ["`nginx_meet_tls_routes[0]` has no `address`"]),
        ([{**TURN, "name": "meet.example.edu"}], ["is `jitsi_domain`, which is the site itself"]),
        ([TURN, TURN], ["`nginx_meet_tls_routes[1].name` is there twice"]),
        ([{**TURN, "name": "*.example.edu"}], ["give a host name in lower case"]),
        ([{**TURN, "name": "turn; }"}], ["give a host name in lower case"]),
        ([{**TURN, "address": "127.0.0.1"}], ["write it as host:port"]),
        ([{**TURN, "address": "a:1; }"}], ["write it as host:port"]),
        ([{**TURN, "adress": "127.0.0.1:1"}], ["`nginx_meet_tls_routes[0].adress` is no setting: did you mean `address`?"]),
        (["turn.example.edu"], ["`nginx_meet_tls_routes[0]` is no dictionary but a text"]),
        ("turn.example.edu", []),
    ],
)
def test_routes(routes, said):
    found = _validate.route_problems(routes, "meet.example.edu")
    assert len(found) == len(said) and all(part in whole for part, whole in zip(said, found)), found


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"trusted_proxies": ["192.0.2.1", "2001:db8::/32"], "behind_proxy": True}, None),
        ({"trusted_proxies": ["192.0.2.1/24"]}, "'192.0.2.1/24': "),
        ({"trusted_proxies": ["::ffff:192.0.2.1"]}, "write the address of IPv4 as such: `192.0.2.1`."),
        ({"trusted_proxies": [5.5]}, "5.5: give an address or a network"),
        ({"trusted_proxies": ["0.0.0.0/0"]}, "0.0.0.0/0 is everybody"),
        ({"trusted_proxies": ["::/0"]}, "::/0 is everybody"),
        ({"behind_proxy": True}, "`nginx_meet_trusted_proxies` is empty"),
        ({"behind_proxy": "yes"}, "`nginx_meet_trusted_proxies` is empty"),
        ({"behind_proxy": "false"}, None),
        ({"behind_proxy": True, "trusted_proxies": ["192.0.2.1"], "tls_routes": [TURN]}, "`nginx_meet_tls_routes` needs port 443"),
        ({"trusted_proxies": ["192.0.2.1"], "tls_routes": [TURN]}, "exclude each other"),
        ({"http_port": 0}, "`nginx_meet_http_port` is 0"),
        ({"http_port": 8888}, None),
        ({"http_port": "8888", "behind_proxy": True, "trusted_proxies": ["192.0.2.1"]}, "`nginx_meet_http_port` is 8888"),
        ({"frame_ancestors": ["https://moodle.example.edu", "https://*.example.edu:8443"]}, None),
        ({"frame_ancestors": ["moodle.example.edu"]}, "'moodle.example.edu' is no origin"),
        ({"frame_ancestors": ["https://moodle.example.edu/"]}, "is no origin"),
        ({"frame_ancestors": ["*"]}, "'*' is no origin"),
        ({"content_security_policy": {"img-src+": ["https://a.example.edu"], "media-src-": None}}, None),
        ({"content_security_policy": {"img-src": "*"}}, "`nginx_meet_content_security_policy`: `img-src` is no list."),
        ({"join_rate": -1}, "`nginx_meet_join_rate` is -1: give 0 or more."),
        ({"hsts_max_age": "-5"}, "`nginx_meet_hsts_max_age` is -5: give 0 or more."),
    ],
)
def test_the_other_variables(variables, said):
    found = _validate.front_problems({f"nginx_meet_{name}": value for name, value in variables.items()})
    assert (found == []) if said is None else (len(found) == 1 and said in found[0]), found


@pytest.mark.parametrize(
    ("variables", "web", "turn", "said"),
    [
        ({"nginx_meet_trusted_proxies": ["192.0.2.1"]}, ["meet"], ["meet"], True),
        ({"nginx_meet_trusted_proxies": ["192.0.2.1"], "coturn_tls_443": False}, ["meet"], ["meet"], False),
        ({"nginx_meet_trusted_proxies": ["192.0.2.1"], "nginx_meet_behind_proxy": True}, ["meet"], ["meet"], False),
        ({"nginx_meet_trusted_proxies": ["192.0.2.1"]}, ["meet"], ["turn"], False),
        ({}, ["meet"], ["meet"], False),
    ],
)
def test_a_turn_server_on_port_443_that_a_proxy_hides(variables, web, turn, said):
    assert bool(_validate.shared_port_problem(variables, "meet", web, turn)) is said


def test_an_unknown_profile():
    (problem,) = _validate.variable_problems({"nginx_meet_tls_profile": "old"}, known_variables())
    assert problem == "`nginx_meet_tls_profile` is 'old': take one of intermediate, modern."
