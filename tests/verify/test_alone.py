# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles for recorders and gateways in a playbook of somebody else, as the examples of their READMEs have it: without the site's
playbook, without its groups, with no more than Prosody's address and the root key."""

from __future__ import annotations

import pytest
import yaml
from conftest import JSON

#: By role: the file that it makes of all that it is told, and the service that reads it.
ROLES = {
    "jibri": ("/etc/jitsi/jibri/1/jibri.conf", "jibri@1"),
    "jigasi": ("/etc/jitsi/jigasi/sip-communicator.properties", "jigasi"),
}


def everything(host):
    """What is below /etc, with owners, modes and content; without what Debian's programs write there by themselves."""
    places = "/etc/jitsi /etc/systemd/system /etc/chromium /usr/local"
    return host.run(f"find {places} -type f -exec stat --format='%n %U %G %a' {{}} + -exec sha256sum {{}} + 2>/dev/null | sort").stdout


@pytest.mark.parametrize("role", ROLES)
def test_a_role_alone_does_what_the_site_does(site, tmp_path, role):
    if not site.groups.get(f"jitsi_{role}"):
        pytest.skip(f"the scenario {role} tests it")
    name = sorted(site.groups[f"jitsi_{role}"])[0]
    path, service = ROLES[role]
    host, before = site.host(name), everything(site.host(name))
    own = yaml.safe_load((site.inventory / "host_vars" / name).read_text(encoding="utf-8"))
    everywhere = yaml.safe_load((site.inventory / "group_vars" / "all").read_text(encoding="utf-8"))
    everybody = {key: value for key, value in {**everywhere, **site.variables}.items() if key.startswith("jitsi_")}
    variables = {**everybody, "jitsi_domain": site.domain, "jitsi_prosody_address": site.address(site.of("prosody")[0]),
                 "jitsi_secrets_file": str(site.inventory / ".jitsi" / "root.key"), "jitsi_tls_ca_file": site.ca_file, **own}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"others": {"hosts": {name: site.hosts[name]}, "vars": variables}}), encoding="utf-8")
    play = {"name": "Somebody else's", "hosts": "others", "roles": [f"campus.jitsi.{role}"]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    host.check_output("systemctl stop %s && rm %s", service, path)
    for changes in (True, False):
        done = site.playbook(str(tmp_path / "play.yml"), inventory=tmp_path / "hosts.yml", environment=JSON)
        assert done.code == 0 and (done.changed > 0) == changes, done.output[-3000:]
    assert everything(host) == before
    assert host.service(service).is_running
