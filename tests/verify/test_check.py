# SPDX-License-Identifier: GPL-3.0-or-later
"""What is broken is named: the check of a conference finds the layer at fault."""

from __future__ import annotations

import contextlib
import pathlib
import re

import pytest
from conftest import settled, works

from ansible_collections.campus.jitsi.plugins.module_utils._conference import Check

DROP = ("nft add table inet broken; nft add chain inet broken input '{ type filter hook input priority 0; }'; "
        "nft add rule inet broken input udp dport 10000 drop")


@pytest.fixture
def whole(site):
    """A site that works before the test and, whatever the test did, after it."""
    works(settled(site))
    yield site
    works(settled(site))


@contextlib.contextmanager
def stopped(hosts, unit):
    for host in hosts:
        host.check_output("systemctl stop %s", unit)
    try:
        yield
    finally:
        for host in hosts:
            host.check_output("systemctl start %s", unit)


def verdict(site, **keywords):
    """The step that failed."""
    arguments = {"address": site.address(site.of("nginx_meet")[0]), "ca": pathlib.Path(site.ca_file).read_text(encoding="utf-8"), "timeout": 6, **keywords}
    last = Check(site.domain, **arguments).run()[-1]
    assert not last.ok
    return last


@pytest.mark.parametrize(
    ("role", "unit", "step", "layer"),
    [
        ("nginx_meet", "nginx", "tls", "TLS"),
        ("prosody", "prosody", "BOSH", "Prosody"),
        ("jicofo", "jicofo", "conference request", "jicofo"),
        ("jvb", "jitsi-videobridge2", "bridge", "videobridge"),
    ],
)
def test_a_service_that_is_down_is_named(whole, role, unit, step, layer):
    with stopped([whole.host(name) for name in whole.of(role)], unit):
        last = verdict(whole)
    assert (last.name, last.layer) == (step, layer), last
    assert last.hint


def test_a_firewall_before_the_bridge_is_named(whole):
    hosts = [whole.host(name) for name in whole.of("jvb")]
    for host in hosts:
        host.check_output("command -v nft >/dev/null || apt-get install -qq --no-install-recommends nftables >/dev/null")
        host.check_output(DROP)
    try:
        last = verdict(whole)
    finally:
        for host in hosts:
            host.check_output("nft delete table inet broken")
    assert (last.name, last.layer) == ("media path", "network") and "10000/udp" in last.hint, last


def test_a_certificate_of_somebody_else_is_named(site):
    last = verdict(site, ca="")
    assert (last.name, last.layer) == ("tls", "TLS") and last.detail.startswith("certificate refused")


def test_a_domain_without_dns_is_named(site):
    last = verdict(site, address="")
    assert (last.name, last.layer) == ("name", "DNS") and "`jitsi_check_address`" in last.hint


def test_the_playbook_shows_the_table_and_fails_with_the_layer(whole):
    good = whole.playbook("campus.jitsi.check")
    assert good.code == 0 and good.changed == 0, good.output[-3000:]
    assert re.search(r"(?m)^  media path +ok +\d+ ms  .* answered", good.output), good.output[-3000:]
    with stopped([whole.of_one("jicofo")], "jicofo"):
        bad = whole.playbook("campus.jitsi.check")
    assert bad.code != 0
    assert re.search(r"(?m)^  conference request +FAILED", bad.output), bad.output[-3000:]
    text = re.sub(r"\s+", " ", bad.output)
    assert "does not work: jicofo is at fault at the step `conference request`" in text and "/var/log/jitsi/jicofo.log" in text
