# SPDX-License-Identifier: GPL-3.0-or-later
"""Who moderates (`jitsi_moderation`), the ways that the scenarios themselves do not have.

That a run of Ansible leads from one way to another, test_access_internal.py and test_access_ldap.py show.
"""

from __future__ import annotations

import pytest
from conftest import settled, works
from modes import Modes, somebody, with_token
from rights import ACTIONS, documented, rights

FEW = ACTIONS[:4]


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


def with_account(modes, user):
    return somebody(modes.site, user=user, password={"ana": modes.site.secret("users/ana"), "luis": "a password of his own"}[user])


# --- tokens --------------------------------------------------------------------------------------------------------


def test_who_can_do_what_when_everybody_with_a_token_moderates(tokens):
    """`authenticated`, with guests: Jitsi's own way of it, without the hole that it has."""
    one = with_token(tokens.site)
    tokens.lead("jwt-guests-authenticated-lobby_on-breakout", one)
    people = {"whoever has a token": one, "a guest": somebody(tokens.site, guest=True),
              "a guest with a forged token": with_token(tokens.site, teacher=True, secret="x" * 64, guest=True)}
    documented("jwt-authenticated", {who: rights(one, person) for who, person in people.items()})


def test_other_ways_to_moderate_with_tokens(tokens):
    found = {}
    student, teacher, guest = with_token(tokens.site), with_token(tokens.site, teacher=True), somebody(tokens.site, guest=True)
    tokens.lead("jwt-alone-first-lobby_on-breakout", student)
    found["`first`: the first, a student"] = rights(teacher, student, first=True, actions=FEW)
    found["`first`: whoever comes later, a teacher"] = rights(student, teacher, actions=FEW)
    tokens.lead("jwt-guests-everyone-lobby_on-breakout", student)
    found["`everyone`: a student"] = rights(teacher, student, actions=FEW)
    found["`everyone`: a guest"] = rights(teacher, guest, actions=FEW)
    found["`everyone`: a forged token"] = rights(teacher, with_token(tokens.site, teacher=True, secret="x" * 64), actions=FEW)
    tokens.lead("jwt-alone-token-lobby_on-breakout", student)
    found["`token`, nobody waits: a teacher"] = rights(student, teacher, actions=FEW)
    found["`token`, nobody waits: a student, who is the first"] = rights(teacher, student, first=True, actions=FEW)
    documented("jwt-others", found)


# --- accounts ------------------------------------------------------------------------------------------------------


def test_other_ways_to_moderate_with_accounts(accounts):
    found = {}
    ana, luis, guest, stranger = with_account(accounts, "ana"), with_account(accounts, "luis"), somebody(accounts.site, guest=True), somebody(accounts.site)
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
    anybody = somebody(accounts.site)
    accounts.lead("anonymous-alone-everyone-lobby_on-breakout", anybody)
    documented("anonymous-everyone", {"anybody": rights(anybody, anybody, actions=FEW)})
