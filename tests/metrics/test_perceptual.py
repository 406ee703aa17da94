"""LPIPS against the `lpips` package itself, on backbones that the tests make."""

import hashlib
import math
import shutil
import warnings
from pathlib import Path
from typing import Any
from urllib.error import URLError

import lpips
import numpy as np
import pytest
import torch
import torchvision
from ruamel.yaml import YAML
from torch import Tensor

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.metrics import (
    METRICS,
    MetricUnavailable,
    missing_metrics,
    perceptual,
    score_images,
    windows,
)
from benchmark.metrics.perceptual import fetch_weights, lpips_h, lpips_missing, lpips_w, spatial_map
from benchmark.metrics.regions import dilate
from data.errors import InputError
from tests.support.tiny import ROOT

CPU = torch.device("cpu")
MODELS = {
    "alex": (torchvision.models.alexnet, torchvision.models.AlexNet_Weights.IMAGENET1K_V1),
    "vgg": (torchvision.models.vgg16, torchvision.models.VGG16_Weights.IMAGENET1K_V1),
    "squeeze": (
        torchvision.models.squeezenet1_1,
        torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
    ),
}


@pytest.fixture(autouse=True)
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point torch.hub to an empty cache, and forget networks that earlier tests loaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(perceptual, "BACKBONES", dict(perceptual.BACKBONES))
    perceptual._network.cache_clear()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def _make_backbone(net: str, folder: Path) -> Path:
    """Put random weights into the cache, under torchvision's name and under that of their hash."""
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in MODELS[net][0]().state_dict().items()}
    rng = np.random.default_rng(0)
    weights = {}
    for key, shape in shapes.items():
        if key.startswith("features"):
            fan_in = math.prod(shape[1:])
            normal = rng.standard_normal(tuple(shape), dtype=np.float32)
            weights[key] = torch.from_numpy(normal) * math.sqrt(2 / fan_in)
        else:  # the classifier is not read; a view of one zero keeps the file small
            weights[key] = torch.zeros(1).expand(shape)
    original = folder / perceptual.BACKBONES[net]
    torch.save(weights, original)
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    hashed = original.with_name(f"{net}-{digest[:8]}.pth")
    shutil.copy(original, hashed)
    perceptual.BACKBONES[net] = hashed.name
    return hashed


