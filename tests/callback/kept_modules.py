# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the many runs of Ansible in a test session share the modules that each of them builds.

Ansible packs a module with all that it imports before it sends it, and keeps the packed ones for the length of a run, in a
folder of the run's own (`ansible.executor.module_common`). Twenty kinds of modules are four seconds of a processor, in each of
the few hundred runs of `make test`. With this plugin that folder is ``CAMPUS_MODULES``, which `tests/scenario.py` names after
the collection under test and the release of Ansible. Nothing else changes; where Ansible keeps them elsewhere, nothing is saved.
"""

from __future__ import annotations

import os

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kept_modules
type: aggregate
short_description: Share built modules between runs
description: [Shares built modules between runs.]
requirements: [the environment variable CAMPUS_MODULES with the path of a folder]
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kept_modules"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **keywords) -> None:
        super().__init__(*arguments, **keywords)
        os.symlink(os.environ["CAMPUS_MODULES"], os.path.join(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache"))
