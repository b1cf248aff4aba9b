# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What coturn's program says of a configuration file. Pure functions."""

from __future__ import annotations

import re

#: What it says of the place where a trial is made, which has no address: the last thing that it does after it has read everything.
NO_ADDRESS = "Cannot configure any meaningful IP listener address"
_COMPLAINT = re.compile(
    r"(?i)\bERROR\b|WARNING: cannot|CONFIGURATION ALERT|Unknown (?:boolean|argument)|Wrong |Bad configuration format|Check config|invalid|"
    r"You cannot define"
)


def option_names(usage: str) -> list[str]:
    """The long options that the program's help (``turnserver -h``) lists.

    >>> option_names(" -p, --listening-port\\t\\t<port>\\tPort.\\n --no-cli\\t\\tOff. See --cli-ip\\n -b, , --db, --userdb\\t<file>\\n")
    ['listening-port', 'no-cli', 'db', 'userdb']
    """
    found: dict[str, None] = {}
    for line in usage.splitlines():
        match = re.match(r"\s{1,6}(?:-\w\b[\s,]*)*(--[A-Za-z0-9_-]+.*)", line)
        if match:
            found.update(dict.fromkeys(re.findall(r"--([A-Za-z0-9_-]+)", match[1].split("\t")[0])))
    return list(found)


def unknown_options(output: str) -> list[str]:
    """The options of a configuration file that the program does not know, from what it says in a trial.

    >>> unknown_options("0: : Bad configuration format: foo\\n0: : Bad configuration format: foo\\n")
    ['foo']
    """
    return list(dict.fromkeys(re.findall(r"Bad configuration format: (\S*)", output)))


def complaints(output: str) -> list[str]:
    """What the program has against a file besides unknown options, from what it says in a trial where no address is.

    >>> complaints("0: : ERROR: main: Cannot configure any meaningful IP listener address\\n0: : ERROR: Wrong address format: x\\n")
    ['Wrong address format: x']
    """
    # After this come the whole help, which is long, and nothing of interest.
    head = output.partition("\nUsage: turnserver")[0]
    found = []
    for line in head.splitlines():
        text = re.sub(r"^(?:\d+: )?: *", "", line.strip()).removeprefix("ERROR: ").removeprefix("WARNING: ")
        if _COMPLAINT.search(line) and NO_ADDRESS not in line and "Bad configuration format" not in line:
            found.append(text)
    return list(dict.fromkeys(found))


def was_read(output: str) -> bool:
    """Whether the program came to the point where it looks for addresses to listen on."""
    return NO_ADDRESS in output or "listener address" in output
