"""Masks as training and evaluation make them, for specs, sizes, epochs and images of all kinds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from benchmark.training.batches import make_batch, masks_from_boxes
from benchmark.training.rng import training_boxes, training_hole_sizes
from data.masks import MaskSpec, mask_bank
from tests.support.promises import tally
from tests.support.tiny import tiny_suite

pytestmark = pytest.mark.promise("masks")
CHECKED = "masks checked"
QUICK = settings(max_examples=60, derandomize=True, deadline=None)
COUNT = 20


@st.composite
def specs(draw: st.DrawFn) -> tuple[MaskSpec, int]:
    """Draw a spec that a suite accepts, and the side of its images."""
    size, margin, play = draw(st.tuples(st.integers(1, 40), st.integers(0, 9), st.integers(0, 40)))
    image_px = max(16, size + 2 * margin + play, size + 1)
    kind = draw(st.sampled_from(["center", "random_square"]))
    spec = MaskSpec(kind=kind, size=size, margin=margin)
    assert tiny_suite(image_size=image_px, mask=spec.model_dump()).mask == spec
    return spec, image_px


def _check(boxes: NDArray[np.int32], side: int, spec: MaskSpec, image_px: int) -> None:
    """Check masks pixel by pixel against their spec."""
    masks = masks_from_boxes(torch.from_numpy(boxes), image_px).numpy()[:, 0]
    assert masks.dtype == bool and masks.shape == (len(boxes), image_px, image_px)
    assert (masks.sum((1, 2)) == side**2).all()
    margin = spec.margin
    inner = masks[:, margin : image_px - margin, margin : image_px - margin]
    assert (inner.sum((1, 2)) == side**2).all(), "a hole reaches into the margin"
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert len(rows) == len(columns) == side
        assert np.ptp(rows) == np.ptp(columns) == side - 1
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        if spec.kind == "center":
            rest = image_px - side
            assert (rows[0], columns[0]) == (rest // 2, rest // 2)
    tally(CHECKED, len(masks))


@QUICK
@given(specs(), st.integers(0, 2**31 - 1), st.integers(0, 10_000))
def test_holes_of_training(drawn: tuple[MaskSpec, int], seed: int, epoch: int) -> None:
    spec, image_px = drawn
    boxes = training_boxes(seed, epoch, COUNT, spec, image_px)
    _check(boxes, spec.size, spec, image_px)
    assert np.array_equal(boxes[:7], training_boxes(seed, epoch, 7, spec, image_px))
    if spec.kind == "random_square" and spec.positions(image_px) > 20:
        assert not np.array_equal(boxes, training_boxes(seed, epoch + 1, COUNT, spec, image_px))


@QUICK
@given(specs(), st.integers(0, 2**31 - 1), st.data())
def test_holes_of_several_sizes(
    drawn: tuple[MaskSpec, int], seed: int, data: st.DataObject
) -> None:
    spec, image_px = drawn
    room = min(image_px - 2 * spec.margin, image_px - 1)
    least = data.draw(st.integers(1, room))
    greatest = data.draw(st.integers(least, room))
    suite = tiny_suite(
        {"hole_sizes": (least, greatest)}, image_size=image_px, mask=spec.model_dump()
    )
    assert suite.training.hole_sizes == (least, greatest)
    sizes = training_hole_sizes(seed, 0, COUNT, (least, greatest))
    assert sizes.shape == (COUNT,) and sizes.min() >= least and sizes.max() <= greatest
    for size in sorted({least, greatest, *sizes[:2].tolist()}):
        sized = spec.model_copy(update={"size": size})
        _check(training_boxes(seed, 0, COUNT, sized, image_px), size, sized, image_px)


@QUICK
@given(specs(), st.integers(0, 2**40), st.integers(1, 3))
def test_fixed_holes_of_evaluation(
    drawn: tuple[MaskSpec, int], mask_seed: int, masks_per_image: int
) -> None:
    spec, image_px = drawn
    masks_per_image = min(masks_per_image, spec.places(image_px))
    hashes = [f"{image:064x}" for image in range(COUNT)]
    bank = mask_bank(spec, image_px, [mask_seed, "test mask"], hashes, masks_per_image)
    assert bank.shape == (COUNT, masks_per_image, 4) and bank.dtype == np.int32
    _check(bank.reshape(-1, 4), spec.size, spec, image_px)


@QUICK
@given(specs(), st.integers(0, 2**31 - 1))
def test_the_hole_is_1_in_what_networks_are_given(drawn: tuple[MaskSpec, int], seed: int) -> None:
    spec, image_px = drawn
    images = np.random.default_rng(seed).integers(1, 255, (3, image_px, image_px, 3), np.uint8)
    boxes = training_boxes(seed, 0, 3, spec, image_px)
    batch = make_batch(torch.from_numpy(images), torch.from_numpy(boxes), spec.size)
    assert ((batch.mask == 0) | (batch.mask == 1)).all()
    masked, hole = batch.masked, batch.mask.bool().expand(-1, 3, -1, -1)
    assert (masked[hole] == 0).all() and torch.equal(masked[~hole], batch.image[~hole])
    for mask, (x0, y0, x1, y1) in zip(batch.mask[:, 0], boxes, strict=True):
        assert mask[y0:y1, x0:x1].sum() == mask.sum() == spec.size**2
    tally(CHECKED, 3)


def test_every_place_is_equally_likely_over_the_epochs_of_a_training() -> None:
    spec = MaskSpec(kind="random_square", size=20, margin=2)
    places = spec.positions(32)
    assert places == 9
    corners = np.concatenate([training_boxes(0, epoch, 300, spec, 32) for epoch in range(60)])[
        :, :2
    ]
    counts = np.bincount((corners[:, 1] - 2) * places + corners[:, 0] - 2, minlength=places**2)
    assert len(counts) == places**2
    # 18,000 fixed draws in 81 cells; joint over both axes, so it sees their dependence too.
    assert chisquare(counts).pvalue > 1e-3


def test_every_size_is_equally_likely() -> None:
    sizes = np.concatenate([training_hole_sizes(3, epoch, 200, (5, 16)) for epoch in range(60)])
    assert chisquare(np.bincount(sizes - 5, minlength=12)).pvalue > 1e-3


def test_every_place_is_equally_likely_in_the_bank_of_the_test_images() -> None:
    spec = MaskSpec(kind="random_square", size=8)
    hashes = [f"{image:064x}" for image in range(6000)]
    corners = mask_bank(spec, 16, [0, "test mask"], hashes, 2).reshape(-1, 4)[:, :2]
    counts = np.bincount(corners[:, 1] * 9 + corners[:, 0], minlength=81)
    assert len(counts) == 81 and chisquare(counts).pvalue > 1e-3
