"""Numbers and words in, text for readers as Markdown and CSV out."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence

from data.errors import printable

_FORMULA = ("=", "+", "-", "@", "\t", "'")
"""What a spreadsheet takes for the begin of a formula, and the mark of text that is none."""


def text_cell(text: str) -> str:
    """Return text as a cell of a CSV file that no spreadsheet takes for a formula.

    Where it looks like one, it has a `'` before it, as is usual.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def one_line(text: str) -> str:
    """Return text on one line, with single spaces and without characters that cannot be seen."""
    return printable(" ".join(text.split()))


def escape_markdown(text: str) -> str:
    """Return text as Markdown that prints it, inside a table and at the start of a line too."""
    return not_a_block(escape_inline(one_line(text)))


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


def markdown_row(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table whose cells are Markdown."""
    return f"| {' | '.join(cells)} |"


def number(value: float, decimals: int, spread: float = math.nan) -> str:
    """Return a number as printed, with its spread where there is one; a dash where missing."""
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{round(value, decimals) + 0.0:,.{decimals}f}"  # + 0.0 turns -0.0 into 0.0
    return text if math.isnan(spread) else f"{text} ± {spread:.{decimals}f}"


def p_text(p: float) -> str:
    """Return a p value as printed."""
    return "< .0001" if p < 1e-4 else f"{p:.4f}"


def csv_text(rows: Iterable[Sequence[str | float]], decimals: int | None = None) -> str:
    """Return rows as CSV: no text is a formula, and a number that is missing is empty.

    Args:
        rows: text and numbers.
        decimals: of the numbers; without it, they have seven significant digits.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_csv_cell(cell, decimals) for cell in row] for row in rows)
    return stream.getvalue()


def _csv_cell(cell: str | float, decimals: int | None) -> str:
    if isinstance(cell, str):
        return text_cell(one_line(cell))
    if isinstance(cell, bool):
        return str(cell)
    if math.isnan(cell):
        return ""
    # + 0.0 turns -0.0 into 0.0.
    return f"{cell:.7g}" if decimals is None else f"{round(cell, decimals) + 0.0:.{decimals}f}"
