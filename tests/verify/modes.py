# SPDX-License-Identifier: GPL-3.0-or-later
"""Another way to enter or to moderate on a live installation for the time of some tests, without a run of Ansible, which takes a minute.

Prosody and jicofo get what the roles render for it (tests/combinations.py), and get back what they had.
"""

from __future__ import annotations

import pathlib
import sys
import time
import typing as t

from conftest import PATIENCE
from people import Person, XmppError, moodle_claims, signed, some_room

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import combinations  # noqa: E402

from ansible_collections.campus.jitsi.plugins.plugin_utils import _render  # noqa: E402

#: Kept beside, put back, and both programs as they were.
KEEP = "cp --archive {0} {0}.verify"
BACK = "mv {0}.verify {0}"


class Modes:
    """The installation, and how to lead it to another way."""

    def __init__(self, site: t.Any):
        self.site = site
        self.prosody, self.jicofo = f"/etc/prosody/conf.avail/{site.domain}.cfg.lua", "/etc/jitsi/jicofo/jicofo.conf"
        self.host = site.of_one("prosody")
        for path in (self.prosody, self.jicofo):
            self.host.check_output(KEEP.format(path))

    def lead(self, combination: str, host: t.Callable[[str], Person], everywhere: t.Any = (), **options: t.Any) -> None:
        """To one of the combinations by its name, until somebody who may open rooms does.

        :param everywhere: options of the whole server that are something else here
        :param options: those of the main host
        """
        found = combinations.rendered()[combination]
        found["settings"]["global"].update(everywhere)
        found["settings"]["hosts"][self.site.domain].update(options)
        found["jicofo"]["jicofo"]["xmpp"]["client"]["password"] = self.site.secret("xmpp/focus")
        if telephones := found["settings"]["hosts"].get(f"jigasi.{self.site.domain}"):
            telephones["shared_secret"] = self.site.secret("xmpp/telephone")
        texts = {self.prosody: _render.to_prosody(found["settings"]), self.jicofo: _render.to_hocon(found["jicofo"])}
        # Into the files as they are, with owner and mode.
        self.site.on(self.site.of("prosody")[0], f"for path, text in {texts!r}.items():\n    open(path, 'w').write(text)")
        self.host.check_output("systemctl restart prosody jicofo")
        end = time.monotonic() + PATIENCE * 40
        while (why := opens(host)) and time.monotonic() < end:
            time.sleep(0.5)
        assert not why, why

    def back(self) -> None:
        for path in (self.prosody, self.jicofo):
            self.host.check_output(BACK.format(path))
        self.host.check_output("systemctl restart prosody jicofo")


def opens(host: t.Callable[[str], Person]) -> str:
    """Why somebody cannot open a room; empty when he can."""
    try:
        with host(some_room()) as one:
            one.enter()
    except (XmppError, OSError) as error:
        return str(error)
    return ""


def somebody(site: t.Any, **how: t.Any) -> t.Callable[[str], Person]:
    """A function that makes a person for a room."""
    return lambda room: Person(site, room, **how)


def with_token(site: t.Any, teacher: bool = False, secret: str = combinations.SECRETS["jwt"], **how: t.Any) -> t.Callable[[str], Person]:
    """Somebody with a token, by default one that is good while a combination runs."""
    return somebody(site, token=signed(secret, moodle_claims(site.domain, teacher=teacher)), **how)
