"""Result tables as LaTeX, Markdown and CSV: finished numbers in, text out.

Variants are ranked among themselves; baselines stand below a rule, ranked apart; the oracle is not
ranked. Ranks are those of the printed values, so that what looks equal ranks alike.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.ledger import text_cell
from data.errors import printable

Better = Literal["lower", "higher", "zero", "one"]
Kind = Literal["variant", "baseline", "oracle"]

ARROWS: dict[Better, str] = {"lower": "↓", "higher": "↑", "zero": "→0", "one": "→1"}
LATEX_ARROWS: dict[Better, str] = {
    "lower": r"$\downarrow$",
    "higher": r"$\uparrow$",
    "zero": r"$\to 0$",
    "one": r"$\to 1$",
}
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


@dataclass(frozen=True)
class Column:
    """A metric as a column."""

    name: str
    better: Better
    decimals: int = 4


@dataclass(frozen=True)
class Row:
    """A method as a row; a metric that is absent or NaN is missing."""

    method: str
    kind: Kind
    values: Mapping[str, float]
    spread: Mapping[str, float]
    """Standard deviation between training seeds, where there are several."""
    verdict: str = ""


@dataclass(frozen=True)
class Table:
    """A suite's results: rows in printed order, and what must be said with them."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str
    label: str
    footnotes: Sequence[str] = ()


def distance(value: float, better: Better) -> float:
    """Return how far a value is from ideal, to sort by; for `one`, half is as far as double."""
    if better == "lower":
        return value
    if better == "higher":
        return -value
    if better == "zero":
        return abs(value)
    return abs(math.log(value)) if value > 0 else math.inf


def ranks(values: Sequence[float], column: Column) -> list[int | None]:
    """Rank values from 1, the best; equal ones alike and without a gap after them, NaN not at all.

    Values are rounded to the column's decimals first.
    """
    far = [distance(round(value, column.decimals), column.better) for value in values]
    # Logarithms of 1.25 and 0.8 differ in the last bit.
    far = [round(item, 12) for item in far]
    order = sorted({item for item in far if not math.isnan(item)})
    return [None if math.isnan(item) else order.index(item) + 1 for item in far]


def escape_latex(text: str) -> str:
    """Return text as LaTeX that prints it."""
    return _latex(one_line(text))


def _latex(text: str) -> str:
    apart = re.sub("-(?=-)", "-\0", text)  # two hyphens would be a dash
    return "".join(LATEX_CHARACTERS.get(c, c) for c in apart).replace("\0", "{}")


def escape_markdown(text: str) -> str:
    """Return text as Markdown that prints it, inside a table and at the start of a line too."""
    return _not_a_block(_not_inline(one_line(text)))


def sentence_markdown(text: str) -> str:
    """Return a sentence of ours as Markdown that prints it; what is between backticks is code."""
    parts = one_line(text).split("`")
    if len(parts) % 2 == 0 or any(not code.strip() or "|" in code for code in parts[1::2]):
        return escape_markdown(text)
    shown = [f"`{part}`" if i % 2 else _not_inline(part) for i, part in enumerate(parts)]
    return _not_a_block("".join(shown))


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


def _not_inline(text: str) -> str:
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]#|~$@" else c for c in text)
    # What begins like an address would become a link by itself.
    escaped = re.sub(r"(?i)(https?|ftp)(?=://)|\bwww(?=\.)", r"\g<0>\\", escaped)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _not_a_block(text: str) -> str:
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


def markdown_table(table: Table) -> str:
    """Return the table as GitHub's Markdown: best bold, second underlined, footnotes below."""
    heads = ["method", "verdict"]
    heads += [f"{escape_markdown(c.name)} {ARROWS[c.better]}" for c in table.columns]
    lines = [_bar(heads), _bar(["---", "---", *["---:"] * len(table.columns)])]
    previous: Kind | None = None
    styles = {1: lambda text: f"**{text}**", 2: lambda text: f"<ins>{text}</ins>"}
    for row, cells in zip(table.rows, _cells(table, escape_markdown, styles), strict=True):
        if previous == "variant" and row.kind != "variant":
            # Markdown has no rule inside a table.
            lines.append(_bar(["*baselines, ranked apart*", *[""] * (len(table.columns) + 1)]))
        previous = row.kind
        lines.append(_bar(cells))
    notes = [f"— {sentence_markdown(note)}" for note in table.footnotes]
    return "\n\n".join(["\n".join(lines), escape_markdown(table.caption), *notes]) + "\n"


def latex_table(table: Table) -> str:
    """Return the table as LaTeX without packages: best bold, second underlined, footnotes below."""
    heads = ["method", "verdict"]
    heads += [f"{escape_latex(c.name)} {LATEX_ARROWS[c.better]}" for c in table.columns]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.caption)}}}",
        rf"\label{{tab:{table.label}}}",
        rf"\begin{{tabular}}{{ll{'r' * len(table.columns)}}}",
        r"\hline",
        " & ".join(heads) + r" \\",
        r"\hline",
    ]
    previous: Kind | None = None
    styles = {1: lambda text: rf"\textbf{{{text}}}", 2: lambda text: rf"\underline{{{text}}}"}
    for row, cells in zip(table.rows, _cells(table, escape_latex, styles), strict=True):
        if previous == "variant" and row.kind != "variant":
            lines.append(r"\hline")
        previous = row.kind
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\hline", r"\end{tabular}"]
    lines += [rf"\par\footnotesize --- {sentence_latex(note)}" for note in table.footnotes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def csv_table(table: Table) -> str:
    """Return the table as CSV: rounded to six decimals, empty where a metric is missing."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [column.name for column in table.columns]
    heads = [*names, *[f"{name}_sd" for name in names]]
    writer.writerow(["method", "kind", "verdict", *map(csv_cell, heads)])
    for row in table.rows:
        numbers = [source.get(n, math.nan) for source in (row.values, row.spread) for n in names]
        plain = ["" if math.isnan(v) else f"{round(v, 6) + 0.0:.6f}" for v in numbers]
        writer.writerow([csv_cell(row.method), row.kind, csv_cell(row.verdict), *plain])
    return stream.getvalue()


def grid_markdown(
    heads: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1
) -> str:
    """Return plain text cells as a Markdown table, the first columns to the left."""
    lines = [_bar([escape_markdown(cell) for cell in row]) for row in (heads, *rows)]
    lines.insert(1, _bar(["---"] * text_columns + ["---:"] * (len(heads) - text_columns)))
    return "\n".join(lines) + "\n"


def _cells(
    table: Table, escape: Callable[[str], str], styles: Mapping[int, Callable[[str], str]]
) -> list[list[str]]:
    """Return the printed cells of every row, the best two of each kind in their style."""
    cells = [[escape(row.method), escape(row.verdict)] for row in table.rows]
    for column in table.columns:
        for kind in ("variant", "baseline", "oracle"):
            chosen = [i for i, row in enumerate(table.rows) if row.kind == kind]
            values = [table.rows[i].values.get(column.name, math.nan) for i in chosen]
            for i, value, rank in zip(chosen, values, ranks(values, column), strict=True):
                spread = table.rows[i].spread.get(column.name, math.nan)
                text = escape(number(value, column.decimals, spread))
                style = styles.get(rank or 0) if kind != "oracle" else None
                cells[i].append(style(text) if style else text)
    return cells


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
