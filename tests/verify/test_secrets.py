# SPDX-License-Identifier: GPL-3.0-or-later
"""The root key and the secrets with Ansible itself: its vault, several runs at once, and a rotation on live hosts."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess

import pytest
from conftest import JSON, settled, works

from ansible_collections.campus.jitsi.plugins.plugin_utils import _secrets


class Controller:
    """Runs modules and lookups on this machine, as a run of the site does."""

    def __init__(self, site, place) -> None:
        self.site, self.place = site, place
        self.key = place / "secrets" / "root.key"

    def ansible(self, *words):
        command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", *words]
        done = subprocess.run(command, env={**self.site.environment, **JSON}, cwd=self.place, capture_output=True, text=True, check=False, timeout=120)
        start = done.stdout.find("=> {")
        result = json.JSONDecoder().raw_decode(done.stdout, start + 3)[0] if start >= 0 else {"msg": done.stdout + done.stderr}
        return {**result, "failed": done.returncode != 0, "_shown": done.stdout + done.stderr}

    def make(self, *words):
        return self.ansible("-m", "campus.jitsi.secrets", "-a", json.dumps({"path": str(self.key)}), *words)

    def secret(self, *words, label="xmpp/focus"):
        text = "{{ lookup('campus.jitsi.secret', '%s') }}" % label
        variables = json.dumps({"jitsi_secrets_file": str(self.key)})
        return self.ansible("-m", "ansible.builtin.debug", "-a", json.dumps({"msg": text}), "-e", variables, *words)


@pytest.fixture
def controller(once, tmp_path):
    return Controller(once, tmp_path)


def test_the_key_is_encrypted_when_there_is_a_vault_password(controller):
    """With the real ansible-vault; without the password, or with another, it is a clear error and the file stays as it is."""
    right, wrong = controller.place / "right", controller.place / "wrong"
    right.write_text("correct horse\n", encoding="ascii")
    wrong.write_text("battery staple\n", encoding="ascii")
    made = controller.make("--vault-id", f"campus@{right}")
    assert not made["failed"] and made["changed"] and made["encrypted"], made
    before = controller.key.read_bytes()
    assert before.startswith(b"$ANSIBLE_VAULT;1.2;AES256;campus\n")
    assert controller.key.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(["ansible-vault", "view", "--vault-id", f"campus@{right}", str(controller.key)], env=controller.site.environment,
                           stdout=subprocess.PIPE, text=True, check=True)
    root = _secrets.decode_root(shown.stdout, "the key")
    word = _secrets.password(root, "xmpp/focus")
    assert not controller.make("--vault-password-file", str(right))["changed"]
    assert controller.secret("--vault-password-file", str(right))["msg"] == word
    others = ["--vault-password-file", str(wrong)]
    for words, said in (([], "is encrypted: give its vault password"), (others, "cannot be decrypted with the vault passwords given")):
        for result in (controller.make(*words), controller.secret(*words)):
            assert result["failed"] and f"{controller.key} {said}" in result["_shown"], result
            assert word not in result["_shown"]
    assert controller.key.read_bytes() == before


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "in a vault"])
def test_a_truncated_key_is_an_error_and_stays_as_it_is(controller, encrypted):
    words = []
    if encrypted:
        password = controller.place / "password"
        password.write_text("correct horse\n", encoding="ascii")
        words = ["--vault-password-file", str(password)]
    assert controller.make(*words)["changed"]
    torn = controller.key.read_bytes()[:-4]
    controller.key.write_bytes(torn)
    said = "cannot be decrypted" if encrypted else "holds no whole root key (truncated or edited?): restore it from your backup; it was not touched"
    for result in (controller.make(*words), controller.secret(*words)):
        assert result["failed"] and said in result["_shown"], result
    assert controller.key.read_bytes() == torn


def test_runs_at_once_end_with_one_key(controller):
    """Two runs, each with the module on eight hosts at once, and encryption, which leaves time between looking and writing."""
    # A vault password may come from a program: this one gives it when both have asked, so that they go on together.
    password = controller.place / "password"
    password.write_text('#!/bin/sh\ncd "$(dirname "$0")" && touch asked.$$\nuntil [ "$(ls asked.* | wc -l)" -ge 2 ]; do sleep 0.01; done\n'
                        "echo correct horse\n", encoding="ascii")
    password.chmod(0o700)
    hosts = "".join(f"host{number}," for number in range(8))
    command = ["ansible", "all", "-i", hosts, "-c", "local", "--forks", "8", "-m", "campus.jitsi.secrets", "-a", json.dumps({"path": str(controller.key)}),
               "--vault-password-file", str(password)]

    environment = {**controller.site.environment, **JSON}

    def run(_number):
        return subprocess.run(command, env=environment, cwd=controller.place, capture_output=True, text=True, check=False, timeout=120)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(run, range(2)))
    shown = "".join(run.stdout for run in runs)
    assert [run.returncode for run in runs] == [0, 0], shown
    assert (shown.count(" | CHANGED => "), shown.count(" | SUCCESS => ")) == (1, 15)
    assert [path.name for path in controller.key.parent.iterdir()] == ["root.key"]
    assert not controller.secret("--vault-password-file", str(password))["failed"]


def test_a_secret_is_rotated_alone_and_another_is_given(parted):
    """On live hosts: the account and the component change together, and nobody else's secret changes."""
    site = parted
    server = site.address(site.of("prosody")[0]) if site.of("jicofo") != site.of("prosody") else "127.0.0.1"
    jicofo, bridge = site.of_one("jicofo"), site.of("jvb")[0]
    bridges = {name: site.secret(f"xmpp/jvb/{name}") for name in site.of("jvb")}
    old, new, given = site.secret("xmpp/focus"), site.secret("xmpp/focus", 2), "given by somebody, \"with\" $odd {{ '{{' }} characters"
    plain = "given by somebody, \"with\" $odd {{ characters"
    assert len({old, new, *bridges.values()}) == 2 + len(bridges)

    def log_in(user, password):
        return site.log_in(jicofo, user, password, server)

    wish = {"jitsi_secret_generations": {"xmpp/focus": 2}, "jitsi_secrets": {f"xmpp/jvb/{bridge}": given}}
    try:
        done = site.playbook("campus.jitsi.site", "--tags", "jicofo,jvb", variables=wish)
        assert done.code == 0, done.output[-3000:]
        assert log_in("focus", old) == "not-authorized" and log_in("focus", new) == "success"
        for name, word in bridges.items():
            assert log_in(f"jvb-{name}", word) == ("not-authorized" if name == bridge else "success"), name
        assert log_in(f"jvb-{bridge}", plain) == "success"
        works(settled(site))
        again = site.playbook("campus.jitsi.site", "--tags", "prosody", variables=wish)
        assert again.code == 0 and again.changed == 0, again.output[-3000:]
        assert not any(word in done.output + again.output for word in (old, new, plain, given, *bridges.values()))
    finally:
        back = site.playbook("campus.jitsi.site", "--tags", "jicofo,jvb")
    assert back.code == 0, back.output[-3000:]
    assert log_in("focus", old) == "success" and log_in("focus", new) == "not-authorized"
    works(settled(site))
