# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The root key and what is derived from it.

One file on the controller holds 32 random bytes. Every other secret is derived from them with HKDF-SHA-256
(RFC 5869) by a label, such as ``xmpp/jvb/bridge1``, and a generation number, so that a new host needs no new file
and one secret can be rotated alone.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import typing as t

try:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

from ansible_collections.campus.jitsi.plugins.plugin_utils._files import create_once

ROOT_BYTES = 32
#: Characters of a derived secret: 32 of 5 bits each. Lower case letters and digits survive every file and shell.
SECRET_CHARACTERS = 32
#: A secret that people give must have at least so many characters.
MINIMUM_CHARACTERS = 16
MAGIC = "campus.jitsi-root-key-1"
VAULT_HEADER = b"$ANSIBLE_VAULT;"
#: Every secret that the collection derives: its label, with ``{ROLE}`` for each host of that role, and what it is, a password
#: or a private key. The test that looks for leaks searches for each of them, and another test finds a label that is not here.
LABELS = {
    "xmpp/focus": "password",
    "xmpp/jvb/{jvb}": "password",
    "xmpp/jibri/{jibri}": "password",
    "xmpp/recorder": "password",
    "xmpp/jigasi/{jigasi}": "password",
    "xmpp/telephone": "password",
    "tls/ca": "key",
    "tls/prosody": "key",
    "tls/web": "key",
    "tls/turn/{coturn}": "key",
    "tls/issuer/{prosody}/prosody": "key",
    "tls/issuer/{nginx_meet}/web": "key",
    "tls/issuer/{coturn}/turn": "key",
    "turn": "password",
    "jwt": "password",
    "users/{user}": "password",
}
_LABEL = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*\Z")


class SecretError(ValueError):
    """The root key or a label cannot be used; the message is one sentence that names the file and the fix."""


def encode_root(root: bytes) -> str:
    """The text of a root key file: a magic word, the key in base64 and a check sum that shows a truncated file.

    >>> encode_root(bytes(32)).split(":")[0]
    'campus.jitsi-root-key-1'
    """
    return f"{MAGIC}:{base64.b64encode(root).decode()}:{_checksum(root)}\n"


def decode_root(text: str, name: str) -> bytes:
    """The inverse of :func:`encode_root`.

    :raises SecretError: the text is truncated or something else
    """
    parts = text.strip().split(":")
    try:
        root = base64.b64decode(parts[1], validate=True)
        if parts[0] == MAGIC and len(parts) == 3 and len(root) == ROOT_BYTES and parts[2] == _checksum(root):
            return root
    except (IndexError, ValueError):
        pass
    raise SecretError(
        f"{name} holds no whole root key (truncated or edited?): restore it from your backup; "
        "it was not touched, and without it every password of the installation would change."
    )


def _checksum(root: bytes) -> str:
    return hashlib.sha256(MAGIC.encode() + root).hexdigest()[:8]


def derive(root: bytes, label: str, generation: int = 1) -> bytes:
    """32 bytes for ``label``: HKDF-SHA-256 (RFC 5869) with the label and generation as info.

    :raises SecretError: the label has odd characters or the generation is no positive number
    """
    if not isinstance(label, str) or not _LABEL.match(label):
        raise SecretError(f"{label!r} is no secret label: write words of letters, digits, `.`, `_`, `-` with `/` between.")
    if isinstance(generation, bool) or not isinstance(generation, int) or generation < 1:
        raise SecretError(f"generation {generation!r} of secret {label!r} is no whole number from 1 up.")
    if not HAS_CRYPTOGRAPHY:
        raise SecretError("campus.jitsi needs the Python package `cryptography` on the controller: install it with pip.")
    info = f"campus.jitsi\0{label}\0{generation}".encode()
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(root)


def labels(places: t.Mapping[str, t.Iterable[str]]) -> dict[str, str]:
    """The labels of an installation's secrets with what each is, ``password`` or ``key``.

    :param places: the hosts of each role, as :func:`_topology.place_roles` returns them

    >>> labels({"jvb": ["a", "b"]})["xmpp/jvb/b"]
    'password'
    """
    found = {}
    for pattern, kind in LABELS.items():
        match = re.search(r"\{(\w+)\}", pattern)
        for host in places.get(match[1], ()) if match else [""]:
            found[pattern.replace(match[0], host) if match else pattern] = kind
    return found


def password(root: bytes, label: str, generation: int = 1) -> str:
    """A password for ``label``: 160 bits as 32 lower case letters and digits.

    >>> len(password(bytes(32), "xmpp/focus"))
    32
    """
    return base64.b32encode(derive(root, label, generation)[: SECRET_CHARACTERS * 5 // 8]).decode().lower()


def read_root(path: str, decrypt: t.Callable[[bytes], bytes] | None) -> bytes | None:
    """The root key in ``path``, or None when there is no such file.

    :param decrypt: Ansible vault's decryption, or None when no vault password is configured
    :raises SecretError: the file is there and cannot be used
    """
    try:
        with open(path, "rb") as handle:
            content = handle.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretError(f"{path} cannot be read ({error.strerror}): make it readable for the user who runs Ansible.") from error
    if content.startswith(VAULT_HEADER):
        if decrypt is None:
            raise SecretError(f"{path} is encrypted: give its vault password (--vault-id or --vault-password-file).")
        try:
            content = decrypt(content)
        except Exception as error:
            raise SecretError(
                f"{path} cannot be decrypted with the vault passwords given: use the one it was encrypted with; "
                "the file was not touched."
            ) from error
    return decode_root(content.decode(errors="replace"), path)


def create_root(path: str, encrypt: t.Callable[[bytes], bytes] | None) -> bool:
    """Make ``path`` with a new root key, whole or not at all, mode 0600, unless it exists. True when it was made.

    Several runs at once end with one key.

    :param encrypt: Ansible vault's encryption, or None to write the key as it is
    :raises SecretError: the folder cannot be written
    """
    content = encode_root(os.urandom(ROOT_BYTES)).encode()
    if encrypt is not None:
        content = encrypt(content)
    try:
        return create_once(path, content, 0o600)
    except OSError as error:
        raise SecretError(
            f"{path} cannot be made ({error.strerror}): set `jitsi_secrets_file` to a place that can be written."
        ) from error


def refuse_orphans(path: str, dependents: t.Iterable[str]) -> None:
    """Refuse to make a new root key where the old one was lost.

    :param dependents: files that were made with the key of ``path``, which does not exist
    :raises SecretError: one of them is there
    """
    left = [name for name in dependents if os.path.exists(name)]
    if left:
        raise SecretError(
            f"{path} does not exist, but {left[0]}, which was made with it, does: restore the key from your backup; if it is lost, "
            f"remove {left[0]}, too, and every secret of the installation is made anew."
        )


def check_given(name: str, value: t.Any) -> str:
    """``value``, when it is a secret that people may give.

    :raises SecretError: it is no text or shorter than :data:`MINIMUM_CHARACTERS`; the value itself is never shown
    """
    if not isinstance(value, str) or len(value) < MINIMUM_CHARACTERS:
        raise SecretError(f"{name}: a secret must be text of at least {MINIMUM_CHARACTERS} characters; give a longer one or leave it out to have it made.")
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise SecretError(f"{name}: a secret must be one line without control characters.")
    return value
