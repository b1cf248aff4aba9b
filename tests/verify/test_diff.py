# SPDX-License-Identifier: GPL-3.0-or-later
"""`--check --diff` shows what would change, and no secret."""

from __future__ import annotations

import re


def test_a_diff_shows_everything_but_the_secrets(once):
    wish = {
        "jvb_config": {"videobridge": {"stats": {"interval": "9 seconds"}}},
        "jicofo_config": {"jicofo": {"conference": {"initial-timeout": "16 seconds"}}},
        "prosody_config": {"global": {"bosh_max_inactivity": 31}},
        "nginx_meet_config": {"channelLastN": 17},
        "jitsi_secret_generations": {"xmpp/focus": 2, "tls/web": 2},
    }
    done = once.playbook("campus.jitsi.site", "--check", "--diff", "-vvv", variables=wish)
    assert done.code == 0, done.output[-3000:]
    for line in (r'\+ +interval = "9 seconds"', r'\+ +initial-timeout = "16 seconds"', r"\+ *bosh_max_inactivity = 31", r'\+ +"channelLastN": 17'):
        assert re.search(rf"(?m)^{line}", done.output), line
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" not in "".join(re.findall(r"(?m)^[+-].*$", done.output))
    secrets = [once.secret("xmpp/focus"), once.secret("xmpp/focus", 2), *(once.secret(f"xmpp/jvb/{name}") for name in once.of("jvb"))]
    assert not any(secret in done.output for secret in secrets)
    assert "PRIVATE KEY-----\n" not in done.output and "MIGHAgEAMBMGByqGSM49" not in done.output
