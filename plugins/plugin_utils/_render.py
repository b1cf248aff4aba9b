# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Data to the languages of the configuration files: HOCON, Lua, JavaScript, Java's properties, coturn's and systemd's. Pure functions.

Each takes plain data (dictionaries, lists, strings, numbers, booleans) and returns text from which that language's
own parser reads the same data back, whatever the strings hold. What cannot be expressed raises :class:`ValueError`
with the path of the value.
"""

from __future__ import annotations

import json
import math
import re
import typing as t

Path = t.Tuple[t.Union[str, int], ...]

#: Lua 5.2 to 5.4, manual section 3.1.
LUA_RESERVED = frozenset(
    "and break do else elseif end false for function goto if in local nil not or repeat return then true until while".split()
)
#: Names that mean something in a Prosody configuration file (core/configmanager.lua).
PROSODY_RESERVED = frozenset({"VirtualHost", "Host", "Component", "Include", "RunScript", "FileContents", "FileLine",
                              "FileLines", "FileSecret", "Credential", "Secret", "ENV"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: What java.util.Properties takes for something else in a key and in a value. Beyond ASCII it depends on how the file is opened.
_PROPERTY_KEY = re.compile(r"[\\=:#!\s]|[^ -~]")
_PROPERTY_VALUE = re.compile(r"\\|\A[ \t\f]|[^ -~]")
_PROPERTY_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
_SYSTEMD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")
#: `include` has a meaning of its own where a key may be.
_HOCON_PLAIN_KEY = re.compile(r"(?!include\Z)[A-Za-z][A-Za-z0-9_-]*\Z")
#: JSON's escapes are JavaScript's; these must not appear in an inline script (the file is included in HTML and passes
#: nginx's SSI parser), and the last two end a line in JavaScript before ES2019.
_JS_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
JS_MAX_SAFE_INTEGER = 2**53 - 1
_TURNSERVER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
#: The buffer of coturn's parser (src/apps/relay/mainrelay.c), less the line's end.
_TURNSERVER_LONGEST = 1000
#: ruby-hocon, with which maintainer scripts edit the files, takes no control character as it is, DEL and the C1 range among
#: them, and a byte order mark is worth seeing.
_HOCON_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0xFEFF)}


def to_hocon(data: t.Mapping[str, t.Any]) -> str:
    """Render ``data`` as a HOCON document (https://github.com/lightbend/config/blob/main/HOCON.md).

    Keys are single path elements: a dot in a key is part of the key. Strings are always quoted, so ``${...}`` and
    units stay text.

    >>> print(to_hocon({"a": {"b-c": [1, "x"], "d.e": True}}), end="")
    a {
      b-c = [1, "x"]
      "d.e" = true
    }
    """
    _need_mapping(data, "HOCON")
    return "".join(_hocon_fields(data, 0, ()))


def _hocon_fields(data: t.Mapping[str, t.Any], depth: int, path: Path) -> t.Iterator[str]:
    indent = "  " * depth
    for key, value in data.items():
        where = (*path, key)
        if not isinstance(key, str):
            key = str(key) if isinstance(key, int) and not isinstance(key, bool) else _refuse(where, "is no text key")
        name = key if _HOCON_PLAIN_KEY.match(key) else _json(key, where).translate(_HOCON_ESCAPES)
        if isinstance(value, dict):
            yield f"{indent}{name} {{\n"
            yield from _hocon_fields(value, depth + 1, where)
            yield f"{indent}}}\n"
        else:
            yield f"{indent}{name} = {_hocon_value(value, depth, where)}\n"


def _hocon_value(value: t.Any, depth: int, path: Path) -> str:
    if isinstance(value, dict):
        inner = "".join(_hocon_fields(value, depth + 1, path))
        return f"{{\n{inner}{'  ' * depth}}}"
    if isinstance(value, (list, tuple)):
        items = [_hocon_value(item, depth, (*path, index)) for index, item in enumerate(value)]
        return f"[{', '.join(items)}]"
    return _json(value, path).translate(_HOCON_ESCAPES)


def to_js(data: t.Any) -> str:
    """Render ``data`` as one JavaScript expression that is safe inside ``<script>`` and in a file that passes SSI.

    >>> to_js({"a": "</script>"})
    '{\\n    "a": "\\\\u003c/script\\\\u003e"\\n}'
    """
    _check_js(data, ())
    return json.dumps(data, indent=4, ensure_ascii=False, allow_nan=False).translate(_JS_ESCAPES)


def _check_js(value: t.Any, path: Path) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                _refuse((*path, key), "is no text key")
            if key == "__proto__":
                _refuse((*path, key), "sets the prototype in JavaScript and is no key")
            _check_js(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_js(item, (*path, index))
    elif isinstance(value, int) and abs(value) > JS_MAX_SAFE_INTEGER:
        _refuse(path, "is an integer that JavaScript cannot hold exactly; write it as text")
    else:
        _json(value, path)


def to_lua(value: t.Any, depth: int = 0, path: Path = ()) -> str:
    """Render ``value`` as a Lua 5.2+ expression.

    >>> to_lua({"rate": "512kb/s", 1: ["a\\n", True]})
    '{\\n    rate = "512kb/s";\\n    [1] = { "a\\\\n", true };\\n}'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            _refuse(path, "is an integer of more than 64 bits")
        # The smallest integer has no literal of its own: its positive part is out of range.
        return str(value) if value != -(2**63) else "(-9223372036854775807 - 1)"
    if isinstance(value, float):
        if not math.isfinite(value):
            _refuse(path, "is not a finite number")
        return repr(value)
    if isinstance(value, str):
        return _lua_string(value, path)
    if isinstance(value, (list, tuple)):
        items = [to_lua(item, depth + 1, (*path, index)) for index, item in enumerate(value)]
        text = "{ " + ", ".join(items) + " }" if items else "{}"
        if len(text) + 4 * depth > 100 and len(items) > 1:
            pad = "    " * (depth + 1)
            text = "{\n" + "".join(f"{pad}{item};\n" for item in items) + "    " * depth + "}"
        return text
    if isinstance(value, dict):
        pad = "    " * (depth + 1)
        lines = [
            f"{pad}{_lua_key(key, (*path, key))} = {to_lua(item, depth + 1, (*path, key))};\n"
            for key, item in value.items()
        ]
        return "{\n" + "".join(lines) + "    " * depth + "}" if lines else "{}"
    return _refuse(path, f"is {_kind(value)}, which a Lua table cannot hold; remove the key with `key-:` instead")


def _lua_key(key: t.Any, path: Path) -> str:
    if isinstance(key, str) and _IDENTIFIER.match(key) and key not in LUA_RESERVED:
        return key
    if isinstance(key, (str, int)) and not isinstance(key, bool):
        return f"[{to_lua(key, 0, path)}]"
    return _refuse(path, "is no text key")


def _lua_string(text: str, path: Path) -> str:
    _encodable(text, path)
    named = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}

    def escape(match: re.Match[str]) -> str:
        return named.get(match.group(), f"\\{ord(match.group()):03d}")

    return '"' + re.sub(r'[\\"\x00-\x1f\x7f]', escape, text) + '"'


