# SPDX-License-Identifier: GPL-3.0-or-later
"""Jitsi's archive, or a mirror of it: the key in each form, and apt's own opinion of it."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

SOURCES = "/etc/apt/sources.list.d/jitsi.sources"


@pytest.fixture
def archive(site):
    """How the role describes the archive of this scenario; it is so again after the test."""
    folder = pathlib.Path(os.environ["CAMPUS_RELEASE1"])
    if not (folder / "jitsi-key.gpg.key").exists():
        pytest.skip("the packages come from Jitsi's own archive, whose key is a URL by default")
    if len(site.hosts) > 1:
        pytest.skip("is not about topology; the one-host scenario tests this")
    source = {"name": "jitsi", "uri": "http://gateway.lab.test:8000", "suite": "stable/", "components": [],
              "key": (folder / "jitsi-key.gpg.key").read_text(encoding="ascii")}
    yield source
    back = site.module("meet", "packages", {"names": ["jicofo"], "source": source})
    assert not back["failed"], back


def test_what_the_role_made_is_deb822_with_a_key_of_its_own(site, archive):
    host = site.host("meet")
    text = host.file(SOURCES).content_string
    assert "Types: deb\n" in text and "Signed-By: /etc/apt/keyrings/jitsi.asc\n" in text
    assert host.file("/etc/apt/keyrings/jitsi.asc").mode == 0o644
    assert host.check_output("ls /etc/apt/trusted.gpg.d /etc/apt/trusted.gpg 2>/dev/null | grep -vi debian | grep -v : || true").split() == []
    assert not site.module("meet", "packages", {"names": ["jicofo"], "source": archive})["changed"]


@pytest.mark.parametrize("form", ["url", "text"])
def test_the_key_in_each_form(site, archive, form):
    host = site.host("meet")
    host.check_output(f"rm -f /etc/apt/keyrings/jitsi.* {SOURCES}")
    source = {**archive, "key": "http://gateway.lab.test:8000/jitsi-key.gpg.key"} if form == "url" else archive
    first = site.module("meet", "packages", {"names": ["jicofo"], "source": source})
    assert first["changed"] and not first["failed"], first
    assert not site.module("meet", "packages", {"names": ["jicofo"], "source": source})["changed"]
    done = host.run("apt-get update -o Dir::Etc::sourcelist=/dev/null --error-on=any")
    assert done.rc == 0, done.stdout + done.stderr


def test_a_key_of_somebody_else_is_refused_by_apt(site, archive, tmp_path):
    """The archive is not trusted because it is there; and one that apt refuses does not stay, where it would be in the way of every other one."""
    tmp_path.chmod(0o700)
    gpg = ["gpg", "--homedir", str(tmp_path), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-generate-key", "Somebody Else <else@example.invalid>", "ed25519", "sign", "never"], check=True, capture_output=True)
    key = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True, text=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(tmp_path), "--kill", "all"], check=False)
    host = site.host("meet")
    host.check_output("rm -f /var/lib/apt/lists/*lab.test*")
    look = "sha256sum /etc/apt/sources.list.d/*.sources /etc/apt/keyrings/*"
    before = host.check_output(look)
    result = site.module("meet", "packages", {"names": ["hello"], "source": {**archive, "key": key}})
    assert result["failed"] and ("NO_PUBKEY" in result["msg"] or "signature" in result["msg"].lower()), result
    assert not host.package("hello").is_installed
    assert host.check_output(look) == before


def test_what_is_no_key_is_refused(site, archive):
    result = site.module("meet", "packages", {"names": ["jicofo"], "source": {**archive, "key": "http://gateway.lab.test:8000/stable/Packages"}})
    assert result["failed"] and "`jitsi_apt_repository.key`" in result["msg"] and "no OpenPGP public key" in result["msg"], result
