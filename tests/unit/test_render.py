# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the data holds, the real parsers of the three languages read it back."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _properties
from ansible_collections.campus.jitsi.plugins.plugin_utils._render import (
    JS_MAX_SAFE_INTEGER,
    PROSODY_RESERVED,
    to_hocon,
    to_js,
    to_lua,
    to_properties,
    to_prosody,
    to_systemd,
    to_turnserver,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = pathlib.Path(__file__).parent
NASTY = [
    'quote " and \' and `', "back\\slash \\n \\", "line\nbreak\r\n\ttab", "${substitution} ${?env}", "]] ]=] [[", "</script><!--",
    "<!--# echo var=\"x\" -->", "\u2028\u2029", "ñandú 漢字 😀 \u202e", "", " ", "\x00\x01\x1f\x7f", "a=b # c // d", "%s %% \\0", "--[[", "{}", "null",
    "10 seconds", "include \"x\"", "include", "includes", "true", "+=", "\x85\xa0",
]
TEXT = st.sampled_from(NASTY) | st.text(max_size=40)
NUMBER = st.integers(-JS_MAX_SAFE_INTEGER, JS_MAX_SAFE_INTEGER) | st.floats(allow_nan=False, allow_infinity=False, width=32)
SCALAR = TEXT | NUMBER | st.booleans()
KEY = TEXT.filter(lambda text: text not in ("", "__proto__"))
DATA = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4), max_leaves=12)
DOCUMENT = st.dictionaries(KEY, DATA, max_size=6)
# One process reads many documents: starting it is what takes the time.
BATCH = st.lists(DOCUMENT, min_size=10, max_size=20)
SLOW = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def read_back(command: list[str], texts: list[str]) -> list:
    """What ``command`` reads in the documents: it gets a JSON array of texts and prints one of the values."""
    if not shutil.which(command[0]):
        pytest.fail(f"{command[0]} is not installed: run `make bootstrap`")
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def same(one, other) -> bool:
    """Equality of data, with numbers as numbers: 1 and 1.0 are one number in JavaScript."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other or float(one) == float(other)
    return one == other


LUA = r"""
local function decode(text)  -- the texts arrive as Lua source, made by the test from JSON with only \ddd escapes
  return assert(load("return " .. text))()
