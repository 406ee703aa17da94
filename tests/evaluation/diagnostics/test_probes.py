"""Probes against cases worked by hand, NumPy, SciPy, OpenCV and the standard library."""

from statistics import NormalDist

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt, gaussian_filter
from torch import Tensor

from benchmark.evaluation.diagnostics.probes import (
    BLURS,
    CHANGES,
    NOISES,
    PROBES,
    blurred,
    depths,
    fade_px,
    fade_weights,
    make_probes,
    seam_offsets,
    unit_noise,
)
from benchmark.metrics.edges import seam
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
    target: Tensor,
    generated: Tensor,
    reconstructed: Tensor | None = None,
    other: Tensor | None = None,
) -> dict[str, Tensor]:
    unmasked = generated if reconstructed is None else reconstructed
    other = _pixels(9) if other is None else other
    return make_probes(target, BOXES, generated, unmasked, _noise(), other)


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


# Against NumPy and SciPy alone


def _squares(images: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [i[:, y0:y1, x0:x1] for i, (x0, y0, x1, y1) in zip(images, BOXES.tolist(), strict=True)]


def _pasted(
    target: NDArray[np.float64], contents: NDArray[np.float64], fading: int = 0
) -> NDArray[np.uint8]:
    """Put squares of other contents into images, on request fading in over some pixels."""
    made = target.copy()
    framed = np.pad(np.ones((SIDE, SIDE)), 1)
    strength = (distance_transform_cdt(framed, "chessboard")[1:-1, 1:-1] / (fading + 1)).clip(max=1)
    for square, content in zip(_squares(made), _squares(contents), strict=True):
        square += strength * (content - square)
    return np.rint(made).clip(0, 255).astype(np.uint8)


def _contents(target: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return whole images with the contents of a probe, whose square is to be pasted."""
    kind, _, strength = name.partition("_")
    if kind == "blur":
        std = float(strength) * SIZE / 128
        return np.stack([[gaussian_filter(c, std, mode="reflect") for c in i] for i in target])
    if kind == "noise":
        return target + 127.5 * float(strength) * _noise().numpy()
    if name == "foreign":
        return _pixels(9).numpy().astype(float)
    means = [square.mean((1, 2), keepdims=True) for square in _squares(target)]
    return np.stack(means) + np.zeros_like(target)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_pasted_with_a_hard_edge_and_faded(name: str) -> None:
    probes, target = _probes(_pixels(6), _pixels(7)), _pixels(6).numpy().astype(float)
    contents = _contents(target, name)
    for probe, fading in ((f"hard_{name}", 0), (name, fade_px(SIDE))):
        expected = _pasted(target, contents, fading).astype(int)
        found = probes[probe].numpy().astype(int)
        # Sums in another order can fall on the other side of a half: of 200,000 values a few.
        assert np.abs(found - expected).max() <= 1, probe
        assert (found != expected).mean() < 1e-4, probe


def test_low_frequencies_are_generated_and_high_ones_true() -> None:
    target, generated = _pixels(10), _pixels(11)
    found = _probes(target, generated)["low_frequencies"].numpy().astype(int)
    true = target.numpy().astype(float)
    completed = _pasted(true, generated.numpy().astype(float)).astype(float)
    low = _contents(completed, "blur_5") - _contents(true, "blur_5")
    expected = _pasted(true, true + low, fade_px(SIDE)).astype(int)
    assert np.abs(found - expected).max() <= 1 and (found != expected).mean() < 1e-4


def _smooth(seed: int) -> Tensor:
    """Return images whose neighbors are alike, as a photograph's are, from 40 to 215."""
    noise = np.random.default_rng(seed).normal(size=(len(BOXES), 3, SIZE, SIZE))
    soft = gaussian_filter(noise, (0, 0, 4, 4))
    scaled = 40 + 175 * (soft - soft.min()) / np.ptp(soft)
    return torch.from_numpy(scaled.round().astype(np.uint8))


def test_the_offset_makes_the_seam_of_the_completion() -> None:
    target, mask = _smooth(12), _inside()
    probes = _probes(target, _smooth(13))
    wanted = seam(probes["completed"], target, mask)
    assert (wanted > 5 / 255).all(), "no seam to make"
    found = seam(probes["offset"], target, mask)
    # One level more moves each step by one level at most, so that the nearest is half of it off.
    assert ((found - wanted).abs() <= 0.5 / 255).all()
    change = probes["offset"].int() - target.int()
    for square in _squares(change.numpy()):
        assert np.ptp(square) == 0 and square[0, 0, 0] != 0


def test_the_offset_by_hand() -> None:
    target = _flat(250)
    completed = torch.where(_inside(), _flat(220), target)
    # 30 levels darker: as many brighter there is no room for.
    assert seam_offsets(target, completed, BOXES).tolist() == [-30, -30, -30]
    middle = torch.where(_inside(), _flat(220), _flat(100))
    assert seam_offsets(_flat(100), middle, BOXES).tolist() == [120, 120, 120]
    assert seam_offsets(target, target, BOXES).tolist() == [0, 0, 0]


def test_a_foreign_square_is_anothers() -> None:
    other = _flat(200)
    row = _probes(_flat(80), _flat(0), other=other)["foreign"][1, 0, 38, 18:40]
    # A difference of 120, in thirds.
    assert row.tolist() == [80, 80, 120, 160, *[200] * 12, 160, 120, 80, 80, 80, 80]
