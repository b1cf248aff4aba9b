# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a user's ``<role>_config`` is laid over our defaults. Pure functions."""

from __future__ import annotations

import typing as t


def merge_config(base: t.Any, *overrides: t.Any) -> t.Any:
    """Lay each of ``overrides`` over ``base``, the last one winning, and return a new value.

    Dictionaries are merged key by key; everything else replaces what it is laid over. Two suffixes on a key say
    more, so that a list of ours can be adjusted without repeating it:

    ``key+``
        append the items of this list that are not there yet,
    ``key-``
        remove the items of this list; with an empty value (``null``) remove the key itself.

    >>> merge_config({"a": [1, 2], "b": {"c": 1}}, {"a+": [3], "b": {"d": 2}})
    {'a': [1, 2, 3], 'b': {'c': 1, 'd': 2}}
    >>> merge_config({"a": [1, 2], "b": 1}, {"a-": [1], "b-": None})
    {'a': [2]}

    :raises ValueError: a suffix is used on something that is not a list; the message names the path.
    """
    merged = base
    for override in overrides:
        merged = _merge(merged, override, ())
    return merged


def _merge(base: t.Any, override: t.Any, path: tuple[str, ...]) -> t.Any:
    if not isinstance(override, dict):
        return override
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in override.items():
        name, sign = (key[:-1], key[-1]) if isinstance(key, str) and key[-1:] in ("+", "-") else (key, "")
        where = (*path, str(name))
        if not sign:
            result[name] = _merge(result.get(name), value, where)
        elif sign == "-" and value is None:
            result.pop(name, None)
        else:
            result[name] = _adjust(result.get(name, []), sign, value, where)
    return result


def _adjust(old: t.Any, sign: str, items: t.Any, where: tuple[str, ...]) -> list[t.Any]:
    if not isinstance(items, list) or not isinstance(old, list):
        side = "its value" if not isinstance(items, list) else "the value that it adjusts"
        raise ValueError(
            f"`{'.'.join(where)}{sign}`: {side} is not a list; "
            f"write `{where[-1]}` without the `{sign}` to replace the value"
        )
    if sign == "-":
        return [item for item in old if item not in items]
    return old + [item for index, item in enumerate(items) if item not in old and item not in items[:index]]
