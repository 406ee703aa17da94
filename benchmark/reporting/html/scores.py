"""The result tables of a suite: scores with intervals, costs and verdicts, to be sorted."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from benchmark.core.config import load_variant
from benchmark.core.paths import REFERENCES
from benchmark.core.text import number
from benchmark.core.yaml_files import load
from benchmark.evaluation.results import SKILL, Results, mean_of
from benchmark.metrics import METRICS
from benchmark.metrics.registry import ARROWS, HEADLINE, Better, Column, distance
from benchmark.reporting.figures.style import BASELINE, Style
from benchmark.reporting.figures.svg import swatch
from benchmark.reporting.html.markup import Markup, element, join, sentence, table_box
from benchmark.reporting.leaderboard import DECIMALS, seed_means
from benchmark.reporting.page import Chapter
from benchmark.reporting.tables import ranks
from benchmark.stats.comparison import ORACLE, comparable_scores, score_matrix
from benchmark.stats.intervals import paired_interval
from benchmark.training.describe import describe_variant
from data.errors import InputError
from models.variant import Variant

BEST_FIRST: dict[Better, Literal["ascending", "descending"]] = {
    "lower": "ascending",
    "higher": "descending",
    "zero": "ascending",
    "one": "ascending",
}
"""The order of sort keys, which for an ideal are distances from it."""
WANTED: dict[Better, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "0 is ideal",
    "one": "1 is ideal",
}


@dataclass(frozen=True)
class Cell:
    """A number of a table, or why there is none."""

    value: float
    """NaN where there is none."""
    interval: tuple[float, float] | None = None
    spread: float = math.nan
    """Standard deviation between training seeds."""
    reason: str = ""


@dataclass(frozen=True)
class Costs:
    """What a variant took, as far as it is known."""

    parameters: int | None
    flops: int | None
    images_seen: int | None


def costs_of(chapter: Chapter) -> dict[str, Costs]:
    """Return what each variant of a suite took."""
    results = chapter.results
    return {
        name: Costs(
            _parameters(chapter, name), results.flops.get(name), _images_seen(results, name)
        )
        for name in results.variants
    }


def _parameters(chapter: Chapter, name: str) -> int | None:
    """Return the parameters of a generator, if it can still be built."""
    suite, reference = chapter.results.suite, chapter.reference
    try:
        if reference is None:
            variant = load_variant(name)
        else:
            folder = REFERENCES / reference.name / "variants"
            variant = load(Variant, folder / f"{name}.yaml", name=name)
        facts = describe_variant(variant, suite.image_size, suite.mask.size)
    except InputError:
        return None
    return int(facts["generator"]["parameters"])


def _images_seen(results: Results, name: str) -> int | None:
    """Return how many images a variant had been trained on at the checkpoint that was scored."""
    seen = []
    for seed in results.seeds_of(name):
        curve = results.curves[name, seed]
        if "images_seen" not in curve:
            return None
        seen.append(int(curve["images_seen"].iloc[results.epochs[name, seed] - 1]))
    return round(fmean(seen))


def mean_interval(results: Results, method: str, metric: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a method's mean; None where it has too few scores."""
    if metric not in results.frame or metric not in METRICS:
        return None
    frame = results.frame[results.frame["method"] == method]
    if METRICS[metric].unit == "dB":
        frame, _ = comparable_scores(frame, metric, results.image_px)
    scores = score_matrix(frame, method, metric).dropna(axis="columns").to_numpy(float)
    if scores.shape[1] < 2:
        return None
    interval = paired_interval(scores)
    return interval.low, interval.high


def score_tables(
    chapter: Chapter, costs: Mapping[str, Costs], styles: Mapping[str, Style]
) -> tuple[Markup, Markup]:
    """Return the headline table with its notes, and that of all other metrics."""
    present = [name for name in METRICS if _has_values(chapter.results, name)]
    main = [name for name in HEADLINE if name in present]
    columns = [Column(n, METRICS[n].better, DECIMALS.get(METRICS[n].unit, 4)) for n in present]
    first = [c for c in columns if c.name in main] + [Column(SKILL, "higher", 3)]
    rest = [c for c in columns if c.name not in main]
    title = chapter.results.suite.title
    headline = _table(f"Results of {title}", chapter, first, styles, costs)
    others = _table(f"Other metrics of {title}", chapter, rest, styles)
    return join(headline, _notes(chapter.results, present)), others


def _has_values(results: Results, metric: str) -> bool:
    return any(mean_of(scores.get(metric)) is not None for scores in results.aggregate.values())


def _notes(results: Results, present: Sequence[str]) -> Markup:
    """Explain what has no number."""
    gaps: dict[str, list[str]] = {}
    for scores in results.aggregate.values():
        for metric, entry in scores.items():
            if reason := entry.get("missing"):
                names = gaps.setdefault(str(reason), [])
                names += [metric] if metric not in names else []
    notes = [
        f"{', '.join(f'`{name}`' for name in names)} "
        f"{'could not be measured' if not {*names} & {*present} else 'is — where'}: {reason}"
        for reason, names in sorted(gaps.items())
    ]
    notes += [f"`{name}` was not run: {why}" for name, why in sorted(results.refused.items())]
    items = [element("li", sentence(note)) for note in notes]
    return element("ul", *items, class_="notes") if items else Markup()


