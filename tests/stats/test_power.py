"""The power of paired intervals: the noncentral t distribution and simulated comparisons."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.intervals import Sample, interval_of_mean
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