end
local function show(value)
  local kind = type(value)
  if kind == "string" then
    return '"' .. value:gsub('[%c"\\\128-\255]', function(c) return string.format("\\u00%02x", c:byte()) end) .. '"'
  elseif kind == "number" then
    if math.type(value) == "integer" then return tostring(value) end
    return string.format("%.17g", value)
  elseif kind == "boolean" then return tostring(value) end
  local parts, n = {}, 0
  for _ in pairs(value) do n = n + 1 end
  if n == #value and n > 0 then
    for _, item in ipairs(value) do parts[#parts + 1] = show(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do parts[#parts + 1] = show(tostring(key)) .. ":" .. show(item) end
  return "{" .. table.concat(parts, ",") .. "}"
end
local out = {}
for _, text in ipairs(decode(io.read("a"))) do
  local chunk, why = load("return " .. text)
  out[#out + 1] = show(assert(chunk, why)())
end
print("[" .. table.concat(out, ",") .. "]")
"""


def lua_bytes(value):
    """As the Lua script shows it: texts byte by byte; what is empty is a dictionary."""
    if isinstance(value, str):
        return value.encode().decode("latin-1")
    if isinstance(value, list):
        return [lua_bytes(item) for item in value] if value else {}
    if isinstance(value, dict):
        return {lua_bytes(key): lua_bytes(item) for key, item in value.items()}
    return value


@SLOW
@given(BATCH)
def test_lua_reads_it_back(documents):
    def quoted(text: str) -> str:
        return '"' + "".join(f"\\{b:03d}" for b in text.encode()) + '"'

    source = "{" + ",".join(quoted(to_lua(d)) for d in documents) + "}"
    done = subprocess.run(["lua5.4", "-e", LUA], input=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for document, seen in zip(documents, json.loads(done.stdout)):
        assert same(seen, lua_bytes(document))


NODE = """
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(texts.map(text => require('vm').runInNewContext('var config = ' + text + '; config'))));
"""


@SLOW
@given(BATCH)
def test_node_reads_it_back(documents):
    rendered = [to_js(document) for document in documents]
    for document, seen in zip(documents, read_back(["node", "-e", NODE], rendered)):
        assert same(seen, document)


@given(DOCUMENT)
def test_javascript_survives_html_and_server_side_includes(document):
    text = to_js(document)
    assert not {"<", ">", "&", "\u2028", "\u2029"} & set(text)


RUBY = """
require 'json'; require 'hocon'; require 'hocon/config_factory'
texts = JSON.parse(STDIN.read)
puts JSON.generate(texts.map { |text| Hocon::ConfigFactory.parse_string(text).resolve.root.unwrapped })
"""


@SLOW
@given(BATCH)
def test_ruby_hocon_reads_it_back(documents):
    rendered = [to_hocon(document) for document in documents]
    for document, seen in zip(documents, read_back(["ruby", "-e", RUBY], rendered)):
        assert same(seen, document)


@pytest.mark.skipif(not shutil.which("java"), reason="no Java")
@settings(SLOW, max_examples=5)
@given(BATCH)
def test_the_daemons_own_parser_reads_it_back(typesafe_config, documents):
    """com.typesafe:config, which jicofo and the videobridge read their files with."""
    rendered = [to_hocon(document) for document in documents]
    command = ["java", "-cp", str(typesafe_config), str(HERE / "HoconRoundTrip.java")]
    for document, seen in zip(documents, read_back(command, rendered)):
        assert same(seen, document)


@pytest.mark.parametrize(
    ("render", "value", "where"),
    [
        (to_lua, {"a": [1, None]}, "a.1"),
        (to_lua, {"a": float("nan")}, "a"),
        (to_lua, {"a": 2**64}, "a"),
        (to_lua, {"a": {"b": b"bytes"}}, "a.b"),
        (to_lua, {"a": "\ud800"}, "a"),
        (to_lua, {(1, 2): "a"}, "(1, 2)"),
        (to_js, {"a": {"b": 2**53}}, "a.b"),
        (to_js, {"a": float("inf")}, "a"),
        (to_js, {1: "a"}, "1"),
        (to_js, {"a": {"__proto__": {}}}, "a.__proto__"),
        (to_hocon, {"a": {"b": float("inf")}}, "a.b"),
        (to_hocon, {"a": ["\udfff"]}, "a.0"),
        (to_hocon, {"a": {1.5: 2}}, "a.1.5"),
        (to_turnserver, {"a b": 1}, "a b"),
        (to_turnserver, {"user": "x\nno-auth"}, "user"),
        (to_turnserver, {"denied-peer-ip": ["192.0.2.1", " 192.0.2.2"]}, "denied-peer-ip.1"),
        (to_turnserver, {"realm": '"x'}, "realm"),
        (to_turnserver, {"realm": "=x"}, "realm"),
        (to_turnserver, {"realm": ""}, "realm"),
        (to_turnserver, {"realm": "x" * 1000}, "realm"),
        (to_turnserver, {"realm": None}, "realm"),
        (to_turnserver, {"realm": {"a": 1}}, "realm"),
        (to_turnserver, {"realm": "\ud800"}, "realm"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_path(render, value, where):
    with pytest.raises(ValueError, match=f"`{where}`".replace("(", r"\(").replace(")", r"\)")):
        render(value)


@pytest.mark.parametrize("value", [["a"], "a", None, 1])
def test_a_document_is_a_dictionary(value):
    for render in (to_hocon, to_prosody, to_systemd, to_turnserver):
        with pytest.raises(ValueError, match="needs a dictionary"):
            render(value)


def test_prosody_hosts_and_components():
    text = to_prosody({
        "global": {"admins": [], "limits": {"c2s": {"rate": "512kb/s"}}},
        "hosts": {"a.example": {"authentication": "internal_hashed"}, 'c"x': {"component": "muc", "storage": "memory"}},
    })
    assert text == (
        'admins = {}\nlimits = {\n    c2s = {\n        rate = "512kb/s";\n    };\n}\n\n'
        'VirtualHost "a.example"\n    authentication = "internal_hashed"\n\n'
        'Component "c\\"x" "muc"\n    storage = "memory"\n'
    )


@pytest.mark.parametrize("name", [*sorted(PROSODY_RESERVED), "end", "two words", "a-b", "1a", ""])
def test_a_name_that_would_be_code_is_no_option(name):
    with pytest.raises(ValueError, match="cannot be the name of a Prosody option"):
        to_prosody({"global": {name: True}})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"admins": []}, "`admins` is neither `global` nor `hosts`"),
        ({"hosts": {"a": ["x"]}}, "`hosts.a` is no dictionary"),
    ],
)
def test_a_configuration_of_another_shape_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        to_prosody(config)


# --- systemd -------------------------------------------------------------------------------------------------------


def test_a_unit():
    text = to_systemd({"Unit": {"StartLimitIntervalSec": 0}, "Service": {"ExecStart": ["", "/bin/x"], "PrivateTmp": True, "User": "", "UMask": "0027",
                                                                        "ProtectHome": False}})
    assert text == "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\nExecStart=\nExecStart=/bin/x\nPrivateTmp=yes\nUser=\nUMask=0027\nProtectHome=no\n"


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ({"Service": {"Environment": "a\nExecStartPre=/bin/evil"}}, "`Service.Environment` has a control character or ends in a backslash"),
        ({"Service": {"Environment": ["fine", "a\\"]}}, "`Service.Environment` has a control character or ends in a backslash"),
        ({"Service": {"PrivateTmp": None}}, "`Service.PrivateTmp` is empty (null), which no directive takes; remove one with `PrivateTmp-:` instead"),
        ({"Service": {"PrivateTmp": 1.5}}, "`Service.PrivateTmp` is of type float"),
        ({"Service": {"Private Tmp": True}}, "`Service.Private Tmp` is no directive of systemd"),
        ({"Service": {"X=y\nZ": True}}, "is no directive of systemd"),
        ({"Service]": {}}, "`Service]` is no section of a unit of systemd"),
        ({"Service": []}, "`Service` is no dictionary of directives"),
    ],
)
def test_what_no_unit_can_say(unit, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        to_systemd(unit)


def turnserver_reads(text):
    """What coturn's parser reads (parse_arg_string and read_config_file of src/apps/relay/mainrelay.c)."""
    found = []
    for line in text.split("\n"):
        line = line.lstrip(" \t")
        if line.startswith("#") or not line.rstrip():
            continue
        name, sign, value = re.match(r"([^ =\t]*)([ =\t]*)(.*?)\s*\Z", line[:1023]).groups()
        if value.startswith('"'):
            value = value[1:].removesuffix('"')
        found.append((name, value if sign else True))
    return found


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
                       st.one_of(st.booleans(), st.integers(), st.text(max_size=40), st.lists(st.text(max_size=20), max_size=3)), max_size=5))
