"""ST-LPIPS against the package whose weights it reads."""

import importlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.metrics import METRICS, MetricUnavailable, missing_metrics, score_images
from benchmark.metrics import shift_tolerant as ours
from benchmark.metrics.regions import dilate
from data.errors import InputError
from tests.support.tiny import ROOT

NAMES = ["stlpips_alex", "stlpips_alex_h"]


def _images(count: int = 3, height: int = 40, width: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(1)
    shape = (count, 3, height, width)
    target = torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))
    mask = torch.zeros(count, 1, height, width, dtype=torch.bool)
    for row in range(count):
        mask[row, :, 3 * row : 3 * row + 12, 5 : 5 + 8] = True
    return torch.where(mask, 255 - target // 2, target), target, mask


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package itself, with stand-ins for the two libraries that it imports and never uses."""
    for name, used in (("IPython", "embed"), ("torchsummary", "summary")):
        stand_in = ModuleType(name)
        setattr(stand_in, used, None)
        monkeypatch.setitem(sys.modules, name, stand_in)
    return importlib.import_module("stlpips_pytorch.stlpips")


@pytest.mark.promise("metrics")
@pytest.mark.parametrize(("height", "width"), [(21, 33), (40, 40), (64, 51)])
def test_value_is_that_of_the_package(package: ModuleType, height: int, width: int) -> None:
    completed, target, mask = _images(3, height, width)
    settings = {"net": "alex", "variant": "shift_tolerant", "verbose": False}
    first, second = (image.float() / 127.5 - 1 for image in (completed, target))
    with torch.no_grad():
        whole = package.LPIPS(**settings)(first, second)[:, 0, 0, 0]
        spatial = package.LPIPS(**settings, spatial=True)(first, second)
    assert (whole > 1e-3).all()  # else the tolerance would accept zeros
    # 1e-6: float32 through five layers, in the same order.
    np.testing.assert_allclose(ours.stlpips_w(completed, target, mask), whole, atol=1e-6)
    inside = [m[w].double().mean() for m, w in zip(spatial, dilate(mask, 5), strict=True)]
    np.testing.assert_allclose(ours.stlpips_h(completed, target, mask), inside, atol=1e-6)


def test_the_package_is_not_imported() -> None:
    code = "import sys, torch; from benchmark.metrics.shift_tolerant import stlpips_w as metric; "
    code += (
        "image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8); hole = torch.ones(1, 1, 32, 32); "
    )
    code += "metric(image, image, hole > 0); print('stlpips_pytorch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]


def test_scores_are_zero_for_the_truth_and_equal_one_by_one() -> None:
    completed, target, mask = _images()
    together = score_images(completed, target, mask, NAMES)
    oracle = score_images(target, target, mask, NAMES)
    for name in NAMES:
        assert together[name].dtype == torch.float64
        assert (oracle[name] == 0).all() and (together[name] > 0).all()
        for row in range(len(mask)):
            pick = slice(row, row + 1)
            alone = METRICS[name].function(completed[pick], target[pick], mask[pick])
            # 1e-6 is the promise for any batch size; float32 convolutions block differently.
            np.testing.assert_allclose(alone, together[name][pick], atol=1e-6)
    assert not missing_metrics().keys() & set(NAMES)


def test_a_shift_by_a_pixel_costs_less_than_another_texture() -> None:
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(0, 256, (2, 3, 12, 12), dtype=np.uint8)).float()
    smooth = torch.nn.functional.interpolate(coarse, (96, 96), mode="bicubic").clamp(0, 255)
    first, second = torch.chunk(smooth.round().to(torch.uint8), 2)
    shifted = first.roll(1, 3)
    mask = torch.zeros(1, 1, 96, 96, dtype=torch.bool)
    mask[..., 8:88, 8:88] = True
    of_shift, of_other = (
        ours.stlpips_h(torch.where(mask, image, first), first, mask) for image in (shifted, second)
    )
    assert of_shift < of_other / 3


def test_images_that_are_too_small_have_no_value() -> None:
    completed, target, mask = _images(1, 20, 40)
    scores = score_images(completed, target, mask, NAMES)
    assert all(values.isnan().all() for values in scores.values())


# Weights


@pytest.fixture
def forgotten() -> None:
    ours._weights.cache_clear()


def test_absent_package_is_a_reason(forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(ours, "distribution", absent)
    assert set(NAMES) <= missing_metrics().keys()
    assert "stlpips-pytorch" in missing_metrics()[NAMES[0]]
    with pytest.raises(MetricUnavailable, match="stlpips-pytorch"):
        score_images(*_images(), names=NAMES)


def test_other_weights_are_refused(
    forgotten: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = ours._weights_path()
    assert path is not None
    damaged = bytearray(path.read_bytes())
    damaged[5_000_000] ^= 1
    (tmp_path / "weights.pth").write_bytes(damaged)
    monkeypatch.setattr(ours, "_weights_path", lambda: tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth: SHA-256 .* of stlpips-pytorch 0\.0\.2"):
        score_images(*_images(), names=NAMES)
