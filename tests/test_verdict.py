"""Comparisons against scipy.stats and cases worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.verdict import Comparison, compare, coverage, headline, marker, paired_interval


def _frame(scores: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Return a ledger from each method's scores by seed and image."""
    rows = [
        {"method": method, "seed": seed, "image": f"{image:016x}", "mask": "0" * 16, "mse_h": value}
        for method, seeds in scores.items()
        for seed, values in enumerate(seeds)
        for image, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def _against(reference: str, low: float, high: float, method: str = "gan") -> Comparison:
    return Comparison(method, reference, (low + high) / 2, low, high, 10, 1)


def test_one_seed_gives_the_interval_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    ours, reference = rng.normal(1, 0.3, 30), rng.normal(0.9, 0.3, 30)
    expected = stats.ttest_rel(ours, reference).confidence_interval(0.95)
    # Both sides are a few float64 operations apart.
    assert paired_interval((ours - reference)[None]) == pytest.approx(
        (expected.low, expected.high), rel=1e-12
    )
    found = compare(_frame({"gan": [list(ours)], "telea": [list(reference)]}), "gan", "telea")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (found.images, found.seeds) == (30, 1)


def test_two_seeds_are_averaged_and_cover_image_sampling_only() -> None:
    differences = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 4.0]])
    expected = stats.ttest_1samp([2.0, 2.0, 5.0], 0).confidence_interval(0.95)
    assert paired_interval(differences) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert "image sampling only" in coverage(2)
    assert "image sampling only" not in coverage(3)


def test_three_seeds_that_differ_and_equal_images_give_the_interval_over_seeds() -> None:
    seeds = np.array([0.1, 0.2, 0.4])
    differences = np.repeat(seeds[:, None], 50, axis=1)
    expected = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    # The images' means are equal up to rounding, which leaves a variance of about 1e-33.
    assert paired_interval(differences) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.slow
def test_intervals_over_seeds_and_images_cover_at_least_what_they_promise() -> None:
    rng = np.random.default_rng(1)
    trials = 2000
    hits = 0
    for _ in range(trials):
        scores = rng.normal(0, 1, (5, 1)) + rng.normal(0, 2, (1, 30)) + rng.normal(0, 1, (5, 30))
        low, high = paired_interval(scores)
        hits += low <= 0 <= high
    # Three standard errors of a share of .95 over 2000 trials are .015.
    assert hits / trials > 0.935


def test_holes_of_an_image_are_averaged_before_images_are_compared() -> None:
    frame = _frame({"gan": [[1.0, 5.0]], "telea": [[0.0, 0.0]]})
    extra = frame.assign(mask="1" * 16, mse_h=frame["mse_h"] * 3)
    found = compare(pd.concat([frame, extra]), "gan", "telea")
    assert found.difference == 6.0  # images: (1 + 3) / 2 and (5 + 15) / 2
    assert found.images == 2


def test_one_image_distinguishes_nothing() -> None:
    found = compare(_frame({"gan": [[9.0]], "telea": [[1.0]]}), "gan", "telea")
    assert found.verdict == "not distinguishable"


def test_equal_methods_are_not_distinguishable() -> None:
    scores = [[0.1, 0.2, 0.3]]
    found = compare(_frame({"gan": scores, "telea": scores}), "gan", "telea")
    assert (found.low, found.high, found.verdict) == (0, 0, "not distinguishable")


def test_methods_on_other_images_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same images"):
        compare(_frame({"gan": [[1.0, 2.0, 3.0]], "telea": [[1.0, 2.0]]}), "gan", "telea")


@pytest.mark.parametrize(
    ("telea", "biharmonic", "expected"),
    [
        ((0.1, 0.2), (0.3, 0.4), "✗ loses to telea"),
        ((-0.2, -0.1), (0.1, 0.2), "✗ loses to biharmonic"),
        ((-0.2, -0.1), (-0.1, 0.1), "≈ even with biharmonic"),
        ((-0.2, -0.1), (-0.2, -0.1), "✓ beats every baseline"),
    ],
)
def test_the_marker_names_the_first_defeat(
    telea: tuple[float, float], biharmonic: tuple[float, float], expected: str
) -> None:
    found = [_against("telea", *telea), _against("biharmonic", *biharmonic)]
    assert marker(found, strongest="biharmonic") == expected


def test_a_loss_to_another_baseline_is_never_called_a_victory() -> None:
    found = [_against("telea", -0.2, -0.1), _against("nearest_train", 0.1, 0.2)]
    assert marker(found, strongest="telea") == "✗ loses to nearest_train"


def test_the_headline_says_in_words_that_all_lose() -> None:
    means = {"l2": 0.0182, "binary": 0.02, "telea": 0.0112}
    found = [_against("telea", 0.001, 0.002, name) for name in ("binary", "l2")]
    assert headline("Photos", means, found, "telea") == (
        "Photos: every learned variant loses to telea, the strongest baseline "
        "(best: l2, mse_h 0.0182 against 0.0112)."
    )


def test_the_headline_counts_where_variants_differ() -> None:
    means = {"a": 0.1, "b": 0.2, "c": 0.3, "telea": 0.2}
    found = [
        _against("telea", -2, -1, "a"),
        _against("telea", -1, 1, "b"),
        _against("telea", 1, 2, "c"),
    ]
    text = headline("Photos", means, found, "telea")
    assert (
        "of 3 learned variants 1 loses to it, 1 is not distinguishable from it, 1 beats it" in text
    )
