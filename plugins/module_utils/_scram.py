# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SCRAM keys (RFC 5802) as Prosody's mod_auth_internal_hashed stores them. Pure functions."""

from __future__ import annotations

import hashlib
import hmac
import typing as t

from ansible_collections.campus.jitsi.plugins.module_utils._stringprep import saslprep

#: Prosody's own default (mod_auth_internal_hashed, option default_iteration_count).
ITERATIONS = 10000
#: Prosody's option password_hash, with the names of Python's hashlib.
HASHES = {"SHA-1": "sha1", "SHA-256": "sha256"}


def scram_keys(password: str, salt: str, iterations: int, hash_name: str = "SHA-1") -> tuple[str, str]:
    """``(StoredKey, ServerKey)`` in hexadecimal.

    :param password: as people type it; SASLprep is applied here
    :param salt: Prosody takes a UUID as text
    :raises ValueError: the password has a character that SASL forbids
    """
    name = HASHES[hash_name]
    salted = hashlib.pbkdf2_hmac(name, saslprep(password).encode(), salt.encode(), iterations)
    client_key = hmac.new(salted, b"Client Key", name).digest()
    server_key = hmac.new(salted, b"Server Key", name).digest()
    return hashlib.new(name, client_key).hexdigest(), server_key.hex()


def matches(stored: t.Mapping[str, t.Any], password: str, hash_name: str = "SHA-1") -> bool:
    """Whether an account of Prosody's store (its fields) lets ``password`` in with mechanism SCRAM-``hash_name``."""
    salt, iterations = stored.get("salt"), stored.get("iteration_count")
    if stored.get("disabled") or not isinstance(salt, str) or not salt or not isinstance(iterations, int) or iterations < 1:
        return False
    stored_key, server_key = scram_keys(password, salt, iterations, hash_name)
    return _equal(stored.get("stored_key"), stored_key) and _equal(stored.get("server_key"), server_key)


def _equal(have: t.Any, want: str) -> bool:
    return isinstance(have, str) and hmac.compare_digest(have.encode(), want.encode())
