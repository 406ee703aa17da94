"""The crossed bootstrap against closed forms, and sign flips against exhaustive ones."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.bootstrap import REPLICATES, resampled_means, sign_flip_p


def test_spread_of_replicates_is_the_standard_error_of_the_mean() -> None:
    scores = np.random.default_rng(0).normal(5, 2, (1, 200))
    means = resampled_means({"a": scores}, seeds_too=False)["a"]
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
    means = resampled_means({"a": scores}, seeds_too=True)["a"]
    # Of a product of two multinomial means: rows, columns, and what rows and columns leave.
    rows, columns = scores.mean(axis=1), scores.mean(axis=0)
    rest = scores - rows[:, None] - columns + scores.mean()
    expected = rows.var() / seeds + columns.var() / images + (rest**2).mean() / (seeds * images)
    # Standard error of a variance of 10,000 replicates: 1.4 %; three, and the tails of products.
    assert means.var() == pytest.approx(expected, rel=0.06)


def test_methods_are_resampled_alike() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(0, 1, (3, 50))
    means = resampled_means({"a": first, "b": first + 2, "c": rng.normal(0, 1, (3, 50))}, True)
    assert means["b"] - means["a"] == pytest.approx(np.full(REPLICATES, 2.0), abs=1e-12)
    assert np.corrcoef(means["a"], means["c"])[0, 1] < 0.9


def test_replicates_depend_on_nothing_but_the_scores() -> None:
    scores = np.arange(12.0).reshape(3, 4)
    alone = resampled_means({"a": scores}, True)["a"]
    beside = resampled_means({"b": scores[:1], "a": scores}, True)["a"]
    assert (alone == beside).all()
    # Pinned: draws are values, whatever the version of NumPy.
    assert alone[:4] * 12 == pytest.approx([33, 95, 40, 76])


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_few_images_are_flipped_exhaustively(count: int) -> None:
    values = np.random.default_rng(count).normal(0.4, 1, count)
    sums = [abs(np.dot(signs, values)) for signs in product((-1, 1), repeat=count)]
    observed = abs(values.sum())
    expected = np.mean([total >= observed - 1e-12 for total in sums])
    assert sign_flip_p(values[None]) == pytest.approx(expected, rel=1e-12)


def test_few_images_give_the_exact_p_of_scipy() -> None:
    values = np.random.default_rng(9).normal(0.5, 1, 10)
    test = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=2**10, vectorized=True
    )
    assert sign_flip_p(values[None]) == pytest.approx(test.pvalue, rel=1e-12)


def test_many_images_give_about_the_p_of_scipy() -> None:
    values = np.random.default_rng(8).exponential(1, 80) - 0.8
    test = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=40_000, vectorized=True,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    error = np.sqrt(test.pvalue * (1 - test.pvalue) * (1 / REPLICATES + 1 / 40_000))
    assert 0.01 < test.pvalue < 0.9
    assert sign_flip_p(values[None]) == pytest.approx(test.pvalue, abs=4 * float(error))


def test_a_sure_difference_has_the_least_p_that_there_is() -> None:
    assert sign_flip_p(np.full((1, 100), 0.3)) == 1 / (REPLICATES + 1)
    assert sign_flip_p(np.zeros((1, 100))) == 1


def test_seeds_are_averaged_before_signs_are_flipped() -> None:
    values = np.random.default_rng(7).normal(0.3, 1, (3, 9))
    assert sign_flip_p(values) == sign_flip_p(values.mean(axis=0)[None])
