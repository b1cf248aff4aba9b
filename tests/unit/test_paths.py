# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders, links, placeholders and what must not be there: one path each, in a folder of the test."""

from __future__ import annotations

import json
import os
import stat

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.campus.jitsi.plugins.modules import paths


@pytest.fixture
def run(capsys):
    """Runs the module in this process: its result, with ``failed`` set either way."""

    def call(check: bool = False, **arguments):
        own = {"owner": "root", "group": "root"}
        for kind in ("folders", "placeholders"):
            arguments[kind] = [{**own, **place} for place in arguments.get(kind, [])]
        with patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_remote_tmp": "/tmp"}), pytest.raises(SystemExit):
            paths.main()
        return {"failed": False, **json.loads(capsys.readouterr().out)}

    return call


def tree(folder) -> dict[str, str]:
    """Everything below, as name and what it is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = f"-> {os.readlink(path)}" if path.is_symlink() else "folder" if path.is_dir() else path.read_text(encoding="utf-8")
    return found


@pytest.fixture
def place(tmp_path):
    """A bit of everything."""
    (tmp_path / "old" / "deep").mkdir(parents=True)
    (tmp_path / "old" / "deep" / "file").write_text("x", encoding="utf-8")
    (tmp_path / "kept").write_text("mine", encoding="utf-8")
    (tmp_path / "astray").symlink_to("nowhere")
    (tmp_path / "to-old").symlink_to("old")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "older").mkdir()
    return tmp_path


def wishes(place):
    return {
        "absent": [f"{place}/{name}" for name in ("to-old", "gone", "dangling", "older")],
        "folders": [{"path": f"{place}/new/below", "mode": "0750"}],
        "placeholders": [{"path": f"{place}/kept", "content": "theirs"}, {"path": f"{place}/held", "content": "first\n", "mode": "0640"}],
        "links": {f"{place}/astray": "kept", f"{place}/fresh": "../elsewhere"},
    }


def test_all_kinds_in_one_call_and_nothing_the_second_time(run, place):
    done = run(**wishes(place))
    assert (done["failed"], done["changed"]) == (False, True)
    # A link goes, and not what it leads to; a file that is there keeps its text.
    assert tree(place) == {"old": "folder", "old/deep": "folder", "old/deep/file": "x", "kept": "mine", "astray": "-> kept", "fresh": "-> ../elsewhere",
                           "new": "folder", "new/below": "folder", "held": "first\n"}
    assert stat.S_IMODE((place / "new" / "below").stat().st_mode) == 0o750 and stat.S_IMODE((place / "held").stat().st_mode) == 0o640
    said = ["to-old: removed", "dangling: removed", "older: removed", "new/below: folder", "held: file", "astray: link to kept", "fresh: link to ../elsewhere"]
    assert done["changes"] == [f"{place}/{line}" for line in said]
    assert f"{place}/astray: link to nowhere\n" in done["diff"]["before"]
    again = run(**wishes(place))
    assert (again["changed"], again["changes"]) == (False, [])


def test_a_check_says_the_same_and_writes_nothing(run, place):
    before = tree(place)
    said = run(check=True, **wishes(place))
    assert tree(place) == before
    assert said["changed"] and said["changes"] == run(**wishes(place))["changes"]


def test_a_folder_goes_with_all_that_is_in_it(run, place):
    assert run(absent=[f"{place}/old"])["changes"] == [f"{place}/old: removed"]
    assert not (place / "old").exists()


def test_a_mode_is_corrected(run, place):
    (place / "old").chmod(0o777)
    assert run(folders=[{"path": f"{place}/old", "mode": "0700"}])["changes"] == [f"{place}/old: folder of root:root, 0700"]
    assert stat.S_IMODE((place / "old").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"links": {"kept": "old"}}, "kept is a file and has to be a link to old: move it away."),
        ({"links": {"old": "kept"}}, "old is a folder and has to be a link to kept: move it away."),
        ({"folders": ["kept"]}, "kept is no folder and has to be one: move it away."),
    ],
)
def test_nothing_of_somebody_else_is_replaced(run, place, wish, said):
    before = tree(place)
    done = run(links={f"{place}/{name}": target for name, target in wish.get("links", {}).items()},
               folders=[{"path": f"{place}/{name}"} for name in wish.get("folders", [])])
    assert done["failed"] and done["msg"] == f"{place}/{said}"
    assert tree(place) == before


def test_users_that_a_package_brings_are_no_matter_of_a_check(run, place):
    done = run(check=True, folders=[{"path": f"{place}/old", "owner": "campus-nobody-has-this-name"}])
    assert (done["failed"], done["changed"]) == (False, False)
