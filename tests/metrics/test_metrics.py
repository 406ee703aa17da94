"""Protocol ib1 against scikit-image, NumPy formulas, SciPy distances and cases worked by hand."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, sobel
from torch import Tensor

from benchmark.metrics import METRICS, composite, quantize, score_images
from benchmark.metrics.edges import ROUNDING_ENERGY, edge_h, log_ratio, seam, sharpness_c
from benchmark.metrics.error import mse, psnr_db
from benchmark.metrics.regions import dilate, region_pixels, seam_band
from benchmark.metrics.ssim import ssim_uniform_w

pytestmark = pytest.mark.promise("metrics")
PIXEL_METRICS = [m for m in METRICS.values() if "lpips" not in m.name and m.pixels == "completed"]
SIZE = 33


def _random_mask(rng: np.random.Generator, count: int, size: int) -> Tensor:
    mask = torch.zeros(count, 1, size, size, dtype=torch.bool)
    for hole in mask:
        y, x = rng.integers(0, size - 4, 2)
        height, width = rng.integers(1, size // 2, 2)
        hole[:, y : y + height, x : x + width] = True
    return mask


def _batch(count: int = 4, size: int = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Return composited noise, its target and holes, some of which touch the border."""
    rng = np.random.default_rng(0)
    target = torch.from_numpy(rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8))
    noise = torch.from_numpy(rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8))
    mask = _random_mask(rng, count, size)
    return composite(noise, target, mask), target, mask


def _images_last(images: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.numpy().transpose(0, 2, 3, 1))


def test_quantize_rounds_half_to_even_and_clips() -> None:
    # 255·(o + 1)/2 is 0.5, 1.5, 2.5 for these; all sums are exact in float64.
    halves = [2 * h / 255 - 1 for h in (0.5, 1.5, 2.5)]
    values = torch.tensor([*halves, -1.0, 1.0, -3.0, 7.0, 0.0], dtype=torch.float64)
    expected = np.rint([255 * (v + 1) / 2 for v in values.tolist()]).clip(0, 255)
    quantized = quantize(values.expand(1, 3, 1, -1))
    assert quantized.dtype == torch.uint8
    assert quantized[0, 0, 0].tolist() == expected.tolist()
    assert quantized[0, 0, 0, 3:].tolist() == [0, 255, 0, 255, 128]  # 127.5 goes to even 128


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantize_inverts_the_normalization_of_every_level(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, -1)
    assert torch.equal(quantize(levels.to(dtype) / 127.5 - 1), levels)


def test_quantize_refuses_nan_and_integers() -> None:
    with pytest.raises(ValueError, match="NaN"):
        quantize(torch.full((1, 3, 2, 2), math.nan))
    with pytest.raises(ValueError, match="uint8"):
        quantize(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))


def test_composite_takes_the_hole_from_the_output_alone() -> None:
    target = torch.full((1, 3, 2, 2), 7, dtype=torch.uint8)
    mask = torch.tensor([[[[True, False], [False, False]]]])
    completed = composite(torch.full_like(target, 200), target, mask)
    assert completed[0, 0].tolist() == [[200, 7], [7, 7]]


@pytest.mark.parametrize("size", [1, 2, 5, 16, 48, 64, 80, 96])
def test_seam_band_is_the_euclidean_distance_transform(size: int) -> None:
    side, radius = 100, max(1, round(size / 32))
    mask = torch.zeros(3, 1, side, side, dtype=torch.bool)
    mask[0, :, 2 : 2 + size, 2 : 2 + size] = True
    mask[1, :, :size, side - size :] = True  # touches two borders: beyond them nothing is known
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    mask[2, 0] = ((rows - 50) ** 2 + (columns - 50) ** 2) * 4 < size**2 + 1
    extent = int(mask[2, 0].any(0).sum())
    radii = [radius, radius, max(1, round(extent / 32))]
    for hole, band, r in zip(mask[:, 0], seam_band(mask)[:, 0], radii, strict=True):
        distance = distance_transform_edt(hole.numpy())
        # Distances are roots of integers; those next to 1, 2, 3 are more than 0.1 away.
        expected = hole.numpy() & (distance <= r + 1e-9)
        assert np.array_equal(band.numpy(), expected)


def test_regions_partition_the_hole() -> None:
    _, _, mask = _batch(8)
    band, core = region_pixels(mask, "b"), region_pixels(mask, "c")
    assert torch.equal(band | core, region_pixels(mask, "h"))
    assert not bool((band & core).any())
    assert bool(region_pixels(mask, "w").all())


def test_dilate_reaches_a_square_window() -> None:
    mask = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    mask[..., 4, 1] = True
    expected = torch.zeros_like(mask)
    expected[..., 2:7, :4] = True
    assert torch.equal(dilate(mask, 2), expected)


