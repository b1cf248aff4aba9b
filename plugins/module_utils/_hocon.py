# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading HOCON on a managed host, with ruby-hocon, which Jitsi's packages depend on."""

from __future__ import annotations

import glob
import json
import typing as t
import zipfile

#: Reads {"candidate": text, "references": [text, ...]} and prints {"candidate": data or "error": text, "reference": data}.
_READ = r"""
require "json"
require "hocon"
require "hocon/config_factory"
asked = JSON.parse(STDIN.read)
answer = {}
begin
  answer["candidate"] = Hocon::ConfigFactory.parse_string(asked["candidate"]).resolve.root.unwrapped
rescue => error
  answer["error"] = error.message
end
def keys(value)
  return nil unless value.is_a?(Hocon::Impl::AbstractConfigObject)
  value.key_set.map { |key| [key, keys(value.attempt_peek_with_partial_resolve(key))] }.to_h
rescue
  nil
end
parsed = asked["references"].map { |text| Hocon::ConfigFactory.parse_string(text) rescue nil }.compact
unless parsed.empty?
  merged = parsed.reduce { |one, other| one.with_fallback(other) }
  # What a program fills in at run time cannot be resolved here; the names are there all the same.
  answer["reference"] = begin merged.resolve.root.unwrapped rescue keys(merged.root) end
end
puts JSON.generate(answer)
"""


class HoconError(Exception):
    """The text is no HOCON, or there is nothing to read it with; the message is one sentence."""


def read(run_command: t.Callable[..., tuple[int, str, str]], text: str, references: t.Sequence[str] = ()) -> tuple[t.Any, t.Any]:
    """``(data, reference)``: what ``text`` says, and the reference files merged (None without any).

    :param run_command: AnsibleModule.run_command
    :raises HoconError: the text is refused, or Ruby or ruby-hocon is missing
    """
    question = json.dumps({"candidate": text, "references": list(references)})
    try:
        # The question may hold secrets: it goes through standard input.
        code, out, err = run_command(["ruby", "-e", _READ], data=question, environ_update={"LC_ALL": "C.UTF-8"})
    except (OSError, ValueError) as error:
        raise HoconError(f"no Ruby on this host to read HOCON with ({error})") from error
    try:
        answer = json.loads(out)
    except ValueError:
        raise HoconError(f"ruby-hocon could not run ({code}): {err.strip()[-300:]}") from None
    if "error" in answer:
        raise HoconError(f"is no HOCON: {answer['error']}")
    return answer["candidate"], answer.get("reference")


def references(jars: t.Iterable[str]) -> list[str]:
    """The ``application.conf`` and ``reference.conf`` of these jars (paths or patterns), in the order they are given."""
    found: list[str] = []
    for pattern in jars:
        for name in sorted(glob.glob(pattern)):
            with zipfile.ZipFile(name) as jar:
                names = set(jar.namelist())
                found += [jar.read(entry).decode() for entry in ("application.conf", "reference.conf") if entry in names]
    return found
