# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long logs are kept (standard library only, Python 3.11).

This file is two things. The module log_retention imports it; and that module puts it on the host, where a timer runs it once a
day. What programs have written since the last time is then put aside, and what is older than it may be is deleted. That is done
beside Debian's own logrotate, whose files (and numbers of days, or of weeks) stay as they are.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import json
import os
import shutil
import stat
import sys
import time
import typing as t

FOLDER = "/etc/campus.jitsi/logs"
SCRIPT = "/usr/local/lib/campus.jitsi/logs.py"
UNIT = "campus.jitsi-logs"

SERVICE = f"""\
# Managed by campus.jitsi.
[Unit]
Description=Keep logs no longer than campus.jitsi says

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {SCRIPT}
UMask=0027
NoNewPrivileges=yes
PrivateNetwork=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict
ReadWritePaths=/var/log
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETUID CAP_SETGID
"""

TIMER = """\
# Managed by campus.jitsi.
[Unit]
Description=Keep logs no longer than campus.jitsi says

[Timer]
OnCalendar=daily
# A host that was off catches up.
Persistent=true

[Install]
WantedBy=timers.target
"""


def put_aside(path: str, stamp: str) -> str:
    """Compress what is in a log, and empty it: the program goes on writing into the same file. The new file's path."""
    aside = f"{path}-{stamp}.gz"
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(os.open(path, os.O_RDWR | os.O_NOFOLLOW), "r+b"))
        mode = stat.S_IMODE(os.fstat(log.fileno()).st_mode)
        raw = stack.enter_context(open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode & 0o640), "wb"))
        with gzip.GzipFile(fileobj=raw, mode="wb") as packed:
            shutil.copyfileobj(log, packed)
        log.truncate(0)
    return aside


def too_old(path: str, days: int, now: float) -> list[str]:
    """What was put aside of a log, by whom ever, and has a line that is older than so many days, or will before the next look.

    What is put aside today has lines of the day before: it goes a day earlier than its own age says.
    """
    found = []
    for candidate in glob.glob(glob.escape(path) + "[.-]*"):
        info = os.lstat(candidate)
        if stat.S_ISREG(info.st_mode) and info.st_mtime <= now - (days - 1) * 86400:
            found.append(candidate)
    return sorted(found)


def acting(path: str) -> tuple[int, int] | None:
    """As whom to work in a log's folder: as root where only root can write, else as the log's owner, whose links lead no further
    than he could go himself. None where a folder of others has a log of root's, or there is nothing."""
    try:
        folder, log = os.stat(os.path.dirname(path)), os.lstat(path)
    except FileNotFoundError:
        return None
    if folder.st_uid == 0 and not (folder.st_mode & 0o022 and folder.st_gid != 0 or folder.st_mode & 0o002):
        return 0, 0
    if not stat.S_ISREG(log.st_mode) or log.st_uid == 0:
        return None
    return log.st_uid, log.st_gid


def keep(path: str, days: int, now: float) -> None:
    """One log, as whoever runs this."""
    with contextlib.suppress(FileNotFoundError):
        if os.lstat(path).st_size:
            # In the hour of the change of clocks, too, no name comes twice.
            put_aside(path, time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)))
    for old in too_old(path, days, now):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)


def keep_as_owner(path: str, days: int, now: float) -> bool:
    """One log, in a process that is whoever may do that. Whether it went well."""
    who = acting(path)
    if who is None:
        return not os.path.lexists(path)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if who[0]:
                os.setgroups([])
                os.setgid(os.stat(os.path.dirname(path)).st_gid)
                os.setuid(who[0])
            keep(path, days, now)
            code = 0
        except OSError as error:
            sys.stderr.write(f"{path}: {error}\n")
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def read(folder: str = FOLDER) -> dict[str, dict[str, t.Any]]:
    """The descriptions: by name, ``files`` and ``days``."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path, encoding="utf-8") as handle:
            found[os.path.basename(path)[: -len(".json")]] = json.load(handle)
    return found


def main() -> int:
    """What the timer runs."""
    now = time.time()
    done = [keep_as_owner(path, int(one["days"]), now) for one in read().values() for path in one["files"]]
    return 0 if all(done) else 1


if __name__ == "__main__":
    raise SystemExit(main())
