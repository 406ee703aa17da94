"""Probes against cases worked by hand, OpenCV and the standard library's quantiles."""

from statistics import NormalDist

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.evaluation.probes import (
    BLURS,
    NOISES,
    PROBES,
    blurred,
    depths,
    fade_px,
    fade_weights,
    make_probes,
    unit_noise,
)
from data.draws import random_bits, uniforms

SIZE, SIDE = 64, 16
BOXES = torch.tensor([[0, 0, 16, 16], [20, 30, 36, 46], [48, 5, 64, 21]], dtype=torch.int32)
FULL_DEPTH = 3
"""From where on a change has full strength: a side of 16 px makes 2 px of fading."""


def _pixels(seed: int, count: int = len(BOXES)) -> Tensor:
    drawn = np.random.default_rng(seed).integers(0, 256, (count, 3, SIZE, SIZE), dtype=np.uint8)
    return torch.from_numpy(drawn)


def _flat(value: int) -> Tensor:
    return torch.full((len(BOXES), 3, SIZE, SIZE), value, dtype=torch.uint8)


def _noise() -> Tensor:
    return torch.from_numpy(unit_noise(["a", "b", "c"], SIZE))


def _probes(
    target: Tensor, generated: Tensor, reconstructed: Tensor | None = None
) -> dict[str, Tensor]:
    return make_probes(
        target, BOXES, generated, generated if reconstructed is None else reconstructed, _noise()
    )


def _inside() -> Tensor:
    mask = torch.zeros(len(BOXES), 1, SIZE, SIZE, dtype=torch.bool)
    for row, (x0, y0, x1, y1) in zip(mask, BOXES.tolist(), strict=True):
        row[:, y0:y1, x0:x1] = True
    return mask


def test_depth_counts_from_the_border_of_the_square() -> None:
    assert depths(torch.tensor([[1, 2, 6, 6]]), 7)[0, 0].tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 2, 2, 2, 1, 0],
        [0, 1, 2, 2, 2, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


def test_changes_fade_in_over_an_eighth_of_the_side() -> None:
    assert [fade_px(side) for side in (4, 16, 32, 64)] == [1, 2, 4, 8]
    strengths = fade_weights(torch.arange(6), 3)
    assert strengths.tolist() == [0, 0.25, 0.5, 0.75, 1, 1]


def test_all_probes_are_images_of_8_bits_in_the_order_of_tables() -> None:
    probes = _probes(_pixels(0), _pixels(1))
    assert [*probes] == [*PROBES]
    assert {(probe.dtype, probe.shape) for probe in probes.values()} == {
        (torch.uint8, (3, 3, SIZE, SIZE))
    }


def test_pixels_outside_the_square_stay_but_for_what_the_generator_put_out() -> None:
    target, generated, reconstructed = _pixels(0), _pixels(1), _pixels(2)
    outside = (~_inside()).expand_as(target)
    for name, probe in _probes(target, generated, reconstructed).items():
        if name == "raw":
            assert torch.equal(probe, generated)
        elif name == "reconstructed":
            assert torch.equal(probe, reconstructed)
        else:
            assert torch.equal(probe[outside], target[outside]), name
            assert name == "real" or not torch.equal(probe, target), name


def test_completed_has_the_generators_pixels_and_its_seam_alone_a_frame_of_one() -> None:
    target, generated = _flat(10), _flat(200)
    probes = _probes(target, generated)
    inside = _inside().expand_as(target)
    assert (probes["completed"][inside] == 200).all()
    for image, (x0, y0, x1, y1) in zip(probes["seam_only"], BOXES.tolist(), strict=True):
        assert int((image[0] == 200).sum()) == 4 * SIDE - 4
        assert (image[:, y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] == 10).all()
        assert (image[:, y0, x0:x1] == 200).all() and (image[:, y0:y1, x1 - 1] == 200).all()


def test_content_without_a_seam_grows_to_the_generators_pixels() -> None:
    row = _probes(_flat(30), _flat(90))["seam_free"][1, 0, 38, 18:40]
    # A difference of 60, in thirds.
    assert row.tolist() == [30, 30, 50, 70, *[90] * 12, 70, 50, 30, 30, 30, 30]


def test_mean_color_is_that_of_the_square() -> None:
    target = _flat(0)
    target[1, 0, 30:46, 20:28] = 240  # the left half of the second square, red
    target[1, :, :30] = 77  # not of the square
    found = _probes(target, _flat(0))["mean_color"][1]
    assert found[:, 38, 28].tolist() == [120, 0, 0]
    assert found[0, 38, 20].item() == 200  # at a third of the strength


@pytest.mark.parametrize("std_px", [1.5, 5.0, 10.0])
def test_blur_is_that_of_opencv(std_px: float) -> None:
    image = _pixels(3, 1).double()
    taps = 2 * int(4 * std_px + 0.5) + 1
    pixels = image[0].permute(1, 2, 0).numpy()
    expected = cv2.GaussianBlur(
        pixels, (taps, taps), std_px, borderType=cv2.BORDER_REFLECT
    ).transpose(2, 0, 1)
    # Sums of up to 81 float64 products of at most 255, in another order.
    np.testing.assert_allclose(blurred(image, std_px)[0].numpy(), expected, atol=1e-10)


def test_blurs_are_scaled_to_the_size_of_the_image() -> None:
    target = _pixels(4)
    probes = _probes(target, _pixels(5))
    full = depths(BOXES, SIZE).expand_as(target) >= FULL_DEPTH
    for blur in BLURS:
        expected = blurred(target.double(), blur / 2)  # 64 px are half of LocPaint's 128
        found = probes[f"blur_{blur}"]
        assert torch.equal(found[full], expected.round().to(torch.uint8)[full])


def test_noise_is_the_normal_quantile_of_the_draws_of_the_image() -> None:
    drawn = uniforms(random_bits(["probe noise", "some hash"], 12)).ravel()
    expected = [NormalDist().inv_cdf(u) for u in drawn.tolist()]
    # Two implementations of the quantile, each good to about 1e-15 relative.
    np.testing.assert_allclose(unit_noise(["some hash"], 4).ravel(), expected, rtol=1e-12)


def test_noise_depends_on_the_image_alone() -> None:
    alone, together = unit_noise(["b"], 8), unit_noise(["a", "b"], 8)
    np.testing.assert_array_equal(alone[0], together[1])
    assert not np.array_equal(together[0], together[1])


def test_noise_has_the_named_strength_and_is_clipped() -> None:
    full = depths(BOXES, SIZE).expand(-1, 3, -1, -1) >= FULL_DEPTH
    probes = _probes(_flat(128), _flat(0))
    for std in NOISES[:2]:
        change = probes[f"noise_{std}"][full].double() - 128
        # 3 squares of 12 x 12 px and 3 channels: the standard error of a standard deviation is
        # 2 %, and at .3 clipping beyond 3.3 of them takes off less than .1 %.
        assert change.std().item() == pytest.approx(std * 127.5, rel=0.06)
    strongest = probes["noise_0.5"]
    assert int(strongest.min()) == 0 and int(strongest.max()) == 255


def test_no_step_across_the_border_of_what_fades_in() -> None:
    probes = _probes(_flat(100), _flat(40))
    x0, y0 = BOXES[1, :2].tolist()
    for name in ("seam_free", "completed", "seam_only"):
        line = probes[name][1, 0, y0 + 8].int()
        step = abs(int(line[x0] - line[x0 - 1]))
        assert step == (20 if name == "seam_free" else 60)
