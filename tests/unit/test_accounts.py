# SPDX-License-Identifier: GPL-3.0-or-later
"""Prosody's store and SCRAM, without a Prosody: what needs a real one is in tests/verify."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import stringprep
import subprocess
import unicodedata

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _prosody_store, _scram
from ansible_collections.campus.jitsi.plugins.module_utils._prosody import lua_string, missing_modules
from ansible_collections.campus.jitsi.plugins.module_utils._prosody_store import StoreError, decode, dumps, encode, loads
from ansible_collections.campus.jitsi.plugins.module_utils._stringprep import nodeprep, saslprep
from ansible_collections.campus.jitsi.plugins.modules import prosody_account
from hypothesis import given, settings
from hypothesis import strategies as st


def test_scram_is_rfc_5802():
    """The example of section 5, by its server signature; its salt is bytes that are no text, so only the last step is ours."""
    salted = hashlib.pbkdf2_hmac("sha1", b"pencil", base64.b64decode("QSXCR+Q6sek8bf92"), 4096)
    message = (
        "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
    )
    server_key = hmac.new(salted, b"Server Key", "sha1").digest()
    signature = hmac.new(server_key, message.encode(), "sha1").digest()
    assert base64.b64encode(signature) == b"rmF9pqV8S7suAoZWja4dJRkFsKQ="


#: Made by Prosody 13.0.1 and 0.12.3 with `prosodyctl register`.
STORED = """return {
	["iteration_count"] = 10000;
	["stored_key"] = "7ba57c7f5ce3766cbabcc39440698e3fab8ee5e0";
	["created"] = 1795476613;
	["updated"] = 1795476613;
	["salt"] = "1e943e20-ae7d-46c5-8bcf-c8e14110f6a6";
	["server_key"] = "79d117f42e275e33f79bd4b15056369afe8dd82c";
};
"""


def test_what_prosody_stored_is_recognised():
    stored = loads(STORED)
    assert _scram.matches(stored, "secret123")
    assert not _scram.matches(stored, "secret124")
    assert not _scram.matches({**stored, "disabled": True}, "secret123")
    assert not _scram.matches({**stored, "server_key": "0" * 40}, "secret123")
    assert not _scram.matches({}, "secret123")


@pytest.mark.parametrize("hash_name", ["SHA-1", "SHA-256"])
def test_what_we_store_is_recognised(hash_name):
    fields = prosody_account.new_fields({"created": 5, "disabled": True}, "pä ß", 4096, hash_name, True, 9)
    assert _scram.matches(fields, "pä ß", hash_name)
    assert (fields["created"], fields["updated"]) == (5, 9)
    assert "disabled" not in fields
    assert len(fields["stored_key"]) == {"SHA-1": 40, "SHA-256": 64}[hash_name]
    assert "updated" not in prosody_account.new_fields(None, "x", 4096, hash_name, False, 9)


VALUE = st.recursive(
    st.text(max_size=30).filter(lambda t: "\ud800" > max(t, default="") or min(t) > "\udfff") | st.integers(-(2**53), 2**53) | st.booleans(),
    lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8) | st.booleans(), VALUE, max_size=5))
def test_a_table_survives_the_store(table):
    assert loads(dumps(table)) == table


@settings(max_examples=30)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=30), max_size=5))
def test_lua_reads_what_we_write(table):
    script = (
        'local out = {} for k, v in pairs(load(io.read("a"))()) do out[#out + 1] = (k .. "\\0" .. v):gsub(".", '
        'function(c) return string.format("%02x", c:byte()) end) end print(table.concat(out, ","))'
    )
    done = subprocess.run(["lua5.4", "-e", script], input=dumps(table).encode(), capture_output=True, check=True)
    seen = [bytes.fromhex(part) for part in done.stdout.decode().strip().split(",") if part]
    assert sorted(seen) == sorted(f"{k}\0{v}".encode() for k, v in table.items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("return {};", {}),
        ('return { "a", "b"; x = 1 }', {1: "a", 2: "b", "x": 1}),
        ('return { [false] = { ["version"] = 3; }; ["a.b"] = {}; };', {False: {"version": 3}, "a.b": {}}),
        (r'return { ["a"] = "q\"\\\n\065\x42"; };', {"a": 'q"\\\nAB'}),
        ("return { n = -1.5e3, h = 0x10, z = nil };", {"n": -1500.0, "h": 16, "z": None}),
        (r'return { ["a"] = "\195\182"; };', {"a": "ö"}),
    ],
)
def test_what_prosody_may_have_written(text, expected):
    assert loads(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "return", "return {", 'return { ["a"] = os.exit() };', "return {} os.exit()", 'return { "a" "b" };', "return 1;",
     'return { ["a"] = "unfinished };', "\x00", 'return { ["a" = 1 };', 'return { ["a"] = "\\300" };'],
)
def test_anything_else_is_refused_and_never_run(text):
    with pytest.raises(StoreError):
        loads(text)


@given(st.text(max_size=30).filter(lambda t: not any(0xD800 <= ord(c) <= 0xDFFF for c in t)))
def test_names_in_paths(name):
    assert decode(encode(name)) == name
    assert "/" not in encode(name) and "." not in encode(name)


def test_paths():
    assert _prosody_store.path("/d", "auth.a-b", "accounts", "ödd") == "/d/auth%2ea%2db/accounts/%c3%b6dd.dat"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b"), ("😀", "😀")],
)
def test_saslprep(text, expected):
    """RFC 4013, section 3, and a space that is none, and a character of after Unicode 3.2."""
    assert saslprep(text) == expected


def test_saslprep_leaves_printable_ascii():
    """By the tables themselves, which the function does not look at for these."""
    text = "".join(map(chr, range(0x20, 0x7F)))
    assert saslprep(text) == text == unicodedata.normalize("NFKC", text)
    tables = [getattr(stringprep, name) for name in dir(stringprep) if name.startswith(("in_table_b", "in_table_c", "in_table_d1"))]
    assert {table.__name__ for table in tables for character in text if table(character)} == {"in_table_c11", "in_table_c11_c12"}


@pytest.mark.parametrize("text", ["\u0007", "\u007f", "\u0627\u0031", "a\u0627", "\ue000", "\ufffd"])
def test_saslprep_refuses(text):
    with pytest.raises(ValueError, match="a password"):
        saslprep(text)


@pytest.mark.parametrize(("text", "expected"), [("Focus", "focus"), ("STRASSE", "strasse"), ("ß", "ss"), ("Ödd%", "ödd%"), ("ａ", "a")])
def test_nodeprep(text, expected):
    assert nodeprep(text) == expected


@pytest.mark.parametrize("text", ["", "a b", 'a"b', "a&b", "a'b", "a/b", "a:b", "a<b", "a>b", "a@b", "a\u0000", "x" * 1024, "\u00a0"])
def test_nodeprep_refuses(text):
    with pytest.raises(ValueError, match="local part"):
        nodeprep(text)


ACCOUNT = {"state": "present", "roster": [], "password": "x"}


@pytest.mark.parametrize(
    ("account", "stored", "right", "roster", "expected"),
    [
        ({}, None, False, {}, ["created"]),
        ({}, {}, True, {}, []),
        ({}, {}, False, {}, ["password"]),
        ({"state": "absent"}, {}, False, {}, ["removed"]),
        ({"state": "absent"}, None, False, {}, []),
        ({"roster": ["focus.x"]}, None, False, {}, ["created", "roster"]),
        ({"roster": ["focus.x"]}, {}, True, {"focus.x": {"subscription": "from"}}, []),
        ({"roster": ["focus.x"]}, {}, True, {"focus.x": {"subscription": "both"}}, []),
        ({"roster": ["focus.x"]}, {}, True, {"focus.x": {"subscription": "to"}}, ["roster"]),
        ({"roster": ["focus.x"]}, {}, True, {"focus.x": {"subscription": "none", "ask": "subscribe"}}, ["roster"]),
    ],
)
def test_plan(account, stored, right, roster, expected):
    assert prosody_account.plan(account={**ACCOUNT, **account}, stored=stored, right=right, roster=roster) == expected


@pytest.mark.parametrize("jid", ["focus", "@x", "focus@", "focus@x/y", "a b@x", ""])
def test_what_is_no_bare_jid_is_refused(jid):
    with pytest.raises(ValueError):
        prosody_account.split_jid(jid)


HOST = {"component": None, "defined": True, "authentication": "internal_hashed", "storage": "internal", "password_hash": "SHA-1", "modules": []}


@pytest.mark.parametrize(
    ("host", "options", "message"),
    [
        ("auth.y", {}, "no VirtualHost 'auth.y': did you mean `auth.x`?"),
        ("auth.x", {"authentication": "token"}, "accounts need internal_hashed"),
        ("auth.x", {"storage": "sql"}, "needs Prosody's internal one"),
        ("auth.x", {"storage": {"accounts": "sql"}}, "needs Prosody's internal one"),
        ("auth.x", {"password_hash": "SHA-512"}, "take SHA-1 or SHA-256"),
        ("auth.x", {"component": "muc"}, "no VirtualHost"),
    ],
)
def test_a_host_that_cannot_have_accounts_is_named(host, options, message):
    assert message in prosody_account.check_host(host, {"hosts": {"auth.x": {**HOST, **options}}})


def test_a_host_that_can():
    assert prosody_account.check_host("auth.x", {"hosts": {"auth.x": HOST}}) is None


def test_a_diff_shows_no_password():
    stored = loads(STORED)
    account = {**ACCOUNT, "jid": "a@x", "password": "hunter2hunter2", "stored": stored, "changes": ["password"]}
    shown = json.dumps(prosody_account.diff([account]))
    assert "another password" in shown
    assert "hunter2" not in shown and stored["stored_key"] not in shown


def test_lua_strings_for_the_shell_are_plain_ascii():
    assert lua_string('ö"\n\\') == '"\\195\\182\\034\\010\\092"'


def test_modules_that_are_nowhere(tmp_path, monkeypatch):
    (tmp_path / "mod_muc_hide_all.lua").write_text("")
    (tmp_path / "mod_muc").mkdir()
    monkeypatch.setattr("ansible_collections.campus.jitsi.plugins.module_utils._prosody.SOURCE", str(tmp_path))
    config = {
        "plugin_paths": [str(tmp_path)],
        "modules": ["tls"],
        "hosts": {"c.x": {**HOST, "component": "muc", "modules": ["muc_hide_all", "muc_hide_al"]}, "x": {**HOST, "authentication": "nope"}},
    }
    assert missing_modules(config) == {"auth_nope": "x", "muc_hide_al": "c.x", "tls": "global"}


def test_what_a_running_server_is_told_fits_into_its_stanzas():
    """And is told in few calls: 500 removed accounts are some, not 500."""
    gone = [{"user": f"o\\27brien{number}", "host": "auth.meet.example.edu", "changes": ["removed"], "roster": []} for number in range(500)]
    seen = [{"user": "focus", "host": "auth.meet.example.edu", "changes": ["created", "roster"], "roster": [f"a{number}.example.edu" for number in range(60)]}]
    other = [{"user": "ada", "host": "auth.meet.example.edu", "changes": ["created"], "roster": []}]
    codes = prosody_account.live_changes(gone + seen + other)
    assert len(codes) < 12
    assert all(len(html.escape(code)) < 10_000 for code in codes)
    text = "".join(codes)
    assert all(f'"o\\09227brien{n}@auth.meet.example.edu"' in text for n in range(500))
    assert all(f'roster["a{n}.example.edu"]' in text for n in range(60)) and text.count("focus@auth") == 1 and "ada" not in text
    for code in codes:
        subprocess.run(["lua5.4", "-"], input=f"local function check() {code} end", text=True, check=True)
    assert prosody_account.live_changes(other) == []


@pytest.mark.parametrize(
    ("user", "written"),
    [("o'brien", "o\\27brien"), ("a b", "a\\20b"), ("a@b:c/d", "a\\40b\\3ac\\2fd"), ("plain", "plain"), ("o\\27brien", "o\\27brien")],
)
def test_what_a_jid_cannot_hold_is_written_in_escapes(user, written):
    assert prosody_account.escape_node(user) == written
    nodeprep(written)
