# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters: configuration as data, and data as configuration."""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.campus.jitsi.plugins.plugin_utils._headers import to_csp, to_permissions_policy
from ansible_collections.campus.jitsi.plugins.plugin_utils._merge import merge_config
from ansible_collections.campus.jitsi.plugins.plugin_utils._peers import peer_ranges
from ansible_collections.campus.jitsi.plugins.plugin_utils._render import to_hocon, to_js, to_properties, to_prosody, to_systemd, to_turnserver

#: Keys whose values are secrets, in any of the components' languages.
_SECRET_KEY = re.compile(r"pass(word|wd|phrase)?$|secrets?$|token$|api[_-]?key$|private[_-]?key$", re.IGNORECASE)


def sensitive_values(data: t.Any, under_secret: bool = False) -> list[str]:
    """The texts in ``data`` whose key says that they are secret (password, secret, token, ...), without repetition.

    >>> sensitive_values({"a": {"PASSWORD": "x"}, "b": ["y"], "app_secret": "z"})
    ['x', 'z']
    """
    found: list[str] = []
    if isinstance(data, dict):
        for key, value in data.items():
            found += sensitive_values(value, under_secret or bool(_SECRET_KEY.search(str(key))))
    elif isinstance(data, (list, tuple)):
        for value in data:
            found += sensitive_values(value, under_secret)
    elif under_secret and isinstance(data, str) and data:
        found.append(data)
    return list(dict.fromkeys(found))


def _filter(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    def wrapped(*arguments: t.Any, **keywords: t.Any) -> t.Any:
        try:
            return function(*arguments, **keywords)
        except ValueError as error:
            raise AnsibleFilterError(f"campus.jitsi.{function.__name__}: {error}") from error

    return wrapped


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        functions = (merge_config, to_hocon, to_js, to_properties, to_prosody, to_systemd, to_turnserver, sensitive_values, to_csp, to_permissions_policy,
                     peer_ranges)
        return {function.__name__: _filter(function) for function in functions}
