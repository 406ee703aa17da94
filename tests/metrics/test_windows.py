"""Large images: what the surroundings of a hole say is what the whole image says."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from benchmark.metrics import METRICS, regions, score_images, windows
from benchmark.metrics.regions import seam_band

pytestmark = pytest.mark.promise("metrics")
NAMES = [name for name in METRICS if "lpips_" not in name or name.startswith("stlpips")]
NAMES.remove("known_mae_raw")


def _image(height: int, width: int, hole: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.integers(0, 256, (1, 3, height, width), dtype=np.uint8))
    return torch.where(hole, 255 - target // 2, target), target, hole


def _holes(height: int, width: int) -> dict[str, Tensor]:
    """Return holes of many shapes and at many places."""
    found = {}
    for name, boxes in {
        "inside": [(160, 190, 200, 230)],
        "corner": [(0, 21, width - 31, width)],
        "two far apart": [(2, 20, 3, 40), (height - 60, height - 3, width - 44, width - 1)],
        "a strip": [(100, 120, 0, width)],
        "most": [(10, height - 10, 12, width - 5)],
    }.items():
        hole = torch.zeros(1, 1, height, width, dtype=torch.bool)
        for top, bottom, left, right in boxes:
            hole[..., top:bottom, left:right] = True
        found[name] = hole
    return found


@pytest.mark.parametrize("place", _holes(357, 411))
def test_scores_of_a_large_image_are_those_of_the_whole(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = _image(357, 411, _holes(357, 411)[place])
    whole = score_images(*images, names=NAMES)
    monkeypatch.setattr(windows, "LARGEST_PX", 1)
    monkeypatch.setattr(windows, "TILE_PX", 104)
    found = score_images(*images, names=NAMES)
    for name in NAMES:
        # 1e-6 is the promise; sums of float32 maps of another size have another order.
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("height", "width"), [(21, 700), (700, 22)])
def test_images_of_any_shape_have_their_windows_in_place(
    height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = torch.zeros(1, 1, height, width, dtype=torch.bool)
    hole[..., height // 2 : height // 2 + 8, width // 2 : width // 2 + 8] = True
    images = _image(height, width, hole)
    whole = score_images(*images, names=NAMES)
    monkeypatch.setattr(windows, "LARGEST_PX", 1)
    for name, values in score_images(*images, names=NAMES).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_several_large_images_are_scored_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    holes = [*_holes(150, 260).values()][1:4]
    singles = zip(*(_image(150, 260, hole) for hole in holes), strict=True)
    completed, target, mask = (torch.cat(parts) for parts in singles)
    whole = score_images(completed, target, mask, NAMES)
    monkeypatch.setattr(windows, "LARGEST_PX", 1)
    for name, values in score_images(completed, target, mask, NAMES).items():
        assert values.shape == (3,)
        np.testing.assert_allclose(values, whole[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_what_is_far_from_the_hole_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LARGEST_PX", 1)
    seen = []
    plain = METRICS["mse_h"].function

    def watched(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        seen.append(tuple(target.shape[2:]))
        return plain(completed, target, mask)

    object.__setattr__(METRICS["mse_h"], "function", watched)
    try:
        score_images(*_image(357, 411, _holes(357, 411)["inside"]), names=["mse_h"])
    finally:
        object.__setattr__(METRICS["mse_h"], "function", plain)
    assert seen == [(30 + 2 * windows.NEAR_PX, 30 + 2 * windows.NEAR_PX)]


@pytest.mark.parametrize("small", [0, 8, 100])
def test_the_seam_band_is_that_of_the_exact_distance(
    small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regions, "SMALL_PX", small)
    field = ndimage.gaussian_filter(
        np.random.default_rng(0).standard_normal((3, 700, 600)), (0, 30, 30)
    )
    mask = torch.from_numpy(field > 0)[:, None]
    mask[1] = False
    mask[1, :, 20:640, 10:560] = True  # whose band is 17 px wide
    for hole, band in zip(mask[:, 0], seam_band(mask)[:, 0], strict=True):
        rows, columns = (np.flatnonzero(hole.any(axis).numpy()) for axis in (1, 0))
        sides = min(np.ptp(rows), np.ptp(columns)) + 1
        radius = max(1, round(float(sides) / 32))
        distance = ndimage.distance_transform_edt(hole.numpy())
        assert np.array_equal(band.numpy(), hole.numpy() & (distance <= radius))
