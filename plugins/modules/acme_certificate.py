#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a certificate over ACME, with certbot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: acme_certificate
short_description: Get a certificate over ACME with Debian's certbot, and have it renewed
version_added: 0.1.0
description:
  - Gets a certificate for a certificate that M(campus.jitsi.certificate) has described with C(source=acme), puts it in place and
    reloads the service. From then on Debian's C(certbot.timer) renews it, and the same is done by a deploy hook.
  - When certbot already has a certificate for these names from this server that is not due, the server is not asked.
  - When it fails, the old certificate stays in service and one sentence says what is wrong.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says whether the server would be asked, and asks nobody.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  name:
    description: The name of the certificate on this host, as in its label, such as V(web).
    type: str
    required: true
  names:
    description: The host names that it is for.
    type: list
    elements: str
    required: true
  directory:
    description: The URL of the server's directory.
    type: str
    required: true
  email:
    description: Whom the server may write to. It is used when the account is made.
    type: str
    default: ''
  terms_agreed:
    description: Whether you agree to the server's terms of service.
    type: bool
    default: false
  eab_key_id:
    description: The key id of an external account, when the server wants one.
    type: str
    default: ''
  eab_hmac_key:
    description: Its key.
    type: str
    default: ''
  challenge:
    description: How to show that the names are ours, by a file on port 80 or a record in DNS.
    type: str
    choices: [http, dns]
    default: http
  webroot:
    description:
      - For O(challenge=http), the folder that the host's web server serves. Without it, certbot answers on port 80 itself.
    type: path
  auth_hook:
    description: For O(challenge=dns), the text of the script that publishes the record.
    type: str
    default: ''
  cleanup_hook:
    description: For O(challenge=dns), the text of the script that takes it away.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Get the certificate of the site
  campus.jitsi.acme_certificate:
    name: web
    names: [meet.example.edu]
    directory: https://acme-v02.api.letsencrypt.org/directory
    terms_agreed: true
    webroot: /var/lib/campus.jitsi/acme
"""

RETURN = r"""
reason:
  description: Why the server was asked.
  type: str
  returned: when it was, or would be
"""

import glob
import os
import tempfile
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _acme, _certificates

HOOKS = "/usr/local/lib/campus.jitsi"


def reason_to_ask(params: dict[str, t.Any], authenticator: str, now: float) -> str | None:
    """Why the server must be asked; None when certbot has a good certificate that it will renew from there."""
    conf = _certificates.read(f"{_certificates.CERTBOT}/renewal/{_certificates.lineage_name(params['name'])}.conf")
    have = _certificates.lineage(params["name"])
    if not conf or have is None:
        return "certbot has none"
    settings = _acme.saved(conf)
    try:
        certificate = _certificates.look(have[0])
    except _certificates.CertificateError:
        return "certbot has none that can be read"
    if settings.get("server") != params["directory"]:
        return "it is of another server"
    if certificate.names != {name.lower() for name in params["names"]}:
        return "its names have changed"
    if settings.get("authenticator") != authenticator:
        return "the challenge has changed"
    account = settings.get("account", "")
    if not account or not glob.glob(f"{_certificates.CERTBOT}/accounts/**/{glob.escape(account)}", recursive=True):
        return "its account is gone, and certbot could not renew it"
    # certbot's own threshold is the same third, or 30 days: only a timer that does not work lets it come to a quarter.
    if certificate.end - now < (certificate.end - certificate.start) / 4:
        return "it was not renewed in its time"
    return None


def hooks(module: AnsibleModule) -> tuple[list[str], bool]:
    """Put the DNS scripts in place. certbot's options for them, and whether one was changed."""
    options, changed = [], False
    for which in ("auth", "cleanup"):
        path, text = f"{HOOKS}/acme-dns-{which}", module.params[f"{which}_hook"]
        if not text or module.params["challenge"] != "dns":
            if os.path.exists(path):
                changed = True
                if not module.check_mode:
                    os.unlink(path)
            continue
        options += [f"--manual-{which}-hook", path]
        if module.check_mode:
            changed |= _certificates.read(path) != text
        else:
            changed |= _certificates.install(path, text, "root", "root", 0o700)
    return options, changed


