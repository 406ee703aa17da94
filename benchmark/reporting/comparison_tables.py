"""Comparisons as tables: between variants, and how sure a rank is."""

import csv
import io
from collections.abc import Iterable
from statistics import stdev

from benchmark.core.text import csv_cell, escape_markdown, grid_markdown, p_text, sentence_markdown
from benchmark.evaluation.results import Results
from benchmark.reporting.leaderboard import Words, chances_of_best, resamples_seeds, seed_means
from benchmark.stats.bootstrap import REPLICATES
from benchmark.stats.comparison import METRIC, Comparison, is_more_better
from benchmark.versions.tolerances import COMMAND, read_tolerances

HEADS = (
    *("comparison", "verdict", "difference [95 % interval]", "p (Holm)", "p (sign flips)"),
    *("p (Wilcoxon)", "better on", "images", "seeds"),
)
MEASURED = f"as `{COMMAND}` measured it with these settings"
COLUMNS = (
    *("method", "reference", "metric", "verdict", "difference", "low", "high", "p", "p_adjusted"),
    *("wilcoxon_p", "permutation_p", "improvement", "images", "seeds", "margin"),
)


def comparison_section(results: Results, words: Words) -> str:
    """Return how variants compare with each other, how sure ranks are, and what seeds change."""
    blocks = []
    if words.between:
        wanted = "positive" if is_more_better(METRIC) else "negative"
        blocks += [
            "### Between the variants",
            grid_markdown(
                HEADS, [comparison_row(c) for c in words.between], text_columns=3
            ).strip(),
            f"Paired differences in {escape_markdown(METRIC)}, on the same images and holes and "
            f"with the same seeds; {wanted} is better for the first. The interval is for one "
            "comparison; p (Holm) is that of the interval's distribution, adjusted for the number "
            "of rows, and decides the verdict. Sign flips and Wilcoxon test over images alone. "
            "*Better on*: the share of images on which the first is better, ties by half.",
        ]
    blocks += [sentence_markdown(chances_text(results, words)), _seed_spread(results)]
    return "\n\n".join(blocks)


def chances_text(results: Results, words: Words) -> str:
    """Say how sure the first rank is."""
    chances = chances_of_best(results)
    order = sorted(chances, key=lambda name: (-chances[name], words.means[name], name))
    listed = ", ".join(f"`{n}` {100 * chances[n]:.1f} %" for n in order if chances[n] > 0)
    what = "images and training seeds" if resamples_seeds(results) else "images"
    return (
        f"How often each method has the best mean {METRIC} when {what} are resampled "
        f"{REPLICATES:,} times: {listed}."
    )


def comparison_row(comparison: Comparison) -> list[str]:
    """Return the cells of `HEADS`."""
    ends = (comparison.difference, comparison.low, comparison.high)
    difference, low, high = (f"{round(value, 5) + 0.0:+.5f}" for value in ends)
    return [
        f"{comparison.method} - {comparison.reference}",
        comparison.verdict,
        f"{difference} [{low}, {high}]",
        *map(p_text, (comparison.p_adjusted, comparison.permutation_p, comparison.wilcoxon_p)),
        f"{100 * comparison.improvement:.0f} %",
        str(comparison.images),
        str(comparison.seeds),
    ]


def _seed_spread(results: Results) -> str:
    """Say what the choice of the training seed changes, apart from what the images change."""
    spreads = [
        (name, (stdev(means), len(means)))
        for name in results.variants
        if len(means := [m for m in seed_means(results, name, METRIC) if m is not None]) > 1
    ]
    where = "" if spreads else f", {MEASURED}"
    spreads = spreads or _measured_spreads(results)
    if not spreads:
        return "What another training seed changes is not known: there is one seed."
    listed = ", ".join(f"`{n}` {spread:.5f} ({count} seeds)" for n, (spread, count) in spreads)
    metric = escape_markdown(METRIC)
    return f"Standard deviation of the mean {metric} between seeds{where}: {listed}."


def _measured_spreads(results: Results) -> list[tuple[str, tuple[float, int]]]:
    """Return the spreads that were measured with the settings and images of these results."""
    found = []
    tolerances, suite = read_tolerances(), results.suite.name
    for variant, measured in tolerances.suite(suite).measured.items():
        origins = [
            origin.provenance["training"]
            for (name, _), origin in results.origins.items()
            if name == variant
        ]
        sd = tolerances.seed_sd(suite, variant, METRIC, origins)
        if sd is not None:
            found.append((variant, (sd, len(measured.seeds))))
    return found


def comparisons_csv(comparisons: Iterable[Comparison]) -> str:
    """Return one line for each comparison, with all that is known of it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for comparison in comparisons:
        writer.writerow([_cell(getattr(comparison, name)) for name in COLUMNS])
    return stream.getvalue()


def _cell(value: str | int | float) -> str:
    return csv_cell(value) if isinstance(value, str) else f"{value:.7g}"
