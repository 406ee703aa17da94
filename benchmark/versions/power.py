"""How many test images and training seeds it takes to see a difference, from known variances."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize
from scipy.stats import chi2, norm, t

from benchmark.metrics import METRICS
from benchmark.stats.comparison import (
    comparable_scores,
    equivalence_margin,
    paired_differences,
    score_matrix,
)
from benchmark.stats.intervals import CONFIDENCE, MIN_SEEDS, Array, Components, variance_components
from benchmark.versions.seed_spread import seed_spread
from benchmark.versions.snapshot import BASELINES, Snapshot, Subject
from benchmark.versions.tolerances import BANDS
from data.errors import InputError

MOST_IMAGES = 10**7
SEEDS = (1, 3, 5, 10)
"""For which a plan is made."""
_LEVELS = (np.arange(200) + 0.5) / 200
"""Of the quantiles of a variance's estimate, over which a probability is averaged."""


@dataclass(frozen=True)
class Row:
    """What one number of seeds can show."""

    seeds: int
    detectable: float
    """The least difference that is seen with as many images as there are."""
    images: int | None
    """How many images the wanted difference takes; None: no number of them suffices."""
    covers_seeds: bool


@dataclass(frozen=True)
class Plan:
    """What it takes to see a difference of two methods."""

    suite: str
    metric: str
    method: str
    reference: str
    images: int
    """That there are."""
    difference: float
    """That is to be seen."""
    power: float
    components: Components
    seed_variance_from: str
    """Where the variance between seeds was found; empty: nowhere, and rows leave it out."""
    rows: tuple[Row, ...]


def make_plan(
    results: Snapshot,
    suite: str,
    method: str,
    reference: str,
    metric: str,
    difference: float | None = None,
    power: float = 0.8,
) -> Plan:
    """Plan a comparison from the score tables of two methods.

    Args:
        results: a version that has both.
        suite: the suite.
        method: the one.
        reference: the other; a variant or a baseline.
        metric: in which they are compared.
        difference: that is to be seen, in the metric's unit; without it the margin of equivalence
            or, where there is none, a tenth of the reference's mean.
        power: the probability that it is seen.

    Raises:
        InputError: a name is unknown, a score table is missing, or the scores do not vary.
    """
    if metric not in METRICS:
        raise InputError(f"--metric {metric!r}: not one of {', '.join(METRICS)}")
    if difference is not None and not 0 < difference < math.inf:
        raise InputError(f"--difference {difference}: must be above 0")
    if not 0 < power < 1:
        raise InputError(f"--power {power}: must be between 0 and 1")
    tables = [_table(results, suite, name, metric) for name in (method, reference)]
    seeded = _subjects(results, suite, reference)[0].name != BASELINES
    found = paired_differences(tables[0], tables[1], has_seeds=seeded).to_numpy(dtype=np.float64)
    if found.size == 0 or found.shape[1] < 2:
        raise InputError(f"{method} and {reference} share fewer than two scored images of {suite}")
    if not np.isfinite(found).all():
        raise InputError(f"{suite}: a score in {metric} of {method} or {reference} is infinite")
    trained = (method, reference) if seeded else (method,)
    components, origin = _components(found, results, suite, trained, metric)
    if components.image <= 0 and components.residual <= 0:
        raise InputError(f"{metric} of {method} and {reference} differs by the same on all images")
    if difference is None:
        tenth = abs(float(tables[1].to_numpy(dtype=np.float64).mean())) / 10
        difference = equivalence_margin(metric) or tenth
        if difference == 0:
            raise InputError(f"--difference: must be given, as the {metric} of {reference} is 0")
    images = found.shape[1]
    rows = [_row(components, images, s, difference, power, bool(origin)) for s in SEEDS]
    return Plan(
        suite, metric, method, reference, images, difference, power, components, origin, tuple(rows)
    )


def _subjects(results: Snapshot, suite: str, name: str) -> list[Subject]:
    """Return what has the score tables of a method."""
    present = [s for s in results.subjects if s.suite == suite]
    if not present:
        names = ", ".join(dict.fromkeys(s.suite for s in results.subjects))
        raise InputError(f"--suite {suite!r}: not one of {names}")
    runs = [subject for subject in present if subject.name == name]
    return runs or [subject for subject in present if subject.name == BASELINES]


def _table(results: Snapshot, suite: str, name: str, metric: str) -> pd.DataFrame:
    score_tables = [results.score_table(subject) for subject in _subjects(results, suite, name)]
    there = [score_table for score_table in score_tables if score_table is not None]
    if not there:
        raise InputError(f"{suite}/{name}: has no score_table")
    frame = pd.concat(there, ignore_index=True)
    if name not in set(frame["method"]) or metric not in frame:
        names = ", ".join(dict.fromkeys(frame["method"]))
        raise InputError(f"{suite}: there are no scores in {metric} of {name}; there are {names}")
    scaled, _ = comparable_scores(frame, metric, results.image_px(suite))
    return score_matrix(scaled, name, metric).dropna(axis="columns")