def to_prosody(config: t.Mapping[str, t.Any]) -> str:
    """Render a Prosody configuration: ``global`` options, then each of ``hosts``.

    ``config`` is ``{"global": {option: value}, "hosts": {name: {option: value}}}``. A host is a VirtualHost, or, with
    the key ``component`` (the module, such as ``muc``), a Component.

    >>> print(to_prosody({"global": {"admins": []}, "hosts": {"c.x": {"component": "muc", "storage": "memory"}}}))
    admins = {}
    <BLANKLINE>
    Component "c.x" "muc"
        storage = "memory"
    <BLANKLINE>
    """
    _need_mapping(config, "Prosody's configuration")
    unknown = set(config) - {"global", "hosts"}
    if unknown:
        _refuse((sorted(map(str, unknown))[0],), "is neither `global` nor `hosts`; put options under `global`")
    parts = ["".join(_prosody_options(config.get("global") or {}, "", ("global",)))]
    for name, options in (config.get("hosts") or {}).items():
        where: Path = ("hosts", name)
        if not isinstance(options, dict):
            _refuse(where, "is no dictionary of options")
        options = dict(options)
        component = options.pop("component", None)
        kind = f"Component {_lua_string(name, where)}" if component else f"VirtualHost {_lua_string(name, where)}"
        if component:
            kind += f" {_lua_string(component, (*where, 'component'))}"
        parts.append(f"{kind}\n{''.join(_prosody_options(options, '    ', where))}")
    return "\n".join(parts)


def _prosody_options(options: t.Mapping[str, t.Any], indent: str, path: Path) -> t.Iterator[str]:
    for name, value in options.items():
        where = (*path, name)
        if not isinstance(name, str) or not _IDENTIFIER.match(name) or name in LUA_RESERVED | PROSODY_RESERVED:
            _refuse(where, "cannot be the name of a Prosody option")
        yield f"{indent}{name} = {to_lua(value, len(indent) // 4, where)}\n"


def to_turnserver(config: t.Mapping[str, t.Any]) -> str:
    """Render the configuration of coturn's ``turnserver``: one ``option=value`` a line, as its man page has them.

    ``true`` sets an option that has no value, ``false`` and an empty list leave an option out, and a list repeats it.

    >>> print(to_turnserver({"no-cli": True, "no-tls": False, "min-port": 5, "external-ip": ["192.0.2.1", "2001:db8::1"]}), end="")
    no-cli
    min-port=5
    external-ip=192.0.2.1
    external-ip=2001:db8::1
    """
    _need_mapping(config, "coturn's configuration")
    return "".join(line for name, value in config.items() for line in _turnserver_lines(name, value))


