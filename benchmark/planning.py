"""How many test images and training seeds it takes to see a difference, from known variances."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from benchmark.bands import Bands, read_bands, spread_over_seeds
from benchmark.metrics import METRICS
from benchmark.snapshots import BASELINES, Snapshot, Subject
from benchmark.statistics import MIN_SEEDS, Array, Components, reach_of, variance_components
from benchmark.verdict import comparable_scores, equivalence_margin, paired_differences, score_table
from data.errors import InputError

MOST_IMAGES = 10**7
SEEDS = (1, 3, 5, 10)
"""For which a plan is made."""


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
    """Plan a comparison from the ledgers of two methods.

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
        InputError: a name is unknown, a ledger is missing, or the scores do not vary.
    """
    if metric not in METRICS:
        raise InputError(f"--metric {metric}: not one of {', '.join(METRICS)}")
    if difference is not None and not 0 < difference < math.inf:
        raise InputError(f"--difference {difference}: must be above 0")
    if not 0 < power < 1:
        raise InputError(f"--power {power}: must be between 0 and 1")
    tables = [_table(results, suite, name, metric) for name in (method, reference)]
    seeded = _subjects(results, suite, reference)[0].name != BASELINES
    found = paired_differences(tables[0], tables[1], has_seeds=seeded).to_numpy(dtype=np.float64)
    if found.size == 0 or found.shape[1] < 2:
        raise InputError(f"{method} and {reference} share fewer than two scored images of {suite}")
    components, origin = _components(found, suite, (method, reference), metric)
    if components.image <= 0 and components.residual <= 0:
        raise InputError(f"{metric} of {method} and {reference} differs by the same on all images")
    if difference is None:
        tenth = abs(float(tables[1].to_numpy(dtype=np.float64).mean())) / 10
        difference = equivalence_margin(metric) or tenth
    images = found.shape[1]
    rows = [_row(components, images, seeds, difference, power) for seeds in SEEDS]
    return Plan(
        suite, metric, method, reference, images, difference, power, components, origin, tuple(rows)
    )


def _subjects(results: Snapshot, suite: str, name: str) -> list[Subject]:
    """Return what has the ledgers of a method."""
    present = [s for s in results.subjects if s.suite == suite]
    if not present:
        names = ", ".join(dict.fromkeys(s.suite for s in results.subjects))
        raise InputError(f"--suite {suite}: not one of {names}")
    runs = [subject for subject in present if subject.name == name]
    return runs or [subject for subject in present if subject.name == BASELINES]


def _table(results: Snapshot, suite: str, name: str, metric: str) -> pd.DataFrame:
    ledgers = [results.ledger(subject) for subject in _subjects(results, suite, name)]
    there = [ledger for ledger in ledgers if ledger is not None]
    if not there:
        raise InputError(f"{suite}/{name}: has no ledger")
    frame = pd.concat(there, ignore_index=True)
    if name not in set(frame["method"]) or metric not in frame:
        names = ", ".join(dict.fromkeys(frame["method"]))
        raise InputError(f"{suite}: there are no scores in {metric} of {name}; there are {names}")
    scaled, _ = comparable_scores(frame, metric, results.image_px(suite))
    return score_table(scaled, name, metric).dropna(axis="columns")


def _components(
    found: Array, suite: str, names: Sequence[str], metric: str
) -> tuple[Components, str]:
    """Return the variances of a difference, and where that between seeds is from."""
    if found.shape[0] >= 2:
        parts = variance_components(found)
        whole = Components(*(max(0.0, value) for value in asdict(parts).values()))
        return whole, f"{found.shape[0]} seeds of the ledgers"
    images = Components(0.0, float(found.mean(axis=0).var(ddof=1)), 0.0)
    spreads = [_measured_spread(read_bands(), suite, name, metric) for name in names]
    known = [spread for spread in spreads if spread is not None]
    if spreads[0] is None:
        return images, ""
    return Components(sum(s**2 for s in known), images.image, 0.0), "benchmark/bands.json"


def _measured_spread(bands: Bands, suite: str, name: str, metric: str) -> float | None:
    for measured in bands.measured:
        if (measured.suite, measured.subject) == (suite, name):
            return spread_over_seeds(measured.seeds).get(metric)
    return None


def _row(parts: Components, images: int, seeds: int, difference: float, power: float) -> Row:
    needed: int | None = None
    if detectable_difference(parts, MOST_IMAGES, seeds, power) <= difference:
        low, high = 1, MOST_IMAGES  # more images than `low`, at most `high`
        while high - low > 1:
            middle = (low + high) // 2
            enough = detectable_difference(parts, middle, seeds, power) <= difference
            low, high = (low, middle) if enough else (middle, high)
        needed = high
    seen = detectable_difference(parts, images, seeds, power)
    return Row(seeds, seen, needed, seeds >= MIN_SEEDS and parts.seed > 0)


def detectable_difference(parts: Components, images: int, seeds: int, power: float) -> float:
    """Return the least difference whose interval leaves out 0 with a probability.

    Args:
        parts: variances of a single difference.
        images: of the test split.
        seeds: of each method; with fewer than `MIN_SEEDS`, what seeds change is left out, as the
            intervals leave it out.
        power: the probability.
    """
    if images < 2:
        return math.inf
    of_images = (parts.image + parts.residual / seeds) / images
    variances = [(of_images, images - 1.0)]
    if seeds >= MIN_SEEDS:
        variances.append((parts.seed / seeds, seeds - 1.0))
    error = math.sqrt(sum(variance for variance, _ in variances))
    return reach_of(variances) + float(norm.ppf(power)) * error


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
