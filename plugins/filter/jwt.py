# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: tokens (JWT) for rooms."""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean
from ansible_collections.campus.jitsi.plugins.plugin_utils import _jwt

#: What makes claims of a room's name, and what signs them.
CLAIMS = ("app_id", "audience", "domain", "user", "features", "lifetime", "now")
KEYS = ("secret", "private_key", "kid")


def jwt(said: t.Any, **options: t.Any) -> str:
    """A token for a room, or with exactly the claims that were given; see :func:`_jwt.claims` and :func:`_jwt.sign`."""
    try:
        unknown = [name for name in options if name not in (*CLAIMS, *KEYS)]
        if unknown:
            raise _jwt.TokenError(f"{unknown[0]} is no option{did_you_mean(unknown[0], (*CLAIMS, *KEYS))}")
        keys = {name: options[name] for name in KEYS if name in options}
        if isinstance(said, t.Mapping):
            others = [name for name in options if name in CLAIMS]
            if others:
                raise _jwt.TokenError(f"{others[0]} is no option beside a dictionary of claims: put it into the claims")
            return _jwt.sign(said, **keys)
        named = {"audience": "jitsi", "now": int(time.time()), **{name: options[name] for name in CLAIMS if name in options}}
        missing = [name for name in ("app_id", "domain") if name not in named]
        if missing:
            raise _jwt.TokenError(f"{missing[0]} is missing")
        return _jwt.sign(_jwt.claims(said, **named), **keys)
    except _jwt.TokenError as error:
        # Not `from error`: Ansible would say it twice.
        raise AnsibleFilterError(f"campus.jitsi.jwt: {str(error).rstrip('?')}{'?' if str(error).endswith('?') else '.'}") from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"jwt": jwt}