def test_uniform_ssim_of_flat_images_worked_by_hand() -> None:
    target, completed = torch.full((2, 1, 3, 9, 9), 51, dtype=torch.uint8)
    completed = completed + 51
    mask = _corner(torch.zeros(1, 1, 9, 9, dtype=torch.bool))
    # Without variance the contrast term is 1; means are .2 and .4, and C1 is 1e-4.
    expected = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    assert ssim_uniform_w(completed, target, mask).item() == pytest.approx(expected, rel=1e-14)


def test_score_images_returns_every_metric_of_composites_in_display_order() -> None:
    scores = score_images(*_batch())
    order = [name for name in METRICS if name in scores]
    assert list(scores) == order
    assert {m.name for m in PIXEL_METRICS} <= set(scores)
    assert "known_mae_raw" not in scores
    assert list(score_images(*_batch(), names=["seam"])) == ["seam"]


def _single(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.uint8).expand(1, 3, -1, -1)


def test_seam_of_one_pixel_worked_by_hand() -> None:
    target = _single([[0, 10, 0], [20, 50, 40], [0, 80, 0]])
    completed = _single([[0, 10, 0], [20, 90, 40], [0, 80, 0]])
    mask = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    mask[..., 1, 1] = True
    # Steps from 90: 80 10 70 50; from 50: 40 30 30 10. Four pairs.
    expected = ((80 + 10 + 70 + 50) - (40 + 30 + 30 + 10)) / 4 / 255
    assert seam(completed, target, mask).item() == pytest.approx(expected, rel=1e-15)
    # The other way round the sign is kept.
    assert seam(target, completed, mask).item() == pytest.approx(-expected, rel=1e-15)


def test_seam_counts_no_pair_beyond_the_border() -> None:
    target, completed = _single([[0, 0, 0]]), _single([[51, 0, 0]])
    mask = torch.tensor([[[[True, False, False]]]])
    assert seam(completed, target, mask).item() == pytest.approx(0.2, rel=1e-15)


def test_sobel_metrics_worked_by_hand() -> None:
    # A ramp of slope a per column has gx = 8a and gy = 0 away from the border.
    target = _single([[20 * x for x in range(7)]] * 7)
    completed = _single([[10 * x for x in range(7)]] * 7)
    mask = torch.zeros(1, 1, 7, 7, dtype=torch.bool)
    mask[..., 2:5, 2:5] = True
    assert sharpness_c(completed, target, mask).item() == 0.25
    assert edge_h(completed, target, mask).item() == pytest.approx(80 / 255, rel=1e-15)
    # At the border the image is continued by itself, which halves the slope seen.
    border = torch.zeros_like(mask)
    border[..., 2:5, :1] = True
    assert edge_h(completed, target, border).item() == pytest.approx(40 / 255, rel=1e-15)


def _square_hole(size: int = 40, side: int = 32) -> Tensor:
    mask = torch.zeros(1, 1, size, size, dtype=torch.bool)
    mask[..., 4 : 4 + side, 4 : 4 + side] = True
    return mask


def _textured(deviation: float, size: int = 40) -> Tensor:
    """Return noise around gray."""
    levels = np.random.default_rng(0).normal(128, deviation, (1, 3, size, size))
    return torch.from_numpy(levels.round().clip(0, 255).astype(np.uint8))


def test_sharpness_of_a_constant_fill_is_its_floor_whatever_the_border() -> None:
    target, mask = _textured(8), _square_hole()
    for level in (0, 128, 255):
        completed = composite(torch.full_like(target, level), target, mask)
        # White noise of deviation 8 has a gradient energy of 24·64; that of rounding counts, 2.
        expected = 2 / (24 * (8**2 + 1 / 12))
        assert sharpness_c(completed, target, mask).item() == pytest.approx(expected, rel=0.1)
        assert log_ratio(sharpness_c(completed, target, mask).numpy()) == pytest.approx(
            math.log(0.01)
        )


def test_sharpness_is_one_of_the_truth_and_less_of_what_is_blurred() -> None:
    target, mask = _textured(40), _square_hole()
    assert sharpness_c(target, target, mask).item() == 1
    blurred = gaussian_filter(target.double().numpy(), (0, 0, 1, 1)).round().astype(np.uint8)
    less = sharpness_c(composite(torch.from_numpy(blurred), target, mask), target, mask).item()
    assert 0.01 < less < 0.2
    contrast = composite((target > 127).to(torch.uint8) * 255, target, mask)
    assert sharpness_c(contrast, target, mask).item() > 1


