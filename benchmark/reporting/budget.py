"""Results and variants of a suite → what each training took, beside what its authors took."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.claims.budgets import AuthorsBudget, images_seen, load_budgets
from benchmark.core.config import Suite
from benchmark.core.text import number
from benchmark.evaluation.curves import (
    IMAGES_SEEN,
    AtBudget,
    Key,
    Trend,
    at_equal_budget,
    end_trend,
)
from benchmark.evaluation.results import Results
from benchmark.stats.comparison import METRIC
from benchmark.training.describe import describe_variant
from data.errors import InputError
from models.variant import DiscriminatorSpec, Variant

VALIDATION = f"validation/{METRIC}"
FORWARD, TO_WEIGHTS, TO_INPUT = 1, 1, 1
"""Operations of a network's three passes, by those of its forward pass: each has the products of
every layer once."""
PASSES = FORWARD + TO_WEIGHTS + TO_INPUT


@dataclass(frozen=True)
class Budget:
    """What the training of a variant took, the mean of its seeds; NaN where it is not known."""

    images: float
    """Images seen in the whole training."""
    authors: AuthorsBudget | None
    """What its authors took, where they say so."""
    updates: Mapping[str, int] | None
    """Of the generator and of each discriminator, by name; the most where some may be skipped."""
    flops: float
    trend: Trend | None
    """Of the validation metric at the end."""

    @property
    def share(self) -> float:
        """Images seen by those of the authors."""
        return math.nan if self.authors is None else self.images / self.authors.images_seen


def budgets(
    results: Results, variants: Mapping[str, Variant], spent: Mapping[Key, NDArray[np.float64]]
) -> dict[str, Budget]:
    """Return the budget of every variant of a suite.

    Args:
        results: of the suite.
        variants: those whose settings are known.
        spent: what `training_flops` returned.

    Raises:
        InputError: the file of the authors' budgets is missing or damaged.
    """
    authors, found = load_budgets(), {}
    for name in results.variants:
        curves = [results.curves[name, seed] for seed in results.seeds_of(name)]
        images = images_seen(results, name)
        flops = [spent[name, seed][-1] for seed in results.seeds_of(name) if (name, seed) in spent]
        variant, updates = variants.get(name), None
        if variant is not None and not math.isnan(images):
            steps = len(images_of_steps(results.suite, curves[0]))
            updates = {"generator": steps}
            for part, spec in variant.discriminators.items():
                updates[part] = int(updated(spec, steps).sum())
        found[name] = Budget(
            images=images,
            authors=authors.get(name),
            updates=updates,
            flops=float(np.mean(flops)) if flops else math.nan,
            trend=end_trend(curves, VALIDATION),
        )
    return found


def images_of_steps(suite: Suite, curve: pd.DataFrame) -> NDArray[np.int64]:
    """Return the number of images in each step of a finished training, `[steps]`.

    Only the last batch of an epoch may be smaller than the others.
    """
    size, of_epoch = suite.training.batch_size, int(curve[IMAGES_SEEN].iloc[0])
    whole, rest = divmod(of_epoch, size)
    return np.tile([size] * whole + ([rest] if rest else []), len(curve)).astype(np.int64)


def updated(spec: DiscriminatorSpec, steps: int) -> NDArray[np.bool_]:
    """Return in which steps of a training a discriminator is updated, `[steps]`.

    The updates that `skip_above` takes away are among them: the step computes them all the same.
    """
    every = np.arange(steps)
    found: NDArray[np.bool_] = _active(spec, steps) & ((every + 1) % spec.update_every == 0)
    return found


def _active(spec: DiscriminatorSpec, steps: int) -> NDArray[np.bool_]:
    active: NDArray[np.bool_] = np.arange(steps) / steps >= spec.start
    return active


def image_flops(
    variant: Variant, generator: int, discriminators: Mapping[str, int], steps: int
) -> NDArray[np.float64]:
    """Return the operations for one image in each step of a training, `[steps]`.

    A backward pass has the products of the forward pass twice: once for the gradient of the weights
    and once for that of the input. An update of a discriminator has the passes of a true and of a
    completed image. For the generator's loss it is asked once, and its weights' gradient left out.
    Validation, losses and optimizers are not counted, nor that first layers need no gradient of
    their input.

    Args:
        variant: the networks and schedules.
        generator: operations of the generator's forward pass.
        discriminators: those of each discriminator.
        steps: number of steps of the training.
    """
    flops = np.full(steps, float(PASSES * generator))
    terms = variant.generator.losses.values()
    for name, spec in variant.discriminators.items():
        weighs = np.zeros(steps, bool)
        for term in terms:
            if term.discriminator == name:
                weighs |= [term.weight_at(step / steps) > 0 for step in range(steps)]
        asked = _active(spec, steps) & weighs
        flops += discriminators[name] * 2 * PASSES * updated(spec, steps)
        flops += discriminators[name] * (FORWARD + TO_INPUT) * asked
    return flops


def training_flops(
    results: Results, variants: Mapping[str, Variant]
) -> dict[Key, NDArray[np.float64]]:
    """Return the operations until the end of each epoch, `[epochs]`, by variant and seed.

    Runs whose networks or images seen are not known are left out.
    """
    settings, curves = results.suite, results.curves
    found = {}
    for name, variant in variants.items():
        try:
            facts = describe_variant(variant, settings.image_size, settings.mask.size)
        except InputError:
            continue
        for seed in results.seeds_of(name):
            curve = curves[name, seed]
            if IMAGES_SEEN in curve:
                found[name, seed] = _by_epoch(settings, variant, facts, curve)
    return found


def _by_epoch(
    suite: Suite, variant: Variant, facts: Mapping[str, Any], curve: pd.DataFrame
) -> NDArray[np.float64]:
    images = images_of_steps(suite, curve)
    networks = {name: part["flops"] for name, part in facts["discriminators"].items()}
    flops = images * image_flops(variant, facts["generator"]["flops"], networks, len(images))
    total: NDArray[np.float64] = flops.reshape(len(curve), -1).sum(axis=1).cumsum()
    return total


@dataclass(frozen=True)
class Equal:
    """All variants at the largest budget of one kind that every run has spent."""

    limit: float
    """Images, or operations."""
    standings: Mapping[str, AtBudget]


def at_equal_images(results: Results) -> Equal | None:
    """Return the validation scores at equal images; None where there are not two variants."""
    known = {key: curve for key, curve in results.curves.items() if IMAGES_SEEN in curve}
    return at_equal(results, {k: curve[IMAGES_SEEN].to_numpy(float) for k, curve in known.items()})


def at_equal(results: Results, spent: Mapping[Key, NDArray[np.float64]]) -> Equal | None:
    """Return the validation scores at equal spending; None where there are not two variants.

    Args:
        results: of the suite.
        spent: `[epochs]` until the end of each epoch, by variant and seed.
    """
    curves = results.curves
    values = {k: curves[k][VALIDATION].to_numpy(float) for k in spent if VALIDATION in curves[k]}
    shared = {key: spent[key] for key in values}
    if len({name for name, _ in shared}) < 2:
        return None
    return Equal(*at_equal_budget(shared, values))


def share_range(shares: Iterable[float]) -> str:
    """Return shares of the authors' budget from the least to the greatest; empty without any."""
    found = [*shares]
    return _range([percent(end(found)) for end in (min, max)]) if found else ""


def budget_clause(budgets: Iterable[Budget]) -> str:
    """Say what `budget_range` returns, and of what the share is."""
    text = budget_range(found := [*budgets])
    has_share = any(not math.isnan(budget.share) for budget in found)
    return f"{text} of the authors' stated budget" if text and has_share else text


def budget_range(budgets: Iterable[Budget]) -> str:
    """Return how much training some variants had.

    Returns:
        "9,600 images, 0.64 %", or from the least to the most; without the share where no authors
        state theirs, and empty where the images seen are not known.
    """
    found = [budget for budget in budgets if not math.isnan(budget.images)]
    if not found:
        return ""
    images = _range([number(end(b.images for b in found), 0) for end in (min, max)])
    text = f"{images} images"
    if shares := share_range(budget.share for budget in found if budget.authors is not None):
        text += f", {shares}"
    return text


def percent(share: float) -> str:
    """Return a share as percent, with two digits at least."""
    value = 100 * share
    if math.isnan(value):
        return "—"
    return f"{value:,.0f} %" if value >= 10 else f"{value:.2g} %"


def _range(ends: list[str]) -> str:
    low, high = ends
    return low if low == high else f"{low} to {high}"
