# SPDX-License-Identifier: GPL-3.0-or-later
"""LDAP as far as a run speaks it, by the encodings of the standard; a real directory is in the scenario auth_ldap."""

from __future__ import annotations

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _ldap
from ansible_collections.campus.jitsi.plugins.module_utils._ldap import LdapError, element, elements, filter_value, integer, tlv
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(max_size=70000), st.binary(max_size=20))
def test_an_element_survives(content, rest):
    assert element(tlv(_ldap.OCTETS, content) + rest) == (_ldap.OCTETS, content, rest)


@given(st.integers(0, 2**40))
def test_whole_numbers_are_as_x690_has_them(value):
    tag, content, _rest = element(integer(value))
    assert tag == 2 and int.from_bytes(content, "big", signed=True) == value
    assert len(content) == 1 or content[:2] != b"\0\0" and not (content[0] == 0 and content[1] < 0x80)


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(data):
    try:
        assert b"".join(tlv(tag, content) for tag, content in elements(data)) or data == b""
    except LdapError:
        pass


@pytest.mark.parametrize("data", ["30", "3080", "308500000000", "3003aa", "30840fffffff", "30820001"])
def test_what_is_not_whole_is_refused(data):
    with pytest.raises(LdapError):
        elements(bytes.fromhex(data))


@given(st.text())
def test_a_value_has_nothing_in_it_that_a_filter_knows(text):
    value = filter_value(text)
    assert not set(value) & set("*()\0$") and value.isascii()
    # RFC 4515: a backslash and two digits stand for a byte.
    back, place = bytearray(), 0
    while place < len(value):
        back.append(int(value[place + 1:place + 3], 16) if value[place] == "\\" else ord(value[place]))
        place += 3 if value[place] == "\\" else 1
    assert bytes(back) == text.encode()


def test_a_server_that_is_not_there_is_said_once_for_all():
    problems, warnings = _ldap.look(["127.0.0.1:1"], "none", "", "", "", {}, 1)
    assert len(problems) == 1 and "No server of `jitsi_ldap_servers` can be used (127.0.0.1:1: Connection refused)" in problems[0] and warnings == []
