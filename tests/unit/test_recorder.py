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
import sys
import time

import pytest
import yaml

from ansible_collections.campus.jitsi.plugins.module_utils import _recording
from ansible_collections.campus.jitsi.plugins.modules import preflight

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = CHECKOUT / "roles/jibri/files/usr/local/lib/campus.jitsi/recorder"


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


def age(folder: pathlib.Path, seconds: float) -> None:
    """Make it as if nothing had been written to a folder for a while."""
    moment = time.time() - seconds
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (moment, moment))


def done_with(recorder, own) -> int:
    """As jibri calls it, and then as the host's timer does when some time has passed."""
    assert recorder.finalize(own, session(own)) == 0
    age(session(own), 130)
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
    age(session(own), 100)
    assert recorder.finish({**own, "finalize": "move"}) == 0
    assert session(own).exists(), "another recorder may go on in it"
    (session(own) / "recording.json").unlink()
    age(session(own), 130)
    assert recorder.finish({**own, "finalize": "move"}) == 0
    assert session(own).exists(), "not described, so somebody may be at it"


def test_what_another_recorder_writes_in_the_same_folder_is_left_alone(recorder, own, monkeypatch):
    """jicofo asks another one when a recorder fails, for the same session."""
    rewritten, own["finalize"] = [], "move"
    pathlib.Path(own["move_to"]).mkdir()

    def ffmpeg(command, **_keywords):
        rewritten.append(pathlib.Path(command[5]).name)
        shutil.copy(command[5], command[-1])
        return subprocess.CompletedProcess(command, 0)
    monkeypatch.setattr(recorder.subprocess, "run", ffmpeg)
    monkeypatch.setattr(recorder, "packets", lambda path: [("video", path.stat().st_size)])
    (session(own) / "first.mp4").write_bytes(b"whole")
    with (session(own) / "second.mp4").open("wb", buffering=0) as handle:
        handle.write(b"in the ma")
        recorder.finalize(own, session(own))
        assert rewritten == ["first.mp4"]
        assert recorder.described(session(own)) == {"first.mp4", "room.txt"}
        age(session(own), 500)
        assert recorder.finish(own) == 0
        assert session(own).exists(), "the second recorder has not come to its end"
        handle.write(b"king")
    recorder.finalize(own, session(own))
    assert rewritten == ["first.mp4", "second.mp4"]
    age(session(own), 130)
    assert recorder.finish(own) == 0
    assert not session(own).exists() and (pathlib.Path(own["move_to"]) / "session" / "second.mp4").read_bytes() == b"in the making"


@pytest.mark.parametrize(("before", "after", "replaced"), [
    ([("audio", 5), ("video", 3)], [("audio", 5), ("video", 3)], True),
    ([("audio", 5), ("video", 3)], [("audio", 5), ("video", 2)], False),
    ([("audio", 5), ("video", 3)], [("video", 3)], False),
    ([("audio", 5), ("video", 3)], [], False),
    ([], [], False),
])
def test_a_copy_takes_the_place_of_a_recording_only_when_all_of_it_can_be_read(recorder, own, monkeypatch, before, after, replaced):
    """ffmpeg 5.1 ends with 0 when it had no room for the last bytes, without which nothing of the file can be read."""
    def ffmpeg(command, **_keywords):
        pathlib.Path(command[-1]).write_bytes(b"copy")
        return subprocess.CompletedProcess(command, 0)
    monkeypatch.setattr(recorder.subprocess, "run", ffmpeg)
    monkeypatch.setattr(recorder, "packets", lambda path: after if path.name.startswith(".") else before)
    (session(own) / "lecture.mp4").write_bytes(b"recorded")
    recorder.rewrite(session(own))
    assert (session(own) / "lecture.mp4").read_bytes() == (b"copy" if replaced else b"recorded")
    assert not [path for path in session(own).iterdir() if path.name.startswith(".")]


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
    for name in ("the-other", ".trash"):
        shutil.copytree(session(own), session(own).parent / name)
    own["finalize"] = "move"
    for name in ("session", "the-other", ".trash"):
        recorder.finalize(own, session(own).parent / name)
        age(session(own).parent / name, 130)
    assert recorder.finish(own) == 1
    assert capsys.readouterr().err.startswith("recorder: session: ")
    assert sorted(path.name for path in session(own).parent.iterdir()) == [".trash", "session"]
    assert sorted(path.name for path in moved.iterdir()) == ["session", "the-other"]


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
    age(session(own), 130)
    assert recorder.finish(own) == 0
    assert pathlib.Path(own["script"] + ".log").read_text(encoding="utf-8") == f"{session(own)}\n"
    assert recorder.finish(own) == 0 and not (session(own) / ".pending").exists()


@pytest.mark.parametrize(
    ("names", "seconds", "expected"),
    [(["room.mp4"], 130, False), (["room.mp4"], 700, True), (["metadata.json"], 700, False)],
)
def test_what_a_recorder_that_died_left(recorder, own, monkeypatch, names, seconds, expected):
    """And not what is still recorded. The rest of it: it is described, and the next time what is to be done is done."""
    monkeypatch.setattr(recorder, "rewrite", lambda _folder: None)
    pathlib.Path(own["move_to"]).mkdir()
    for name in names:
        (session(own) / name).touch()
    age(session(own), seconds)
    assert recorder.finish({**own, "finalize": "move"}) == 0
    assert session(own).exists() is not expected