def test_sharpness_against_a_flat_target_is_by_the_energy_of_rounding() -> None:
    mask = _square_hole()
    target = torch.full((1, 3, 40, 40), 90, dtype=torch.uint8)
    flat = composite(torch.full_like(target, 200), target, mask)
    assert sharpness_c(flat, target, mask).item() == 1
    # A ramp of one level a column has an energy of 8², in place of 0 the target counts as 2.
    ramp = torch.arange(40, dtype=torch.uint8).expand(1, 3, 40, 40)
    assert sharpness_c(composite(ramp, target, mask), target, mask).item() == 8**2 / 2
    # Where rounding alone makes a texture, it has that energy.
    grays = np.random.default_rng(0).uniform(10, 200, (200, 200))
    error = np.rint(grays) - grays
    energy = sobel(error, 0)[1:-1, 1:-1] ** 2 + sobel(error, 1)[1:-1, 1:-1] ** 2
    assert energy.mean() == pytest.approx(ROUNDING_ENERGY, rel=0.03)


@pytest.mark.parametrize("size", [40, 100])
def test_sharpness_is_that_of_scipy_on_windows_inside_the_hole(size: int) -> None:
    rng = np.random.default_rng(size)
    target = torch.from_numpy(rng.integers(0, 256, (3, 3, size, size), dtype=np.uint8))
    noise = torch.from_numpy(rng.integers(90, 166, target.shape, dtype=np.uint8))
    rows, columns = np.indices((size, size)) - size // 2
    holes = np.zeros((3, 1, size, size), bool)
    holes[0, 0, 5 : size - 9, : size // 2] = True  # at the border nothing is known beyond
    holes[1, 0] = rows**2 + columns**2 < (size // 3) ** 2
    holes[2, 0] = np.abs(rows) + np.abs(columns) < size // 4  # the band of 1 px has gaps aslant
    mask = torch.from_numpy(holes)
    found = sharpness_c(composite(noise, target, mask), target, mask)
    for row, (hole,) in enumerate(holes):
        sides = [np.flatnonzero(hole.any(axis)) for axis in (0, 1)]
        radius = max(1, round(min(s[-1] - s[0] + 1 for s in sides) / 32))
        inside = binary_erosion(hole, np.ones((3, 3), bool), border_value=1)
        inside &= distance_transform_edt(np.pad(hole, 9, mode="edge"))[9:-9, 9:-9] > radius
        energies = []
        for image in (composite(noise, target, mask)[row], target[row]):
            channels = image.double().numpy()
            # Channel by channel, as SciPy smooths along all other axes.
            gradients = [
                np.stack([sobel(c, axis, mode="nearest") for c in channels]) for axis in (0, 1)
            ]
            energies.append((gradients[0] ** 2 + gradients[1] ** 2)[:, inside].mean())
        assert found[row].item() == pytest.approx(energies[0] / energies[1], rel=1e-12)


def test_sharpness_of_a_hole_without_a_window_inside_is_undefined() -> None:
    target, completed = _single([[9] * 5] * 5), _single([[9, 9, 200, 9, 9]] * 5)
    mask = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    mask[..., 1:3, 1:3] = True
    assert sharpness_c(completed, target, mask).isnan().all()
    assert edge_h(target, target, mask).item() == 0


def test_core_of_a_tiny_hole_has_no_error() -> None:
    completed, target, mask = _batch(1)
    mask = torch.zeros_like(mask)
    mask[..., 3:5, 3:5] = True
    assert mse(completed, target, mask, "c").isnan().all()
    assert psnr_db(completed, target, mask, "c").isnan().all()


def _corner(mask: Tensor) -> Tensor:
    corner = torch.zeros_like(mask)
    corner[..., 0, 0] = True
    return corner


def test_metric_names_carry_their_region() -> None:
    for metric in PIXEL_METRICS:
        if metric.region in ("w", "h", "b", "c"):
            assert metric.name.endswith(f"_{metric.region}")


def test_wrong_images_are_refused() -> None:
    completed, target, mask = _batch()
    wrong = {
        "uint8": (completed.float(), target, mask),
        "differ": (completed[:2], target, mask),
        "bool": (completed, target, mask.float()),
        r"\[4, 1, 33, 33\]": (completed, target, mask.expand(-1, 3, -1, -1)),
        "hole pixel": (completed, target, torch.zeros_like(mask)),
        "known pixel": (completed, target, torch.ones_like(mask)),
        "N, 3": (completed[:, :1], target, mask),
        "at least 11 px": (target[..., :10], target[..., :10], _corner(mask[..., :10])),
        "known pixels differ": (255 - target, target, mask),
    }
    for message, images in wrong.items():
        with pytest.raises(ValueError, match=message):
            score_images(*images)
