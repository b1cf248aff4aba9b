# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names of rooms are refused: the Lua of our module, with a Prosody that is only as much as it needs."""

from __future__ import annotations

import pathlib
import subprocess

import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROLE = HERE.parents[1] / "roles" / "prosody"
MODULE = ROLE / "files" / "usr" / "local" / "lib" / "prosody" / "modules" / "mod_muc_campus_room_names.lua"
REFUSED = "not-allowed choose another"
OWN = ("rector*", "exam-*-2026", "claustro", "*-secretaria")


def said(*names: str, minimum: int = 6, weak: tuple[str, ...] = (), own: tuple[str, ...] = OWN, existing: str = "") -> list[str]:
    """What becomes of each name, or of each address that is asked for."""
    words = weak or yaml.safe_load((ROLE / "vars" / "main" / "rooms.yml").read_text(encoding="utf-8"))["__prosody_weak_names"]
    command = ["lua5.4", str(HERE / "room_names.lua"), str(MODULE), str(minimum), ",".join(words), ",".join(own), existing]
    done = subprocess.run(command, input="".join(f"{name}\n" for name in names), capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "name",
    [
        "prueba", "PRUEBA", "prueba1", "2024prueba2025", "pruuuueba", "p-r-u-e-b-a", "pru%C3%A9ba", "reuni%c3%b3n", "REUNIÓN", "reunion",  # written otherwise
        "classs", "cllass",  # squeezed on both sides
        "testroom", "saladeprueba", "sala-de-la-clase-2", "testtest", "mimeeting", "theroomofjuan",  # nothing but such words
        "xkzqv", "ñandú", "a-b-c-d-e", "",  # short
        "12345678", "2026-02-03", "------",  # no letter
        "[physics]prueba", "[a]testroom",  # of a tenant
        "rectorado", "rector", "exam-math-2026", "EXAM-%C3%81lgebra-2026", "mi-secretaría", "claustro3", "Claustro",  # the campus's own
    ],
)
def test_names_that_strangers_guess(name):
    assert said(name) == [REFUSED]


@pytest.mark.parametrize(
    "name",
    [
        "salamanca", "testament", "pruebas-de-acceso", "claustrophobia", "hoyuelos", "ñandúes",  # that only begin like one
        "vicerector", "exam-math-2027", "exam-math-2026-b", "my-rector",  # that only look like the campus's own
        "campus-check-0123456789ab", "CleverBadgersWanderQuietly", "x7f3k9q2", "lecture-3f9a", "[physics]thermodynamics-2",
        "%E6%9D%B1%E4%BA%AC%E5%A4%A7%E5%AD%A6%E6%95%B0%E5%AD%A6", "%ff%fe%fd%fc%fb%fa", "__jicofo-health-check-1",
        "a" * 2 + "b" * 500,
    ],
)
def test_names_that_they_do_not(name):
    assert said(name) == ["made"]


def test_a_long_name_takes_no_time():
    assert said("testing" * 140 + "x", own=("*a*e*i*o*u*t*e*s*t*z",)) == ["made"]


def test_the_campus_decides_what_is_weak_and_short():
    assert said("prueba", "termo", "termo1", minimum=3, weak=("termo",)) == ["made", REFUSED, REFUSED]
    assert said("thermodynamics", minimum=15) == [REFUSED]


def test_who_asks_is_told_and_rooms_that_are_there_stay():
    conference = "conference.meet.example.edu"
    told = f"{REFUSED} reservation-error"
    here = f"prueba@{conference}"
    assert said(here, existing=here) == ["made"]
    assert said(f"sala@{conference}", f"thermodynamics@{conference}", "sala@conference.physics.meet.example.edu", existing=here) == [told, "made", told]
    tenants = f"[physics]sala@{conference}"
    assert said("sala@conference.physics.meet.example.edu", "sala@conference.maths.meet.example.edu", existing=tenants) == ["made", told]
    # Breakout rooms and whatever is no room of this server.
    assert said("sala@breakout.meet.example.edu", "sala@conference.example.net", "sala@conference.a.b.meet.example.edu") == ["made"] * 3