def _images(count: int = 2, size: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.integers(0, 256, (count, 3, size, size), dtype=np.uint8))
    mask = torch.zeros(count, 1, size, size, dtype=torch.bool)
    for row in range(count):
        mask[row, :, 5 * row : 5 * row + 12, 10:22] = True
    return torch.where(mask, 255 - target // 2, target), target, mask


def _package(net: str, spatial: bool) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the package uses torchvision's old keyword
        network: torch.nn.Module = lpips.LPIPS(net=net, spatial=spatial, verbose=False)
    return network


@pytest.mark.promise("metrics")
@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
def test_value_is_that_of_the_package(net: str, checkpoints: Path) -> None:
    _make_backbone(net, checkpoints)
    completed, target, mask = _images()
    first, second = (image.float() / 127.5 - 1 for image in (completed, target))
    with torch.no_grad():
        whole = _package(net, spatial=False)(first, second)[:, 0, 0, 0]
        spatial = _package(net, spatial=True)(first, second)
    assert (whole > 1e-3).all()  # else the tolerance would accept zeros
    # 1e-5 is the protocol's: float32 through up to 13 layers.
    np.testing.assert_allclose(lpips_w(completed, target, mask, net), whole, atol=1e-5)
    layers = perceptual._layer_maps(net, completed, target, mask)
    np.testing.assert_allclose(spatial_map(layers, (32, 32)), spatial, atol=1e-5)
    if net == "alex":
        inside = [m[w].double().mean() for m, w in zip(spatial, dilate(mask, 5), strict=True)]
        np.testing.assert_allclose(lpips_h(completed, target, mask, net), inside, atol=1e-5)


@pytest.mark.parametrize(("net", "smallest"), [("alex", 31), ("squeeze", 17), ("vgg", 16)])
def test_images_that_are_too_small_for_a_layer_have_no_value(
    net: str, smallest: int, checkpoints: Path
) -> None:
    _make_backbone(net, checkpoints)
    package = _package(net, spatial=False)
    for px in (smallest, smallest - 1):
        target = _images(1, 40)[1][..., :px]
        mask = torch.zeros(1, 1, 40, px, dtype=torch.bool)
        mask[..., 2:9, 3:8] = True
        completed = torch.where(mask, 255 - target // 2, target)
        scores = [function(completed, target, mask, net) for function in (lpips_w, lpips_h)]
        assert [bool(score.isnan()) for score in scores] == [px < smallest] * 2
    with pytest.raises(RuntimeError), torch.no_grad():
        package(target.float(), target.float())


@pytest.mark.promise("metrics")
@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
@pytest.mark.parametrize("corner", [(300, 250), (0, 0), (459, 389)])
def test_a_large_image_has_the_value_of_the_whole_from_around_its_hole(
    net: str, corner: tuple[int, int], checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_backbone(net, checkpoints)
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.integers(0, 256, (1, 3, 500, 430), dtype=np.uint8))
    mask = torch.zeros(1, 1, 500, 430, dtype=torch.bool)
    mask[..., corner[0] : corner[0] + 41, corner[1] : corner[1] + 41] = True
    completed = torch.where(mask, 255 - target // 2, target)
    functions = (lpips_w, lpips_h)
    whole = [float(f(completed, target, mask, net)) for f in functions]
    perceptual._shapes.cache_clear()
    monkeypatch.setattr(windows, "LARGEST_PX", 1)
    monkeypatch.setattr(windows, "TILE_PX", 96)
    found = [float(f(completed, target, mask, net)) for f in functions]
    # 1e-6 is the promise; float32 convolutions of images of another size block differently.
    assert whole[0] > 1e-4 and found == pytest.approx(whole, abs=1e-6)


def test_scores_are_float64_zero_for_the_truth_and_equal_one_by_one(checkpoints: Path) -> None:
    for net in ("alex", "squeeze"):
        _make_backbone(net, checkpoints)
    completed, target, mask = _images()
    names = ["lpips_alex", "lpips_alex_h", "lpips_squeeze"]
    together = score_images(completed, target, mask, names)
    oracle = score_images(target, target, mask, names)
    for name in names:
        assert together[name].dtype == torch.float64
        assert (oracle[name] == 0).all()
        for row in range(len(mask)):
            pick = slice(row, row + 1)
            alone = METRICS[name].function(completed[pick], target[pick], mask[pick])
            # 1e-6 is the promise for any batch size; float32 convolutions block differently.
            np.testing.assert_allclose(alone, together[name][pick], atol=1e-6)
    assert set(missing_metrics()) == {"lpips_vgg"}


def test_absent_weights_are_a_reason_that_names_the_command() -> None:
    missing = missing_metrics()
    assert set(missing) == {name for name in METRICS if name.startswith("lpips_")}
    assert all("python -m benchmark weights" in reason for reason in missing.values())
    completed, target, mask = _images()
    assert not any(name.startswith("lpips") for name in score_images(completed, target, mask))
    with pytest.raises(MetricUnavailable, match=r"alexnet-owt-7be5be79\.pth is not in the cache"):
        score_images(completed, target, mask, ["lpips_alex"])


def test_absent_package_is_a_reason(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make_backbone("squeeze", checkpoints)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert lpips_missing("squeeze") == "the package lpips is not installed"


@pytest.mark.promise("damage")
def test_a_damaged_file_is_refused(checkpoints: Path) -> None:
    path = _make_backbone("squeeze", checkpoints)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="does not begin with"):
        lpips_w(*_images(), net="squeeze")


@pytest.mark.promise("damage")
def test_a_file_that_is_no_backbone_is_refused(checkpoints: Path) -> None:
    content = b"not weights"
    name = f"squeeze-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (checkpoints / name).write_bytes(content)
    perceptual.BACKBONES["squeeze"] = name
    with pytest.raises(InputError, match="not the weights"):
        lpips_w(*_images(), net="squeeze")


def test_loading_leaves_the_random_state_alone(checkpoints: Path) -> None:
    _make_backbone("squeeze", checkpoints)
    before = torch.get_rng_state()
    network = perceptual._network("squeeze", CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(p.requires_grad or p.is_meta for p in network.parameters())


def test_names_and_address_are_those_of_torchvision() -> None:
    for net, (_, weights) in MODELS.items():
        assert perceptual.WEIGHTS_URL + perceptual.BACKBONES[net] == weights.url


@pytest.mark.promise("downloads")
def test_fetching_checks_the_hash_and_reports_what_fails(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for net in MODELS:
        if net != "vgg":
            _make_backbone(net, checkpoints)
    asked = []

    def unreachable(url: str, path: str, hash_prefix: str | None, progress: bool) -> None:
        asked.append((Path(url).name, hash_prefix, progress))
        raise URLError("no route")

    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    with pytest.raises(InputError, match=r"vgg16-397923af.pth cannot be fetched: .*no route"):
        fetch_weights()
    assert asked == [("vgg16-397923af.pth", "397923af", True)]


@pytest.mark.promise("downloads")
def test_fetching_keeps_verified_files_and_refuses_others(checkpoints: Path) -> None:
    paths = [_make_backbone(net, checkpoints) for net in ("alex", "squeeze")]
    perceptual.BACKBONES.pop("vgg")
    assert fetch_weights() == paths
    wrong = paths[0].with_name("alex-00000000.pth")
    shutil.copy(paths[0], wrong)
    perceptual.BACKBONES["alex"] = wrong.name
    with pytest.raises(InputError, match="alex-00000000"):
        fetch_weights()


def test_weights_that_were_fetched_are_named_where_dvc_watches(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = _make_backbone("alex", checkpoints)
    for net in ("vgg", "squeeze"):
        perceptual.BACKBONES.pop(net)
    monkeypatch.chdir(tmp_path)
    paths.SUITES.mkdir(parents=True)
    assert main(["weights"]) == 0
    assert (paths.LPIPS / "weights.txt").read_text() == f"{fetched.name}\n"
    pipeline = YAML(typ="safe", pure=True).load(ROOT / "dvc.yaml")["stages"]
    scoring = {name for name, stage in pipeline.items() if str(paths.LPIPS) in _deps(stage)}
    assert scoring == {"baselines", "evaluate"}


def _deps(stage: dict[str, Any]) -> list[str]:
    deps: list[str] = stage.get("do", stage)["deps"]
    return deps
