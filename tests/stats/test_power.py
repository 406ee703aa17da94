"""The power of paired intervals: the noncentral t distribution and simulated comparisons."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.intervals import (
    Array,
    Sample,
    Spread,
    effective_number,
    interval_of_mean,
)
from benchmark.stats.power import (
    Components,
    components_of,
    detectable_difference,
    images_needed,
    probability_seen,
)
from tests.support.simulation import crossed

PARTS = Components(seeds=(0.02,), image=1.0, residual=0.5)


def test_one_seed_is_the_power_of_the_paired_t_test() -> None:
    images, difference = 20, 0.7
    found = probability_seen(Components((), 1.0, 0.0), images, 1, difference)
    # The noncentral t distribution is exact; 200 levels of an estimated variance are nearly so.
    critical = stats.t.isf(0.025, images - 1)
    shift = difference * math.sqrt(images)
    power = stats.nct.sf(critical, images - 1, shift) + stats.nct.cdf(-critical, images - 1, shift)
    assert found == pytest.approx(power, abs=2e-4)


def test_without_a_difference_the_level_is_that_of_the_interval() -> None:
    assert probability_seen(Components((), 1.0, 0.0), 50, 1, 0.0) == pytest.approx(0.05, abs=5e-4)


@pytest.mark.parametrize("seeds", [1, 2, 3, 10])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_detectable_difference_is_seen_with_its_power(seeds: int, power: float) -> None:
    least = detectable_difference(PARTS, 100, seeds, power)
    parts = PARTS if seeds >= 2 else Components((), PARTS.image, PARTS.residual)
    assert probability_seen(parts, 100, seeds, least) == pytest.approx(power, abs=1e-6)


def test_more_images_or_seeds_never_show_less() -> None:
    by_images = [detectable_difference(PARTS, images, 5, 0.8) for images in (10, 100, 1000, 10**6)]
    by_seeds = [detectable_difference(PARTS, 100, seeds, 0.8) for seeds in (2, 3, 5, 10, 30)]
    for found in (by_images, by_seeds):
        assert found == sorted(found, reverse=True) and len(set(found)) == len(found)
    assert detectable_difference(PARTS, 1, 5, 0.8) == math.inf


def _share_seen(seeds: int, images: int, power: float, trials: int) -> float:
    """Return how often intervals of simulated differences of the planned size leave out 0."""
    rng = np.random.default_rng(1000 * seeds + images)
    parts = PARTS if seeds >= 2 else Components((), PARTS.image, PARTS.residual)
    difference = detectable_difference(parts, images, seeds, power)
    seen = 0
    for _ in range(trials):
        scores = difference + crossed(rng, parts, seeds, images)
        found = interval_of_mean(Sample(scores, is_trained=seeds > 1))
        seen += found.low > 0 or found.high < 0
    return seen / trials


@pytest.mark.parametrize(("seeds", "images"), [(1, 60), (3, 60)])
def test_power_is_what_the_plan_says(seeds: int, images: int) -> None:
    # Three standard errors of a share of .8 of 1,000 are .038.
    assert _share_seen(seeds, images, 0.8, 1000) == pytest.approx(0.8, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    ("seeds", "images"), [(1, 20), (1, 400), (2, 60), (3, 30), (3, 400), (5, 100), (10, 60)]
)
def test_power_is_what_the_plan_says_of_many(seeds: int, images: int, power: float) -> None:
    # Two standard errors of a share of .5 of 2,000 are .022; the rest is for what the formula
    # leaves out: that an estimated residual is less sure than it takes it for.
    assert _share_seen(seeds, images, power, 2000) == pytest.approx(power, abs=0.04)


@pytest.mark.parametrize(("seeds", "degrees"), [(1, 2), (2, 4), (3, 2)])
def test_power_is_what_the_plan_says_with_a_spread_that_was_measured(
    seeds: int, degrees: int
) -> None:
    rng = np.random.default_rng(seeds)
    parts = replace(PARTS, measured=(degrees,))
    difference = detectable_difference(parts, 60, seeds, 0.8)
    # What is measured is the spread of means, in which the residual is.
    spread = Spread(math.sqrt(PARTS.seeds[0] + PARTS.residual / 60), degrees)
    seen = 0
    for _ in range(1000):
        scores = difference + crossed(rng, PARTS, seeds, 60)
        found = interval_of_mean(Sample(scores, spread=spread))
        seen += found.low > 0 or found.high < 0
    assert parts.covers(seeds) and seen / 1000 == pytest.approx(0.8, abs=0.04)


def test_what_one_seed_covers_is_what_was_measured_of_both_sides() -> None:
    both = Components((0.02, 0.03), 1.0, 0.5, measured=(2, 4))
    assert both.covers(1) and not replace(both, measured=(2, 0)).covers(1)
    assert replace(both, measured=()).covers(2) and not replace(both, measured=()).covers(1)


@pytest.mark.parametrize("sizes", [(10,) * 6, (14, 12, 12, 10, 8, 7, 4)])
def test_power_over_groups_is_what_the_plan_says(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    images = groups.size

    def drawn() -> Array:
        of_images: Array = rng.normal(0, 0.5, (1, images))
        return of_images + rng.normal(0, 1, len(sizes))[groups]

    # The variance of a mean of groups, times the number of images.
    image = images * (sum((size / images) ** 2 for size in sizes) + 0.25 / images)
    parts = Components((), image, 0.0, group_size=images / effective_number(groups))
    difference = detectable_difference(parts, images, 1, 0.8)
    seen = 0
    for _ in range(1000):
        found = interval_of_mean(Sample(difference + drawn(), groups, is_trained=False))
        seen += found.low > 0 or found.high < 0
    assert seen / 1000 == pytest.approx(0.8, abs=0.04)


def test_groups_of_one_size_are_planned_as_so_many_images() -> None:
    values = np.random.default_rng(2).normal(0, 1, (1, 60))
    groups = np.arange(60) % 6
    means = np.array([[values[0, groups == group].mean() for group in range(6)]])
    grouped, alone = (
        components_of(Sample(v, g, is_trained=False), Sample(0 * v, g, is_trained=False))
        for v, g in ((values, groups), (means, None))
    )
    least = detectable_difference(grouped, 60, 1, 0.8)
    assert least == pytest.approx(detectable_difference(alone, 6, 1, 0.8), rel=1e-9)
    groups_needed, needed = (images_needed(parts, 1, 0.5, 0.8) for parts in (alone, grouped))
    assert groups_needed is not None and needed is not None
    assert groups_needed - 1 < needed / 10 <= groups_needed
    assert detectable_difference(grouped, 10, 1, 0.8) == math.inf


def test_images_that_a_difference_takes_are_enough_and_one_less_is_not() -> None:
    needed = images_needed(PARTS, 1, 0.3, 0.8)
    assert needed is not None
    seen = [probability_seen(PARTS, count, 1, 0.3) for count in (needed - 1, needed)]
    assert seen[0] < 0.8 <= seen[1]
    # What seeds change is not averaged out by images.
    assert images_needed(PARTS, 3, 0.05, 0.8) is None


def test_components_are_those_that_scores_were_drawn_with() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, (1, 400))
    sides = [
        shared * weight + rng.normal(0, sd, (80, 1)) + rng.normal(0, 0.5, (80, 400))
        for weight, sd in ((1.0, 0.3), (3.0, 0.6))
    ]
    found = components_of(*map(Sample, sides))
    # Relative standard errors of variances of 80 seeds, 400 images: 16 %, 7 %; three.
    assert found.seeds == pytest.approx((0.09, 0.36), rel=0.48)
    assert found.image == pytest.approx(4, rel=0.21)
    assert found.residual == pytest.approx(2 * 0.25, rel=0.03)
