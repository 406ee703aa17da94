"""Trends, ideals and correlations, against closed forms and independent estimates."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from benchmark.claims.definitions import Claim
from benchmark.claims.trends import compare_trend, correlate
from benchmark.evaluation.results import Results
from tests.claims.made_up import NUM_IMAGES, WOBBLE, claim, evaluated, only, reason, results

SETTINGS = {"a": 1, "b": 10, "c": 100, "d": 1000}
RISES = claim(psnr_rises=[{"settings": SETTINGS}])


def errors_of(psnr_db: ArrayLike, spread: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Return squared errors of images whose mean has a PSNR."""
    return np.asarray(10 ** (-np.asarray(psnr_db) / 10) * (1 + np.asarray(spread) * np.ones(8)))


@pytest.mark.parametrize(
    ("psnrs", "rise", "verdict"),
    [
        ((11.0, 12.0, 13.0, 14.0), 3.0, "supported"),  # a line is fitted exactly
        ((14.0, 13.0, 12.0, 11.0), -3.0, "reversed"),
        ((11.0, 11.0, 11.0, 11.0), 0.0, "negligible"),
        # Least squares over places -1.5 -.5 .5 1.5: (-16.5 - 7 + 6 + 18) * 3 / 5.
        ((11.0, 14.0, 12.0, 12.0), 0.3, "supported"),
    ],
)
def test_a_line_over_the_logarithm_of_a_setting(
    psnrs: tuple[float, ...], rise: float, verdict: str
) -> None:
    scores = {name: errors_of(psnr) for name, psnr in zip(SETTINGS, psnrs, strict=True)}
    found = only(RISES, results(scores, "mse_h"))
    (part,) = found.comparisons
    assert part.difference == pytest.approx(rise, abs=1e-12)
    assert found.verdict == verdict
    assert part.what == "rise of the pooled psnr_h: a to d, 4 variants"


def test_the_psnr_is_that_of_the_mean_error() -> None:
    # One hard image: the mean of PSNRs says a is better, the PSNR of the mean says b is.
    hard = np.r_[0.1, np.full(NUM_IMAGES - 1, 0.001)]
    scores = {"a": hard, "b": np.full(NUM_IMAGES, 0.01)}
    two = claim(psnr_rises=[{"settings": {"a": 1, "b": 2}}])
    (part,) = only(two, results(scores, "mse_h")).comparisons
    assert part.difference == pytest.approx(10 * math.log10(hard.mean() / 0.01), abs=1e-12) and (
        part.difference > 0
    )


def test_the_interval_of_a_rise_is_that_of_resampled_images() -> None:
    rng = np.random.default_rng(0)
    count = 400
    errors = {
        name: rng.lognormal(-4 - 0.1 * place, 0.5, count) for place, name in enumerate(SETTINGS)
    }
    trend = RISES.psnr_rises[0]
    part = compare_trend(trend, results(errors, "mse_h"))
    table = np.stack([*errors.values()])
    drawn = rng.integers(count, size=(4000, count))
    psnrs = -10 * np.log10(table[:, drawn].mean(axis=2))
    rises = 3 * np.polyfit(np.arange(4), psnrs, 1)[0]
    # The standard deviation of 4,000 replicates is known to about 1 %.
    assert (part.high - part.low) / 2 == pytest.approx(1.966 * rises.std(), rel=0.05)


def test_seeds_of_each_variant_are_draws_of_their_own() -> None:
    seeds = {"a": [0.0, 0.1], "b": [0.0, 0.2, 0.1], "c": [0.3, 0.1], "d": [0.0, 0.4]}
    scores = {
        name: np.stack([errors_of(12 + place + of_seed) for of_seed in seeds[name]])
        for place, name in enumerate(SETTINGS)
    }
    part = compare_trend(RISES.psnr_rises[0], results(scores, "mse_h"))
    means = [table.mean(axis=1) for table in scores.values()]
    pool = sum((len(m) - 1) * m.var(ddof=1) for m in means) / 5
    weights = np.array([-1.5, -0.5, 0.5, 1.5]) * 3 / 5
    # Decibels of a relative change of the error, to first order.
    total = sum(
        (w * 10 / math.log(10) / m.mean()) ** 2 * max(pool, m.var(ddof=1)) / len(m)
        for w, m in zip(weights, means, strict=True)
    )
    half = stats.t.ppf(0.975, 5) * np.sqrt(total)
    assert (part.high - part.low) / 2 == pytest.approx(half, rel=1e-9)
    assert (part.seeds, part.covers_seeds) == (2, True)


def test_an_exact_filling_has_no_psnr() -> None:
    scores: dict[str, ArrayLike] = {name: errors_of(12, 0.1 * WOBBLE) for name in SETTINGS}
    exact = results(scores | {"a": np.zeros(NUM_IMAGES)}, "mse_h")
    assert reason(RISES, exact) == "a variant fills all holes exactly, which has no PSNR"


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [
        (0.9, 0.01, "supported"),
        (1.1, 0.01, "supported"),
        (0.5, 0.01, "reversed"),
        (2.0, 0.01, "reversed"),
        (0.8, 0.05, "inconclusive"),  # ln .8 is -.223, with the ends ±.08 from it
    ],
)
def test_a_geometric_mean_near_1(ratio: float, spread: float, verdict: str) -> None:
    near = claim(near_ideal=[{"metric": "sharpness_c", "variant": "ours", "margin": 0.2}])
    scores = {"ours": ratio * np.exp(spread * WOBBLE)}
    found = only(near, results(scores, "sharpness_c"))
    (part,) = found.comparisons
    assert found.verdict == verdict
    assert part.difference == pytest.approx(math.log(ratio), abs=1e-12)
    assert part.what == "ln sharpness_c: ours - the ideal"


