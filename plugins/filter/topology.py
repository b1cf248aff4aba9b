# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: which host does what."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.campus.jitsi.plugins.plugin_utils import _topology


def place_roles(groups: t.Mapping[str, t.Sequence[str]]) -> dict[str, list[str]]:
    """See :func:`_topology.place_roles`."""
    try:
        return _topology.place_roles(groups)
    except ValueError as error:
        raise AnsibleFilterError(f"Inventory: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"place_roles": place_roles}