def test_coturn_reads_it_back_or_it_is_refused(config):
    try:
        text = to_turnserver(config)
    except ValueError:
        return
    expected = []
    for name, value in config.items():
        for item in value if isinstance(value, list) else [value]:
            expected += [(name, True)] if item is True else [] if item is False else [(name, str(item))]
    assert turnserver_reads(text) == expected


# --- Java's properties ---------------------------------------------------------------------------------------------

# What is one character to Python and two to Java is one to people.
PROPERTY_VALUE = TEXT | st.booleans() | st.integers() | st.lists(TEXT, max_size=3)
PROPERTIES = st.dictionaries(KEY, PROPERTY_VALUE, max_size=6)


def property_text(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


@settings(SLOW, max_examples=5)
@given(st.lists(PROPERTIES, min_size=10, max_size=20))
def test_java_reads_properties_back(documents):
    rendered = [to_properties(document) for document in documents]
    assert all(text.isascii() for text in rendered)
    for document, seen in zip(documents, read_back(["java", str(HERE / "PropertiesRoundTrip.java")], rendered)):
        assert seen == {name: property_text(value) for name, value in document.items()}


@given(PROPERTIES)
def test_our_own_reader_of_properties_agrees_with_java(document):
    assert _properties.parse(to_properties(document)) == [(name, property_text(value)) for name, value in document.items()]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a=b", [("a", "b")]),
        ("  a : b ", [("a", "b ")]),
        ("a b", [("a", "b")]),
        ("a", [("a", "")]),
        ("! note\n\n#x=y\na=1\\\n  2\nb=3", [("a", "12"), ("b", "3")]),
        ("a\\=b=c=d", [("a=b", "c=d")]),
        ("a=\\u00e9\\q", [("a", "éq")]),
        ("a=1\na=2", [("a", "1"), ("a", "2")]),
        ("a=x\\", [("a", "x")]),
    ],
)
def test_properties_as_people_write_them(text, read):
    assert _properties.parse(text) == read


def test_properties_that_java_refuses():
    with pytest.raises(ValueError, match="line 2: Java refuses"):
        _properties.parse("a=b\nc=\\u12")


@pytest.mark.parametrize(("config", "said"), [({"": 1}, "is no text key"), ({"a": None}, "remove the key with `a-:`"), ({"a": {"b": 1}}, "of type dict"),
                                              ({"a": ["\ud800"]}, "`a.0` holds half"), ({1: 2}, "`1` is no text key")])
def test_what_no_property_can_say(config, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        to_properties(config)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("a.acc1.PASSWORD", ""),
        ("a.acc1", ""),
        ("a.acc1.Encodings.opus/48000", ""),
        ("t.anything.at.all", ""),
        ("a.b.c", "nobody reads this key"),
        ("a.acc1.PASSWROD", "did you mean `a.acc1.PASSWORD`?"),
        ("xa.acc1.PASSWORD", "nobody reads this key"),
    ],
)
def test_keys_of_properties_that_nobody_reads(key, said):
    found = _properties.unknown_keys([key], ["a.*", "a.*.PASSWORD", "a.*.Encodings.*", "t.**"])
    assert bool(found) == bool(said) and said in "".join(found)