def _turnserver_lines(name: t.Any, value: t.Any) -> t.Iterator[str]:
    if not isinstance(name, str) or not _TURNSERVER_NAME.match(name):
        _refuse((name,), "cannot be the name of an option of turnserver")
    for index, item in enumerate(value if isinstance(value, (list, tuple)) else [value]):
        path: Path = (name, index) if isinstance(value, (list, tuple)) else (name,)
        if isinstance(item, bool):
            if item:
                yield f"{name}\n"
            continue
        if not isinstance(item, (str, int)):
            _refuse(path, f"is {_kind(item)}, which turnserver has no way to write")
        text = str(item)
        _encodable(text, path)
        # Its parser ends at a line's end, cuts what is long, and takes blanks, `=` and quotes before and blanks after a value away.
        if re.search(r"[\x00-\x1f\x7f]", text):
            _refuse(path, "has a line break or another control character, which turnserver cannot read")
        if not text or text != text.strip() or text[0] in '="':
            _refuse(path, "is empty, or starts or ends with a character that turnserver takes away")
        if len(f"{name}={text}".encode()) > _TURNSERVER_LONGEST:
            _refuse(path, f"is longer than the {_TURNSERVER_LONGEST} bytes of a line of turnserver.conf")
        yield f"{name}={text}\n"


def to_properties(config: t.Mapping[str, t.Any]) -> str:
    """Render a file of java.util.Properties, as jigasi reads its settings: one ``key=value`` a line.

    Keys are whole: the dots in them are no structure. A switch is ``true`` or ``false``, and a list is written as JSON, which is what
    jigasi reads a list from.

    >>> print(to_properties({"a.b": True, "c d": " x\\\\y", "e": ["f"]}), end="")
    a.b=true
    c\\ d=\\ x\\\\y
    e=["f"]
    """
    _need_mapping(config, "A file of properties")
    lines = []
    for name, value in config.items():
        if not isinstance(name, str) or not name:
            _refuse((name,), "is no text key")
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                _json(item, (name, index))
            value = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, (int, float)):
            value = _json(value, (name,))
        elif not isinstance(value, str):
            _refuse((name,), f"is {_kind(value)}, which a file of properties cannot hold; remove the key with `{name}-:` instead")
        _encodable(name, (name,))
        _encodable(value, (name,))
        lines.append(f"{_PROPERTY_KEY.sub(_property_escape, name)}={_PROPERTY_VALUE.sub(_property_escape, value)}\n")
    return "".join(lines)


def _property_escape(match: re.Match[str]) -> str:
    character = match.group()
    if character in _PROPERTY_NAMED:
        return _PROPERTY_NAMED[character]
    if " " <= character <= "~":
        return "\\" + character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[index] * 256 + units[index + 1]:04x}" for index in range(0, len(units), 2))


def to_systemd(unit: t.Mapping[str, t.Any]) -> str:
    """Render a unit file or a drop-in (systemd.syntax(7)): sections with directives.

    A list is one line for each item; an empty text takes back what was said before. Specifiers (``%n``) and what a
    directive's value means are systemd's: values are not quoted.

    >>> print(to_systemd({"Service": {"ExecStart": ["", "/bin/true"], "PrivateTmp": True, "RestartSec": 2}}), end="")
    [Service]
    ExecStart=
    ExecStart=/bin/true
    PrivateTmp=yes
    RestartSec=2
    """
    _need_mapping(unit, "A unit of systemd")
    parts = []
    for section, directives in unit.items():
        if not isinstance(section, str) or not _SYSTEMD_NAME.match(section):
            _refuse((section,), "is no section of a unit of systemd")
        if not isinstance(directives, dict):
            _refuse((section,), "is no dictionary of directives")
        lines = [f"[{section}]\n"]
        for name, value in directives.items():
            where = (section, name)
            if not isinstance(name, str) or not _SYSTEMD_NAME.match(name):
                _refuse(where, "is no directive of systemd")
            for item in value if isinstance(value, (list, tuple)) else [value]:
                lines.append(f"{name}={_systemd_value(item, where)}\n")
        parts.append("".join(lines))
    return "\n".join(parts)


def _systemd_value(value: t.Any, path: Path) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        return _refuse(path, f"is {_kind(value)}, which no directive takes; remove one with `{path[-1]}-:` instead")
    _encodable(value, path)
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or value.endswith("\\"):
        _refuse(path, "has a control character or ends in a backslash: write it in one line")
    return value


def _json(value: t.Any, path: Path) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(path, "is not a finite number")
    if value is not None and not isinstance(value, (str, int, float)):
        _refuse(path, f"is {_kind(value)}, which a configuration file cannot hold")
    if isinstance(value, str):
        _encodable(value, path)
    return json.dumps(value, ensure_ascii=False)


def _encodable(text: str, path: Path) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        _refuse(path, "holds half of a surrogate pair, which is no character")


def _need_mapping(value: t.Any, what: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{what} needs a dictionary, not {_kind(value)}")


def _kind(value: t.Any) -> str:
    return "empty (null)" if value is None else f"of type {type(value).__name__}"


def _refuse(path: Path, why: str) -> t.NoReturn:
    raise ValueError(f"`{'.'.join(str(part) for part in path)}` {why}")
