"""Results of a suite → its tables of scores: rows with ranks and verdicts, heads and cells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from operator import attrgetter
from statistics import stdev
from typing import Literal

from benchmark.core.text import number
from benchmark.evaluation.results import SKILL, Results, mean_intervals, mean_of, seed_means
from benchmark.evaluation.score_table import PSNR_MEDIAN, PSNR_POOLED, Summary
from benchmark.metrics import METRICS, PROTOCOL
from benchmark.metrics.registry import HEADLINE, Column, distance
from benchmark.reporting.blocks import Cell, Group, Head, Row, Table
from benchmark.reporting.figures.style import BASELINE, Style
from benchmark.reporting.figures.svg import swatch
from benchmark.reporting.verdicts import Verdicts
from benchmark.stats.comparison import ORACLE

Kind = Literal["variant", "baseline", "oracle"]
DECIMALS = {"dB": 2, "%": 2}
"""By unit; metrics without a unit have four."""
VERDICT_KINDS = {"✓": "better", "✗": "worse", "≈": "inconclusive"}
ABSENT: Summary = {"mean": None, "infinite": 0, "missing": "not measured"}


@dataclass(frozen=True)
class Score:
    """A number of the table, or why there is none."""

    value: float
    """NaN where it is missing, infinite where the score of every image is."""
    interval: tuple[float, float] | None = None
    """Of 95 %, of the mean."""
    spread: float = math.nan
    """Standard deviation between training seeds, where there are several."""
    reason: str = ""
    """Why it is missing."""
    rank: int | None = None
    """From 1, among the methods of its kind."""


@dataclass(frozen=True)
class Standing:
    """A method as a row: its scores by metric."""

    method: str
    kind: Kind
    scores: Mapping[str, Score]
    verdict: str = ""


@dataclass(frozen=True)
class Leaderboard:
    """A suite's results: rows in printed order, and what must be said with them."""

    columns: Sequence[Column]
    rows: Sequence[Standing]
    caption: str
    label: str
    footnotes: Sequence[str] = ()


def leaderboard(results: Results, verdicts: Verdicts) -> Leaderboard:
    """Return a suite's table of headline metrics."""
    derived = [Column(PSNR_MEDIAN, "higher", 2), Column(PSNR_POOLED, "higher", 2)]
    columns = [*columns_of(HEADLINE), *derived, Column(SKILL, "higher", 3)]
    several = " ± is the standard deviation between seeds." if len(results.seeds) > 1 else ""
    return Leaderboard(
        columns=columns,
        rows=standings(results, verdicts, columns),
        caption=(
            f"{results.suite.title}: protocol {PROTOCOL}, N = {results.num_images} test images, "
            f"training seeds: {_seeds(results)}.{several}"
        ),
        label=results.suite.name,
        footnotes=_footnotes(results, columns),
    )


def columns_of(metrics: Sequence[str]) -> list[Column]:
    """Return metrics as columns."""
    found = [METRICS[name] for name in metrics]
    return [Column(m.name, m.better, DECIMALS.get(m.unit, 4)) for m in found]


def standings(results: Results, verdicts: Verdicts, columns: Sequence[Column]) -> list[Standing]:
    """Return a row for each method; variants and baselines are ranked apart, the oracle is not."""
    names = [column.name for column in columns]
    rows = []
    for method in results.methods:
        intervals = mean_intervals(results, method, names) if method != ORACLE else {}
        scores = {name: _score(results, method, name, intervals.get(name)) for name in names}
        kind, verdict = kind_of(results, method), verdicts.marker(method)
        rows.append(Standing(method, kind, scores, verdict))
    return ranked(rows, columns)


def ranked(rows: Sequence[Standing], columns: Sequence[Column]) -> list[Standing]:
    """Return rows with the ranks of their scores, by the printed values."""
    scores = {row.method: dict(row.scores) for row in rows}
    for column, kind in product(columns, ("variant", "baseline")):
        chosen = [scores[row.method] for row in rows if row.kind == kind]
        places = ranks([found[column.name].value for found in chosen], column)
        for found, place in zip(chosen, places, strict=True):
            found[column.name] = replace(found[column.name], rank=place)
    return [replace(row, scores=scores[row.method]) for row in rows]


def ranks(values: Sequence[float], column: Column) -> list[int | None]:
    """Rank values from 1, the best; equal ones alike and without a gap after them, NaN not at all.

    Values are rounded to the column's decimals first, so that what looks equal ranks alike.
    """
    far = [distance(round(value, column.decimals), column.better) for value in values]
    # Logarithms of 1.25 and 0.8 differ in the last bit.
    far = [round(item, 12) for item in far]
    order = sorted({item for item in far if not math.isnan(item)})
    return [None if math.isnan(item) else order.index(item) + 1 for item in far]


def _score(
    results: Results, method: str, metric: str, interval: tuple[float, float] | None
) -> Score:
    entry = results.aggregate[method].get(metric, ABSENT)
    mean = mean_of(entry)
    if entry["infinite"] == int((results.frame["method"] == method).sum()):
        return Score(math.inf)
    if mean is None:
        return Score(math.nan, reason=str(entry.get("missing", "")))
    return Score(mean, interval, _spread(results, method, metric))


def _spread(results: Results, method: str, metric: str) -> float:
    """Return the standard deviation between seeds, if there are several and all have a mean."""
    means = seed_means(results, method, metric)
    there = [mean for mean in means if mean is not None]
    return stdev(there) if len(there) == len(means) > 1 else math.nan


def _footnotes(results: Results, columns: Sequence[Column]) -> list[str]:
    """Say what is missing, and why."""
    cells = [*product(results.methods, (c.name for c in columns))]
    found = [(name, results.aggregate[m].get(name, ABSENT)) for m, name in cells]
    notes = {f"{name}: {entry['missing']}" for name, entry in found if "missing" in entry}
    for method, name in cells:
        seeds, means = results.seeds_of(method), seed_means(results, method, name)
        # Baselines have one mean and no seed.
        there = [str(s) for s, mean in zip(seeds, means, strict=False) if mean is not None]
        if 0 < len(there) < len(seeds):
            notes.add(f"{name} of {method}: the mean of seed {', '.join(there)} alone")
    refused = [f"{name} was not run: {why}" for name, why in sorted(results.refused.items())]
    return [*sorted(notes), *refused]


def kind_of(results: Results, method: str) -> Kind:
    """Return what kind of method this is."""
    if method in results.variants:
        return "variant"
    return "oracle" if method == ORACLE else "baseline"


def _seeds(results: Results) -> str:
    """Return the training seeds, and those of every variant that has not all of them."""
    listed = ", ".join(str(seed) for seed in results.seeds)
    fewer = [
        f"{name} {', '.join(str(seed) for seed in results.seeds_of(name))}"
        for name in results.variants
        if len(results.seeds_of(name)) < len(results.seeds)
    ]
    return f"{listed} (of {'; '.join(fewer)})" if fewer else listed


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
