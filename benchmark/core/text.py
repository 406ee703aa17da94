"""Text for readers: numbers and words as Markdown, LaTeX or CSV, never taken for markup."""

import math
import re
from collections.abc import Sequence

from data.errors import printable

_FORMULA = ("=", "+", "-", "@", "\t", "'")
"""What a spreadsheet takes for the begin of a formula, and the mark of text that is none."""


def text_cell(text: str) -> str:
    """Return text as a cell of a CSV file that no spreadsheet takes for a formula.

    Where it looks like one, it has a `'` before it, as is usual.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


LATEX_CHARACTERS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # else an option of the line end before it
    "]": "{]}",
    "*": "{*}",
    "✗": r"$\times$",
    "✓": r"$+$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "—": "---",
}


def escape_latex(text: str) -> str:
    """Return text as LaTeX that prints it."""
    return _latex(one_line(text))


def _latex(text: str) -> str:
    apart = re.sub("-(?=-)", "-\0", text)  # two hyphens would be a dash
    return "".join(LATEX_CHARACTERS.get(c, c) for c in apart).replace("\0", "{}")


def escape_markdown(text: str) -> str:
    """Return text as Markdown that prints it, inside a table and at the start of a line too."""
    return not_a_block(escape_inline(one_line(text)))


def sentence_latex(text: str) -> str:
    """Return a sentence of ours as LaTeX that prints it; what is between backticks is code."""
    parts = one_line(text).split("`")
    if len(parts) % 2 == 0:
        return escape_latex(text)
    shown = [rf"\texttt{{{_latex(p)}}}" if i % 2 else _latex(p) for i, p in enumerate(parts)]
    return "".join(shown)


def one_line(text: str) -> str:
    """Return text on one line, with single spaces and without characters that cannot be seen."""
    return printable(" ".join(text.split()))


def escape_inline(text: str) -> str:
    """Return text as Markdown that prints it, within a line; see `not_a_block`."""
    text = printable(text)
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]#|~$@" else c for c in text)
    # What begins like an address would become a link by itself.
    escaped = re.sub(r"(?i)(https?|ftp)(?=://)|\bwww(?=\.)", r"\g<0>\\", escaped)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def not_a_block(text: str) -> str:
    """Return inline Markdown that is neither an entry of a list nor a rule where a line begins."""
    text = re.sub(r"^([-+=])(?=[-+=\s]|$)", r"\\\1", text)
    return re.sub(r"^([0-9]{1,9})([.)])(?=\s|$)", r"\1\\\2", text)


def csv_cell(text: str) -> str:
    """Return text as a cell of a CSV file that is one line, and no formula."""
    return text_cell(one_line(text))


def number(value: float, decimals: int, spread: float = math.nan) -> str:
    """Return a number as printed, with its spread where there is one; a dash where missing."""
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0 turns -0.0 into 0.0
    return text if math.isnan(spread) else f"{text} ± {spread:.{decimals}f}"


def grid_markdown(
    heads: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1
) -> str:
    """Return plain text cells as a Markdown table, the first columns to the left."""
    lines = [_bar([escape_markdown(cell) for cell in row]) for row in (heads, *rows)]
    lines.insert(1, _bar(["---"] * text_columns + ["---:"] * (len(heads) - text_columns)))
    return "\n".join(lines) + "\n"


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def p_text(p: float) -> str:
    """Return a p value as printed."""
    return "< .0001" if p < 1e-4 else f"{p:.4f}"
