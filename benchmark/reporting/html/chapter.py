"""What the report says of one suite, or of reference runs of it."""

from collections.abc import Iterable, Mapping, Sequence

from benchmark.evaluation.results import Results
from benchmark.metrics.registry import HEADLINE
from benchmark.reporting.comparison_tables import (
    HEADS,
    chances_text,
    comparison_row,
    comparisons_csv,
)
from benchmark.reporting.figures.costs import Priced, cost_svg
from benchmark.reporting.figures.curves import bands_text, curves_svg, panel_title
from benchmark.reporting.figures.forest import SIGNS, difference_text, forest_svg
from benchmark.reporting.figures.style import Style
from benchmark.reporting.html.markup import (
    Markup,
    details,
    download,
    element,
    join,
    plain_table,
    sentence,
)
from benchmark.reporting.html.origins import origins_table
from benchmark.reporting.html.probes import probes_section
from benchmark.reporting.html.protocols import protocols_section
from benchmark.reporting.html.scores import Costs, costs_of, mean_interval, score_tables
from benchmark.reporting.leaderboard import against_baselines, between_variants, result_table
from benchmark.reporting.page import Chapter
from benchmark.reporting.protocol_tables import protocol_csv
from benchmark.reporting.tables import csv_table, latex_table
from benchmark.reporting.wording import coverage
from benchmark.stats.comparison import METRIC, Comparison, comparable_scores

MAIN_COLUMNS = {
    f"validation/{METRIC}": f"Validation {METRIC}",
    "generator/reconstruction": "Reconstruction loss in training",
}
"""Columns of the tables of epochs that are shown unfolded, and what they are called."""


def name_of(chapter: Chapter) -> str:
    """Return a chapter's name for links and files, different for every chapter."""
    if chapter.reference is not None:
        return f"reference-{chapter.reference.name}"
    return chapter.results.suite.name


def title_of(chapter: Chapter) -> str:
    """Return a chapter's title."""
    title = chapter.results.suite.title
    return title if chapter.reference is None else f"{title} on {chapter.reference.machine}"


def headline_of(chapter: Chapter) -> str:
    """Return what is said first of a chapter, without its title, which stands above."""
    said = chapter.words.headline.removeprefix(f"{chapter.results.suite.title}: ")
    return said[:1].upper() + said[1:]


def chapter_section(chapter: Chapter, styles: Mapping[str, Style]) -> Markup:
    """Return everything on a suite but its pictures.

    Args:
        chapter: its results.
        styles: of the variants of all chapters.
    """
    results, name = chapter.results, name_of(chapter)
    costs = costs_of(chapter)
    headline, others = score_tables(chapter, costs, styles)
    plots = [
        *_comparison_plots(chapter, styles),
        _cost_plots(chapter, costs, styles),
        *_curves(results, MAIN_COLUMNS, styles),
    ]
    chances = chances_text(results, chapter.words)
    parts = [
        element("h2", title_of(chapter), " ", element("code", results.suite.name)),
        *_facts(chapter),
        element("p", headline_of(chapter), class_="headline"),
        headline,
        element("p", _table_note(results), class_="notes"),
        details("All other metrics", others),
        element("div", *plots, class_="plots"),
        element("p", sentence(chances), " ", bands_text(results.curves), class_="notes"),
        details("All comparisons as numbers", *_comparison_tables(chapter)),
        protocols_section(results),
        _losses(results, styles),
        probes_section(results.suite.title, list(results.diagnoses.values()), styles),
        details("Where the runs come from", *origins_table(results)),
        element("p", "Download: ", *_downloads(chapter), class_="downloads"),
    ]
    return element("section", *parts, id=name, class_="chapter")


def _facts(chapter: Chapter) -> list[Markup]:
    suite, results, law = chapter.results.suite, chapter.results, chapter.results.suite.mask
    hole = f"a square of {law.size} px, {law.kind.replace('_', ' ')}"
    if law.margin:
        hole += f", at least {law.margin} px from the edge"
    facts = [
        f"Images of {suite.image_size} x {suite.image_size} px; hole: {hole}; "
        f"{results.num_images} test images, {suite.evaluation.masks_per_image} hole(s) each.",
        coverage(chapter.words.seeds),
        _checkpoints(results),
    ]
    if reference := chapter.reference:
        counts = ", ".join(f"{count:,} {split}" for split, count in reference.facts.split_counts)
        facts.append(
            f"Kept from another machine or budget. Images: {counts}; digest of the split "
            f"{reference.facts.split_digest[:16]}."
        )
        facts += [f"Note: {reference.facts.note}"] if reference.facts.note else []
    items = [element("li", fact) for fact in facts]
    return [element("p", suite.description), element("ul", *items, class_="facts")]


def _checkpoints(results: Results) -> str:
    """Say which checkpoints were scored."""
    suite = results.suite
    epochs = {
        variant: " / ".join(str(results.epochs[variant, s]) for s in results.seeds_of(variant))
        for variant in results.variants
    }
    scored = ", ".join(f"{variant} {listed}" for variant, listed in epochs.items())
    return (
        f"Scored checkpoint: {suite.evaluation.checkpoint}, of epoch (of {suite.training.epochs}): "
        f"{scored}."
    )


def _table_note(results: Results) -> str:
    several = len(results.seeds) > 1
    spread = " ± is the standard deviation between training seeds." if several else ""
    return (
        "In brackets: the 95 % interval of the mean. Bold is the best of its kind, underlined the "
        f"second.{spread} Costs are those of the generator: its parameters in millions, the "
        "operations for one image, and the images it was trained on until the checkpoint that was "
        "scored, the mean of its seeds."
    )


