"""Cropping against slicing, resizing against PyTorch's interpolation."""

import pytest
import torch
from torch.nn.functional import interpolate

from models.squares import BilinearResize, crop_squares, paste_squares
from tests.support.tiny import numbers, random_batch


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("in_size", "out_size"), [(32, 32), (32, 64), (32, 128), (64, 200), (32, 48), (32, 20), (1, 5)]
)
def test_resize_is_that_of_torch(in_size: int, out_size: int, align_corners: bool) -> None:
    images = numbers()(2, 3, in_size, in_size)
    resized = BilinearResize(in_size, out_size, align_corners=align_corners)(images)
    # In float64: in float32 PyTorch rounds the positions, which moves its weights by 4e-6.
    side = (out_size, out_size)
    expected = interpolate(images.double(), side, mode="bilinear", align_corners=align_corners)
    # Four products of numbers below 1, each with a few roundings of 6e-8.
    torch.testing.assert_close(resized.double(), expected, rtol=0, atol=1e-6)


def test_resize_adds_nothing_to_checkpoints() -> None:
    assert BilinearResize(32, 64).state_dict() == {}


def test_resize_has_the_right_gradient() -> None:
    images = numbers()(1, 1, 3, 3).double().requires_grad_()
    resize = BilinearResize(3, 7).double()
    assert torch.autograd.gradcheck(resize, (images,))


@pytest.mark.parametrize("hole_px", [1, 5, 16, 30])
def test_crop_is_slicing_to_the_bit(hole_px: int) -> None:
    batch = random_batch(5, hole_px=hole_px)
    cropped = crop_squares(batch.image, batch.corner, batch.hole_size)
    for image, crop, (x0, y0) in zip(batch.image, cropped, batch.corner.tolist(), strict=True):
        side = batch.hole_size
        assert torch.equal(crop, image[:, y0 : y0 + side, x0 : x0 + side])


def test_crop_of_oblong_images_takes_x_from_the_columns() -> None:
    images = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(1, 2, 4, 6)
    cropped = crop_squares(images, torch.tensor([[3, 1]]), 2)
    assert torch.equal(cropped, images[:, :, 1:3, 3:5])


def test_crop_has_the_right_gradient() -> None:
    images = numbers()(2, 2, 5, 5).double().requires_grad_()
    corner = torch.tensor([[0, 3], [2, 1]])
    assert torch.autograd.gradcheck(lambda x: crop_squares(x, corner, 2), (images,))


@pytest.mark.parametrize("hole_px", [1, 5, 16, 30])
def test_paste_puts_each_square_into_its_place_to_the_bit(hole_px: int) -> None:
    batch = random_batch(5, hole_px=hole_px)
    squares = numbers(1)(5, 3, hole_px, hole_px)
    expected = batch.image.clone()
    for image, square, (x0, y0) in zip(expected, squares, batch.corner.tolist(), strict=True):
        image[:, y0 : y0 + hole_px, x0 : x0 + hole_px] = square
    assert torch.equal(paste_squares(squares, batch.corner, batch.image), expected)


def test_paste_into_oblong_images_takes_x_from_the_columns() -> None:
    canvas, square = torch.zeros(1, 1, 4, 6), torch.ones(1, 1, 2, 2)
    pasted = paste_squares(square, torch.tensor([[3, 1]]), canvas)
    assert pasted.nonzero()[:, 2:].tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]


def test_paste_has_the_right_gradient() -> None:
    squares = numbers()(2, 2, 2, 2).double().requires_grad_()
    canvas = numbers(1)(2, 2, 5, 5).double().requires_grad_()
    corner = torch.tensor([[0, 3], [2, 1]])
    assert torch.autograd.gradcheck(lambda s, c: paste_squares(s, corner, c), (squares, canvas))
