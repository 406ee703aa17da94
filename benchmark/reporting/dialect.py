"""Text in a small dialect in, its parts out: `code`, **strong** and [links](target).

A backslash takes the meaning from the character after it. Words that are not our own go through
`plain`, or `with_code`.
"""

import re
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
    """Return the parts of a text in the dialect; neighbouring plain ones are one."""
    text, parts, place = " ".join(text.split()), [Part("plain", "")], 0
    for token in _TOKEN.finditer(text):
        _append(parts, Part("plain", text[place : token.start()]))
        place = token.end()
        found = token.groupdict()
        if found["escaped"]:
            _append(parts, Part("plain", found["escaped"]))
        elif found["code"]:
            _append(parts, Part("code", found["code"]))
        elif found["strong"]:
            _append(parts, Part("strong", _unescaped(found["strong"])))
        else:
            _append(parts, Part("link", _unescaped(found["label"]), found["target"]))
    _append(parts, Part("plain", text[place:]))
    return [part for part in parts if part.text]


def _append(parts: list[Part], part: Part) -> None:
    if part.kind == parts[-1].kind == "plain":
        parts[-1] = Part("plain", parts[-1].text + part.text)
    else:
        parts.append(part)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
