# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read nginx's configuration, to find out what others have in it. Pure functions, but for :func:`load`, which reads files."""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import typing as t

MAIN = "/etc/nginx/nginx.conf"
#: What a ``stream`` block of somebody else includes.
INCLUDED = "/etc/nginx/campus.jitsi/stream.conf"
#: A comment, a quoted word, a bare word (``${name}`` is part of one), or a mark.
_TOKEN = re.compile(r"""(?xs) \s+ | \#[^\n]* | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)' | (?P<mark>[;{}])
                        | (?P<word>(?:\$\{[^}]*\}|\\.|[^\s;{}])+)""")


@dataclasses.dataclass
class Directive:
    """One directive: its words, and what is in its braces when it has some."""

    words: list[str]
    file: str = ""
    block: list["Directive"] | None = None

    @property
    def name(self) -> str:
        return self.words[0] if self.words else ""


def parse(text: str, file: str = "") -> list[Directive]:
    """The directives of a file, without following ``include``. What is no nginx configuration gives what can be made of it.

    >>> [(d.name, d.words[1:]) for d in parse('a "b c"; server { listen 80; }')]
    [('a', ['b c']), ('server', [])]
    """
    top: list[Directive] = []
    stack, words = [top], []
    for match in _TOKEN.finditer(text):
        kind, value = match.lastgroup, match.group(match.lastgroup) if match.lastgroup else ""
        if kind != "mark":
            if kind:
                words.append(re.sub(r"\\(.)", r"\1", value) if kind != "word" else value)
        elif value == "}":
            words = []
            if len(stack) > 1:
                stack.pop()
        else:
            directive = Directive(words, file, [] if value == "{" else None)
            words = []
            if directive.words:
                stack[-1].append(directive)
            if directive.block is not None:
                stack.append(directive.block)
    return top


def load(path: str, prefix: str = "/etc/nginx", depth: int = 0) -> list[Directive]:
    """The directives of a file and of all that it includes. Files that cannot be read are passed over."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return _included(parse(handle.read(), path), prefix, depth)
    except OSError:
        return []


def _included(directives: t.Iterable[Directive], prefix: str, depth: int) -> list[Directive]:
    found: list[Directive] = []
    for directive in directives:
        if directive.name == "include" and len(directive.words) == 2 and depth < 10:
            for name in sorted(glob.glob(os.path.join(prefix, directive.words[1]))):
                found += load(name, prefix, depth + 1)
            continue
        if directive.block is not None:
            directive.block = _included(directive.block, prefix, depth)
        found.append(directive)
    return found


def blocks(directives: t.Iterable[Directive], *names: str) -> t.Iterator[Directive]:
    """The blocks at a path of names, such as ``blocks(tree, "http", "server")``."""
    for directive in directives:
        if directive.name == names[0] and directive.block is not None:
            if len(names) == 1:
                yield directive
            else:
                yield from blocks(directive.block, *names[1:])


def port_of(listen: str) -> int | None:
    """The port of the first word of ``listen``; None for a UNIX socket.

    >>> [port_of(word) for word in ("443", "[::]:443", "*:8443", "127.0.0.1", "[::1]", "unix:/run/x")]
    [443, 443, 8443, 80, 80, None]
    """
    if listen.startswith("unix:"):
        return None
    tail = listen.rpartition("]")[2] if listen.startswith("[") else listen
    number = tail.rpartition(":")[2]
    return int(number) if number.isdigit() else 80


def listeners(directives: t.Iterable[Directive], port: int, context: str = "http") -> list[str]:
    """The files with a server of ``http`` (or ``stream``) that listens on a port, in the order of their first one."""
    found: dict[str, None] = {}
    for server in blocks(directives, context, "server"):
        for directive in server.block or ():
            if directive.name == "listen" and len(directive.words) > 1 and port_of(directive.words[1]) == port:
                found[directive.file] = None
    return list(found)


def own_files(domain: str) -> tuple[str, ...]:
    """The files with servers that are ours."""
    return (f"/etc/nginx/sites-enabled/{domain}.conf", "/etc/nginx/modules-enabled/90-campus.jitsi.stream.conf", INCLUDED)


def sharing_problems(directives: t.Sequence[Directive], *, own: t.Collection[str], inner_port: int, stream_block: bool) -> list[str]:
    """What is in the way of a port 443 that is shared by name, one sentence each.

    :param own: files that are ours
    :param inner_port: where servers listen then, on loopback
    :param stream_block: whether we bring the ``stream`` block
    """
    found = []
    for file in listeners(directives, 443):
        if file not in own:
            found.append(f"{file} listens on port 443, which `nginx_meet_tls_routes` gives to nginx's `stream`: change its `listen` to "
                         f"`listen 127.0.0.1:{inner_port} ssl proxy_protocol`, or give the routes' server (TURN) a host of its own.")
    for file in listeners(directives, 443, "stream"):
        if file not in own:
            found.append(f"{file} has port 443 in a `stream` block, and so has `nginx_meet_tls_routes`: leave the port to one of them.")
    others = [file for file in dict.fromkeys(block.file for block in blocks(directives, "stream")) if file not in own]
    if stream_block:
        found += [f"{file} has a `stream` block, and nginx takes one only: put `include {os.path.dirname(INCLUDED)}/*.conf;` into it and set "
                  "`nginx_meet_stream_block: false`." for file in others]
    elif not others:
        found.append("`nginx_meet_stream_block` is false, and nothing in /etc/nginx has a `stream` block: leave the variable out.")
    return found
