"""Result tables as LaTeX, Markdown and CSV: finished numbers in, text out.

Variants are ranked among themselves; baselines stand below a rule, ranked apart; the oracle is not
ranked. Ranks are those of the printed values, so that what looks equal ranks alike.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.core.text import (
    _bar,
    csv_cell,
    escape_latex,
    escape_markdown,
    number,
    sentence_latex,
    sentence_markdown,
)
from benchmark.metrics.registry import ARROWS, Better, Column, distance

Kind = Literal["variant", "baseline", "oracle"]

LATEX_ARROWS: dict[Better, str] = {
    "lower": r"$\downarrow$",
    "higher": r"$\uparrow$",
    "zero": r"$\to 0$",
    "one": r"$\to 1$",
}


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


def ranks(values: Sequence[float], column: Column) -> list[int | None]:
    """Rank values from 1, the best; equal ones alike and without a gap after them, NaN not at all.

    Values are rounded to the column's decimals first.
    """
    far = [distance(round(value, column.decimals), column.better) for value in values]
    # Logarithms of 1.25 and 0.8 differ in the last bit.
    far = [round(item, 12) for item in far]
    order = sorted({item for item in far if not math.isnan(item)})
    return [None if math.isnan(item) else order.index(item) + 1 for item in far]


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
