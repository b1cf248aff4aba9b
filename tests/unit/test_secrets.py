# SPDX-License-Identifier: GPL-3.0-or-later
"""The root key is made once and never lost, and what is derived from it is always the same."""

from __future__ import annotations

import fnmatch
import multiprocessing
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import tempfile

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.campus.jitsi.plugins.plugin_utils import _secrets
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import (
    SecretError,
    check_given,
    create_root,
    decode_root,
    derive,
    encode_root,
    password,
    read_root,
    refuse_orphans,
)
from ansible_collections.campus.jitsi.plugins.plugin_utils._vault import vault_functions
from hypothesis import given
from hypothesis import strategies as st

ROOT = bytes(range(32))
LABEL = st.from_regex(r"[A-Za-z0-9._-]{1,10}(/[A-Za-z0-9._-]{1,10}){0,3}", fullmatch=True)


class Loader:
    """Stands where Ansible's loader is, with its real vault."""

    def __init__(self, *passwords: tuple[str, bytes]):
        self._vault = VaultLib([(name, VaultSecret(word)) for name, word in passwords])


def test_derivation_is_rfc_5869():
    """HKDF-SHA-256 by hand: extract with a salt of zeros, expand by one block."""
    import hashlib
    import hmac

    info = b"campus.jitsi\0xmpp/jvb/bridge1\0" + b"2"
    key = hmac.new(bytes(32), ROOT, hashlib.sha256).digest()
    assert derive(ROOT, "xmpp/jvb/bridge1", 2) == hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def test_passwords_never_change_between_versions():
    assert password(ROOT, "xmpp/focus") == "56gnejfzdudceaqqtcgschasacovrtdf"


@given(LABEL, LABEL, st.integers(1, 99), st.integers(1, 99))
def test_each_label_and_generation_has_its_own(one, other, first, second):
    same = (one, first) == (other, second)
    assert (password(ROOT, one, first) == password(ROOT, other, second)) == same


@given(LABEL)
def test_a_password_survives_every_file_and_shell(label):
    word = password(ROOT, label)
    assert len(word) == 32
    assert word.isalnum() and word == word.lower()


@pytest.mark.parametrize("label", ["", "/a", "a/", "a//b", "a b", "ä", "a\nb", "../..//", None])
def test_an_odd_label_is_refused(label):
    with pytest.raises(SecretError, match="no secret label"):
        derive(ROOT, label)


@pytest.mark.parametrize("generation", [0, -1, 1.5, "2", True, None])
def test_an_odd_generation_is_refused(generation):
    with pytest.raises(SecretError, match="no whole number"):
        derive(ROOT, "a", generation)


def test_the_file_is_made_once_with_mode_0600(tmp_path):
    path = str(tmp_path / "new" / "root.key")
    assert create_root(path, None)
    first = read_root(path, None)
    assert not create_root(path, None)
    assert read_root(path, None) == first
    assert len(first) == 32
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o700
    assert os.listdir(tmp_path / "new") == ["root.key"]


def test_a_lost_key_is_not_replaced_behind_somebodys_back(tmp_path):
    key, authority = str(tmp_path / "root.key"), tmp_path / "ca.crt"
    refuse_orphans(key, [str(authority)])
    authority.write_text("made with it")
    with pytest.raises(SecretError, match=f"{key} does not exist, but {authority}, which was made with it, does: restore the key"):
        refuse_orphans(key, [str(authority)])


def _race(path, start, results):
    start.wait()
    results.put((create_root(path, None), read_root(path, None)))


def test_two_runs_at_once_end_with_one_key(tmp_path):
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    runs = [context.Process(target=_race, args=(str(tmp_path / "root.key"), start, results)) for _ in range(8)]
    for run in runs:
        run.start()
    start.set()
    outcomes = [results.get(timeout=20) for _ in runs]
    for run in runs:
        run.join()
    assert sum(made for made, _key in outcomes) == 1
    assert len({key for _made, key in outcomes}) == 1


