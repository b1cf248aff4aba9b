# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that nobody would read are named, with the nearest that somebody does."""

from __future__ import annotations

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils._hocon_keys import flatten, parse, show, unknown_keys
from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean, nearest

REFERENCE = {
    "videobridge": {
        "ice": {"udp": {"port": 10000}},
        "stats": {"interval": "5 seconds"},
        "limits": {},
        "free": {},
        "apis": {"xmpp-client": {"configs": {}}},
    },
    "ice4j": {"mappings": [], "names": ["a"]},
}
PATTERNS = [
    "videobridge.limits.*",
    "videobridge.apis.xmpp-client.configs.*.HOSTNAME",
    "ice4j.mappings[].local-address",
    "ice4j.deep.**",
    "videobridge.relay.region",
]


def config(path: str, value=1):
    data = value
    for part in reversed(path.split(".")):
        data = {part: data}
    return data


@pytest.mark.parametrize(
    "known",
    [
        {},
        config("videobridge.ice.udp.port"),
        config("videobridge.limits.100"),
        config("videobridge.free.anything.at-all"),
        config("videobridge.apis.xmpp-client.configs.shard-1.HOSTNAME"),
        config("videobridge.apis.xmpp-client.configs.shard-1.hostname"),
        config("videobridge.apis.xmpp-client.configs", {}),
        config("videobridge.ice", {}),
        config("ice4j.mappings", [{"local-address": "a"}, {"local-address": "b"}]),
        config("ice4j.mappings", []),
        config("ice4j.names", ["x", "y"]),
        config("ice4j.deep.er.and.deeper"),
        config("videobridge.relay.region"),
    ],
)
def test_known(known):
    assert unknown_keys(known, REFERENCE, PATTERNS) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (config("videobridge.ice.udp.prot"), "`videobridge.ice.udp.prot`: did you mean `videobridge.ice.udp.port`?"),
        (config("videobrige.stats.interval"), "`videobrige.stats.interval`: did you mean `videobridge.stats.interval`?"),
        (config("videobridge.relay.regoin"), "`videobridge.relay.regoin`: did you mean `videobridge.relay.region`?"),
        (config("zzz"), "`zzz`: no such key"),
        (config("videobridge.ice"), "`videobridge.ice` is a group of keys, not a value"),
        (config("ice4j.mappings", [{"localaddress": "a"}]), "`ice4j.mappings[].localaddress`: did you mean `ice4j.mappings[].local-address`?"),
        ({"videobridge": {"ice.udp.port": 1}}, '`videobridge."ice.udp.port"`: did you mean `videobridge.ice.udp.port`?'),
        (config("videobridge.apis.xmpp-client.configs.shard.HOSTNAM"),
         "`videobridge.apis.xmpp-client.configs.shard.HOSTNAM`: did you mean `videobridge.apis.xmpp-client.configs.shard.HOSTNAME`?"),
    ],
)
def test_unknown(wrong, message):
    assert unknown_keys(wrong, REFERENCE, PATTERNS) == [message]


def test_all_unknown_keys_are_named_at_once():
    assert len(unknown_keys({"a1": 1, "b2": {"c3": 2}}, REFERENCE, PATTERNS)) == 2


def test_flatten_and_back():
    data = {"a": {"b": 1, "c": {}}, "d": [{"e": 1}, {"f": 2}], "g": [1, 2], "h.i": 3}
    shown = sorted(show(path) for path, _empty in flatten(data))
    assert shown == ['"h.i"', "a.b", "a.c", "d[].e", "d[].f", "g"]
    assert parse("d[].e.*") == ("d", "[]", "e", "*")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("muc_hide_al", "muc_hide_all"), ("websockets", "websocket"), ("polls", None), ("", None)],
)
def test_nearest(name, expected):
    assert nearest(name, ["muc_hide_all", "websocket", "bosh"]) == expected


def test_nothing_near_is_nothing_said():
    assert did_you_mean("xyz", ["abc"]) == ""
