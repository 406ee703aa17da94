"""Holes: where they lie, that every place is equally likely, and the pinned evaluation bank."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from benchmark.training.batches import masks_from_boxes
from data.draws import Label, random_bits
from data.masks import MaskSpec, mask_bank
from tests.support.promises import tally

HASHES = [hashlib.sha256(bytes([i])).hexdigest() for i in range(20)]
SPEC = MaskSpec(kind="random_square", size=10, margin=3)


def naive_masks(boxes: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    masks = np.zeros((len(boxes), 1, size, size), dtype=bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        for y in range(size):
            for x in range(size):
                mask[0, y, x] = x0 <= x < x1 and y0 <= y < y1
    return masks


@st.composite
def specs(draw: st.DrawFn) -> tuple[MaskSpec, int]:
    """Draw a spec and the side of an image in which its hole fits."""
    size, margin, play = draw(st.tuples(st.integers(1, 64), st.integers(0, 9), st.integers(0, 64)))
    kind = draw(st.sampled_from(["center", "random_square"]))
    return MaskSpec(kind=kind, size=size, margin=margin), size + 2 * margin + play


@pytest.mark.promise("masks")
@settings(derandomize=True)
@given(specs())
def test_holes_are_squares_that_keep_the_margin(drawn: tuple[MaskSpec, int]) -> None:
    spec, image_size = drawn
    boxes = spec.boxes(random_bits(["holes"], 100), image_size)
    assert boxes.dtype == np.int32 and boxes.shape == (100, 4)
    assert (boxes[:, 2:] - boxes[:, :2] == spec.size).all()
    assert boxes.min() >= spec.margin and boxes.max() <= image_size - spec.margin
    tally("masks checked", len(boxes))


@pytest.mark.promise("masks")
@pytest.mark.parametrize(("image_size", "size", "corner"), [(64, 32, 16), (64, 31, 16), (9, 9, 0)])
def test_center_hole_is_in_the_middle(image_size: int, size: int, corner: int) -> None:
    boxes = MaskSpec(kind="center", size=size).boxes(random_bits([0], 3), image_size)
    assert boxes.tolist() == [[corner, corner, corner + size, corner + size]] * 3


@pytest.mark.parametrize("margin", [0, 4])
def test_every_place_is_equally_likely(margin: int) -> None:
    spec = MaskSpec(kind="random_square", size=17, margin=margin)
    places = 32 - 2 * margin - 17 + 1
    assert spec.positions(32) == places
    corners = spec.boxes(random_bits(["places"], 60_000), 32)[:, :2] - margin
    counts = np.bincount(corners[:, 1] * places + corners[:, 0], minlength=places**2)
    assert len(counts) == places**2 and counts.min() > 0
    # Joint over x and y, so it sees their dependence too. The draws are fixed: no flicker.
    assert chisquare(counts).pvalue > 1e-3


def test_hole_that_does_not_fit_has_no_place() -> None:
    assert SPEC.positions(16) == 1
    assert SPEC.positions(15) == 0


@pytest.mark.promise("names")
def test_bank_depends_on_the_image_alone() -> None:
    bank = mask_bank(SPEC, 32, [0, "test mask"], HASHES, 3)
    assert bank.shape == (20, 3, 4) and bank.dtype == np.int32
    order = np.random.default_rng(0).permutation(20)
    shuffled = mask_bank(SPEC, 32, [0, "test mask"], [HASHES[i] for i in order], 3)
    assert np.array_equal(shuffled, bank[order])
    assert np.array_equal(mask_bank(SPEC, 32, [0, "test mask"], HASHES[7:9], 3), bank[7:9])
    assert np.array_equal(mask_bank(SPEC, 32, [0, "test mask"], HASHES, 1), bank[:, :1])


def test_bank_differs_by_image_mask_seed_and_purpose() -> None:
    bank = mask_bank(SPEC, 64, [0, "test mask"], HASHES, 4).reshape(-1, 4)
    # 80 holes at 49**2 places: some 1.3 pairs agree by chance.
    assert len(np.unique(bank, axis=0)) >= 75
    others: list[list[Label]] = [[1, "test mask"], [0, "val mask"]]
    for labels in others:
        other = mask_bank(SPEC, 64, labels, HASHES, 4).reshape(-1, 4)
        assert (other == bank).all(axis=1).sum() <= 2


def test_bank_of_no_images_is_empty() -> None:
    assert mask_bank(SPEC, 32, [0, "val mask"], [], 2).shape == (0, 2, 4)


@pytest.mark.promise("everywhere")
def test_bank_is_pinned() -> None:
    spec = MaskSpec(kind="random_square", size=32)
    bank = mask_bank(spec, 64, [0, "test mask"], HASHES, 4)
    digest = hashlib.sha256(bank.astype("<i4").tobytes()).hexdigest()
    assert digest == "013d0f905485af7827eb83d0e8804d7f9b9d1470cc9591b5cb98e290797ba47a"


@pytest.mark.promise("masks")
def test_masks_of_boxes_equal_a_loop_over_pixels() -> None:
    generator = np.random.default_rng(0)
    edges = np.sort(generator.integers(0, 14, (40, 2, 2)), axis=1)  # some are empty
    boxes = np.concatenate([edges.reshape(40, 4), [[0, 0, 13, 13], [12, 0, 13, 1], [3, 4, 5, 9]]])
    masks = masks_from_boxes(torch.from_numpy(boxes), 13)
    assert masks.dtype == torch.bool
    assert np.array_equal(masks.numpy(), naive_masks(boxes, 13))
    tally("masks checked", len(boxes))


def test_no_image_has_the_same_hole_twice() -> None:
    spec = MaskSpec(kind="random_square", size=13)  # 16 places in 16 px
    bank = mask_bank(spec, 16, ["test"], [f"{i:064x}" for i in range(20)], 16)
    assert [len({tuple(box) for box in boxes.tolist()}) for boxes in bank] == [16] * 20
    # What is drawn first does not depend on how many are wanted.
    few = mask_bank(spec, 16, ["test"], [f"{i:064x}" for i in range(20)], 5)
    assert np.array_equal(few, bank[:, :5])


def test_more_holes_than_places_are_refused() -> None:
    with pytest.raises(ValueError, match="2 holes for 1 places"):
        mask_bank(MaskSpec(kind="center", size=4), 16, ["test"], ["0" * 64], 2)