def _comparison_plots(chapter: Chapter, styles: Mapping[str, Style]) -> list[Markup]:
    """Return the forest plots of all metrics, against baselines and between variants."""
    results, words, title = chapter.results, chapter.words, chapter.results.suite.title
    against: dict[str, Sequence[Comparison]] = {}
    between: dict[str, Sequence[Comparison]] = {}
    for metric in HEADLINE:
        if metric == METRIC:
            against[metric] = [c for found in words.comparisons.values() for c in found]
            between[metric] = words.between
        elif metric in results.frame:
            against[metric] = against_baselines(results, metric)
            between[metric] = between_variants(results, metric)
    figures = []
    for what, found in (("Against the baselines", against), ("Between the variants", between)):
        plots = {}
        for metric, comparisons in found.items():
            if comparisons:
                _, scaled = comparable_scores(results.frame, metric, results.image_px)
                heading = f"{title}: {what.lower()}, {metric}"
                plots[metric] = Markup(forest_svg(heading, comparisons, styles, scaled))
        if plots:
            figures.append(_panels(what, f"Metric, {what.lower()}", plots))
    return figures


def _panels(caption: str, choice: str, plots: Mapping[str, Markup]) -> Markup:
    """Return plots of which the page's script shows the one that is chosen."""
    shown = [element("div", plot, class_="panel", data_name=name) for name, plot in plots.items()]
    caption_ = element("figcaption", caption)
    return element("figure", caption_, *shown, class_="plot panels", data_choice=choice)


def _cost_plots(
    chapter: Chapter, costs: Mapping[str, Costs], styles: Mapping[str, Style]
) -> Markup:
    """Return the plots of error against operations and against parameters, as far as known."""
    results, words = chapter.results, chapter.words
    baselines = {name: words.means[name] for name in results.baselines}
    kinds = {
        "GFLOP of the generator, one image": {
            name: found.flops / 1e9 for name, found in costs.items() if found.flops is not None
        },
        "million parameters of the generator": {
            name: found.parameters / 1e6
            for name, found in costs.items()
            if found.parameters is not None
        },
    }
    plots = {}
    for kind, known in kinds.items():
        priced = []
        for name, cost in known.items():
            mean = words.means[name]
            low, high = mean_interval(results, name, METRIC) or (mean, mean)
            priced.append(Priced(name, cost, mean, low, high))
        if priced:
            heading = f"{results.suite.title}: what quality costs"
            svg = cost_svg(heading, kind, METRIC, priced, baselines, styles)
            plots[kind] = Markup(svg)
    if not plots:
        return Markup()
    return _panels("What quality costs; ringed: nothing is both cheaper and better", "Cost", plots)


def _curves(results: Results, columns: Iterable[str], styles: Mapping[str, Style]) -> list[Markup]:
    figures = []
    for column in columns:
        name = MAIN_COLUMNS.get(column) or panel_title(column)
        plot = curves_svg(f"{results.suite.title}: {name}", results.curves, column, styles)
        if plot is not None:
            caption = element("figcaption", f"{name[:1].upper()}{name[1:]}")
            figures.append(element("figure", caption, Markup(plot), class_="plot"))
    return figures


def _losses(results: Results, styles: Mapping[str, Style]) -> Markup:
    """Return the plots of all other columns of the tables of epochs, folded."""
    every = dict.fromkeys(name for frame in results.curves.values() for name in frame.columns)
    rest = [name for name in every if "/" in name and name not in MAIN_COLUMNS]
    figures = _curves(results, rest, styles)
    if not figures:
        return Markup()
    note = "Loss terms are shown before weighting; each network's total is weighted."
    return details("All losses", element("p", note), element("div", *figures, class_="plots"))


def _comparison_tables(chapter: Chapter) -> list[Markup]:
    words = chapter.words
    against = [c for found in words.comparisons.values() for c in found]
    groups = {"Against the baselines": against, "Between the variants": words.between}
    parts = [
        element(
            "p",
            f"Paired differences in {METRIC}, on the same images and holes. The interval is for "
            "one comparison; p (Holm) is that of the interval's distribution, adjusted for the "
            "number of rows, and decides the verdict. Sign flips and Wilcoxon test over images "
            "alone. Better on: the share of images on which the first is better, ties by half.",
        )
    ]
    for title, comparisons in groups.items():
        if comparisons:
            rows = [_compared(c) for c in comparisons]
            parts += [element("h4", title), plain_table(title, HEADS, rows, text_columns=2)]
    return parts


def _compared(comparison: Comparison) -> list[str]:
    pair, verdict, _, *rest = comparison_row(comparison)
    return [pair, f"{SIGNS[comparison.verdict]} {verdict}", difference_text(comparison), *rest]


def _downloads(chapter: Chapter) -> list[Markup]:
    """Return links to the suite's tables, as they lie in `reports/tables/`."""
    table, name = result_table(chapter.results, chapter.words), name_of(chapter)
    against = [c for found in chapter.words.comparisons.values() for c in found]
    files = [
        download(f"{name}.tex", "text/x-tex", latex_table(table)),
        download(f"{name}.csv", "text/csv", csv_table(table)),
        download(
            f"{name}_comparisons.csv",
            "text/csv",
            comparisons_csv([*against, *chapter.words.between]),
        ),
        download(f"{name}_protocols.csv", "text/csv", protocol_csv(chapter.results)),
    ]
    return [join(*(", " if i else "", file)) for i, file in enumerate(files)]
