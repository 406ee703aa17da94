"""What intervals are said to show, by cases worked by hand and by simulated reports."""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.stats.intervals import Sample, Spread, interval_of_difference, pooled
from benchmark.stats.rulebook import Effect, family, holm
from tests.support.comparisons import interval


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.2, 0.4, 0.0, "above"),
        (-0.4, -0.2, 0.0, "below"),
        (-0.1, 0.2, 0.0, "open"),
        (-0.1, 0.2, 0.3, "within"),
        (0.1, 0.2, 0.3, "within"),  # sure, and nobody can see it
        (0.1, 0.4, 0.3, "above"),
        (-0.4, 0.1, 0.3, "open"),
    ],
)
def test_readings(low: float, high: float, margin: float, expected: str) -> None:
    assert Effect(interval(low, high), margin).reading == expected


def test_a_null_that_is_not_zero_is_what_an_effect_is_above_of() -> None:
    assert Effect(interval(-0.2, 0.4), null=-0.3).reading == "above"
    assert Effect(interval(-0.2, 0.4), null=-0.1).reading == "open"


def test_p_within_is_the_level_of_the_interval_that_ends_at_the_margin() -> None:
    effect = Effect(interval(-0.1, 0.3), margin=0.3)
    assert effect.p_within == pytest.approx(0.05)
    assert Effect(interval(0.2, 0.6), margin=0.3).p_within == 1


def test_holm_against_a_case_worked_by_hand() -> None:
    # .01 x 4, .02 x 3, then .03 x 2 = .06 (not below .06), .04 x 1 raised to .06.
    assert holm([0.03, 0.01, 0.04, 0.02], 4) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    # At most two are true: .01 x 2, .02 x 2, .03 x 2, then .04 x 1 raised.
    assert holm([0.03, 0.01, 0.04, 0.02], 2) == pytest.approx([0.06, 0.02, 0.06, 0.04])
    assert holm([0.9, 0.8], 2) == [1.0, 1.0]
    assert holm([], 0) == []


def test_a_family_of_one_is_not_adjusted() -> None:
    effect = Effect(interval(-0.1, 0.3), margin=0.35)
    (found,) = family([effect])
    assert found.adjusted == pytest.approx((effect.p, effect.p_within))


def test_what_is_shown_together_is_adjusted_together() -> None:
    # Each alone has p = .04; of five, .2.
    effects = family([Effect(interval(0.005, 0.205))] * 5)
    assert [e.reading for e in effects] == ["open"] * 5
    assert effects[0].p_adjusted == pytest.approx(5 * effects[0].p)
    sure = family([Effect(interval(-0.1, 0.1), 0.3)] * 5)
    assert [e.reading for e in sure] == ["within"] * 5


SPREAD, IMAGE_SD, MARGIN = 0.00077, 0.012, 0.0005
"""Of `staged` on photos in mse_h, between seeds and between images; the margin of mse_h."""


PHOTOGRAPHS = np.repeat(np.arange(7), (80, 75, 54, 34, 30, 17, 12))
"""Of which the test images of `photos` are blocks."""


def _false_verdicts(
    rng: np.random.Generator,
    seeds: int,
    true: float,
    measured: bool = False,
    groups: NDArray[np.int64] | None = None,
    factors: Sequence[float] = (1, 1, 1, 1, 1),
    images: int = 150,
) -> tuple[bool, bool]:
    """Simulate a suite of five variants and eight baselines: is anything said of it false?

    Returns:
        It of the table against baselines, and of that between variants.
    """
    images = images if groups is None else groups.size

    def of_images(scale: float) -> NDArray[np.float64]:
        if groups is None:
            return rng.normal(0, scale, (1, images))
        return rng.normal(0, scale, (1, int(groups.max()) + 1))[:, groups]

    shared = rng.exponential(IMAGE_SD, (1, images))
    tables, known = {}, {}
    for number, factor in enumerate(factors):
        of_seeds = rng.normal(0, SPREAD * factor, (seeds, 1))
        noise = rng.normal(0, IMAGE_SD / 2, (seeds, images))
        name = str(number)
        tables[name] = shared + of_images(IMAGE_SD) + of_seeds + noise
        # What was measured is the spread of three other seeds.
        others = rng.normal(0, SPREAD * factor, 3)
        means = others if measured else tables[name].mean(axis=1)
        if len(means) > 1:
            known[name] = Spread(float(means.std(ddof=1)), len(means) - 1)
    spreads = pooled(known)
    variants = [Sample(table, groups, spread=spreads.get(n)) for n, table in tables.items()]
    baselines = [
        Sample(shared - true + of_images(IMAGE_SD), groups, is_trained=False) for _ in range(8)
    ]
    wrong = {"within", "below"} if true else {"above", "below"}
    against = [(ours, reference) for ours in variants for reference in baselines]
    found = [
        {e.reading for e in family([Effect(interval_of_difference(*p), MARGIN) for p in pairs])}
        for pairs in (against, [*combinations(variants, 2)])
    ]
    return bool(found[0] & wrong), bool(found[1] & {"above", "below"})


@pytest.mark.slow
@pytest.mark.parametrize("groups", [None, PHOTOGRAPHS], ids=["images", "photographs"])
@pytest.mark.parametrize("factors", [(1, 1, 1, 1, 1), (1, 1, 1, 1, 3)], ids=["alike", "one_larger"])
@pytest.mark.parametrize("true", [0.0, MARGIN])
@pytest.mark.parametrize(
    ("seeds", "measured"), [(1, True), (2, False), (2, True), (3, False), (5, False)]
)
def test_a_table_says_anything_false_in_one_of_twenty(
    seeds: int,
    measured: bool,
    true: float,
    factors: Sequence[float],
    groups: NDArray[np.int64] | None,
) -> None:
    rng = np.random.default_rng(seeds)
    trials = 400
    found = [_false_verdicts(rng, seeds, true, measured, groups, factors) for _ in range(trials)]
    # 5 %, and two standard errors of a share of .05 of 400.
    most = 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)
    against, between = np.mean(found, axis=0)
    assert against < most and between < most


@pytest.mark.slow
def test_images_alone_would_say_something_false_of_most_tables() -> None:
    rng = np.random.default_rng(1)
    found = [_false_verdicts(rng, 1, 0.0, images=5000) for _ in range(100)]
    # The reason why such verdicts are called provisional.
    assert (np.mean(found, axis=0) > 0.5).all()


@pytest.mark.slow
def test_two_variants_alone_of_unlike_spreads_are_where_the_rule_ends() -> None:
    rng = np.random.default_rng(7)
    trials = 200
    found = [_false_verdicts(rng, 2, 0.0, factors=(1, 3), images=20_000) for _ in range(trials)]
    _, between = np.mean(found, axis=0)
    # docs/statistics.md says up to one of ten; two standard errors of a share of .1 of 200.
    assert between < 0.1 + 2 * math.sqrt(0.1 * 0.9 / trials)
