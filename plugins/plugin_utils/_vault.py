# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's vault passwords of this run, as the two functions that the root key needs."""

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.parsing.vault import match_encrypt_secret


def vault_functions(loader: t.Any) -> tuple[t.Callable[[bytes], bytes] | None, t.Callable[[bytes], bytes] | None]:
    """``(encrypt, decrypt)`` with the vault passwords that the run was given, or ``(None, None)`` without any.

    :param loader: the DataLoader of an action or lookup plugin
    """
    vault = getattr(loader, "_vault", None)
    if vault is None or not vault.secrets:
        return None, None

    def encrypt(plain: bytes) -> bytes:
        vault_id, secret = match_encrypt_secret(vault.secrets, constants.DEFAULT_VAULT_ENCRYPT_IDENTITY)
        return vault.encrypt(plain, secret, vault_id=None if vault_id == "default" else vault_id)

    return encrypt, vault.decrypt
