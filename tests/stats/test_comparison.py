"""Comparisons of methods on score tables worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.stats.comparison import (
    Comparison,
    comparable_scores,
    compare,
    family,
    paired_differences,
    score_matrix,
)
from tests.support.comparisons import comparison


def _compared(frame: pd.DataFrame, method: str, reference: str) -> Comparison:
    found = compare(frame, method, reference)
    assert found is not None
    return found


def _frame(scores: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Return a score table from each method's scores by seed and image."""
    rows = [
        {"method": method, "seed": seed, "image": f"{image:016x}", "mask": "0" * 16, "mse_h": value}
        for method, seeds in scores.items()
        for seed, values in enumerate(seeds)
        for image, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_comparison_has_what_scipy_says_of_the_differences() -> None:
    rng = np.random.default_rng(0)
    ours, reference = rng.normal(1, 0.3, 30), rng.normal(0.9, 0.3, 30)
    test = stats.ttest_rel(ours, reference)
    found = _compared(_frame({"gan": [list(ours)], "telea": [list(reference)]}), "gan", "telea")
    expected = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert found.p == found.p_adjusted == pytest.approx(test.pvalue, rel=1e-10)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(ours, reference).pvalue, rel=1e-12)
    assert found.improvement == np.mean(ours < reference)
    assert (found.images, found.seeds) == (30, 1)


@pytest.mark.parametrize(
    ("metric", "low", "high", "p", "expected"),
    [
        ("mse_h", -0.3, -0.1, 0.001, "better"),
        ("mse_h", 0.1, 0.3, 0.001, "worse"),
        ("mse_h", -0.3, -0.1, 0.06, "inconclusive"),  # after Holm
        ("psnr_h", 0.2, 0.4, 0.001, "better"),
        ("psnr_h", -0.4, -0.2, 0.001, "worse"),
        ("psnr_h", 0.02, 0.08, 0.001, "equivalent"),  # sure, and nobody can see it
        ("psnr_h", 0.02, 0.12, 0.001, "better"),
        ("psnr_h", -0.2, 0.12, 0.6, "inconclusive"),
        ("ssim_h", -0.001, 0.0015, 0.7, "equivalent"),
        ("ssim_h", -0.003, 0.0015, 0.7, "inconclusive"),
    ],
)
def test_verdicts(metric: str, low: float, high: float, p: float, expected: str) -> None:
    assert comparison("a", "b", low, high, metric=metric, p=p).verdict == expected


def test_family_is_adjusted_together() -> None:
    found = family([comparison("a", "b", 1, 2, p=p) for p in (0.03, 0.01, 0.04, 0.02)])
    assert [c.p_adjusted for c in found] == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert [c.p for c in found] == [0.03, 0.01, 0.04, 0.02]


def test_seeds_are_paired_between_variants_and_not_with_a_baseline() -> None:
    frame = _frame({"a": [[1, 2], [3, 4], [5, 6]], "b": [[1, 1], [2, 2]], "telea": [[1, 2]]})
    tables = {name: score_matrix(frame, name) for name in ("a", "b", "telea")}
    found = paired_differences(tables["a"], tables["b"], has_seeds=True)
    assert found.to_numpy().tolist() == [[0, 1], [1, 2]]
    found = paired_differences(tables["a"], tables["telea"], has_seeds=False)
    assert found.to_numpy().tolist() == [[0, 0], [2, 2], [4, 4]]
    other = tables["b"].rename(index={0: 7, 1: 8})
    assert paired_differences(tables["a"], other, has_seeds=True).empty


def test_ratios_are_compared_by_their_logarithms_and_distances_from_the_ideal() -> None:
    frame = _frame({"a": [[0.5, 2.0, 0.0]]}).rename(columns={"mse_h": "sharpness_c"})
    scaled, what = comparable_scores(frame, "sharpness_c", 0)
    assert what == "|ln sharpness_c|"
    # Half is as far as double; 0 counts as a hundredth.
    assert scaled["sharpness_c"].tolist() == pytest.approx([np.log(2), np.log(2), np.log(100)])
    kept, what = comparable_scores(frame, "sharpness_c", 0, to_ideal=False)
    assert what == "ln sharpness_c" and kept["sharpness_c"][0] == pytest.approx(-np.log(2))


def test_infinite_psnr_counts_as_one_level_in_one_channel() -> None:
    frame = _frame({"a": [[np.inf, 20.0]]}).rename(columns={"mse_h": "psnr_w"})
    scaled, _ = comparable_scores(frame, "psnr_w", image_px=100)
    assert scaled["psnr_w"].tolist() == pytest.approx([10 * np.log10(255**2 * 300), 20])


def test_holes_of_an_image_are_averaged_before_images_are_compared() -> None:
    frame = _frame({"gan": [[1.0, 5.0]], "telea": [[0.0, 0.0]]})
    extra = frame.assign(mask="1" * 16, mse_h=frame["mse_h"] * 3)
    found = _compared(pd.concat([frame, extra]), "gan", "telea")
    assert found.difference == 6.0  # images: (1 + 3) / 2 and (5 + 15) / 2
    assert found.images == 2


def test_one_image_distinguishes_nothing() -> None:
    found = _compared(_frame({"gan": [[9.0]], "telea": [[1.0]]}), "gan", "telea")
    assert found.verdict == "inconclusive"


def test_equal_methods_are_inconclusive_without_a_margin() -> None:
    scores = [[0.1, 0.2, 0.3]]
    found = _compared(_frame({"gan": scores, "telea": scores}), "gan", "telea")
    assert (found.low, found.high, found.verdict) == (0, 0, "inconclusive")
