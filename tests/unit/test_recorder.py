# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program of a host with recorders does with recordings."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "roles/jibri/files/usr/local/lib/campus.jitsi/recorder"


@pytest.fixture(scope="module")
def recorder():
    loader = importlib.machinery.SourceFileLoader("recorder", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("recorder", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def own(tmp_path):
    (tmp_path / "recordings" / "session").mkdir(parents=True)
    (tmp_path / "recordings" / "session" / "room.txt").write_text("sound and picture", encoding="utf-8")
    return {"recordings": str(tmp_path / "recordings"), "recordings_mounted": False, "min_free": 0, "finalize": "keep", "move_to": str(tmp_path / "moved"),
            "move_to_mounted": False, "rclone_remote": "cloud:lectures", "rclone_keep": False, "rclone_config": str(tmp_path / "rclone.conf"),
            "script": str(tmp_path / "script")}


def session(own) -> pathlib.Path:
    return pathlib.Path(own["recordings"]) / "session"


def test_what_is_kept_is_described(recorder, own):
    assert recorder.finalize(own, session(own)) == 0
    note = json.loads((session(own) / "recording.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["bytes"]) for one in note["files"]] == [("room.txt", 17)]
    assert not (session(own) / ".pending").exists()


def test_a_folder_elsewhere_is_no_recording(recorder, own, tmp_path):
    with pytest.raises(recorder.Problem, match="is no recording"):
        recorder.finalize(own, tmp_path)


def test_what_is_moved_is_there_and_not_here(recorder, own):
    pathlib.Path(own["move_to"]).mkdir()
    assert recorder.finalize({**own, "finalize": "move"}, session(own)) == 0
    assert (pathlib.Path(own["move_to"]) / "session" / "room.txt").read_text(encoding="utf-8") == "sound and picture"
    assert not session(own).exists()


def test_what_arrived_otherwise_is_not_deleted(recorder, own, monkeypatch):
    pathlib.Path(own["move_to"]).mkdir()
    copy = shutil.copytree

    def damaged(source, target, **keywords):
        copy(source, target, **keywords)
        (pathlib.Path(target) / "room.txt").write_text("noise", encoding="utf-8")
    monkeypatch.setattr(recorder.shutil, "copytree", damaged)
    with pytest.raises(recorder.Problem, match="is not the same"):
        recorder.finalize({**own, "finalize": "move"}, session(own))
    assert (session(own) / "room.txt").exists()
    assert (session(own) / ".pending").exists()


def test_a_move_that_died_when_its_copy_was_whole_is_finished(recorder, own):
    """And one whose name somebody else has there is not."""
    moved = pathlib.Path(own["move_to"]) / "session"
    moved.mkdir(parents=True)
    (moved / "room.txt").write_text("sound and picture", encoding="utf-8")
    (moved / "gone-here-already.txt").touch()
    (session(own) / "recording.json").write_text("{}", encoding="utf-8")
    with pytest.raises(recorder.Problem, match="is not the same"):
        recorder.move(own, session(own))
    shutil.copy(session(own) / "recording.json", moved)
    recorder.move(own, session(own))
    assert not session(own).exists() and (moved / "gone-here-already.txt").exists()


@pytest.mark.parametrize(("failing", "there"), [("copy", True), ("check", True), ("", False)])
@pytest.mark.parametrize("features", ['{"Hashes": ["md5"]}', '{"Hashes": null}', "nonsense"])
def test_an_upload_is_deleted_here_when_it_was_compared(recorder, own, monkeypatch, failing, there, features):
    """By what the remote says is in it; when it does not say, by what it gives back."""
    asked = []

    def run(command, **_keywords):
        asked.append(command)
        return subprocess.CompletedProcess(command, int(failing in command), features, "it did not work\n")
    monkeypatch.setattr(recorder.subprocess, "run", run)
    own["finalize"] = "rclone"
    if failing:
        with pytest.raises(recorder.Problem, match="it did not work"):
            recorder.finalize(own, session(own))
    else:
        recorder.finalize(own, session(own))
        assert [word for command in asked for word in command if word in ("copy", "check")] == ["copy", "check"]
        assert all(command[-1] == "cloud:lectures/session" for command in asked[1:])
        assert ("--download" in asked[-1]) == ("md5" not in features)
    assert session(own).exists() is there


@pytest.mark.parametrize(
    ("names", "age", "expected"),
    [
        (["room.mp4"], 30, False), (["room.mp4"], 700, True), (["room.mp4", "recording.json"], 700, False), (["metadata.json"], 700, False),
        (["room.mp4", "recording.json", ".pending"], 60, False), (["room.mp4", "recording.json", ".pending"], 200, True),
    ],
)
def test_what_is_still_to_be_done(recorder, own, names, age, expected):
    """Also with what a recorder that died left, and not with what is still recorded."""
    (session(own) / "room.txt").unlink()
    moment = time.time() - age
    for name in names:
        (session(own) / name).touch()
        os.utime(session(own) / name, (moment, moment))
    os.utime(session(own), (moment, moment))
    assert recorder.unfinished(session(own)) is expected


def test_room(recorder, own, tmp_path):
    assert recorder.room_problem(own) == ""
    assert "MiB left" in recorder.room_problem({**own, "min_free": 2**50})
    assert "does not exist" in recorder.room_problem({**own, "recordings": str(tmp_path / "nowhere")})
    assert "is not mounted" in recorder.room_problem({**own, "recordings_mounted": True, "recordings": "/etc"})
