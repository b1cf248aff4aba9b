# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: refuse an inventory that cannot work."""

from __future__ import annotations

import datetime
import functools
import os
import pathlib
import socket
import stat

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version
from ansible.utils.path import unfrackpath

from ansible_collections.campus.jitsi.plugins.plugin_utils import _firewall, _jwt, _pki, _telephony, _validate
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import HAS_CRYPTOGRAPHY, VAULT_HEADER
from ansible_collections.campus.jitsi.plugins.plugin_utils._topology import place_roles

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


@functools.lru_cache
def known_variables() -> dict[str, dict]:
    """The options of all roles' argument specs."""
    options: dict[str, dict] = {}
    for spec in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        options.update(yaml_load(spec.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"])
    return options


@functools.lru_cache
def known_directives() -> tuple[str, ...]:
    """The directives of systemd with which the roles confine services."""
    unit = yaml_load((ROLES / "jitsi" / "vars" / "main.yml").read_text(encoding="utf-8"))["__jitsi_unit"]
    return tuple(sorted({*unit["Service"], "ReadWritePaths"}))


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec({"site": {"type": "bool", "default": False}})
        problems = self._problems(task_vars or {})
        if arguments["site"]:
            problems += self._place_problems(task_vars or {})
        if problems:
            result.update(failed=True, msg="\n".join(problems), problems=problems)
        return result

    def _problems(self, task_vars) -> list[str]:
        problem = _validate.ansible_problem(ansible_version)
        if problem:
            return [problem]
        if not HAS_CRYPTOGRAPHY:
            return ["The Python package `cryptography` is not installed on the controller: run `pip install cryptography`."]
        known = known_variables()
        variables, broken = {}, []
        for name in sorted(task_vars):
            if not name.startswith(("jitsi_", "prosody_", "jicofo_", "jvb_", "jibri_", "jigasi_", "nginx_meet_", "coturn_")):
                continue
            if name in known or name.startswith("jitsi_"):
                try:
                    variables[name] = self._templar.template(task_vars[name])
                except AnsibleError as error:
                    # A default that needs the root key or facts is looked at when it is used.
                    if "campus.jitsi.secret" not in str(error) and "ansible_facts" not in str(error):
                        broken.append(f"`{name}` cannot be read: {error}")
            else:
                variables[name] = task_vars[name]
        host = task_vars.get("inventory_hostname", "the host")
        single = (
            _validate.domain_problem(variables.get("jitsi_domain")),
            _validate.os_problem(host, task_vars.get("ansible_facts") or {}),
            self._certificate_problem(variables, task_vars),
        )
        return [
            *(sentence for sentence in single if sentence),
            *broken,
            *_validate.variable_problems(variables, known),
            *_validate.secret_problems(variables.get("jitsi_secrets")),
            *_validate.generation_problems(variables.get("jitsi_secret_generations")),
            *_validate.memory_problems(variables),
            *(_validate.recorder_problems(variables) if any(name.startswith(("jibri_", "jitsi_streaming")) for name in variables) else []),
            *_validate.sandbox_problems(variables, known_directives()),
            *_validate.repository_problems(variables.get("jitsi_apt_repository")),
            *_validate.route_problems(variables.get("nginx_meet_tls_routes"), variables.get("jitsi_domain")),
            *_validate.turn_problems(variables),
            *_validate.day_problems(variables),
            *_validate.acme_problems(variables, self._web_hosts(task_vars)),
            *self._acme_file_problems(variables),
            *self._ldap_file_problems(variables),
            *_validate.front_problems(variables),
            *_validate.access_problems(variables),
            *_validate.log_problems(variables),
            *self._public_key_problems(variables),
            *_validate.room_problems(variables),
            *self._shared_port_problems(task_vars, variables),
            *_firewall.problems(variables),
            *self._telephony_problems(task_vars, variables),
        ]

    def _place_problems(self, task_vars) -> list[str]:
        """What is wrong with the groups: said by the first host only, for they are the same for all."""
        if task_vars.get("inventory_hostname") != (task_vars.get("ansible_play_hosts_all") or [None])[0]:
            return []
        try:
            placed = place_roles(task_vars.get("groups") or {})
        except ValueError as error:
            return str(error).split("\n")
        return self._turn_host_problems(placed["coturn"], task_vars)

    def _turn_host_problems(self, hosts, task_vars) -> list[str]:
        """What is wrong with the TURN servers. The defaults of their role are not seen from here."""
        domain = str(self._templar.template(task_vars.get("jitsi_domain")) or "")
        servers, found = [], []
        for host in hosts:
            own = task_vars["hostvars"][host]
            source = own.get("jitsi_tls_source") or "self_signed"
            servers.append(_validate.TurnHost(host, str(own.get("coturn_domain") or f"turn.{domain}"),
                                              _validate.is_true(own.get("coturn_check_name", True)), source))
            if source == "files":
                files = {f"coturn_{kind}_file": own.get(f"coturn_{kind}_file") or own.get(f"jitsi_tls_{kind}_file") for kind in ("certificate", "key")}
                problem = self._pair_problem(files, servers[-1].domain)
                found += [f"TURN over TLS on {host}: {problem}"] if problem else []
        return [*_validate.turn_host_problems(servers, domain, in_dns), *found]

    def _shared_port_problems(self, task_vars, variables) -> list[str]:
        try:
            placed = place_roles(task_vars.get("groups") or {})
        except ValueError:
            return []  # said by _place_problems
        problem = _validate.shared_port_problem(variables, task_vars.get("inventory_hostname", ""), placed["nginx_meet"], placed["coturn"])
        return [problem] if problem else []

    def _telephony_problems(self, task_vars, variables) -> list[str]:
        """What is wrong with telephones."""
        host, groups = task_vars.get("inventory_hostname", ""), task_vars.get("groups") or {}
        try:
            bridges = place_roles(groups)["jvb"]
        except ValueError:
            bridges = []  # said by _place_problems
        found = _telephony.problems(variables, host, groups.get("jitsi_jigasi") or [], bridges)
        path = variables.get("jigasi_sip_ca_file")
        try:
            problem = _pki.authorities_problem(self._read(path)) if path else None
        except (OSError, AnsibleError, UnicodeDecodeError) as error:
            return [*found, f"`jigasi_sip_ca_file`: {path} cannot be read ({getattr(error, 'strerror', None) or error})."]
        return found + ([f"`jigasi_sip_ca_file`: {path} {problem}: give the PEM file of the authority that signed the registrar's certificate."]
                        if problem else [])

    def _web_hosts(self, task_vars) -> list[str]:
        try:
            return place_roles(task_vars.get("groups") or {})["nginx_meet"]
        except ValueError:
            return []  # said by _place_problems

    def _acme_file_problems(self, variables) -> list[str]:
        """Files of ACME that cannot be read."""
        if variables.get("jitsi_tls_source") != "acme":
            return []
        found = []
        for name in ("jitsi_acme_ca_file", "jitsi_acme_dns_auth_hook", "jitsi_acme_dns_cleanup_hook"):
            path = variables.get(name)
            try:
                if path:
                    text = self._read(path)
                    if name == "jitsi_acme_ca_file" and "-----BEGIN CERTIFICATE-----" not in text:
                        found.append(f"`{name}`: {path} holds no PEM certificate: give the file with the server's roots.")
            except (OSError, AnsibleError, UnicodeDecodeError) as error:
                found.append(f"`{name}`: {path} cannot be read ({getattr(error, 'strerror', None) or error}).")
        return found

    def _public_key_problems(self, variables) -> list[str]:
        """Public keys of tokens that cannot be read, or do for nothing."""
        keys = variables.get("jitsi_jwt_public_keys")
        found = []
        for kid, key in keys.items() if variables.get("jitsi_auth") == "jwt" and isinstance(keys, dict) else ():
            try:
                if isinstance(key, str) and key.strip():
                    problem = _jwt.public_problem(key if key.startswith("-----BEGIN ") else self._read(key))
                    found += [f"`jitsi_jwt_public_keys[{kid!r}]`: {problem}."] if problem else []
            except (OSError, AnsibleError, UnicodeDecodeError) as error:
                found.append(f"`jitsi_jwt_public_keys[{kid!r}]`: {key} cannot be read ({getattr(error, 'strerror', None) or error}).")
        return found

    def _ldap_file_problems(self, variables) -> list[str]:
        """The authorities of a directory, when they cannot be read."""
        path = variables.get("prosody_ldap_ca_file")
        if not path or variables.get("jitsi_auth") != "ldap":
            return []
        try:
            problem = _pki.authorities_problem(self._read(path))
        except (OSError, AnsibleError, UnicodeDecodeError) as error:
            return [f"`prosody_ldap_ca_file`: {path} cannot be read ({getattr(error, 'strerror', None) or error})."]
        return [f"`prosody_ldap_ca_file`: {path} {problem}: give the PEM file of the authority that signed the servers' certificates."] if problem else []

    def _read(self, path: str) -> str:
        """A file of the controller, which Ansible vault may encrypt."""
        path = unfrackpath(path)
        # Ansible says in three lines what the system says in three words.
        os.stat(path)
        with open(self._loader.get_real_file(path), encoding="utf-8") as handle:
            return handle.read()

    def _key_mode_problem(self, name: str, path: str) -> str | None:
        """What is wrong with the permissions of the key's file, unless it is encrypted."""
        with open(path, "rb") as handle:
            encrypted = handle.read(len(VAULT_HEADER)) == VAULT_HEADER
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if encrypted or not mode & 0o007:
            return None
        return (f"`{name}`: everybody on this machine can read {path} (mode {mode:04o}): run `chmod o= {path}`, or encrypt it with "
                "`ansible-vault encrypt`.")

    def _certificate_problem(self, variables, task_vars) -> str | None:
        if variables.get("jitsi_tls_source") != "files":
            return None
        roles = {name.rpartition(".")[2] for name in task_vars.get("ansible_play_role_names") or ()}
        if "coturn" in roles and "nginx_meet" not in roles:
            # A play of TURN servers, of this installation or of another service: there need not be a web site at all.
            files = {name: variables.get(name) for name in ("coturn_certificate_file", "coturn_key_file")}
            return self._pair_problem(files, variables.get("coturn_domain") or "")
        files = {name: variables.get(name) for name in ("jitsi_tls_certificate_file", "jitsi_tls_key_file")}
        return self._pair_problem(files, variables.get("jitsi_domain") or "")

    def _pair_problem(self, files, domain) -> str | None:
        """What is wrong with a certificate and a key on the controller, given as variable and path in this order."""
        texts = []
        for name, path in files.items():
            if not path:
                return f"`{name}` is not set: with `jitsi_tls_source: files` give the path of the file on the controller."
            try:
                texts.append(self._read(path))
                problem = self._key_mode_problem(name, unfrackpath(path)) if name.endswith("key_file") else None
                if problem:
                    return problem
            except (OSError, AnsibleError, UnicodeDecodeError) as error:
                return f"`{name}`: {path} cannot be read ({getattr(error, 'strerror', None) or error})."
        now = datetime.datetime.now(datetime.timezone.utc)
        problem = _pki.pair_problem(texts[0], texts[1], [domain], now, _pki.system_roots())
        return f"{' and '.join(f'`{name}`' for name in files)}: {problem}." if problem else None


def in_dns(name: str) -> bool:
    """Whether the controller finds an address for a name. A resolver that does not answer is no proof that there is none."""
    try:
        socket.getaddrinfo(name, None)
    except socket.gaierror as error:
        return error.errno == socket.EAI_AGAIN
    except UnicodeError:
        return False
    return True
