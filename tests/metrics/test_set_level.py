"""KID and U-IDS against double loops, SciPy, and sets of which the answer is known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.core.config import Evaluation
from benchmark.evaluation.test_set import TestSet, score_method
from benchmark.metrics.set_level import (
    GROUPS,
    MIN_IMAGES,
    kid,
    set_level,
    set_level_missing,
    uids,
)
from benchmark.metrics.shift_tolerant import SMALLEST_PX, pooled_features
from data.store import Record

pytestmark = pytest.mark.promise("metrics")


def _gaussian(seed: int, count: int = 1000, size: int = 8, mean: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(mean, 1, (count, size)))


def test_kid_is_the_mean_over_all_pairs_of_different_images() -> None:
    truth, completed = _gaussian(0, 47, 3), _gaussian(1, 47, 3, mean=0.5)

    def k(x: Tensor, y: Tensor) -> float:
        return float((sum(a * b for a, b in zip(x.tolist(), y.tolist(), strict=True)) / 3 + 1) ** 3)

    for group, value in enumerate(kid(truth, completed).tolist()):
        x, y = truth[group::GROUPS], completed[group::GROUPS]
        terms = [
            k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i])
            for i in range(len(x))
            for j in range(len(x))
            if i != j
        ]
        assert value == pytest.approx(sum(terms) / len(terms), rel=1e-12)


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_kid_of_two_samples_of_one_distribution_is_zero_within_its_error(shared: float) -> None:
    """Even where an image and its completion resemble each other, as they share known pixels."""
    common = shared**0.5 * _gaussian(2, 4000)
    truth, completed = (common + (1 - shared) ** 0.5 * _gaussian(s, 4000) for s in (0, 1))
    groups = kid(truth, completed)
    error = groups.std() / GROUPS**0.5
    assert abs(groups.mean()) < 3 * error  # exceeded by chance once in 60 draws; these are fixed
    # With the pairs of an image and its own completion the mean would be beyond.
    if shared:
        own = ((truth * completed).mean(1) + 1) ** 3
        others = ((truth * completed.roll(1, 0)).mean(1) + 1) ** 3
        bias = 2 * (own.mean() - others.mean()) / (len(truth) / GROUPS)
        assert bias > 3 * error


def test_kid_of_shifted_gaussians_is_the_closed_form() -> None:
    size, shift = 4, 0.7
    truth, completed = _gaussian(0, 20_000, size), _gaussian(1, 20_000, size, mean=shift)

    # E (s/d + 1)³ of the product s of independent vectors, whose means have the product m, the
    # squared lengths a and b: E s = m, E s² = d + a + b + m², E s³ = m³ + 3m(d + a + b) + 6m.
    def expected(m: float, a: float, b: float) -> float:
        second = size + a + b + m**2
        third = m**3 + 3 * m * (size + a + b) + 6 * m
        return third / size**3 + 3 * second / size**2 + 3 * m / size + 1

    length = size * shift**2
    distance = expected(0, 0, 0) + expected(length, length, length) - 2 * expected(0, 0, length)
    groups = kid(truth, completed)
    assert groups.mean().item() == pytest.approx(distance, abs=3 * groups.std().item() / 10**0.5)
    assert groups.std().item() / 10**0.5 < distance / 20


def test_uids_is_a_half_where_nothing_tells_sets_apart_and_zero_where_all_does() -> None:
    truth = _gaussian(0)
    alike = uids(truth, _gaussian(1))
    assert alike.mean().item() == pytest.approx(0.5, abs=0.05)
    assert (uids(truth, _gaussian(1, mean=8)) == 0).all()
    assert (uids(truth, truth) == 0.5).all()
    flat = torch.ones(1000, 8, dtype=torch.float64)
    assert (uids(flat, flat) == 0.5).all()


def test_uids_of_shifted_gaussians_is_the_error_of_the_best_classifier() -> None:
    from scipy.stats import norm

    truth, completed = _gaussian(0, 20_000), _gaussian(1, 20_000, mean=0.25)
    best = norm.cdf(-0.25 * 8**0.5 / 2)
    # Standard error of a share of 40,000.
    assert uids(truth, completed).mean().item() == pytest.approx(best, abs=0.0075)


def test_uids_is_of_images_that_the_classifier_has_not_seen() -> None:
    """With more features than images, a classifier tells everything apart that it has seen."""
    truth, completed = _gaussian(0, 100, 300), _gaussian(1, 100, 300)
    assert uids(truth, completed).mean().item() > 0.35


def test_measures_have_their_standard_error_over_groups() -> None:
    truth, completed = _gaussian(0, 1000).float(), _gaussian(1, 1000, mean=0.3).float()
    found = set_level(truth, completed)
    assert found.keys() == {"kid_stlpips", "uids_stlpips"}
    groups = kid(truth.double(), completed.double()).numpy()
    assert found["kid_stlpips"] == {
        "value": pytest.approx(groups.mean(), rel=1e-6),
        "se": pytest.approx(groups.std(ddof=1) / np.sqrt(10), rel=1e-6),
        "n": 1000,
    }
    assert set_level(truth, truth)["kid_stlpips"]["value"] == 0


def test_small_sets_have_no_measure_and_a_reason() -> None:
    assert set_level_missing(MIN_IMAGES, 64) is None
    assert set_level_missing(999, 64) == "needs 1,000 test images, and there are 999"
    assert "21 px" in str(set_level_missing(MIN_IMAGES, SMALLEST_PX - 1))


def test_methods_are_measured_on_the_first_hole_of_every_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count, side = 40, 32
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    boxes = np.tile(np.array([8, 8, 24, 24], np.int32), (count, 2, 1))
    records = [Record("test", i, str(i), f"{i:064x}", "") for i in range(count)]
    test = TestSet(images, boxes, records, [*range(count)])
    settings = Evaluation(batch_size=16, masks_per_image=2)

    def truth(rows: list[int], _: int) -> Tensor:
        return test.targets(rows)

    def gray_at_first(rows: list[int], mask_number: int) -> Tensor:
        return test.targets(rows) if mask_number else torch.full_like(test.targets(rows), 128)

    absent = score_method("oracle", 0, test, truth, settings).set_level["kid_stlpips"]
    assert absent["value"] is None and "1,000" in str(absent["missing"])
    monkeypatch.setattr("benchmark.metrics.set_level.MIN_IMAGES", count)
    perfect, gray = (
        score_method("m", 0, test, fill, settings).set_level for fill in (truth, gray_at_first)
    )
    assert perfect["kid_stlpips"] == {"value": 0, "se": 0, "n": count}
    assert perfect["uids_stlpips"] == {"value": 0.5, "se": 0, "n": count}
    target, mask = test.targets(test.rows), test.masks(test.rows, 0)
    completed = torch.where(mask, 128, target).to(torch.uint8)
    expected = set_level(pooled_features(target), pooled_features(completed))
    for name, measure in gray.items():
        assert measure["value"] == pytest.approx(expected[name]["value"], rel=1e-4)
    assert gray["uids_stlpips"]["value"] == 0


def test_pooled_features_tell_noise_from_flat_images() -> None:
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8))
    flat = noise.float().mean((2, 3), keepdim=True).expand_as(noise).to(torch.uint8)
    features = [pooled_features(images) for images in (noise[:30], noise[30:], flat[:30])]
    assert [tuple(f.shape) for f in features] == [(30, 256)] * 3
    same, other = (kid(features[0].double(), f.double()).mean().abs() for f in features[1:])
    assert other > 100 * same
    # One at a time they are the same.
    alone = torch.cat([pooled_features(noise[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(alone, features[0][:4], rtol=1e-5, atol=1e-6)