@pytest.mark.parametrize(
    ("names", "old", "days", "there"),
    [
        (["room.mp4", "recording.json"], 8, 7, False), (["room.mp4", "recording.json"], 6, 7, True), (["room.mp4", "recording.json"], 800, 0, True),
        (["room.mp4", "recording.json", ".pending"], 8, 7, True), (["room.mp4"], 8, 7, True), (["a.file"], 800, 7, True),
    ],
)
def test_what_is_deleted_for_its_age(recorder, own, monkeypatch, names, old, days, there):
    """Nothing that is still to be done with, and nothing that is no recording, such as lost+found."""
    monkeypatch.setattr(recorder, "pause", lambda _own: None)
    for name in names:
        (session(own) / name).write_text('{"files": [{"name": "room.mp4"}]}', encoding="utf-8")
    age(session(own), old * 86400)
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


@pytest.mark.parametrize(
    ("files", "there"),
    [
        ({}, False), ({"proc/asound/Loopback/id": "Loopback"}, True),
        ({"lib/modules/6.1/modules.dep": "kernel/sound/drivers/snd-aloop.ko.xz: kernel/sound/core/snd.ko.xz\n"}, True),
        ({"lib/modules/6.1/modules.dep": "kernel/a.ko: kernel/b.ko\nkernel/sound/drivers/snd-aloop.ko:\n"}, True),
        ({"lib/modules/6.1/modules.dep": "kernel/sound/drivers/other.ko: kernel/sound/drivers/snd-aloop.ko\n"}, False),
        ({"lib/modules/6.2/modules.dep": "kernel/sound/drivers/snd-aloop.ko:\n"}, False),
    ],
)
def test_whether_a_kernel_has_loopbacks(tmp_path, files, there):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    assert preflight.has_loopbacks("6.1", str(tmp_path)) is there


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """What the role makes of its variables for two recorders, by Ansible itself, for each kind of sound."""
    place, roles = tmp_path_factory.mktemp("rendered"), CHECKOUT / "roles"
    files = [str(roles / role / part / "main.yml") for role in ("jitsi", "jibri") for part in ("defaults", "vars")]
    values = {"jitsi_domain": "meet.example.edu", "jitsi_prosody_address": "core.example.edu", "jibri_instances": 2, "jibri_xmpp_username": "jibri-rec",
              "jibri_xmpp_password": "one", "jibri_call_password": "two", "ansible_check_mode": True}
    asound = "{{ lookup('ansible.builtin.template', '" + str(roles / "jibri/templates/etc/jitsi/jibri/asound.conf.j2") + "') }}"
    play = [{
        "hosts": "localhost", "gather_facts": False, "connection": "local", "vars_files": files,
        "tasks": [{
            "ansible.builtin.copy": {"dest": f"{place}/{{{{ sound }}}}.json", "mode": "0600", "content": "{{ all | to_json }}"},
            "loop": ["pulseaudio", "alsa"], "loop_control": {"loop_var": "sound"},
            "vars": {**values, "jibri_sound": "{{ sound }}", "item": 2, "all": {
                "settings": "{{ __jibri_settings }}", "units": "{{ __jibri_units }}", "asound": asound}},
        }],
    }]
    (place / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(CHECKOUT / ".build" / "source"))}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run([*command, "play.yml"], cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return {sound: json.loads((place / f"{sound}.json").read_text(encoding="utf-8")) for sound in ("pulseaudio", "alsa")}


def test_recorders_hear_through_pulseaudio(rendered):
    found = rendered["pulseaudio"]
    ffmpeg = found["settings"]["2"]["jibri"]["ffmpeg"]
    assert (ffmpeg["audio-source"], ffmpeg["audio-device"]) == ("pulse", "meeting.monitor")
    unit = found["units"]["jibri@"]
    assert "jibri-pulse@%i.service" in unit["Unit"]["Wants"] and "jibri-pulse@" in found["units"]
    assert "PULSE_SERVER=unix:/run/jibri-pulse-%i/native" in unit["Service"]["Environment"] and unit["Service"]["PrivateDevices"] is True


def test_recorders_hear_through_alsa(rendered):
    """Each through a loopback of its own, whose two ends belong together; no other devices, and no sound server."""
    found = rendered["alsa"]
    ffmpeg = found["settings"]["2"]["jibri"]["ffmpeg"]
    assert (ffmpeg["audio-source"], ffmpeg["audio-device"]) == ("alsa", "recording")
    unit = found["units"]["jibri@"]
    assert "pulse" not in json.dumps(found["units"]).lower()
    assert "ALSA_CONFIG_PATH=/etc/jitsi/jibri/%i/asound.conf" in unit["Service"]["Environment"] and "DISPLAY=:0" in unit["Service"]["Environment"]
    assert {name: unit["Service"].get(name) for name in ("PrivateDevices", "DevicePolicy", "DeviceAllow", "SupplementaryGroups")} == {
        "PrivateDevices": None, "DevicePolicy": "closed", "DeviceAllow": "char-alsa rw", "SupplementaryGroups": "jitsi audio"}
    assert [line.split('"')[1] for line in found["asound"].splitlines() if "hw:" in line] == ["hw:Loopback,0,1", "hw:Loopback,1,1"]
    assert "ipc_key 219404" in found["asound"] and "ipc_key 219405" in found["asound"]
