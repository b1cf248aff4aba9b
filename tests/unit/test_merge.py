# SPDX-License-Identifier: GPL-3.0-or-later
"""How a user's settings are laid over ours."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.campus.jitsi.plugins.plugin_utils._merge import merge_config
from hypothesis import given
from hypothesis import strategies as st

BASE = {"modules": ["a", "b"], "limits": {"c2s": {"rate": "10kb/s", "burst": "2s"}}, "port": 1}


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ({"port": 2}, ("port",), 2),
        ({"limits": {"c2s": {"rate": "1mb/s"}}}, ("limits", "c2s"), {"rate": "1mb/s", "burst": "2s"}),
        ({"limits": None}, ("limits",), None),
        ({"modules": ["c"]}, ("modules",), ["c"]),
        ({"modules+": ["b", "c", "c"]}, ("modules",), ["a", "b", "c"]),
        ({"modules-": ["a", "x"]}, ("modules",), ["b"]),
        ({"new+": ["x"]}, ("new",), ["x"]),
        ({"port": {"now": "a dictionary"}}, ("port",), {"now": "a dictionary"}),
        ({"limits": {"c2s": {"burst-": None}}}, ("limits", "c2s"), {"rate": "10kb/s"}),
    ],
)
def test_override(override, path, expected):
    value = merge_config(BASE, override)
    for part in path:
        value = value[part]
    assert value == expected


def test_a_key_is_removed():
    assert "port" not in merge_config(BASE, {"port-": None})


def test_the_last_of_several_wins():
    assert merge_config(BASE, {"port": 2}, {"port": 3})["port"] == 3


@pytest.mark.parametrize("override", [{"port+": [1]}, {"modules+": "c"}, {"limits": {"c2s-": ["rate"]}}])
def test_a_suffix_on_what_is_no_list_is_refused_with_its_path(override):
    with pytest.raises(ValueError, match=r"`(port\+|modules\+|limits\.c2s-)`.*not a list"):
        merge_config(BASE, override)


JSON = st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(JSON, JSON)
def test_inputs_are_never_changed(base, override):
    before = copy.deepcopy((base, override))
    try:
        merge_config(base, override)
    except ValueError:
        pass
    assert (base, override) == before


@given(st.dictionaries(st.text(alphabet="abc", min_size=1), JSON))
def test_nothing_laid_over_is_nothing_changed(base):
    assert merge_config(base, {}) == base
