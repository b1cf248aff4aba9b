# SPDX-License-Identifier: GPL-3.0-or-later
"""Who moderates (`jitsi_moderation`), the ways that the scenarios themselves do not have.

A run of Ansible for each would take a minute. So Prosody and jicofo get what the roles render for it (tests/combinations.py), and get back
what they had. That a run leads from one way to another, test_access_internal.py and test_access_ldap.py show.
"""

from __future__ import annotations

import pathlib
import sys
import time

import pytest
from conftest import settled, works
from people import Person, XmppError, moodle_claims, signed, some_room
from rights import ACTIONS, documented, rights

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import combinations  # noqa: E402

from ansible_collections.campus.jitsi.plugins.plugin_utils import _render  # noqa: E402

FEW = ACTIONS[:4]
#: Kept beside, put back, and both programs as they were.
KEEP = "cp --archive {0} {0}.verify"
BACK = "mv {0}.verify {0}"


class Modes:
    """The installation, and how to lead it to another way."""

    def __init__(self, site):
        self.site = site
        self.prosody, self.jicofo = f"/etc/prosody/conf.avail/{site.domain}.cfg.lua", "/etc/jitsi/jicofo/jicofo.conf"
        self.host = site.of_one("prosody")
        for path in (self.prosody, self.jicofo):
            self.host.check_output(KEEP.format(path))

    def lead(self, combination, host):
        """To one of the combinations by its name, until somebody who may open rooms does."""
        found = combinations.rendered()[combination]
        found["jicofo"]["jicofo"]["xmpp"]["client"]["password"] = self.site.secret("xmpp/focus")
        texts = {self.prosody: _render.to_prosody(found["settings"]), self.jicofo: _render.to_hocon(found["jicofo"])}
        # Into the files as they are, with owner and mode.
        self.site.on(self.site.of("prosody")[0], f"for path, text in {texts!r}.items():\n    open(path, 'w').write(text)")
        self.host.check_output("systemctl restart prosody jicofo")
        end = time.monotonic() + 40
        while (why := opens(host)) and time.monotonic() < end:
            time.sleep(0.5)
        assert not why, why

    def back(self):
        for path in (self.prosody, self.jicofo):
            self.host.check_output(BACK.format(path))
        self.host.check_output("systemctl restart prosody jicofo")


def opens(host):
    """Why somebody cannot open a room; empty when he can."""
    try:
        with host(some_room()) as one:
            one.enter()
    except (XmppError, OSError) as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def modes(site):
    """Led back at the end, and works."""
    if len(site.hosts) > 1 or site.auth not in ("internal", "jwt"):
        pytest.skip("the scenarios auth_internal and auth_jwt do it")
    found = Modes(site)
    try:
        yield found
    finally:
        found.back()
    works(settled(site))


@pytest.fixture
def tokens(modes):
    if modes.site.auth != "jwt":
        pytest.skip("the scenario auth_jwt has tokens")
    return modes


@pytest.fixture
def accounts(modes):
    if modes.site.auth != "internal":
        pytest.skip("the scenario auth_internal has accounts")
    return modes


def somebody(modes, **how):
    """A function that makes a person for a room."""
    return lambda room: Person(modes.site, room, **how)


def with_token(modes, teacher=False, secret=combinations.SECRETS["jwt"], **how):
    """Somebody with a token, by default one that is good while a combination runs."""
    return somebody(modes, token=signed(secret, moodle_claims(modes.site.domain, teacher=teacher)), **how)


def with_account(modes, user):
    return somebody(modes, user=user, password={"ana": modes.site.secret("users/ana"), "luis": "a password of his own"}[user])


# --- tokens --------------------------------------------------------------------------------------------------------


def test_whoever_has_a_token_moderates(tokens):
    """`authenticated`, with guests: Jitsi's own way of it, without the hole that it has."""
    one = with_token(tokens)
    tokens.lead("jwt-guests-authenticated-lobby_on-breakout", one)
    people = {"whoever has a token": one, "a guest": somebody(tokens, guest=True),
              "a guest with a forged token": with_token(tokens, teacher=True, secret="x" * 64, guest=True)}
    documented("jwt-authenticated", {who: rights(one, person) for who, person in people.items()})


def test_other_ways_to_moderate_with_tokens(tokens):
    found = {}
    student, teacher, guest = with_token(tokens), with_token(tokens, teacher=True), somebody(tokens, guest=True)
    tokens.lead("jwt-alone-first-lobby_on-breakout", student)
    found["`first`: the first, a student"] = rights(teacher, student, first=True, actions=FEW)
    found["`first`: whoever comes later, a teacher"] = rights(student, teacher, actions=FEW)
    tokens.lead("jwt-guests-everyone-lobby_on-breakout", student)
    found["`everyone`: a student"] = rights(teacher, student, actions=FEW)
    found["`everyone`: a guest"] = rights(teacher, guest, actions=FEW)
    found["`everyone`: a forged token"] = rights(teacher, with_token(tokens, teacher=True, secret="x" * 64), actions=FEW)
    tokens.lead("jwt-alone-token-lobby_on-breakout", student)
    found["`token`, nobody waits: a teacher"] = rights(student, teacher, actions=FEW)
    found["`token`, nobody waits: a student, who is the first"] = rights(teacher, student, first=True, actions=FEW)
    documented("jwt-others", found)


# --- accounts ------------------------------------------------------------------------------------------------------


def test_other_ways_to_moderate_with_accounts(accounts):
    found = {}
    ana, luis, guest, stranger = with_account(accounts, "ana"), with_account(accounts, "luis"), somebody(accounts, guest=True), somebody(accounts)
    accounts.lead("internal-alone-first-lobby_on-breakout", ana)
    found["`first`: the first with an account"] = rights(ana, luis, first=True, actions=FEW)
    found["`first`: whoever comes later with an account"] = rights(ana, luis, actions=FEW)
    found["`first`: a stranger"] = rights(ana, stranger, actions=FEW)
    accounts.lead("internal-guests-everyone-lobby_on-breakout", ana)
    found["`everyone`: somebody with an account"] = rights(ana, luis, actions=FEW)
    found["`everyone`: a guest"] = rights(ana, guest, actions=FEW)
    documented("internal-others", found)


def test_everybody_moderates_where_everybody_enters(accounts):
    """`everyone` without accounts."""
    anybody = somebody(accounts)
    accounts.lead("anonymous-alone-everyone-lobby_on-breakout", anybody)
    documented("anonymous-everyone", {"anybody": rights(anybody, anybody, actions=FEW)})