def _components(
    found: Array, results: Snapshot, suite: str, trained: Sequence[str], metric: str
) -> tuple[Components, str]:
    """Return the variances of a difference, and where that between seeds is from."""
    if found.shape[0] >= 2:
        parts = variance_components(found)
        whole = Components(*(max(0.0, value) for value in asdict(parts).values()))
        return whole, f"{found.shape[0]} seeds of the score_tables"
    of_images = float(found.var(ddof=1))
    spreads = [seed_spread(results, suite, name, metric) for name in trained]
    known = [spread for spread in spreads if spread is not None]
    if len(known) < len(spreads):
        return Components(0.0, of_images, 0.0), ""
    return Components(sum(s**2 for s in known), of_images, 0.0), BANDS.as_posix()


def _row(
    parts: Components,
    images: int,
    seeds: int,
    difference: float,
    power: float,
    knows_seeds: bool,
) -> Row:
    def suffices(count: int) -> bool:
        return probability_seen(parts, count, seeds, difference) >= power

    needed: int | None = None
    if suffices(MOST_IMAGES):
        low, needed = 1, MOST_IMAGES  # more images than `low`, at most `needed`
        while needed - low > 1:
            middle = (low + needed) // 2
            low, needed = (low, middle) if suffices(middle) else (middle, needed)
    seen = detectable_difference(parts, images, seeds, power)
    return Row(seeds, seen, needed, seeds >= MIN_SEEDS and knows_seeds)


def detectable_difference(parts: Components, images: int, seeds: int, power: float) -> float:
    """Return the least difference whose interval leaves out 0 with a probability.

    Args:
        parts: variances of a single difference, not all 0.
        images: of the test split.
        seeds: of each method; with fewer than `MIN_SEEDS`, what seeds change is left out, as the
            intervals leave it out.
        power: the probability.
    """
    if images < 2:
        return math.inf

    def excess(difference: float) -> float:
        return probability_seen(parts, images, seeds, difference) - power

    if excess(0) >= 0:
        return 0.0
    most = math.sqrt(parts.seed + parts.image + parts.residual)
    while excess(most) < 0:
        most *= 2
    return float(optimize.brentq(excess, 0.0, most, xtol=1e-9 * most, rtol=1e-9))


def probability_seen(parts: Components, images: int, seeds: int, difference: float) -> float:
    """Return the probability that the interval of a difference leaves out 0.

    The interval is that of `statistics.paired_interval`, whose width varies too: variances are
    estimated, which with three seeds matters most. Differences are taken as normal.

    Args:
        parts: variances of a single difference, not all 0.
        images: of the test split.
        seeds: of each method; see `detectable_difference`.
        difference: what is to be seen.
    """
    if images < 2:
        return 0.0
    variance = (parts.image + parts.residual / seeds) / images
    squares = variance * _quantile(images - 1) ** 2 * _scaled_variances(images - 1)[:, None]
    if seeds >= MIN_SEEDS:
        residual = parts.residual / (seeds * images)
        estimated = (parts.seed / seeds + residual) * _scaled_variances(seeds - 1) - residual
        squares = squares + _quantile(seeds - 1) ** 2 * np.maximum(0.0, estimated)
        variance += parts.seed / seeds
    reach, error = np.sqrt(squares), math.sqrt(variance)
    seen = norm.sf((reach - difference) / error) + norm.cdf((-reach - difference) / error)
    return float(seen.mean())


def _quantile(degrees: int) -> float:
    """Return the quantile of the t distribution by which intervals reach."""
    return float(t.isf((1 - CONFIDENCE) / 2, degrees))


@cache
def _scaled_variances(degrees: int) -> Array:
    """Return what an estimate of the variance 1 may come out as, each value as likely."""
    values: Array = chi2.ppf(_LEVELS, degrees) / degrees
    return values


def plan_text(plan: Plan) -> str:
    """Return a plan as lines for a terminal."""
    parts = plan.components
    sds = [f"{math.sqrt(value):.4g}" for value in (parts.image, parts.residual)]
    lines = [
        f"{plan.suite}, {plan.metric}: {plan.method} - {plan.reference}; {plan.images} test images",
        f"standard deviation of the difference between images {sds[0]}, of the rest {sds[1]}",
        f"between training seeds {math.sqrt(parts.seed):.4g} ({plan.seed_variance_from})"
        if plan.seed_variance_from
        else "between training seeds: not known, so left out below; `bands` measures it",
        "",
        f"seeds  seen with {plan.images} images  images to see {plan.difference:.4g}",
    ]
    for row in plan.rows:
        images = "no number" if row.images is None else f"{row.images:,}"
        mark = "" if row.covers_seeds else "  (image sampling only)"
        seen = f"{row.detectable:.4g}".ljust(17 + len(str(plan.images)))
        lines.append(f"{row.seeds:<5}  {seen}  {images}{mark}")
    lines += ["", f"seen: the 95 % interval leaves out 0 with a probability of {plan.power:g}"]
    return "\n".join(lines) + "\n"


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain values."""
    return asdict(plan)