def test_a_run_that_dies_while_it_writes_leaves_nothing(tmp_path, monkeypatch):
    def die(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.link", die)
    with pytest.raises(KeyboardInterrupt):
        create_root(str(tmp_path / "root.key"), None)
    assert os.listdir(tmp_path) == []


#: Makes the key and kills itself at a call of the operating system, the one of that number.
KILLED = """
import os, signal, sys
from ansible_collections.campus.jitsi.plugins.plugin_utils import _secrets
left = int(sys.argv[2])
def die(event, arguments):
    global left
    if event in ("open", "os.mkdir", "os.link", "os.remove", "os.chmod"):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
sys.addaudithook(die)
_secrets.create_root(sys.argv[1], None)
"""


def test_a_run_that_is_killed_while_it_makes_the_key_is_finished_by_the_next(tmp_path):
    """At no moment is there a part of a key, and a key that was there once stays the key."""
    made = []
    for number in range(20):
        path = str(tmp_path / str(number) / "root.key")
        done = subprocess.run([sys.executable, "-c", KILLED, path, str(number)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        first = read_root(path, None)
        made.append(first is not None)
        create_root(path, None)
        assert len(read_root(path, None)) == 32
        assert first in (None, read_root(path, None))
    assert False in made and True in made and done.returncode == 0


def test_with_a_vault_password_the_file_is_encrypted(tmp_path):
    path = tmp_path / "root.key"
    encrypt, decrypt = vault_functions(Loader(("default", b"correct horse")))
    assert create_root(str(path), encrypt)
    assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert len(read_root(str(path), decrypt)) == 32


def test_a_vault_identity_is_written_into_the_file(tmp_path):
    path = tmp_path / "root.key"
    encrypt, _decrypt = vault_functions(Loader(("campus", b"correct horse")))
    create_root(str(path), encrypt)
    assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;campus\n")


def test_without_a_vault_password_there_are_no_functions():
    assert vault_functions(Loader()) == (None, None)


def damaged():
    whole = encode_root(ROOT)
    yield "truncated", whole[:40]
    yield "empty", ""
    yield "one bit", whole.replace("AAEC", "AAED", 1)
    yield "of something else", "password: hunter2\n"
    yield "binary", "\x00\xff\xfe"


@pytest.mark.parametrize("text", [text for _name, text in damaged()], ids=[name for name, _text in damaged()])
def test_a_damaged_file_is_an_error_and_stays_untouched(tmp_path, text):
    path = tmp_path / "root.key"
    path.write_text(text, encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(SecretError, match="no whole root key"):
        read_root(str(path), None)
    assert not create_root(str(path), None)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("loader", "message"),
    [(Loader(), "is encrypted: give its vault password"), (Loader(("default", b"wrong")), "cannot be decrypted")],
)
def test_a_file_of_another_vault_password_is_an_error_and_stays_untouched(tmp_path, loader, message):
    path = tmp_path / "root.key"
    create_root(str(path), vault_functions(Loader(("default", b"correct horse")))[0])
    before = path.read_bytes()
    with pytest.raises(SecretError, match=message):
        read_root(str(path), vault_functions(loader)[1])
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "root.key").mkdir()
    with pytest.raises(SecretError, match="cannot be read"):
        read_root(str(tmp_path / "root.key"), None)


def _as_nobody(path, results):
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        results.put(read_root(path, None))
    except SecretError as error:
        results.put(str(error))


def test_a_file_of_somebody_else_is_an_error():
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        # Everybody may look into the folder: it is the file that nobody may read.
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "root.key")
        create_root(path, None)
        os.chmod(path, 0)
        other = context.Process(target=_as_nobody, args=(path, results))
        other.start()
        assert results.get(timeout=20) == f"{path} cannot be read (Permission denied): make it readable for the user who runs Ansible."
        other.join()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretError, match="jitsi_secrets_file"):
        create_root(str(tmp_path / "file" / "root.key"), None)


def test_encode_and_decode():
    assert decode_root(encode_root(ROOT), "x") == ROOT


@pytest.mark.parametrize("value", ["short", "fifteen charact", "", None, 1234567890123456, "sixteen chars ok\n"])
def test_a_given_secret_must_be_long_and_one_line(value):
    with pytest.raises(SecretError) as error:
        check_given("jitsi_secrets['a']", value)
    assert str(value) not in str(error.value) or not value


def test_a_given_secret_may_be_anything_else():
    assert check_given("x", "pa$$ \"wörd' ${} }}") == "pa$$ \"wörd' ${} }}"
    assert _secrets.MINIMUM_CHARACTERS == 16


def test_no_label_is_forgotten():
    """Every label that a role, a playbook or a plugin derives a secret from is in the list that the search for leaks goes by."""
    checkout = pathlib.Path(__file__).resolve().parents[2]
    known = {re.sub(r"\{\w+\}", "*", label) for label in _secrets.LABELS}
    used = set()
    for path in [*checkout.glob("roles/*/*/*.yml"), *checkout.glob("playbooks/**/*.yml"), *checkout.glob("plugins/*/*.py")]:
        text = path.read_text(encoding="utf-8")
        if path.parent.name in ("modules", "lookup"):
            text = text.partition("import ")[2].rpartition('"""')[2]
        used |= {label + ("*" if more else "") for label, more in re.findall(r"campus\.jitsi\.secret', *'([^']+)'( *~)?", text)}
        used |= {re.sub(r"\{\{.*?\}\}", "*", label) for label in re.findall(r"""(?m)^ +label: ["']?((?:tls|xmpp|turn)/[^"'\n]+)""", text)}
        used |= {re.sub(r"\{[^}]*\}", "*", label) for label in re.findall(r'(?:derived_key|derive|password)\(\w+, f?"([^"]+)"', text)}
    assert {"xmpp/focus", "xmpp/jvb/*", "tls/ca", "tls/web", "tls/prosody"} <= used
    assert [label for label in sorted(used) if not any(fnmatch.fnmatch(one, label) for one in known)] == []


def test_the_labels_of_an_installation():
    assert _secrets.labels({"jvb": ["b1", "b2"], "prosody": ["core"], "coturn": ["t"], "jigasi": ["g"], "jibri": ["r-1"], "user": ["ana"]}) == {
        "xmpp/jigasi/g": "password", "xmpp/jibri/r-1": "password", "xmpp/recorder": "password", "xmpp/telephone": "password",
        "xmpp/focus": "password", "xmpp/jvb/b1": "password", "xmpp/jvb/b2": "password", "tls/ca": "key", "tls/prosody": "key", "tls/web": "key",
        "turn": "password", "jwt": "password", "users/ana": "password", "tls/turn/t": "key", "tls/issuer/core/prosody": "key", "tls/issuer/t/turn": "key"}
