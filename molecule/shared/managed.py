#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what the collection manages on this host, with owners, modes and content, so that two moments can be compared."""

import glob
import grp
import hashlib
import os
import pwd
import re
import subprocess

PLACES = (
    "/etc/jitsi/jicofo/jicofo.conf", "/etc/jitsi/videobridge/jvb.conf", "/etc/jitsi/meet", "/etc/prosody", "/etc/nginx/sites-available",
    "/etc/nginx/sites-enabled", "/etc/systemd/system/jicofo.service.d", "/etc/systemd/system/jitsi-videobridge2.service.d",
    "/usr/local/share/ca-certificates", "/etc/campus.jitsi/certificates", "/usr/local/lib/campus.jitsi",
    "/etc/systemd/system/campus.jitsi-certificates.*", "/etc/campus.jitsi/logs", "/etc/systemd/system/campus.jitsi-logs.*",
    "/etc/apt/sources.list.d", "/etc/apt/keyrings", "/var/lib/prosody/auth*/accounts",
    "/var/lib/prosody/auth*/roster",
)


def names():
    """All files and folders below the places."""
    for pattern in PLACES:
        for place in sorted(glob.glob(pattern)):
            yield place
            for folder, folders, files in os.walk(place):
                yield from (os.path.join(folder, name) for name in sorted(folders + files))


for name in names():
    info = os.lstat(name)
    if os.path.islink(name):
        content = f"-> {os.readlink(name)}"
    elif os.path.isfile(name):
        with open(name, "rb") as handle:
            content = hashlib.sha256(handle.read()).hexdigest()
    else:
        content = "folder"
    print(name, f"{pwd.getpwuid(info.st_uid).pw_name}:{grp.getgrgid(info.st_gid).gr_name}", oct(info.st_mode)[-4:], content)
for unit in ("jicofo", "jitsi-videobridge2"):
    show = subprocess.run(["systemctl", "show", "--property=Environment", "--value", unit], stdout=subprocess.PIPE, text=True, check=True)
    print(unit, *re.findall(r"[A-Z]*_MAX_MEMORY=\S+", show.stdout))
# jitsi-meet-prosody restarts Prosody, with everybody in every room, when it does not find its texts in the host file.
show = subprocess.run(["systemctl", "show", "--property=InvocationID", "--value", "prosody"], stdout=subprocess.PIPE, text=True, check=True)
print("prosody", show.stdout.strip())
