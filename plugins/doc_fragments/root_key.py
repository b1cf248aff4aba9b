# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Doc fragment: what is to be known of the root key wherever it is used."""

from __future__ import annotations


class ModuleDocFragment:
    """For plugins that read or make the root key on the controller."""

    DOCUMENTATION = r"""
options: {}
notes:
  - The root key is 32 random bytes in one file on the controller, made by M(campus.jitsi.secrets). Keep a backup of it.
  - Secrets are derived with HKDF-SHA-256 (RFC 5869) from the root key by a label and a generation number.
requirements:
  - cryptography on the controller
"""
