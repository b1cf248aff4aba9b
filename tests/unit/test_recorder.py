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

from ansible_collections.campus.jitsi.plugins.module_utils import _recording

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


def done_with(recorder, own) -> int:
    """As jibri calls it, and then as the host's timer does."""
    assert recorder.finalize(own, session(own)) == 0
    return recorder.finish(own)


def test_what_is_kept_is_described(recorder, own):
    (session(own) / ".room.mp4.new").touch()
    assert done_with(recorder, own) == 0
    note = json.loads((session(own) / "recording.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["bytes"]) for one in note["files"]] == [("room.txt", 17)]
    assert not (session(own) / ".pending").exists()


def test_a_folder_elsewhere_is_no_recording(recorder, own, tmp_path):
    with pytest.raises(recorder.Problem, match="is no recording"):
        recorder.finalize(own, tmp_path)


def test_jibri_does_not_wait_for_what_becomes_of_a_recording(recorder, own):
    """And a description says that nobody records any more, so what is still to be done is marked before."""
    pathlib.Path(own["move_to"]).mkdir()
    recorder.finalize({**own, "finalize": "move"}, session(own))
    assert session(own).exists() and (session(own) / ".pending").exists()
    (session(own) / "recording.json").unlink()
    assert recorder.finish({**own, "finalize": "move"}) == 0
    assert session(own).exists(), "not described, so somebody may be at it"


def test_without_room_for_a_description_there_is_none(recorder, own, monkeypatch):
    """Half a description would say that all is well."""
    def full(*_arguments, **_keywords):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(recorder.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        recorder.finalize(own, session(own))
    assert sorted(path.name for path in session(own).iterdir()) == ["room.txt"]


def test_what_is_moved_is_there_and_not_here(recorder, own):
    pathlib.Path(own["move_to"]).mkdir()
    assert done_with(recorder, {**own, "finalize": "move"}) == 0
    assert sorted(path.name for path in (pathlib.Path(own["move_to"]) / "session").iterdir()) == ["recording.json", "room.txt"]
    assert not session(own).exists()


def test_what_arrived_otherwise_is_not_deleted(recorder, own, monkeypatch, capsys):
    pathlib.Path(own["move_to"]).mkdir()
    copy = shutil.copytree

    def damaged(source, target, **keywords):
        copy(source, target, **keywords)
        (pathlib.Path(target) / "room.txt").write_text("noise", encoding="utf-8")
    monkeypatch.setattr(recorder.shutil, "copytree", damaged)
    assert done_with(recorder, {**own, "finalize": "move"}) == 1
    assert "is not the same" in capsys.readouterr().err
    assert (session(own) / "room.txt").exists()
    assert (session(own) / ".pending").exists()


def test_one_that_fails_stops_no_other(recorder, own, capsys):
    """The first is in the way of somebody else's, and what has a name with a dot in front is no recording."""
    moved = pathlib.Path(own["move_to"])
    (moved / "session").mkdir(parents=True)
    for name in ("other", ".trash"):
        shutil.copytree(session(own), session(own).parent / name)
    own["finalize"] = "move"
    for name in ("session", "other", ".trash"):
        recorder.finalize(own, session(own).parent / name)
    assert recorder.finish(own) == 1
    assert capsys.readouterr().err.startswith("recorder: session: ")
    assert sorted(path.name for path in session(own).parent.iterdir()) == [".trash", "session"]
    assert sorted(path.name for path in moved.iterdir()) == ["other", "session"]


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
def test_an_upload_is_deleted_here_when_it_was_compared(recorder, own, monkeypatch, capsys, failing, there, features):
    """By what the remote says is in it; when it does not say, by what it gives back."""
    asked = []

    def run(command, **_keywords):
        asked.append(command)
        return subprocess.CompletedProcess(command, int(failing in command), features, "it did not work\n")
    monkeypatch.setattr(recorder.subprocess, "run", run)
    assert done_with(recorder, {**own, "finalize": "rclone"}) == int(there)
    if failing:
        assert "it did not work" in capsys.readouterr().err
    else:
        assert [word for command in asked for word in command if word in ("copy", "check")] == ["copy", "check"]
        assert all(command[-1] == "cloud:lectures/session" for command in asked[1:])
        assert ("--download" in asked[-1]) == ("md5" not in features)
    assert session(own).exists() is there


def test_a_script_is_tried_again_until_it_works(recorder, own):
    program, own["finalize"] = pathlib.Path(own["script"]), "script"
    program.write_text('#!/bin/sh\n[ -e "$1/ready" ] && echo "$1" >"$0.log"\n', encoding="utf-8")
    program.chmod(0o755)
    assert done_with(recorder, own) == 1
    assert (session(own) / ".pending").exists()
    (session(own) / "ready").touch()
    assert recorder.finish(own) == 0
    assert pathlib.Path(own["script"] + ".log").read_text(encoding="utf-8") == f"{session(own)}\n"
    assert recorder.finish(own) == 0 and not (session(own) / ".pending").exists()


@pytest.mark.parametrize(
    ("names", "age", "expected"),
    [(["room.mp4"], 30, False), (["room.mp4"], 700, True), (["room.mp4", "recording.json"], 700, False), (["metadata.json"], 700, False)],
)
def test_what_a_recorder_that_died_left(recorder, own, monkeypatch, names, age, expected):
    """And not what is still recorded."""
    (session(own) / "room.txt").unlink()
    moment = time.time() - age
    for name in names:
        (session(own) / name).touch()
        os.utime(session(own) / name, (moment, moment))
    os.utime(session(own), (moment, moment))
    assert recorder.left(session(own)) is expected
    # With the rest of it: it is described, and what is to be done is done.
    pathlib.Path(own["move_to"]).mkdir()
    monkeypatch.setattr(recorder, "rewrite", lambda _folder: None)
    assert recorder.finish({**own, "finalize": "move"}) == 0
    assert session(own).exists() is not expected


@pytest.mark.parametrize(
    ("names", "age", "days", "there"),
    [
        (["room.mp4", "recording.json"], 8, 7, False), (["room.mp4", "recording.json"], 6, 7, True), (["room.mp4", "recording.json"], 800, 0, True),
        (["room.mp4", "recording.json", ".pending"], 8, 7, True), (["room.mp4"], 8, 7, True), (["a.file"], 800, 7, True),
    ],
)
def test_what_is_deleted_for_its_age(recorder, own, monkeypatch, names, age, days, there):
    """Nothing that is still to be done with, and nothing that is no recording, such as lost+found."""
    monkeypatch.setattr(recorder, "pause", lambda _own: None)
    moment = time.time() - age * 86400
    for name in ["room.txt", *names]:
        (session(own) / name).touch()
        os.utime(session(own) / name, (moment, moment))
    os.utime(session(own), (moment, moment))
    assert recorder.keep({**own, "retention_days": days}) == 0
    assert session(own).exists() is there


def test_room(recorder, own, tmp_path):
    assert recorder.room_problem(own) == ""
    assert "MiB left" in recorder.room_problem({**own, "min_free": 2**50})
    assert "does not exist" in recorder.room_problem({**own, "recordings": str(tmp_path / "nowhere")})
    assert "is not mounted" in recorder.room_problem({**own, "recordings_mounted": True, "recordings": "/etc"})


def health(busy: str, well: str = "HEALTHY") -> str:
    return json.dumps({"status": {"busyStatus": busy, "health": {"healthStatus": well, "details": {}}}})


@pytest.mark.parametrize(
    ("said", "paused", "state", "why"),
    [
        (health("IDLE"), False, "idle", ""), (health("BUSY"), True, "busy", ""), (health("EXPIRED"), False, "unhealthy", "takes no work (expired)"),
        (health("IDLE", "UNHEALTHY"), False, "unhealthy", "says that it is unhealthy"), ("", False, "unhealthy", "does not say how it is"),
        ("[]", False, "unhealthy", "does not say how it is"), ('{"status": {"busyStatus": "IDLE"}}', False, "unhealthy", "does not say how it is"),
        (None, False, "gone", "does not answer"), (None, True, "gone", "pauses for want of room for recordings"),
    ],
)
def test_how_a_recorder_is(said, paused, state, why):
    assert _recording.recorder(3, said, paused) == _recording.Recorder(3, state, why)


def test_what_people_see_of_recorders():
    recorders = [_recording.recorder(1, health("IDLE")), _recording.recorder(2, health("BUSY")), _recording.recorder(3, None)]
    assert _recording.table(recorders) == ["recorder 1  idle", "recorder 2  busy", "recorder 3  gone       does not answer", "1 of 3 free"]