def follows(*values: ArrayLike) -> tuple[Claim, dict[str, ArrayLike]]:
    ours, base = values
    return claim(all_follow=[{"metric": "mse_h", "baseline": "biharmonic"}]), {
        "ours": ours,
        "biharmonic": base,
    }


def test_errors_that_rise_with_those_of_a_baseline() -> None:
    rng = np.random.default_rng(1)
    detail = rng.lognormal(-4, 1, 200)
    ours = detail**0.5 * rng.lognormal(0, 0.5, 200)
    tested, scores = follows(ours, detail)
    (part,) = only(tested, results(scores, "mse_h")).comparisons
    assert part.difference == pytest.approx(stats.spearmanr(ours, detail).statistic, rel=1e-12)
    assert (part.verdict, part.images) == ("supported", 200)
    drawn = rng.integers(200, size=(2000, 200))
    resampled = [stats.spearmanr(ours[d], detail[d]).statistic for d in drawn]
    # Neither is exact: a bootstrap of ranks has ties, and z is only nearly normal.
    ends = np.quantile(resampled, [0.025, 0.975])
    assert (part.low, part.high) == pytest.approx(tuple(ends), abs=0.03)


def in_groups(found: Results, groups: Sequence[str]) -> Results:
    """Return results whose images are of groups, by their numbers."""
    names = found.frame["image"].map(lambda name: groups[int(name, 16)])
    return replace(found, frame=found.frame.assign(group=names))


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("aaaaaaaa", "has values of one group of images, which is too few"),
        ("aaaaaaab", "is the same on all images but those of a group"),
        ("aaaabbbb", "is the same on all images but those of a group"),
    ],
)
def test_groups_that_are_too_few_or_hold_all_that_varies(groups: str, said: str) -> None:
    detail = np.array([0.1, 0.3, 0.2, 0.4, 0.5, 0.5, 0.5, 0.5])
    tested, scores = follows(np.linspace(0.1, 0.2, 8), detail)
    found = in_groups(results(scores, "mse_h"), groups)
    assert reason(tested, found) == f"mse_h {said}"


def test_two_groups_of_unlike_sizes_leave_a_degree_of_freedom() -> None:
    detail = np.array([0.1, 0.3, 0.2, 0.4, 0.6, 0.5, 0.8, 0.7, 0.2, 0.5, 0.3, 0.9])
    tested, scores = follows(np.linspace(0.1, 0.2, 12), detail)
    (part,) = only(tested, in_groups(results(scores, "mse_h"), "aaaaaaaabbbb")).comparisons
    ((variance, degrees),) = part.effect.interval.parts
    z = [math.atanh(stats.spearmanr(d, np.arange(len(d))).statistic)
         for d in (detail[:8], detail[8:])]  # fmt: skip
    assert variance == pytest.approx((z[0] - z[1]) ** 2 / 4, rel=1e-9)
    assert degrees == 1 and part.verdict == "inconclusive"


def test_a_correlation_over_images_of_groups_is_less_sure() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 5)
    detail = np.exp(rng.normal(-4, 1, 40)[groups] + rng.normal(0, 0.1, 200))
    ours = detail**0.5 * np.exp(rng.normal(0, 0.7, 40)[groups] + rng.normal(0, 0.1, 200))
    tested, scores = follows(ours, detail)
    alone = results(scores, "mse_h")
    (part,) = only(tested, in_groups(alone, [f"g{group}" for group in groups])).comparisons
    drawn = [np.concatenate([np.flatnonzero(groups == g) for g in d])
             for d in rng.integers(40, size=(1000, 40))]  # fmt: skip
    resampled = [stats.spearmanr(ours[d], detail[d]).statistic for d in drawn]
    # Neither is exact, see above; groups are fewer.
    assert (part.low, part.high) == pytest.approx(
        tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.08
    )
    (naive,) = only(tested, alone).comparisons
    assert part.high - part.low > 1.5 * (naive.high - naive.low)


@pytest.mark.parametrize(("sign", "verdict"), [(1, "supported"), (-1, "reversed")])
def test_a_perfect_order_is_a_correlation_of_one(sign: int, verdict: str) -> None:
    detail = np.linspace(0.01, 0.1, 20)
    tested, scores = follows(0.2 + sign * detail**3, detail)
    found = only(tested, results(scores, "mse_h"))
    assert found.verdict == verdict
    assert found.comparisons[0].difference == pytest.approx(sign, abs=1e-12)


def test_where_a_correlation_says_nothing() -> None:
    tested, scores = follows([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert reason(tested, results(scores, "mse_h")) == (
        "mse_h has values of 3 images, which is too few"
    )
    tested, scores = follows(np.full(8, 0.1), np.linspace(0.1, 0.2, 8))
    assert reason(tested, results(scores, "mse_h")) == "mse_h is the same on all images"
    refused = results({"ours": np.ones(8)}, "mse_h", refused={"biharmonic": "above 128 px"})
    assert reason(tested, refused) == "biharmonic was not run: above 128 px"


def test_every_variant_is_correlated_by_itself_over_the_mean_of_its_seeds() -> None:
    base = np.linspace(0.1, 0.2, 8)
    noise = np.array([1, -1] * 4)  # cancels over the two seeds
    scores = {"x": np.stack([base + noise, base - noise]), "y": base[::-1], "biharmonic": base}
    detail = claim(all_follow=[{"metric": "mse_h", "baseline": "biharmonic"}])
    found = results(scores, "mse_h")
    assert correlate(detail.all_follow[0], "x", found).difference == pytest.approx(1, abs=1e-12)
    assert [f.verdict for f in evaluated(detail, found).findings] == ["supported", "reversed"]
