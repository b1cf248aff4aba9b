# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: texts as values in LDAP filters."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.campus.jitsi.plugins.module_utils._ldap import filter_value


def ldap_value(value: t.Any) -> str:
    """See :func:`_ldap.filter_value`."""
    if not isinstance(value, str):
        raise AnsibleFilterError(f"campus.jitsi.ldap_value: a text is wanted, not {type(value).__name__}.")
    return filter_value(value)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"ldap_value": ldap_value}
