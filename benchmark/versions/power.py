"""Score tables of two methods → how many images and seeds it takes to see their difference."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from benchmark.metrics import METRICS
from benchmark.stats.comparison import (
    comparable_scores,
    equivalence_margin,
    paired_differences,
    score_matrix,
)
from benchmark.stats.intervals import MIN_SEEDS, Array, Components, variance_components
from benchmark.stats.power import detectable_difference, images_needed
from benchmark.versions.snapshot import Snapshot, Subject
from benchmark.versions.tolerances import TOLERANCES
from data.errors import InputError

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
    seeded = _subjects(results, suite, reference)[0].is_run
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
    rows = tuple(
        Row(
            seeds,
            detectable_difference(components, images, seeds, power),
            images_needed(components, seeds, difference, power),
            covers_seeds=seeds >= MIN_SEEDS and bool(origin),
        )
        for seeds in SEEDS
    )
    return Plan(
        suite, metric, method, reference, images, difference, power, components, origin, rows
    )


def _subjects(results: Snapshot, suite: str, name: str) -> list[Subject]:
    """Return what has the score tables of a method."""
    present = [s for s in results.subjects if s.suite == suite]
    if not present:
        names = ", ".join(dict.fromkeys(s.suite for s in results.subjects))
        raise InputError(f"--suite {suite!r}: not one of {names}")
    return [s for s in present if s.name == name] or [s for s in present if not s.is_run]


def _table(results: Snapshot, suite: str, name: str, metric: str) -> pd.DataFrame:
    subjects = _subjects(results, suite, name)
    frame = pd.concat([results.score_table(subject) for subject in subjects], ignore_index=True)
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
        return whole, f"{found.shape[0]} seeds of the score tables"
    of_images = float(found.var(ddof=1))
    sds = [results.seed_sd(suite, name, metric) for name in trained]
    known = [sd for sd in sds if sd is not None]
    if len(known) < len(sds):
        return Components(0.0, of_images, 0.0), ""
    return Components(sum(sd**2 for sd in known), of_images, 0.0), TOLERANCES.as_posix()


def plan_text(plan: Plan) -> str:
    """Return a plan as lines for a terminal."""
    parts = plan.components
    sds = [f"{math.sqrt(value):.4g}" for value in (parts.image, parts.residual)]
    lines = [
        f"{plan.suite}, {plan.metric}: {plan.method} - {plan.reference}; {plan.images} test images",
        f"standard deviation of the difference between images {sds[0]}, of the rest {sds[1]}",
        f"between training seeds {math.sqrt(parts.seed):.4g} ({plan.seed_variance_from})"
        if plan.seed_variance_from
        else "between training seeds: not known, so left out below; `tolerances` measures it",
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
