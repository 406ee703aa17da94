"""Numbers and words in, text for readers and CSV out."""

import csv
import io
import math
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
