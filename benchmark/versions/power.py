"""Score tables of two methods → how many images and seeds it takes to see their difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.metrics import METRICS
from benchmark.stats.comparison import Scores, comparable_scores, scores_of
from benchmark.stats.intervals import MIN_SEEDS, Sample
from benchmark.stats.power import Components, components_of, detectable_difference, images_needed
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
        difference: that is to be seen, in the metric's unit; without it the margin of equivalence.
        power: the probability that it is seen.

    Raises:
        InputError: a name is unknown, a score table is missing, or the scores do not vary
            or are of one group.
    """
    if metric not in METRICS:
        raise InputError(f"--metric {metric!r}: not one of {', '.join(METRICS)}")
    if difference is not None and not 0 < difference < math.inf:
        raise InputError(f"--difference {difference}: must be above 0")
    if not 0 < power < 1:
        raise InputError(f"--power {power}: must be between 0 and 1")
    ours, other = (_scores(results, suite, name, metric) for name in (method, reference))
    shared = ours.scored.intersection(other.scored)
    if len(shared) < 2:
        raise InputError(f"{method} and {reference} share fewer than two scored images of {suite}")
    sides = ours.sample(shared), other.sample(shared)
    if (groups := sides[0].groups) is not None and groups.max() == 0:
        both = f"{method} and {reference}"
        raise InputError(f"{both} share scored images of one group of {suite}; a plan needs two")
    if not all(np.isfinite(side.scores).all() for side in sides):
        raise InputError(f"{suite}: a score in {metric} of {method} or {reference} is infinite")
    components, origin = components_of(*sides), _seeds_known_from(sides)
    if components.image <= 0 and components.residual <= 0:
        raise InputError(f"{metric} of {method} and {reference} differs by the same on all images")
    if difference is None:
        difference = METRICS[metric].margin
    images = len(shared)
    rows = tuple(
        Row(
            seeds,
            detectable_difference(components, images, seeds, power),
            images_needed(components, seeds, difference, power),
            covers_seeds=bool(origin) and components.covers(seeds),
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


def _scores(results: Snapshot, suite: str, name: str, metric: str) -> Scores:
    subjects = _subjects(results, suite, name)
    frame = pd.concat([results.score_table(subject) for subject in subjects], ignore_index=True)
    if name not in set(frame["method"]) or metric not in frame:
        names = ", ".join(dict.fromkeys(frame["method"]))
        raise InputError(f"{suite}: there are no scores in {metric} of {name}; there are {names}")
    scaled = comparable_scores(frame, metric, results.image_px(suite))
    is_trained = subjects[0].is_run
    spread = results.spread(suite, name, metric) if is_trained else None
    return scores_of(scaled, name, metric, is_trained, spread)


def _seeds_known_from(sides: Sequence[Sample]) -> str:
    """Say where the variance between seeds is from; nothing where a side's is not known."""
    seeds = [len(side.scores) for side in sides if side.is_trained]
    if not seeds:
        return "neither is trained"
    if min(seeds) >= MIN_SEEDS:
        return f"{min(seeds)} seeds of the score tables"
    known = all(side.spread for side in sides if side.is_trained)
    return TOLERANCES.as_posix() if known else ""


def plan_text(plan: Plan) -> str:
    """Return a plan as lines for a terminal."""
    parts = plan.components
    sds = [f"{math.sqrt(value):.4g}" for value in (parts.image, parts.residual)]
    lines = [
        f"{plan.suite}, {plan.metric}: {plan.method} - {plan.reference}; {plan.images} test images",
        f"standard deviation of the difference between images {sds[0]}, of the rest {sds[1]}",
        f"between training seeds {math.sqrt(sum(parts.seeds)):.4g} ({plan.seed_variance_from})"
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