def _table(
    title: str,
    chapter: Chapter,
    columns: Sequence[Column],
    styles: Mapping[str, Style],
    costs: Mapping[str, Costs] | None = None,
) -> Markup:
    """Return a table with one body for variants, one for baselines and one for the oracle."""
    results = chapter.results
    heads = [element("th", "method", scope="col", data_sort="ascending", class_="left")]
    heads += [element("th", "verdict", scope="col", class_="left")] if costs is not None else []
    heads += [_head(c.name, c.better) for c in columns]
    heads += [_head(name, "lower") for name in ("params (M)", "GFLOP", "images seen") if costs]
    cells = {
        (method, column.name): _cell(results, method, column.name)
        for method in results.methods
        for column in columns
    }
    groups = {
        "variants": results.variants,
        "baselines": results.baselines,
        "oracle": tuple(name for name in results.methods if name == ORACLE),
    }
    bodies = []
    for kind, methods in groups.items():
        places = {c.name: _ranks(methods, c, cells) for c in columns if kind != "oracle"}
        rows = []
        for i, method in enumerate(methods):
            parts = [_name(method, styles.get(method, BASELINE))]
            if costs is not None:
                parts.append(_verdict(chapter.words.marker(method)))
            for c in columns:
                rank = places[c.name][i] if c.name in places else None
                parts.append(_number(cells[method, c.name], c, rank))
            if costs:
                parts += _costs(costs.get(method))
            rows.append(element("tr", *parts, class_=kind))
        bodies.append(element("tbody", *rows, data_kind=kind))
    caption = element("caption", title, class_="unseen")
    return table_box(
        title, caption, element("thead", element("tr", *heads)), *bodies, class_="scores"
    )


def _head(name: str, better: Better) -> Markup:
    arrow = element("span", ARROWS[better], aria_hidden="true", class_="arrow")
    unseen = element("span", f", {WANTED[better]}", class_="unseen")
    return element("th", name, "\u00a0", arrow, unseen, scope="col", data_sort=BEST_FIRST[better])


def _name(method: str, style: Style) -> Markup:
    return element("th", Markup(swatch(style)), method, scope="row", data_key=method)


def _verdict(words: str) -> Markup:
    kind = {"✓": "better", "✗": "worse", "≈": "inconclusive"}.get(words[:1], "")
    return element("td", words, class_=f"left verdict {kind}".strip())


def _cell(results: Results, method: str, metric: str) -> Cell:
    entry = results.aggregate[method].get(metric, {"mean": None, "missing": "not measured"})
    mean = mean_of(entry)
    if mean is None:
        return Cell(math.nan, reason=str(entry.get("missing", "")))
    if entry["infinite"] == int((results.frame["method"] == method).sum()):
        return Cell(math.inf)
    if method == ORACLE:
        return Cell(mean)
    return Cell(mean, mean_interval(results, method, metric), _spread(results, method, metric))


def _spread(results: Results, method: str, metric: str) -> float:
    means = seed_means(results, method, metric)
    there = [mean for mean in means if mean is not None]
    return stdev(there) if len(there) == len(means) > 1 else math.nan


def _ranks(
    methods: Iterable[str], column: Column, cells: Mapping[tuple[str, str], Cell]
) -> list[int | None]:
    return ranks([cells[method, column.name].value for method in methods], column)


def _number(cell: Cell, column: Column, rank: int | None) -> Markup:
    """Return the cell of a number; the best of a kind is bold, the second underlined."""
    shown: str = number(cell.value, column.decimals)
    if math.isnan(cell.value):
        return element("td", shown, title=cell.reason)
    key = cell.value
    if column.better in ("zero", "one"):
        key = distance(cell.value, column.better)
    parts: list[str] = [element({1: "strong", 2: "u"}.get(rank or 0, "span"), shown)]
    if not math.isnan(cell.spread):
        parts.append(f" ± {cell.spread:.{column.decimals}f}")
    if cell.interval is not None:
        low, high = (number(end, column.decimals) for end in cell.interval)
        parts.append(element("span", f"[{low}, {high}]", class_="interval"))
    return element("td", *parts, data_key=f"{key:.9g}".replace("inf", "Infinity"))


def _costs(costs: Costs | None) -> list[Markup]:
    if costs is None:
        return [element("td", "—", title="has no network")] * 3
    parameters = None if costs.parameters is None else costs.parameters / 1e6
    flops = None if costs.flops is None else costs.flops / 1e9
    forms = ((parameters, ".2f"), (flops, ".3f"), (costs.images_seen, ",d"))
    return [
        element("td", "—", title="not known")
        if value is None
        else element("td", format(value, form), data_key=f"{value:.9g}")
        for value, form in forms
    ]
