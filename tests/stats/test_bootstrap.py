"""The crossed bootstrap against closed forms, and sign flips against exhaustive ones."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.bootstrap import REPLICATES, resampled_means, sign_flip_p
from benchmark.stats.intervals import Sample


def test_spread_of_replicates_is_the_standard_error_of_the_mean() -> None:
    scores = np.random.default_rng(0).normal(5, 2, (1, 200))
    means = resampled_means({"a": Sample(scores)}, seeds_too=False)["a"]
    assert means.shape == (REPLICATES,)
    # Closed form: sd with divisor N over sqrt(N). 3 % of the width, of which the draws of 10,000
    # replicates take a standard error of .7 %.
    expected = scores.std(ddof=0) / np.sqrt(200)
    assert means.std() == pytest.approx(expected, rel=0.03)
    low, high = np.quantile(means, [0.025, 0.975])
    assert high - low == pytest.approx(2 * 1.959964 * expected, rel=0.03)
    assert means.mean() == pytest.approx(scores.mean(), abs=4 * expected / np.sqrt(REPLICATES))


def test_crossed_replicates_have_the_variance_that_owen_gives() -> None:
    rng = np.random.default_rng(1)
    seeds, images = 4, 60
    scores = (
        rng.normal(0, 1, (seeds, 1)) + rng.normal(0, 1, (1, images)) + rng.normal(0, 1, (4, 60))
    )
    means = resampled_means({"a": Sample(scores)}, seeds_too=True)["a"]
    # Of a product of two multinomial means: rows, columns, and what rows and columns leave.
    rows, columns = scores.mean(axis=1), scores.mean(axis=0)
    rest = scores - rows[:, None] - columns + scores.mean()
    expected = rows.var() / seeds + columns.var() / images + (rest**2).mean() / (seeds * images)
    # Standard error of a variance of 10,000 replicates: 1.4 %; three, and the tails of products.
    assert means.var() == pytest.approx(expected, rel=0.06)


def test_methods_are_resampled_alike() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(0, 1, (3, 50))
    scores = {"a": first, "b": first + 2, "c": rng.normal(0, 1, (3, 50))}
    samples = {name: Sample(found) for name, found in scores.items()}
    means = resampled_means(samples, seeds_too=False)
    assert means["b"] - means["a"] == pytest.approx(np.full(REPLICATES, 2.0), abs=1e-12)
    assert np.corrcoef(means["a"], means["c"])[0, 1] < 0.9
    # Seeds of different methods are independent draws.
    of_seeds = {name: Sample(np.array([[1.0], [2.0], [4.0]])) for name in "ab"}
    drawn = resampled_means(of_seeds, seeds_too=True)
    assert abs(np.corrcoef(drawn["a"], drawn["b"])[0, 1]) < 0.05  # five standard errors


def test_groups_are_drawn_whole() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(6), [4, 4, 4, 1, 1, 1])
    values = rng.normal(0, 1, 6)[groups]
    means = resampled_means({"a": Sample(values[None], groups)}, seeds_too=False)["a"]
    draws = np.random.default_rng(4).integers(0, 6, (20_000, 6))
    sizes = np.bincount(groups)
    drawn = [values[np.concatenate([np.flatnonzero(groups == g) for g in d])] for d in draws]
    expected = np.array([row.mean() for row in drawn])
    assert sizes.tolist() == [4, 4, 4, 1, 1, 1]
    # Standard errors of two spreads, of 10,000 and of 20,000 draws: under 1.2 %; three.
    assert means.std() == pytest.approx(expected.std(), rel=0.036)


def test_replicates_depend_on_nothing_but_the_scores() -> None:
    scores = np.arange(12.0).reshape(3, 4)
    alone = resampled_means({"a": Sample(scores)}, True)["a"]
    beside = resampled_means({"b": Sample(scores[:1]), "a": Sample(scores)}, True)["a"]
    assert (alone == beside).all()
    # Pinned: draws are values, whatever the version of NumPy.
    assert alone[:4] * 12 == pytest.approx([65, 79, 72, 28])


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_few_images_are_flipped_exhaustively(count: int) -> None:
    values = np.random.default_rng(count).normal(0.4, 1, count)
    sums = [abs(np.dot(signs, values)) for signs in product((-1, 1), repeat=count)]
    observed = abs(values.sum())
    expected = np.mean([total >= observed - 1e-12 for total in sums])
    assert sign_flip_p(values) == pytest.approx(expected, rel=1e-12)


def test_few_images_give_the_exact_p_of_scipy() -> None:
    values = np.random.default_rng(9).normal(0.5, 1, 10)
    test = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=2**10, vectorized=True
    )
    assert sign_flip_p(values) == pytest.approx(test.pvalue, rel=1e-12)


def test_many_images_give_about_the_p_of_scipy() -> None:
    values = np.random.default_rng(8).exponential(1, 80) - 0.8
    test = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=40_000, vectorized=True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    error = np.sqrt(test.pvalue * (1 - test.pvalue) * (1 / REPLICATES + 1 / 40_000))
    assert 0.01 < test.pvalue < 0.9
    assert sign_flip_p(values) == pytest.approx(test.pvalue, abs=4 * float(error))


def test_a_sure_difference_has_the_least_p_that_there_is() -> None:
    assert sign_flip_p(np.full(100, 0.3)) == 1 / (REPLICATES + 1)
    assert sign_flip_p(np.zeros(100)) == 1
