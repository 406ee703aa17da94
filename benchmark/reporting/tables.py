"""A leaderboard in, a table for other programs out: blocks of the report, LaTeX, or CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from benchmark.core.text import csv_cell, escape_latex, number, sentence_latex
from benchmark.metrics.registry import Better, Column, distance
from benchmark.reporting.blocks import Block, Cell, Group, Head, Row, Table, Text
from benchmark.reporting.dialect import plain, with_code
from benchmark.reporting.leaderboard import Leaderboard, Score, Standing

LATEX_ARROWS: dict[Better, str] = {
    "lower": r"$\downarrow$",
    "higher": r"$\uparrow$",
    "zero": r"$\to 0$",
    "one": r"$\to 1$",
}
LATEX_RANKS = {1: r"\textbf{%s}", 2: r"\underline{%s}"}
GROUP_TITLES = {"variant": "", "baseline": "baselines, ranked apart", "oracle": ""}
"""Rows of a table by the kind of their method."""
VERDICT_KINDS = {"✓": "better", "✗": "worse", "≈": "inconclusive"}


def leaderboard_blocks(board: Leaderboard) -> list[Block]:
    """Return a leaderboard as a table without intervals, and what must be said with it."""
    heads = [Head("method", True), Head("verdict", True)]
    heads += [Head(column.name, better=column.better) for column in board.columns]
    groups = [
        Group(
            [leaderboard_row(row, board.columns) for row in board.rows if row.kind == kind], title
        )
        for kind, title in GROUP_TITLES.items()
    ]
    notes = [Text(f"— {with_code(note)}", "notes") for note in board.footnotes]
    return [Table(board.caption, heads, groups), Text(plain(board.caption), "notes"), *notes]


def leaderboard_row(row: Standing, columns: Sequence[Column]) -> Row:
    """Return a method with its verdict and scores, without intervals."""
    scores = [score_cell(row.scores[c.name], c, interval=False) for c in columns]
    return Row([Cell(row.method), verdict_cell(row.verdict), *scores])


def score_cell(score: Score, column: Column, interval: bool = True) -> Cell:
    """Return a number with its spread and, on request, its interval."""
    text = number(score.value, column.decimals, score.spread)
    if math.isnan(score.value):
        return Cell(text, note=score.reason)
    key = score.value
    if column.better in ("zero", "one"):
        key = distance(key, column.better)
    more = []
    if interval and score.interval is not None:
        more = [f"[{', '.join(number(end, column.decimals) for end in score.interval)}]"]
    return Cell(text, more, score.rank, key)


def verdict_cell(verdict: str) -> Cell:
    """Return the verdict on a variant, which begins with a sign."""
    return Cell(verdict, kind=VERDICT_KINDS.get(verdict[:1], ""))


def latex_table(board: Leaderboard) -> str:
    """Return a leaderboard as LaTeX without packages: best bold, second underlined."""
    heads = ["method", "verdict"]
    heads += [f"{escape_latex(c.name)} {LATEX_ARROWS[c.better]}" for c in board.columns]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(board.caption)}}}",
        rf"\label{{tab:{board.label}}}",
        rf"\begin{{tabular}}{{ll{'r' * len(board.columns)}}}",
        r"\hline",
        " & ".join(heads) + r" \\",
        r"\hline",
    ]
    for row, after in pairwise([*board.rows, None]):
        assert row is not None
        lines.append(_latex_row(row, board.columns))
        if row.kind == "variant" and after is not None and after.kind != "variant":
            lines.append(r"\hline")
    lines += [r"\hline", r"\end{tabular}"]
    lines += [rf"\par\footnotesize --- {sentence_latex(note)}" for note in board.footnotes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _latex_row(row: Standing, columns: Sequence[Column]) -> str:
    cells = [escape_latex(row.method), escape_latex(row.verdict)]
    for column in columns:
        score = row.scores[column.name]
        text = escape_latex(number(score.value, column.decimals, score.spread))
        cells.append(LATEX_RANKS.get(score.rank or 0, "%s") % text)
    return " & ".join(cells) + r" \\"


def csv_table(board: Leaderboard) -> str:
    """Return a leaderboard as CSV: rounded to six decimals, empty where a metric is missing."""
    names = [column.name for column in board.columns]
    rows: list[list[str | float]] = []
    for row in board.rows:
        values = [row.scores[name].value for name in names]
        values += [row.scores[name].spread for name in names]
        rows.append([row.method, row.kind, row.verdict, *values])
    heads = ["method", "kind", "verdict", *names, *(f"{name}_sd" for name in names)]
    return csv_text([heads, *rows], decimals=6)


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
        return csv_cell(cell)
    if isinstance(cell, bool):
        return str(cell)
    if math.isnan(cell):
        return ""
    # + 0.0 turns -0.0 into 0.0.
    return f"{cell:.7g}" if decimals is None else f"{round(cell, decimals) + 0.0:.{decimals}f}"
