"""Text in a small dialect in, its parts out: `code`, **strong** and [links](target).

A backslash takes the meaning from the character after it. Words that are not our own go through
`plain`, or `with_code`.
"""

import re
from itertools import groupby
from typing import Literal, NamedTuple

from benchmark.core.text import one_line

# A target is an anchor or a file of the repository: it has no scheme that a browser would run.
_TOKEN = re.compile(
    r"\\(?P<escaped>.)|`(?P<code>[^`]+)`|\*\*(?P<strong>(?:\\.|[^*\\])+)\*\*"
    r"|\[(?P<label>(?:\\.|[^\]\\])+)\]\((?P<target>(?!/)[\w#./-]+)\)"
)


class Part(NamedTuple):
    """A piece of a text."""

    kind: Literal["plain", "code", "strong", "link"]
    text: str
    target: str = ""
    """Of a link: `#<name of a section>`, or a file relative to `reports/`."""


def plain(text: str) -> str:
    """Return any text so that the dialect shows it as it is, on one line."""
    return _protected(one_line(text))


def with_code(text: str) -> str:
    """Return a message of a program so that the dialect shows it; what is in backticks is code."""
    parts = one_line(text).split("`")
    if len(parts) % 2 == 0 or any(not code.strip() or "|" in code for code in parts[1::2]):
        return plain(text)
    return "`".join(part if i % 2 else _protected(part) for i, part in enumerate(parts))


def _protected(text: str) -> str:
    return re.sub(r"([\\`*\[\]])", r"\\\1", text)


def parse(text: str) -> list[Part]:
    """Return the parts of a text in the dialect; neighboring plain ones are one."""
    text, place = " ".join(text.split()), 0
    found = []
    for token in _TOKEN.finditer(text):
        found += [Part("plain", text[place : token.start()]), _part(token)]
        place = token.end()
    found.append(Part("plain", text[place:]))
    parts: list[Part] = []
    shown = (part for part in found if part.text)
    for is_plain, same in groupby(shown, key=lambda part: part.kind == "plain"):
        listed = [*same]
        parts += [Part("plain", "".join(p.text for p in listed))] if is_plain else listed
    return parts


def _part(token: re.Match[str]) -> Part:
    match token.lastgroup:
        case "escaped":
            return Part("plain", token["escaped"])
        case "code":
            return Part("code", token["code"])
        case "strong":
            return Part("strong", _unescaped(token["strong"]))
    return Part("link", _unescaped(token["label"]), token["target"])


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