def ask(module: AnsibleModule, how: list[str]) -> None:
    """Have certbot get the certificate; fails with one sentence."""
    params = module.params
    handle, path = tempfile.mkstemp(prefix="campus.jitsi-", suffix=".ini", dir="/run")
    try:
        # mkstemp makes it for its owner alone.
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(_acme.settings(server=params["directory"], email=params["email"], eab_key_id=params["eab_key_id"],
                                        eab_hmac_key=params["eab_hmac_key"]))
        names = [word for name in params["names"] for word in ("--domain", name)]
        code, out, err = module.run_command([
            "certbot", "certonly", "--non-interactive", "--config", path, "--cert-name", _certificates.lineage_name(params["name"]),
            "--force-renewal", "--renew-with-new-domains", "--deploy-hook", f"/usr/bin/python3 -I {_certificates.SCRIPT} deploy", *how, *names])
    finally:
        os.unlink(path)
    if code:
        module.fail_json(msg=_acme.problem(out + "\n" + err, params["directory"], params["names"]))


def timer(module: AnsibleModule) -> bool:
    """Have certbot's timer run: nothing is started when packages are installed. True when it did not."""
    code, _out, _err = module.run_command(["systemctl", "is-active", "--quiet", "certbot.timer"])
    if code and not module.check_mode:
        module.run_command(["systemctl", "enable", "--quiet", "--now", "certbot.timer"], check_rc=True)
    return bool(code)


def main() -> None:
    """Look at what certbot has, ask for what it lacks, and put it in place."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "str", "required": True},
            "email": {"type": "str", "default": ""},
            "terms_agreed": {"type": "bool", "default": False},
            "eab_key_id": {"type": "str", "default": ""},
            "eab_hmac_key": {"type": "str", "default": "", "no_log": True},
            "challenge": {"type": "str", "choices": ["http", "dns"], "default": "http"},
            "webroot": {"type": "path"},
            # They may hold a password for the DNS server.
            "auth_hook": {"type": "str", "default": "", "no_log": True},
            "cleanup_hook": {"type": "str", "default": "", "no_log": True},
        },
        required_if=[("challenge", "dns", ["auth_hook"])],
        supports_check_mode=True,
    )
    params = module.params
    if not params["terms_agreed"]:
        module.fail_json(msg=f"{params['directory']} has terms of service: read them, and set `jitsi_acme_terms_agreed: true` if you agree.")
    options, changed = hooks(module)
    changed |= timer(module)
    if params["challenge"] == "dns":
        authenticator, how = "manual", ["--manual", "--preferred-challenges", "dns", *options]
    elif params["webroot"]:
        authenticator, how = "webroot", ["--webroot", "--webroot-path", params["webroot"]]
    else:
        authenticator, how = "standalone", ["--standalone"]
    try:
        reason = reason_to_ask(params, authenticator, time.time())
        result: dict[str, t.Any] = {"changed": changed or reason is not None}
        if reason:
            result["reason"] = reason
        if not module.check_mode:
            if reason:
                if params["webroot"] and authenticator == "webroot":
                    os.makedirs(params["webroot"], mode=0o755, exist_ok=True)
                ask(module, how)
            # The hook did it, unless it or the last run died on the way.
            with _certificates.one_at_a_time():
                mine = [d for d in _certificates.descriptions() if d["name"] == params["name"]]
                for description in mine:
                    if _certificates.bring(description, time.time()):
                        result["changed"] = True
                    if _certificates.reload_if_older(description):
                        result["changed"] = True
    except (_certificates.CertificateError, OSError, KeyError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
