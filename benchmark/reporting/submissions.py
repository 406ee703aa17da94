"""A comparison of submissions → lines for a terminal, Markdown, a page, and plain values."""

import math
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from benchmark.core.text import number, one_line, p_text
from benchmark.evaluation.results import mean_of
from benchmark.metrics import METRICS, PROTOCOL
from benchmark.metrics.registry import HEADLINE
from benchmark.reporting.blocks import (
    Block,
    Details,
    Figure,
    Figures,
    Section,
    Text,
    simple_table,
)
from benchmark.reporting.figures.forest import SIGNS, difference_text, forest_svg
from benchmark.reporting.figures.style import styles_of
from benchmark.reporting.html_page import html_page
from benchmark.reporting.markdown import markdown_page
from benchmark.reporting.tables import Kind, Score, Standing, columns_of, ranked, scores_table
from benchmark.reporting.verdicts import PERCEPTUAL, marker
from benchmark.stats.comparison import METRIC, Comparison, comparable_name
from benchmark.submissions.comparison import SubmissionComparison

TITLE = "Submissions compared"
HEADS = ("comparison", "verdict", "difference [95 % interval]", "p (Holm)", "better on", "images")
COVERAGE = (
    "Differences are paired by image, holes of an image averaged. Intervals cover the sampling of "
    "images; verdicts are provisional, as what another training of a method would change is not "
    "known. p values are adjusted over the comparisons of a metric."
)


def standings_of(found: SubmissionComparison) -> list[Standing]:
    """Return a row for each submission and baseline, the best submission first."""
    means = {name: mean_of(found.means[name][METRIC]) or 0.0 for name in found.means}
    strongest = min(found.baselines, key=lambda name: means[name], default="")
    rows = []
    for name in (*sorted(found.submissions, key=lambda n: means[n]), *found.baselines):
        scores = {}
        for metric in HEADLINE:
            mean = mean_of(found.means[name].get(metric))
            interval = found.intervals.get((name, metric))
            scores[metric] = Score(math.nan if mean is None else mean, interval)
        against = [
            c
            for c in found.comparisons[METRIC]
            if c.method == name and c.reference in found.baselines
        ]
        verdict = marker(against, strongest) if against else ""
        kind: Kind = "baseline" if name in found.baselines else "variant"
        rows.append(Standing(name, kind, scores, verdict))
    return ranked(rows, columns_of(HEADLINE))


def submissions_text(found: SubmissionComparison) -> str:
    """Return a comparison as lines for a terminal."""
    rows = standings_of(found)
    columns = columns_of(HEADLINE)
    heads = ["method", *(column.name for column in columns)]
    cells = [
        [row.method, *(number(row.scores[c.name].value, c.decimals) for c in columns)]
        for row in rows
    ]
    blocks = [_facts(found), tabulate(cells, heads, "plain", disable_numparse=True)]
    for metric in (METRIC, PERCEPTUAL):
        if compared := found.comparisons.get(metric):
            lines = [[one_line(cell) for cell in row] for row in map(_cells, compared)]
            table = tabulate(lines, HEADS, "plain", disable_numparse=True).replace("\n", "\n  ")
            blocks.append(f"{comparable_name(metric)}\n  {table}")
    return "\n\n".join([*blocks, COVERAGE]) + "\n"


def submissions_markdown(found: SubmissionComparison) -> str:
    """Return a comparison as Markdown."""
    return markdown_page(TITLE, _sections(found, with_figures=False))


def submissions_html(found: SubmissionComparison) -> str:
    """Return a comparison as a page for a browser, which needs no other file."""
    return html_page(TITLE, _sections(found, with_figures=True))


def _facts(found: SubmissionComparison) -> str:
    return f"Protocol {PROTOCOL}: {found.images} images, {found.holes} holes"


def _sections(found: SubmissionComparison, with_figures: bool) -> list[Section]:
    columns, styles = columns_of(HEADLINE), styles_of(found.submissions)
    board: list[Block] = [
        Text(f"{_facts(found)}. {COVERAGE}"),
        scores_table("Leaderboard", standings_of(found), columns, styles),
    ]
    parts: list[Block] = []
    for metric, compared in found.comparisons.items():
        if with_figures and compared:
            name = comparable_name(metric)
            svg = forest_svg(f"Submissions, {metric}", compared, styles, name)
            parts.append(Figures([Figure(f"{metric}.svg", svg, f"`{metric}`", metric)]))
        table = simple_table(metric, HEADS, [_cells(c) for c in compared], text_columns=3)
        parts.append(table if metric == METRIC else Details(metric, [table]))
    return [
        Section("Leaderboard", board, "leaderboard", "Leaderboard"),
        Section("Paired differences", parts, "paired-differences", "Paired differences"),
    ]


def _cells(comparison: Comparison) -> list[str]:
    return [
        f"{comparison.method} - {comparison.reference}",
        f"{SIGNS[comparison.verdict]} {comparison.verdict_text}",
        difference_text(comparison),
        p_text(comparison.p_adjusted),
        f"{100 * comparison.improvement:.0f} %",
        str(comparison.images),
    ]


def submissions_json(found: SubmissionComparison) -> dict[str, Any]:
    """Return everything that is known, as plain values; None for an end that is infinite."""
    return {
        "protocol": PROTOCOL,
        "images": found.images,
        "holes": found.holes,
        "methods": {
            name: {
                metric: {
                    "mean": mean_of(found.means[name].get(metric)),
                    "interval": _ends(found.intervals.get((name, metric))),
                }
                for metric in HEADLINE
                if metric in METRICS
            }
            for name in (*found.submissions, *found.baselines)
        },
        "comparisons": {
            metric: [_facts_of(comparison) for comparison in compared]
            for metric, compared in found.comparisons.items()
        },
    }


def _ends(interval: tuple[float, float] | None) -> list[float | None] | None:
    return None if interval is None else [end if math.isfinite(end) else None for end in interval]


def _facts_of(comparison: Comparison) -> dict[str, Any]:
    names: Sequence[str] = ("method", "reference", "verdict", "is_provisional", "images")
    numbers: Sequence[str] = (
        "difference",
        "low",
        "high",
        "p",
        "p_adjusted",
        "improvement",
        "margin",
    )
    facts = {name: getattr(comparison, name) for name in names}
    values = {name: float(f"{getattr(comparison, name):.7g}") for name in numbers}
    return facts | {name: v if math.isfinite(v) else None for name, v in values.items()}
