"""Whatever stdout and stderr are → streams on which everything that we print can be shown."""

import codecs
import io
import os
import sys
from pathlib import Path

PLAIN = {
    "↑": "^", "↓": "v", "→": ">", "✓": "+", "✗": "x", "≈": "~", "≠": "!", "·": "-", "…": "...",
    "—": "-", "\u2013": "-", "±": "+-", "\xd7": "x", "∞": "inf", "“": '"', "”": '"',
}  # fmt: skip
"""What stands for a sign where the terminal has it not, such as in ASCII or cp1252."""


def prepare_streams() -> None:
    """Let printing never fail for what a stream cannot show, or for a stream that is not there."""
    codecs.register_error("plain", _in_plain)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us, as a service manager may
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _in_plain(error: UnicodeError) -> tuple[str, int]:
    """Return signs that stand for those that cannot be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, ascii(sign)[1:-1]) for sign in signs), error.end
