# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup plugin: one secret of the installation."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: A secret of the installation, by its label
version_added: 0.1.0
description:
  - Returns the secret of each label, such as V(xmpp/jvb/bridge1). It is the one that was given in O(given), or else it
    is derived from the root key, the label and the label's generation, and is the same in every run.
  - Raising the generation of a label in O(generations) rotates that secret alone.
author: campus.jitsi contributors (@campus-jitsi)
extends_documentation_fragment: campus.jitsi.root_key
options:
  _terms:
    description: Labels, words of letters, digits, V(.), V(_) and V(-) with V(/) between.
    type: list
    elements: str
    required: true
  file:
    description: The file with the root key, on the controller. Default, the variable C(jitsi_secrets_file).
    type: path
  given:
    description:
      - Secrets that are given instead of derived, by label, at least 16 characters each. Keep them in a vault. Default, the
        variable C(jitsi_secrets).
    type: dict
  generations:
    description: The generation of a label, 1 when it is not here. Default, the variable C(jitsi_secret_generations).
    type: dict
  encoding:
    description:
      - V(password) gives 32 lower case letters and digits (160 bits).
      - V(hex) gives 64 hexadecimal digits (256 bits), for what wants a key.
    type: str
    choices: [password, hex]
    default: password
"""

EXAMPLES = r"""
- name: Use the password of a bridge
  ansible.builtin.debug:
    msg: "{{ lookup('campus.jitsi.secret', 'xmpp/jvb/bridge1') | length }} characters"
"""

RETURN = r"""
_list:
  description: One secret for each label.
  type: list
  elements: str
"""

from ansible.errors import AnsibleError  # noqa: E402
from ansible.plugins.lookup import LookupBase  # noqa: E402
from ansible.utils.path import unfrackpath  # noqa: E402

from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import (  # noqa: E402
    SecretError,
    check_given,
    derive,
    password,
    read_root,
)
from ansible_collections.campus.jitsi.plugins.plugin_utils._vault import vault_functions  # noqa: E402


class LookupModule(LookupBase):
    """See the documentation above."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        self._variables = variables or {}
        given = self._setting("given", "jitsi_secrets", {})
        generations = self._setting("generations", "jitsi_secret_generations", {})
        encode = password if self.get_option("encoding") == "password" else _hex
        try:
            # It is read once for a thousand labels, and not at all when none is derived.
            root = b"" if all(label in given for label in terms) else self._root()
            return [
                check_given(f"jitsi_secrets[{label!r}]", given[label]) if label in given else encode(root, label, generations.get(label, 1))
                for label in terms
            ]
        except SecretError as error:
            raise AnsibleError(str(error)) from error

    def _setting(self, option, variable, default):
        """An option, or the variable that stands for it. Variables reach a lookup as they were written."""
        value = self.get_option(option)
        return self._templar.template(self._variables.get(variable, default)) if value is None else value

    def _root(self) -> bytes:
        path = self._setting("file", "jitsi_secrets_file", None)
        if not path:
            raise SecretError("`jitsi_secrets_file` is not set: say where the root key is.")
        path = unfrackpath(path)
        _encrypt, decrypt = vault_functions(self._loader)
        root = read_root(path, decrypt)
        if root is not None:
            return root
        if self._variables.get("ansible_check_mode"):
            # A check of a new installation must not make the key; what it would derive leaves the controller in no case.
            return bytes(32)
        raise SecretError(f"{path} does not exist yet: run the module campus.jitsi.secrets before (site.yml does).")


def _hex(root: bytes, label: str, generation: int) -> str:
    return derive(root, label, generation).hex()
