"""How variants compare with baselines and each other, and how sure the ranks are."""

from collections.abc import Callable, Iterable, Sequence
from statistics import stdev

from benchmark.core.text import csv_text, p_text
from benchmark.evaluation.results import Results, seed_means
from benchmark.metrics.registry import HEADLINE
from benchmark.reporting.blocks import (
    Block,
    Choice,
    Details,
    Figure,
    Figures,
    Section,
    Text,
    simple_table,
)
from benchmark.reporting.dialect import plain
from benchmark.reporting.figures.forest import SIGNS, difference_text, forest_svg
from benchmark.reporting.suite_report import SuiteReport
from benchmark.reporting.verdicts import (
    Verdicts,
    against_baselines,
    between_variants,
    chances_of_best,
    resamples_seeds,
)
from benchmark.stats.bootstrap import REPLICATES
from benchmark.stats.comparison import METRIC, Comparison, comparable_name, is_more_better
from benchmark.versions.tolerances import COMMAND

AGAINST, BETWEEN = "Against the baselines", "Between the variants"
HEADS = (
    *("comparison", "verdict", "difference [95 % interval]", "p (Holm)", "p (sign flips)"),
    *("p (Wilcoxon)", "better on", "images", "seeds"),
)
COLUMNS = (
    *("method", "reference", "metric", "verdict", "difference", "low", "high", "p", "p_adjusted"),
    *("wilcoxon_p", "permutation_p", "improvement", "images", "seeds", "margin", "is_provisional"),
)
MEASURED = f"as `{COMMAND}` measured it with these settings"


def section(suite: SuiteReport) -> Section | None:
    """Return forest plots of all headline metrics, and the numbers of the deciding one, folded."""
    if suite.verdicts.withheld:
        return None
    blocks: list[Block] = [
        Figures(_plots(suite)),
        Text(chances_text(suite.results, suite.verdicts), "notes"),
        Text(seeds_text(suite.results), "notes"),
        Details("All comparisons as numbers", _tables(suite.verdicts)),
    ]
    return Section("", blocks)


def _plots(suite: SuiteReport) -> list[Choice]:
    verdicts = suite.verdicts
    kinds: tuple[tuple[str, list[Comparison], Callable[[Results, str], list[Comparison]]], ...] = (
        (AGAINST, verdicts.against, against_baselines),
        (BETWEEN, verdicts.between, between_variants),
    )
    choices = []
    for what, deciding, compared in kinds:
        figures = []
        for metric in HEADLINE:
            if metric == METRIC:
                found = deciding
            elif metric in suite.results.frame:
                found = compared(suite.results, metric)
            else:
                found = []
            if found:
                figures.append(_plot(suite, what, metric, found))
        if figures:
            choices.append(Choice(what, f"Metric, {what.lower()}", figures))
    return choices


def _plot(suite: SuiteReport, what: str, metric: str, comparisons: Sequence[Comparison]) -> Figure:
    title = f"{suite.title}: {what.lower()}, {metric}"
    path = f"figures/{suite.file}_{what.split()[0].lower()}_{metric}.svg"
    return Figure(
        path,
        forest_svg(title, comparisons, suite.styles, comparable_name(metric)),
        "",
        title,
        metric,
    )


def chances_text(results: Results, verdicts: Verdicts) -> str:
    """Say how sure the first rank is."""
    chances = chances_of_best(results)
    order = sorted(chances, key=lambda name: (-chances[name], verdicts.means[name], name))
    listed = ", ".join(f"{plain(n)} {100 * chances[n]:.1f} %" for n in order if chances[n] > 0)
    what = "images and training seeds" if resamples_seeds(results) else "images"
    return (
        f"How often each method has the best mean `{METRIC}` when {what} are resampled "
        f"{REPLICATES:,} times: {listed}."
    )


def seeds_text(results: Results) -> str:
    """Say what the choice of the training seed changes, apart from what the images change."""
    spreads = [
        (name, (stdev(means), len(means)))
        for name in results.variants
        if len(means := [m for m in seed_means(results, name, METRIC) if m is not None]) > 1
    ]
    where = "" if spreads else f", {MEASURED}"
    spreads = spreads or [
        (name, (spread.sd, int(spread.degrees) + 1))
        for name in results.variants
        if (spread := results.spreads.get((name, METRIC)))
    ]
    if not spreads:
        return "What another training seed changes is not known: there is one seed."
    listed = ", ".join(f"{plain(n)} {spread:.5f} ({count} seeds)" for n, (spread, count) in spreads)
    return f"Standard deviation of the mean `{METRIC}` between seeds{where}: {listed}."


def _tables(verdicts: Verdicts) -> list[Block]:
    wanted = "positive" if is_more_better(METRIC) else "negative"
    blocks: list[Block] = [
        Text(
            f"Paired differences in `{METRIC}`, on the same images and holes; {wanted} is better "
            "for the first. The interval is for one comparison, and covers images and training "
            "seeds unless nothing is known of the seeds; p (Holm) is that of the interval's "
            "distribution, adjusted for the number of rows, and decides the verdict. Sign flips "
            "and Wilcoxon test over images alone. Better on: the share of images on which the "
            "first is better, ties by half."
        )
    ]
    for title, comparisons in ((AGAINST, verdicts.against), (BETWEEN, verdicts.between)):
        if comparisons:
            rows = [_cells(comparison) for comparison in comparisons]
            blocks.append(Section(title, [simple_table(title, HEADS, rows, text_columns=3)]))
    return blocks


def _cells(comparison: Comparison) -> list[str]:
    p_values = (comparison.p_adjusted, comparison.permutation_p, comparison.wilcoxon_p)
    return [
        f"{comparison.method} - {comparison.reference}",
        f"{SIGNS[comparison.verdict]} {comparison.verdict_text}",
        difference_text(comparison),
        *map(p_text, p_values),
        f"{100 * comparison.improvement:.0f} %",
        str(comparison.images),
        str(comparison.seeds),
    ]


def comparisons_csv(comparisons: Iterable[Comparison]) -> str:
    """Return one line for each comparison, with all that is known of it."""
    rows = [[getattr(comparison, name) for name in COLUMNS] for comparison in comparisons]
    return csv_text([COLUMNS, *rows])
