# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab boots hosts, refuses where it cannot, and leaves nothing behind, whatever killed it."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

LAB = pathlib.Path(__file__).with_name("lab.py")
#: Debian's own Python: one in somebody's home cannot be run by others.
PYTHON = "/usr/bin/python3"


def lab(*words: str, prefix: tuple[str, ...] = (), **keywords) -> subprocess.CompletedProcess:
    return subprocess.run([*prefix, sys.executable, str(LAB), *words], capture_output=True, text=True, check=False, **keywords)


def refusal(done: subprocess.CompletedProcess) -> str:
    """The one sentence with which the lab refused."""
    assert done.returncode == 3 and done.stdout == "", done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("lab: ") and line.endswith(".")
    return line


def left_behind(ident: str) -> list[str]:
    """What carries the id of a lab on this machine."""
    found = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if ident in line]
    found += [name for name in os.listdir("/sys/class/net") if name.startswith((f"cj-{ident[:6]}", f"vb-{ident[:6]}-"))]
    found += [line for line in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout.splitlines() if ident[:6] in line]
    found += [line for line in subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
              if ident in line and not line.startswith("ps ")]
    return found


@pytest.fixture(autouse=True)
def root():
    if os.geteuid():
        pytest.skip("the lab boots hosts, which takes root")


@pytest.fixture
def name():
    """The name of a lab that nobody else has; it is removed at the end."""
    name = f"t{os.getpid()}-{time.monotonic_ns() % 100000}"
    yield name
    lab("down", name)


def test_it_refuses_without_root(tmp_path):
    tmp_path.chmod(0o755)
    for folder in list(tmp_path.parents)[:3]:
        if folder.stat().st_uid == os.geteuid() and "pytest" in folder.name:
            folder.chmod(0o755)
    copy = tmp_path / "tests" / "lab" / "lab.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(LAB, copy)
    done = subprocess.run([PYTHON, str(copy), "doctor"], capture_output=True, text=True, check=False, user=65534, group=65534, extra_groups=[])
    assert refusal(done) == "lab: the lab boots hosts and needs root: run it as root or with sudo."


def test_it_refuses_where_the_kernel_does_not_mount_overlays():
    done = lab("doctor", prefix=("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"))
    assert "needs overlayfs" in refusal(done) and "CAMPUS_JITSI_LAB_DIR" in done.stderr


def test_it_refuses_on_other_systems(tmp_path):
    (tmp_path / "os-release").write_text('ID=fedora\nNAME="Fedora Linux"\n')
    script = f'mount --bind {tmp_path}/os-release "$(readlink -f /etc/os-release)" && exec "$@"'
    done = lab("doctor", prefix=("unshare", "--mount", "sh", "-c", script, "sh"))
    assert refusal(done) == "lab: the lab needs Debian or Ubuntu: run it on such a machine."


def test_it_names_the_packages_that_are_missing(tmp_path):
    done = lab("doctor", env={"PATH": str(tmp_path)})
    assert "run `apt-get install iproute2 mmdebstrap nftables openssh-client systemd-container`" in refusal(done)


def test_a_run_that_was_killed_is_cleared_by_the_next(name):
    with subprocess.Popen([sys.executable, str(LAB), "up", name, "--host", "one", "--host", "two:bookworm"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, start_new_session=True) as running:
        # In the middle: the first machine boots, the lab has not said a word.
        end = time.monotonic() + 120
        while not any("systemd-nspawn" in line and name in line for line in subprocess.run(
                ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout.splitlines()):
            assert time.monotonic() < end and running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
    done = lab("up", name, "--host", "one:trixie", "--host", "two:bookworm")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    for host, version in (("one", "13"), ("two", "12")):
        shown = lab("ssh", name, host, "cat /etc/debian_version; hostname; systemctl is-system-running --wait")
        assert shown.stdout.split()[0].startswith(version) and shown.stdout.split()[1:] == [host, "running"], shown.stdout + shown.stderr
    assert left_behind(data["id"])
    assert lab("down", name).returncode == 0
    assert left_behind(data["id"]) == []
    assert not pathlib.Path(data["key"]).parent.exists()


def test_hosts_are_restarted_and_stopped(name):
    """Gracefully, and as in a power cut. What is on disk stays, what is in memory goes."""
    assert lab("up", name, "--host", "one").returncode == 0

    def on(command):
        return lab("ssh", name, "one", command).stdout.strip()

    on("echo disk > /root/kept; echo memory > /run/lost; printf '[Service]\\nExecStart=/bin/sleep inf\\nExecStop=/bin/touch /root/goodbye\\n"
       "[Install]\\nWantedBy=multi-user.target\\n' > /etc/systemd/system/farewell.service; systemctl enable --now farewell; sync")
    boots = [on("cat /proc/1/stat | cut -d' ' -f22")]
    for words, farewell in ((("--hard",), ""), ((), "/root/goodbye")):
        done = lab("restart", name, "one", *words)
        assert done.returncode == 0, done.stderr
        boots.append(on("cat /proc/1/stat | cut -d' ' -f22"))
        assert on("cat /root/kept; ls /run/lost /root/goodbye 2>/dev/null").split() == ["disk", *farewell.split()]
    assert len(set(boots)) == 3
    assert "does not run" not in refusal(lab("start", name, "one")) and "has no host 'two'" in refusal(lab("stop", name, "two"))
    assert lab("stop", name, "one", "--hard").returncode == 0
    assert "down" in lab("list").stdout and "does not run" in refusal(lab("stop", name, "one"))
    assert lab("start", name, "one").returncode == 0 and on("hostname") == "one"


def test_labs_side_by_side(name):
    other = name + "-b"
    try:
        for lab_name in (name, other):
            assert lab("up", lab_name, "--host", "one").returncode == 0
        assert lab("down", other).returncode == 0
        assert lab("ssh", name, "one", "true").returncode == 0
    finally:
        lab("down", other)


def test_the_web_server_goes_with_its_lab_whichever_python_runs_down(name, tmp_path):
    """A server that stayed would answer for the next lab on that subnet, with the packages of this one."""
    (tmp_path / "here").write_text("yes")
    link = tmp_path / "another-python"
    link.symlink_to(sys.executable)
    done = subprocess.run([str(link), str(LAB), "up", name, "--host", "one", "--serve", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    # By its first packages a host has no curl, but Python.
    script = f"from urllib.request import urlopen; print(urlopen('{data['url']}/here').read().decode())"
    assert lab("ssh", name, "one", f'python3 -c "{script}"').stdout == "yes\n"
    assert lab("down", name).returncode == 0
    assert left_behind(data["id"]) == []


def test_whose_socket_it_is_that_listens():
    """What answers at the lab's address must be the lab's own server."""
    spec = importlib.util.spec_from_file_location("campus_lab", LAB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert module.listens(os.getpid(), "127.0.0.1", port)
        assert not module.listens(os.getppid(), "127.0.0.1", port)
        assert not module.listens(os.getpid(), "127.0.0.2", port)
