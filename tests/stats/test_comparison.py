"""Comparisons of methods on score tables worked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.stats.comparison import (
    Comparison,
    comparable_name,
    comparable_scores,
    compare,
    family,
    score_matrices,
    score_matrix,
    scores_of,
)
from benchmark.stats.intervals import Spread
from tests.support.comparisons import comparison


def _compared(frame: pd.DataFrame, method: str, reference: str) -> Comparison:
    ours, other = (scores_of(frame, n, is_trained=n == "gan") for n in (method, reference))
    return compare(ours, other)


def _frame(scores: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Return a score table from each method's scores by seed and image."""
    rows = [
        {"method": method, "seed": seed, "image": f"{image:016x}", "mask": "0" * 16, "mse_h": value}
        for method, seeds in scores.items()
        for seed, values in enumerate(seeds)
        for image, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_matrices_of_all_methods_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    frame = _frame({"b": rng.random((3, 5)).tolist(), "a": rng.random((1, 5)).tolist()})
    frame = pd.concat([frame, frame.assign(mask="1" * 16, mse_h=rng.random(len(frame)))])
    frame.loc[(frame["method"] == "b") & (frame["seed"] == 1), "mse_h"] = np.nan
    found = score_matrices(frame, "mse_h")
    assert found.keys() == {"a", "b"}
    for method, matrix in found.items():
        pd.testing.assert_frame_equal(matrix, score_matrix(frame, method), check_exact=True)


def test_scores_are_those_of_the_images_asked_for() -> None:
    frame = _frame({"gan": [[1.0, 2.0, np.nan, 4.0], [np.nan] * 4, [5.0, 6.0, 7.0, 8.0]]})
    frame["group"] = frame["image"].map(lambda image: "odd" if int(image, 16) % 2 else "even")
    scores = scores_of(frame, "gan")
    assert [int(image, 16) for image in scores.scored] == [0, 1, 3]
    sample = scores.sample(scores.scored[[2, 0]])
    assert sample.scores.tolist() == [[4.0, 1.0], [8.0, 5.0]]  # the second seed has no score
    assert sample.groups is not None
    assert sample.groups.tolist() == [0, 1]
    nothing = scores_of(_frame({"gan": [[np.nan, np.nan]]}), "gan")
    assert nothing.scored.empty


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
    ("metric", "low", "high", "expected"),
    [
        ("mse_h", -0.3, -0.1, "better"),
        ("mse_h", 0.1, 0.3, "worse"),
        ("mse_h", -0.0004, 0.0003, "equivalent"),
        ("psnr_h", 0.2, 0.4, "better"),
        ("psnr_h", -0.4, -0.2, "worse"),
        ("psnr_h", 0.02, 0.08, "equivalent"),  # sure, and nobody can see it
        ("psnr_h", 0.02, 0.12, "better"),
        ("psnr_h", -0.2, 0.12, "inconclusive"),
        ("ssim_h", -0.001, 0.0015, "equivalent"),
        ("ssim_h", -0.003, 0.0015, "inconclusive"),
        ("seam", -0.003, 0.003, "equivalent"),  # less than a gray level
    ],
)
def test_verdicts(metric: str, low: float, high: float, expected: str) -> None:
    assert comparison("a", "b", low, high, metric=metric).verdict == expected


def test_a_verdict_of_images_alone_is_provisional() -> None:
    assert comparison("a", "b", 1, 2, covers_seeds=False).verdict_text == "worse (provisional)"
    assert comparison("a", "b", 1, 2).verdict_text == "worse"
    # Nothing is said that seeds could take back.
    assert comparison("a", "b", -1, 2, covers_seeds=False).verdict_text == "inconclusive"


def test_family_is_adjusted_together() -> None:
    alone = comparison("a", "b", 0.01, 0.21)
    found = family([alone] * 4)
    assert [c.verdict for c in found] == ["inconclusive"] * 4 and alone.verdict == "worse"
    assert found[0].p == alone.p and found[0].p_adjusted == pytest.approx(4 * alone.p)


def test_all_seeds_of_both_variants_count() -> None:
    frame = _frame({"a": [[1, 2], [3, 4], [5, 6]], "b": [[1, 1], [2, 2]], "telea": [[1, 2]]})
    scores = {
        name: scores_of(frame, name, is_trained=name != "telea") for name in ("a", "b", "telea")
    }
    found = compare(scores["a"], scores["b"])
    assert (found.difference, found.seeds) == (3.5 - 1.5, 2)
    assert compare(scores["a"], scores["telea"]).seeds == 3


def test_a_measured_spread_turns_a_sure_victory_into_an_open_question() -> None:
    rng = np.random.default_rng(1)
    reference = rng.normal(0.03, 0.01, 100)
    frame = _frame(
        {"gan": [list(reference - 0.0015 + rng.normal(0, 1e-4, 100))], "telea": [list(reference)]}
    )
    telea = scores_of(frame, "telea", is_trained=False)
    alone = compare(scores_of(frame, "gan"), telea)
    assert alone.verdict_text == "better (provisional)"
    known = compare(scores_of(frame, "gan", spread=Spread(0.001, 2)), telea)
    assert known.verdict_text == "inconclusive"


def test_images_of_a_group_count_as_one() -> None:
    frame = _frame({"gan": [[2.0, 2.1, 1.0, 1.1, 3.0]], "telea": [[1.0] * 5]})
    groups = dict(zip(sorted(set(frame["image"])), "aabbc", strict=True))
    found = _compared(frame.assign(group=frame["image"].map(groups)), "gan", "telea")
    assert found.images == 5
    # Degrees of freedom of three groups, of 2, 2 and 1 of five images.
    assert found.effect.interval.parts[0][1] == pytest.approx(25 / 9 - 1)
    assert found.wilcoxon_p == stats.wilcoxon([1.05, 0.05, 2.0]).pvalue


def test_images_that_lack_a_score_are_left_out() -> None:
    frame = _frame({"gan": [[2.0, np.nan, 3.0], [np.nan] * 3], "telea": [[1.0, 1.0, 1.0]]})
    found = _compared(frame, "gan", "telea")
    assert (found.images, found.seeds, found.difference) == (2, 1, 1.5)


def test_ratios_are_compared_by_their_logarithms_and_distances_from_the_ideal() -> None:
    frame = _frame({"a": [[0.5, 2.0, 0.0]]}).rename(columns={"mse_h": "sharpness_c"})
    scaled = comparable_scores(frame, "sharpness_c", 0)
    assert comparable_name("sharpness_c") == "|ln sharpness_c|"
    # Half is as far as double; 0 counts as a hundredth.
    assert scaled["sharpness_c"].tolist() == pytest.approx([np.log(2), np.log(2), np.log(100)])
    kept = comparable_scores(frame, "sharpness_c", 0, to_ideal=False)
    assert comparable_name("sharpness_c", to_ideal=False) == "ln sharpness_c"
    assert kept["sharpness_c"][0] == pytest.approx(-np.log(2))


def test_infinite_psnr_counts_as_one_level_in_one_channel() -> None:
    frame = _frame({"a": [[np.inf, 20.0]]}).rename(columns={"mse_h": "psnr_w"})
    scaled = comparable_scores(frame, "psnr_w", image_px=100)
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


def test_equal_methods_are_equivalent() -> None:
    scores = [[0.1, 0.2, 0.3]]
    found = _compared(_frame({"gan": scores, "telea": scores}), "gan", "telea")
    assert (found.low, found.high, found.verdict) == (0, 0, "equivalent")
