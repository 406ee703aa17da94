"""Standings of methods -> tables of their scores: heads, rows and cells."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from benchmark.core.text import number
from benchmark.metrics.registry import Column, distance
from benchmark.reporting.blocks import Cell, Group, Head, Row, Table
from benchmark.reporting.figures.style import BASELINE, Style
from benchmark.reporting.figures.svg import swatch
from benchmark.reporting.leaderboard import Score, Standing

VERDICT_KINDS = {"✓": "better", "✗": "worse", "≈": "inconclusive"}


def scores_table(
    title: str,
    rows: Sequence[Standing],
    columns: Sequence[Column],
    styles: Mapping[str, Style] | None = None,
) -> Table:
    """Return rows as a table with a group for each kind of method; see `score_rows`."""
    groups = [
        Group(
            score_rows([*same], columns, styles),
            "baselines, ranked apart" if kind == "baseline" else "",
            f"{kind}s",
        )
        for kind, same in groupby(rows, key=attrgetter("kind"))
    ]
    return Table(title, score_heads(columns), groups, "" if styles is None else "scores")


def score_heads(columns: Sequence[Column]) -> list[Head]:
    """Return the heads of a table of scores."""
    heads = [Head(column.name, better=column.better) for column in columns]
    return [Head("method", is_text=True), Head("verdict", is_text=True), *heads]


def score_rows(
    rows: Sequence[Standing],
    columns: Sequence[Column],
    styles: Mapping[str, Style] | None = None,
) -> list[Row]:
    """Return each method with its verdict and scores.

    Args:
        rows: the methods.
        columns: the scores that are shown.
        styles: of the variants in charts; with them, rows have their marks, and scores intervals.
    """
    shown = []
    for row in rows:
        mark = "" if styles is None else swatch(styles.get(row.method, BASELINE))
        name = Cell(row.method, key=row.method, mark=mark)
        scores = [_score_cell(row.scores[c.name], c, styles is not None) for c in columns]
        shown.append(Row([name, verdict_cell(row.verdict), *scores]))
    return shown


def verdict_cell(verdict: str) -> Cell:
    """Return the verdict on a variant, which begins with a sign."""
    return Cell(verdict, kind=VERDICT_KINDS.get(verdict[:1], ""))


def _score_cell(score: Score, column: Column, has_interval: bool) -> Cell:
    text = number(score.value, column.decimals, score.spread)
    if math.isnan(score.value):
        return Cell(text, note=score.reason)
    is_ideal = column.better in ("zero", "one")
    key = distance(score.value, column.better) if is_ideal else score.value
    more = []
    if has_interval and score.interval is not None:
        more = [f"[{', '.join(number(end, column.decimals) for end in score.interval)}]"]
    return Cell(text, more, score.rank, key)
