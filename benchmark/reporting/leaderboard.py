"""How the methods of a suite stand: the rows of its table and the words beside them."""

import math
import statistics
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import combinations, product

import numpy as np

from benchmark.evaluation.results import SKILL, Results, mean_of
from benchmark.evaluation.score_table import Summary
from benchmark.metrics import METRICS, PROTOCOL
from benchmark.metrics.registry import HEADLINE, Column
from benchmark.reporting.tables import Kind, Row, Table
from benchmark.reporting.wording import headline, marker, sentence
from benchmark.stats.bootstrap import resampled_means
from benchmark.stats.comparison import (
    METRIC,
    ORACLE,
    Comparison,
    compare,
    family,
    score_matrix,
)
from benchmark.stats.intervals import MIN_SEEDS

DECIMALS = {"dB": 2, "%": 2}
"""By unit; metrics without a unit have four."""


class Words:
    """The comparisons of a suite's variants with its baselines and each other, and what they say.

    Those with baselines are one family of tests, those between variants another.
    """

    def __init__(self, results: Results) -> None:
        # The deciding metric is finite for every image, so a mean is always there.
        self.means = {m: mean_of(s[METRIC]) or 0.0 for m, s in results.aggregate.items()}
        self.strongest = min(results.baselines, key=lambda name: (self.means[name], name))
        every = against_baselines(results)
        self.comparisons: dict[str, list[Comparison]] = {
            variant: [c for c in every if c.method == variant] for variant in results.variants
        }
        self.between = between_variants(results)
        self.headline = headline(results.suite.title, self.means, every, self.strongest)

    @property
    def seeds(self) -> int:
        """The fewest seeds of any comparison."""
        every = [c for found in self.comparisons.values() for c in found]
        return min(comparison.seeds for comparison in [*every, *self.between])

    def marker(self, method: str) -> str:
        """Return the short verdict of a variant; nothing for a baseline."""
        found = self.comparisons.get(method)
        return marker(found, self.strongest) if found else ""

    def sentences(self) -> list[str]:
        """Return one sentence per variant, the best first."""
        order = sorted(self.comparisons, key=lambda name: (self.means[name], name))
        return [sentence(self.comparisons[name], self.means[name]) for name in order]


def against_baselines(results: Results, metric: str = METRIC) -> list[Comparison]:
    """Compare every variant with every baseline that have values of a metric."""
    pairs = product(results.variants, results.baselines)
    return _family(results, pairs, metric, has_seeds=False)


def between_variants(results: Results, metric: str = METRIC) -> list[Comparison]:
    """Compare all pairs of variants that have values of a metric and a seed in common."""
    return _family(results, combinations(results.variants, 2), metric, has_seeds=True)


def _family(
    results: Results, pairs: Iterable[tuple[str, str]], metric: str, has_seeds: bool
) -> list[Comparison]:
    scored = {
        name for name in results.methods if mean_of(results.aggregate[name].get(metric)) is not None
    }
    how = partial(compare, metric=metric, has_seeds=has_seeds, image_px=results.image_px)
    found = [how(results.frame, *pair) for pair in pairs if scored.issuperset(pair)]
    return family(comparison for comparison in found if comparison is not None)


def resamples_seeds(results: Results) -> bool:
    """Return whether all variants have the same seeds, and enough of them to be resampled."""
    every = {tuple(results.seeds_of(name)) for name in results.variants}
    return len(every) == 1 and len(*every) >= MIN_SEEDS


def chances_of_best(results: Results) -> dict[str, float]:
    """Return how often each method has the best mean of the deciding metric when resampled.

    Equal ones share. Images are resampled, the same for all methods, and training seeds where
    `resamples_seeds`.
    """
    methods = [*results.variants, *results.baselines]
    scores = {name: score_matrix(results.frame, name).to_numpy(float) for name in methods}
    means = resampled_means(scores, resamples_seeds(results))
    every = np.array([means[name] for name in methods])
    is_best = every == every.min(axis=0)
    chances = (is_best / is_best.sum(axis=0)).mean(axis=1)
    return dict(zip(methods, chances.tolist(), strict=True))


def result_table(results: Results, words: Words) -> Table:
    """Return a suite's headline table."""
    metrics = [METRICS[name] for name in HEADLINE]
    columns = [Column(m.name, m.better, DECIMALS.get(m.unit, 4)) for m in metrics]
    columns.append(Column(SKILL, "higher", 3))
    rows = [_row(results, name, [c.name for c in columns], words) for name in results.methods]
    absent: Summary = {"missing": "not measured"}
    found = (
        (c.name, results.aggregate[m].get(c.name, absent)) for m in results.methods for c in columns
    )
    footnotes = {f"{name}: {entry['missing']}" for name, entry in found if "missing" in entry}
    footnotes |= _lacking_seeds(results, [c.name for c in columns])
    return Table(
        columns=columns,
        rows=rows,
        caption=(
            f"{results.suite.title}: protocol {PROTOCOL}, N = {results.num_images} test images, "
            f"training seeds: {_seeds(results)}."
            + (" ± is the standard deviation between seeds." if len(results.seeds) > 1 else "")
        ),
        label=results.suite.name,
        footnotes=[
            *sorted(footnotes),
            *(f"{n} was not run: {reason}" for n, reason in sorted(results.refused.items())),
        ],
    )


def _lacking_seeds(results: Results, metrics: Iterable[str]) -> set[str]:
    """Say of which seeds a mean is where some have no value."""
    notes = set()
    for method, metric in product(results.variants, metrics):
        seeds, means = results.seeds_of(method), seed_means(results, method, metric)
        there = [str(s) for s, mean in zip(seeds, means, strict=True) if mean is not None]
        if 0 < len(there) < len(seeds):
            notes.add(f"{metric} of {method}: the mean of seed {', '.join(there)} alone")
    return notes


def seed_means(results: Results, method: str, metric: str) -> list[float | None]:
    """Return a metric's mean for each training seed; for a baseline, its one mean."""
    if method not in results.variants:
        return [mean_of(results.aggregate[method].get(metric))]
    return [mean_of(results.by_seed[seed][method].get(metric)) for seed in results.seeds_of(method)]


def _seeds(results: Results) -> str:
    """Return the training seeds, and those of every variant that has not all of them."""
    listed = ", ".join(str(seed) for seed in results.seeds)
    fewer = [
        f"{name} {', '.join(str(seed) for seed in results.seeds_of(name))}"
        for name in results.variants
        if len(results.seeds_of(name)) < len(results.seeds)
    ]
    return f"{listed} (of {'; '.join(fewer)})" if fewer else listed


def _row(results: Results, method: str, names: Sequence[str], words: Words) -> Row:
    kind: Kind = "baseline"
    if method in results.variants:
        kind = "variant"
    elif method == ORACLE:
        kind = "oracle"
    num_rows = int((results.frame["method"] == method).sum())
    entries = {n: results.aggregate[method][n] for n in names if n in results.aggregate[method]}
    spread = {}
    for name in names if kind == "variant" and len(results.seeds_of(method)) > 1 else ():
        means = [mean for mean in seed_means(results, method, name) if mean is not None]
        if len(means) == len(results.seeds_of(method)):
            spread[name] = statistics.stdev(means)
    values = {name: _value(entry, num_rows) for name, entry in entries.items()}
    return Row(method, kind, values, spread, words.marker(method))


def _value(entry: Summary, num_rows: int) -> float:
    """Return the mean: NaN where it is missing, infinite where every score is."""
    if entry["infinite"] == num_rows:
        return math.inf
    mean = mean_of(entry)
    return math.nan if mean is None else mean
