"""Identities of the metrics on images and masks of any shape, and independent computations.

Images are drawn as noise, ramps, flat areas or two levels, in any size from 11 px, the least that
SSIM takes; masks as rectangles or as single pixels, anywhere.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage import metrics as reference
from torch import Tensor

from benchmark.evaluation.test_set import TestSet
from benchmark.metrics import METRICS, composite, known_mae_raw, quantize, score_images
from benchmark.metrics.regions import region_pixels
from benchmark.pipeline.baselines import ORACLE, _in_groups, _truth
from benchmark.training.batches import masks_from_boxes
from data.store import Record
from models.baselines import BASELINES
from tests.support.promises import tally

pytestmark = pytest.mark.promise("metrics")
CHECKED = "metric identities checked"
PIXEL_METRICS = [n for n in METRICS if "lpips" not in n and n != "known_mae_raw"]
QUICK = settings(max_examples=10, derandomize=True, deadline=None)
LONG = settings(QUICK, max_examples=250)


@dataclass(frozen=True)
class Case:
    """Completed images with their targets and holes, `[N, 3, H, W]` uint8 and `[N, 1, H, W]`."""

    completed: Tensor
    target: Tensor
    mask: Tensor

    def __repr__(self) -> str:
        return f"Case({tuple(self.target.shape)}, {self.mask.sum((1, 2, 3)).tolist()} px)"

    def scores(self) -> dict[str, Tensor]:
        return score_images(self.completed, self.target, self.mask, PIXEL_METRICS)

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Case":
        """Return the case with the same done to everything."""
        return Case(
            *(change(part).contiguous() for part in (self.completed, self.target, self.mask))
        )


def _content(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if kind == "noise":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == "levels":
        return rng.choice(np.array([0, 255], np.uint8), shape)
    if kind == "flat":
        return np.broadcast_to(rng.integers(0, 256, (*shape[:2], 1, 1), dtype=np.uint8), shape)
    slopes = rng.integers(-6, 7, (2, shape[0], shape[1], 1, 1))
    rows, columns = np.arange(shape[2])[:, None], np.arange(shape[3])
    ramps = 128 + slopes[0] * rows + slopes[1] * columns
    return np.asarray(ramps.clip(0, 255), np.uint8)


def _mask(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    count, _, height, width = shape
    mask = np.zeros((count, 1, height, width), bool)
    for hole in mask[:, 0]:
        if kind == "pixels":
            hole[:] = rng.random(hole.shape) < rng.choice([0.02, 0.5, 0.95])
        else:
            y, x = rng.integers(0, height), rng.integers(0, width)
            hole[y : y + rng.integers(1, height), x : x + rng.integers(1, width)] = True
        # Neither all nor nothing, whatever was drawn.
        hole.flat[rng.integers(0, hole.size)] ^= hole.all() or not hole.any()
    return mask


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, height, width = draw(st.tuples(st.integers(1, 4), *[st.integers(11, 40)] * 2))
    shape = (count, 3, height, width)
    kinds = st.sampled_from(["noise", "levels", "flat", "ramp"])
    target, filled = (torch.from_numpy(_content(rng, draw(kinds), shape).copy()) for _ in range(2))
    mask = torch.from_numpy(_mask(rng, draw(st.sampled_from(["rectangle", "pixels"])), shape))
    return Case(composite(filled, target, mask), target, mask)


def _close(ours: Tensor, expected: Tensor | NDArray[np.float64], tolerance: float) -> None:
    np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance)
    tally(CHECKED)


def _identities(case: Case) -> None:
    scores, share = case.scores(), case.mask.double().mean((1, 2, 3))
    finite = scores["psnr_h"].isfinite()
    difference = scores["psnr_w"] - scores["psnr_h"]
    _close(difference[finite], -10 * torch.log10(share)[finite], 1e-12)
    _close(scores["mse_w"], share * scores["mse_h"], 1e-14)
    _close(scores["mae_w"], share * scores["mae_h"], 1e-14)
    _close(scores["l1_percent_h"], 100 * scores["mae_h"], 1e-12)
    # The squares of the hole are those of its band and its core.
    counts = {r: region_pixels(case.mask, r).double().sum((1, 2, 3)) for r in ("h", "b", "c")}
    parts = sum(scores[f"mse_{r}"].nan_to_num() * counts[r] for r in ("b", "c"))
    _close(torch.as_tensor(parts), scores["mse_h"] * counts["h"], 1e-10)
    # Windows that do not touch the hole are equal, so that their SSIM is 1.
    touching = ndimage.binary_dilation(case.mask.numpy(), np.ones((1, 1, 11, 11), bool))[
        ..., 5:-5, 5:-5
    ]
    touched = torch.from_numpy(touching.mean((1, 2, 3)))
    _close(scores["ssim_w"], 1 - touched * (1 - scores["ssim_h"]), 1e-12)
    # On [0, 1] a square is at most the value, and the mean of squares at least the mean's square.
    assert (scores["mse_h"] <= scores["mae_h"] + 1e-15).all()
    assert (scores["mse_h"] >= scores["mae_h"] ** 2 - 1e-15).all()
    assert (scores["ssim_w"].abs() <= 1 + 1e-12).all()
    tally(CHECKED, 3)


def _invariances(case: Case) -> None:
    scores, count = case.scores(), len(case.mask)
    changes: dict[str, Callable[[Tensor], Tensor]] = {
        "left and right": lambda part: part.flip(3),
        "up and down": lambda part: part.flip(2),
        "rows and columns": lambda part: part.transpose(2, 3),
    }
    for name, change in changes.items():
        found = case.changed(change).scores()
        for metric in PIXEL_METRICS:  # 1e-12: the same terms, summed in another order
            np.testing.assert_allclose(
                found[metric], scores[metric], rtol=1e-12, atol=1e-12, err_msg=f"{name}: {metric}"
            )
            tally(CHECKED)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    together = case.changed(lambda part: part[order]).scores()
    for metric in PIXEL_METRICS:
        alone = torch.cat(
            [case.changed(lambda p, i=i: p[i : i + 1]).scores()[metric] for i in range(count)]  # type: ignore[misc]
        )
        _close(together[metric], scores[metric][order], 1e-13)
        _close(alone, scores[metric], 1e-13)


def _extremes(case: Case) -> None:
    """The truth scores perfectly, and known pixels count nowhere but where they should."""
    perfect = Case(case.target, case.target, case.mask).scores()
    ideal = {"lower": 0.0, "zero": 0.0, "higher": 1.0, "one": 1.0}
    for name in PIXEL_METRICS:
        metric, values = METRICS[name], perfect[name][~perfect[name].isnan()]
        expected = math.inf if metric.unit == "dB" else ideal[metric.better]
        assert (values == expected).all(), name
        tally(CHECKED)
    other = torch.where(case.mask, case.completed, 255 - case.target)
    for name in ("mse_h", "mae_h", "psnr_h", "mse_b", "mse_c", "l1_percent_h"):
        ours = METRICS[name].function(other, case.target, case.mask)
        assert torch.equal(ours.nan_to_num(-1), case.scores()[name].nan_to_num(-1)), name
        tally(CHECKED)
    known = (255 - 2 * case.target.double()).abs() / 255
    means = [k[:, ~m[0]].mean() for k, m in zip(known, case.mask, strict=True)]
    _close(known_mae_raw(other, case.target, case.mask), torch.stack(means), 1e-12)
    with pytest.raises(ValueError, match="known pixels differ"):
        score_images(other, case.target, case.mask, PIXEL_METRICS)


def _images_last(images: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))


def _independent(case: Case) -> None:
    """Compare with NumPy, SciPy and scikit-image, image by image."""
    scores = case.scores()
    images = zip(
        _images_last(case.completed),
        _images_last(case.target),
        case.mask[:, 0].numpy(),
        strict=True,
    )
    for row, (ours, truth, hole) in enumerate(images):
        expected = {
            **_pixel_errors(ours / 255 - truth / 255, hole),
            **_structure(ours, truth, hole),
            **_edges(ours, truth, hole),
            "seam": _seam(ours.astype(int), truth.astype(int), hole),
        }
        assert expected.keys() <= set(PIXEL_METRICS)
        for name, value in expected.items():
            # 1e-11: float64 sums of some thousand terms, in another order.
            assert scores[name][row].item() == pytest.approx(
                value, rel=1e-11, abs=1e-11, nan_ok=True
            ), name
            tally(CHECKED)


def _pixel_errors(difference: NDArray[np.float64], hole: NDArray[np.bool_]) -> dict[str, float]:
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    shorter = min(np.ptp(rows), np.ptp(columns)) + 1
    distance = ndimage.distance_transform_edt(hole)
    # Distances are roots of integers; those next to 1, 2, 3 are more than 0.1 away.
    band = hole & (distance <= max(1, round(int(shorter) / 32)) + 1e-9)
    regions = {"w": np.ones_like(hole), "h": hole, "b": band, "c": hole & ~band}
    squares = {f"mse_{r}": _mean(difference**2, where) for r, where in regions.items()}
    absolute = {f"mae_{r}": _mean(np.abs(difference), regions[r]) for r in ("w", "h")}
    decibels = {
        f"psnr_{r}": -10 * np.log10(squares[f"mse_{r}"]) if squares[f"mse_{r}"] else np.inf
        for r in ("w", "h")
    }
    return {**squares, **absolute, **decibels, "l1_percent_h": 100 * absolute["mae_h"]}


def _mean(values: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    return float(values[where].mean()) if where.any() else math.nan


def _structure(
    ours: NDArray[np.uint8], truth: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> dict[str, float]:
    similarity = reference.structural_similarity(  # type: ignore[no-untyped-call]
        truth,
        ours,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
        full=True,
    )[1][5:-5, 5:-5]
    touching = ndimage.binary_dilation(hole, np.ones((11, 11), bool))[5:-5, 5:-5]
    uniform = reference.structural_similarity(  # type: ignore[no-untyped-call]
        truth / 255, ours / 255, data_range=1, channel_axis=-1
    )
    return {
        "ssim_w": float(similarity.mean()),
        "ssim_h": _mean(similarity, touching),
        "ssim_uniform_w": float(uniform),
    }


def _edges(
    ours: NDArray[np.uint8], truth: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> dict[str, float]:
    energies = []
    for image in (ours.astype(float), truth.astype(float)):
        channels = [
            sum(ndimage.sobel(channel, axis, mode="nearest") ** 2 for axis in (0, 1))
            for channel in np.moveaxis(image, 2, 0)
        ]
        energies.append(np.stack(channels, axis=2))
    distance = np.abs(np.sqrt(energies[0]) - np.sqrt(energies[1])) / 255
    band = ndimage.distance_transform_edt(np.pad(hole, 9, mode="edge"))[9:-9, 9:-9]
    sides = [np.flatnonzero(hole.any(axis)) for axis in (0, 1)]
    core = band > max(1, round(min(s[-1] - s[0] + 1 for s in sides) / 32))
    core &= ndimage.binary_erosion(hole, np.ones((3, 3), bool), border_value=1)
    above, below = (max(_mean(energy, core), 2.0) for energy in energies)
    sharpness = above / below if core.any() else math.nan
    return {"sharpness_c": sharpness, "edge_h": _mean(distance, hole)}


def _seam(ours: NDArray[np.int64], truth: NDArray[np.int64], hole: NDArray[np.bool_]) -> float:
    total, pairs = 0, 0
    for y in range(hole.shape[0]):
        for x in range(hole.shape[1]):
            for v, u in ((y + 1, x), (y, x + 1)):
                if v < hole.shape[0] and u < hole.shape[1] and hole[y, x] != hole[v, u]:
                    pairs += 1
                    total += np.abs(ours[y, x] - ours[v, u]).sum()
                    total -= np.abs(truth[y, x] - truth[v, u]).sum()
    return float(total / (3 * 255 * pairs)) if pairs else math.nan


CHECKS = {f.__name__.strip("_"): f for f in (_identities, _invariances, _extremes, _independent)}


@pytest.mark.parametrize("check", CHECKS)
@QUICK
@given(case=cases())
def test_metrics_keep_their_identities(check: str, case: Case) -> None:
    CHECKS[check](case)


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
@LONG
@given(case=cases())
def test_metrics_keep_their_identities_in_many_cases(check: str, case: Case) -> None:
    CHECKS[check](case)


@QUICK
@given(seed=st.integers(0, 2**32), half=st.booleans())
def test_a_composite_is_the_target_where_it_is_known(seed: int, half: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (2, 3, 12, 9)
    target = torch.from_numpy(_content(rng, "noise", shape))
    mask = torch.from_numpy(_mask(rng, "rectangle", shape))
    between = (rng.integers(-1, 256, shape) + 0.5) / 127.5 - 1  # of two levels
    output = between if half else rng.uniform(-1.5, 1.5, shape)
    completed = composite(quantize(torch.from_numpy(output)), target, mask)
    # NumPy rounds half to even too; its sum is that of the definition, 255 (y + 1) / 2.
    rounded = np.rint((output + 1) / 2 * 255).clip(0, 255).astype(np.uint8)
    assert np.array_equal(completed.numpy(), np.where(mask.numpy(), rounded, target.numpy()))
    tally(CHECKED)


SIDE_PX = 24


@pytest.mark.parametrize("name", [*BASELINES, ORACLE])
@settings(QUICK, max_examples=4)
@given(seed=st.integers(0, 2**32))
def test_baselines_see_no_hole_and_touch_nothing_else(name: str, seed: int) -> None:
    """Whatever the hole holds, the same fills it; the oracle alone takes what it holds."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (3, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    corners = rng.integers(0, SIDE_PX - 8, (3, 1, 2))
    boxes = np.concatenate([corners, corners + 8], axis=2).astype(np.int32)
    mask = masks_from_boxes(torch.from_numpy(boxes[:, 0]), SIDE_PX)
    training = rng.integers(0, 256, (4, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    filled = []
    for content in (images, np.where(mask[:, 0, :, :, None], 255 - images, images)):
        records = [Record("test", i, str(i), "", "") for i in range(3)]
        test = TestSet(content.astype(np.uint8), boxes, records, [0, 1, 2])
        fill = _truth(test) if name == ORACLE else _in_groups(test, 2)(BASELINES[name](training))
        filled.append(fill([0, 1, 2], 0))
        known = ~mask.expand(-1, 3, -1, -1)
        assert torch.equal(filled[-1][known], test.targets([0, 1, 2])[known])
    assert torch.equal(filled[0], filled[1]) == (name != ORACLE)
    tally(CHECKED, 2)
