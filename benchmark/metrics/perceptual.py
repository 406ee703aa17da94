"""LPIPS v0.1 (Zhang et al. 2018) on backbone weights that are verified, never fetched unasked.

The linear layers come with the `lpips` package. The backbones are torchvision's, read from the
cache of `torch.hub`; their file names end in the first digits of their SHA-256.
"""

import hashlib
import importlib.util
import pickle
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.metrics.pixels import mean_over
from benchmark.metrics.regions import dilate
from benchmark.metrics.sharing import shared
from benchmark.metrics.windows import NEAR_PX, around, is_large, maps_around
from data.errors import InputError

BACKBONES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
STRIDES = {
    "alex": (4, 8, 16, 16, 16),
    "vgg": (1, 2, 4, 8, 16),
    "squeeze": (2, 4, 8, 16, 16, 16, 16),
}
"""Pixels from one place of a layer to the next."""
REACH_PX = 112
"""Beyond which no pixel changes a feature: the deepest one of any backbone sees 207 px."""
WEIGHTS_URL = "https://download.pytorch.org/models/"
FETCH_COMMAND = "python -m benchmark weights"
# The hole is dilated as for ssim_h, so that both read the same pixels around it.
DILATION_PX = 5


class MetricUnavailable(Exception):
    """A metric cannot be computed here; the message says why and what would mend it."""


def weights_path(net: str) -> Path:
    """Return where the weights of a backbone belong, whether or not they are there."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[net]


def lpips_missing(net: str) -> str | None:
    """Return why LPIPS with this backbone cannot be computed, or None if it can."""
    if importlib.util.find_spec("lpips") is None:
        return "the package lpips is not installed"
    if not weights_path(net).is_file():
        return f"{BACKBONES[net]} is not in the cache; `{FETCH_COMMAND}` fetches it"
    return None


def fetch_weights() -> list[Path]:
    """Fetch and verify the weights of all backbones, about 780 MB, showing the progress.

    Returns:
        The files, those that were there already included.

    Raises:
        InputError: a file cannot be fetched, or does not match its name.
    """
    for name in BACKBONES.values():
        url = WEIGHTS_URL + name
        try:
            torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, weights_only=True
            )
        except (URLError, OSError, RuntimeError) as error:
            raise InputError(f"{url} cannot be fetched: {error}") from error
    paths = [weights_path(net) for net in BACKBONES]
    for path in paths:
        _verify(path)
    return paths


def _verify(path: Path) -> None:
    expected = path.stem.rsplit("-", 1)[-1]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise InputError(
            f"{path}: SHA-256 {digest[:16]}… does not begin with {expected}; "
            f"delete the file, then `{FETCH_COMMAND}`"
        )


@shared
def _layer_maps(net: str, completed: Tensor, target: Tensor, mask: Tensor) -> list[Tensor]:
    """Return the distances of all layers of a backbone, `[N, 1, h, w]` float32 each.

    Raises:
        MetricUnavailable: see `lpips_missing`.
        InputError: the cached weights are not those that the file name promises.
    """
    if min(target.shape[2:]) < _smallest_px(_network(net, target.device).net):
        return [torch.full((len(target), 1, 1, 1), float("nan"), device=target.device)]
    if not is_large(target):
        return _distances(net, completed, target)
    # The sizes of all maps, without computing any.
    with torch.no_grad():
        features = _shapes(net, target.device)(torch.empty(target.shape, device="meta"))
    sizes = [(found.shape[2], found.shape[3]) for found in features]
    images = completed, target, mask
    return maps_around(partial(_distances, net), images, sizes, STRIDES[net], REACH_PX)


def _smallest_px(backbone: nn.Module) -> int:
    """Return the side of the smallest image that has a feature in every layer of a backbone."""
    side = 1
    for layer in reversed([*backbone.modules()]):
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            sizes = layer.kernel_size, layer.stride, layer.padding
            kernel, stride, padding = (n if isinstance(n, int) else int(n[0]) for n in sizes)
            # A pooling that rounds up makes do with a part of its last window.
            spare = stride - 1 if getattr(layer, "ceil_mode", False) else 0
            side = max(1, (side - 1) * stride + kernel - 2 * padding - spare)
    return side


@cache
def _shapes(net: str, device: torch.device) -> Any:
    """Return a backbone without weights, which knows the sizes of its features."""
    return deepcopy(_network(net, device).net).to("meta")


def _distances(net: str, completed: Tensor, target: Tensor) -> list[Tensor]:
    ours, truth = _unit_features(net, completed), _unit_features(net, target)
    linears = _network(net, completed.device).lins  # codespell:ignore lins
    with torch.no_grad(), exact_convolutions():
        return [linear((a - b) ** 2) for linear, a, b in zip(linears, ours, truth, strict=True)]


@shared
def _unit_features(net: str, image: Tensor) -> list[Tensor]:
    network = _network(net, image.device)
    with torch.no_grad(), exact_convolutions():
        return [*map(unit_length, network.net(network.scaling_layer(scaled(image))))]


def exact_convolutions() -> AbstractContextManager[None]:
    """Return what keeps convolutions in float32, by algorithms that repeat."""
    # TF32 would move the values by 1e-3; choosing algorithms by timing would not repeat.
    return torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled, deterministic=True, allow_tf32=False
    )


def scaled(image: Tensor) -> Tensor:
    """Return uint8 images in [-1, 1]."""
    return image.float() / 127.5 - 1


def unit_length(features: Tensor) -> Tensor:
    """Return features `[N, C, h, w]` of length 1 at each place."""
    return features / ((features**2).sum(1, keepdim=True).sqrt() + 1e-10)


@cache
def _network(net: str, device: torch.device) -> Any:
    """Build the package's network from files alone: nothing drawn, fetched or unpickled."""
    if reason := lpips_missing(net):
        raise MetricUnavailable(reason)
    import lpips

    path = weights_path(net)
    _verify(path)
    # On the meta device nothing is drawn, so the caller's random state stays as it is.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the package uses torchvision's old keyword
        network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    linear_path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    try:
        backbone = torch.load(path, map_location="cpu", weights_only=True)
        # The package's `slice2.3.weight` is torchvision's `features.3.weight`.
        features = {
            key: backbone["features." + key.split(".", 1)[1]] for key in network.net.state_dict()
        }
    except (pickle.UnpicklingError, KeyError) as error:
        raise InputError(f"{path}: not the weights of a torchvision model: {error}") from error
    network.net.load_state_dict(features, assign=True)
    linear = torch.load(linear_path, map_location="cpu", weights_only=True)
    for index, layer in enumerate(network.lins):  # codespell:ignore lins
        layer.load_state_dict({"model.1.weight": linear[f"lin{index}.model.1.weight"]}, assign=True)
    return network.eval().requires_grad_(False).to(device)


def lpips_w(completed: Tensor, target: Tensor, mask: Tensor, net: str) -> Tensor:
    """Return each image's LPIPS over the whole image, without resizing.

    It is NaN where the image is too small for a layer: below 31 px a side with AlexNet, 17 with
    SqueezeNet and 16 with VGG.

    Arguments and result are those of `Metric`, with a backbone of `BACKBONES`; errors are those of
    `_layer_maps`.
    """
    return whole_mean(_layer_maps(net, completed, target, mask))


def lpips_h(completed: Tensor, target: Tensor, mask: Tensor, net: str) -> Tensor:
    """Return each image's mean of the spatial LPIPS map over the hole dilated by 5 pixels.

    Arguments, result and errors are those of `lpips_w`.
    """
    return hole_mean(_layer_maps(net, completed, target, mask), mask)


def whole_mean(layers: Sequence[Tensor]) -> Tensor:
    """Return the sum over layers `[N, 1, h, w]` of their means, `[N]` float64."""
    return torch.stack([layer.mean((1, 2, 3)) for layer in layers]).sum(0).double()


def hole_mean(layers: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Return the mean of the spatial map over the hole dilated by 5 pixels, `[N]` float64."""
    if not is_large(mask):
        return mean_over(spatial_map(layers, mask.shape[2:]), dilate(mask, DILATION_PX))
    means = []
    for row, hole in enumerate(torch.split(mask, 1)):
        place = around(hole[0, 0], NEAR_PX)
        part = spatial_part([layer[row : row + 1] for layer in layers], mask.shape[2:], place)
        means.append(mean_over(part, dilate(hole[..., *place], DILATION_PX)))
    return torch.cat(means)


def spatial_map(layers: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Return the sum over layers, each resized to the image, `[N, 1, H, W]` float32."""
    resized = [functional.interpolate(layer, [*size], mode="bilinear") for layer in layers]
    return torch.stack(resized).sum(0)


def spatial_part(
    layers: Sequence[Tensor], size: Sequence[int], place: tuple[slice, slice]
) -> Tensor:
    """Return some rows and columns of `spatial_map`, `[N, 1, h, w]`, without making the rest."""
    total: Tensor | None = None
    for layer in layers:
        for axis, (whole, part) in enumerate(zip(size, place, strict=True), 2):
            length, at = layer.shape[axis], torch.arange(part.start, part.stop, device=layer.device)
            source = ((at + 0.5) * (length / whole) - 0.5).clamp(min=0)
            first = source.floor().long().clamp(max=length - 1)
            share = (source - first).view(*[-1 if i == axis else 1 for i in range(4)])
            second = (first + 1).clamp(max=length - 1)
            layer = layer.index_select(axis, first) * (1 - share) + (
                layer.index_select(axis, second) * share
            )
        total = layer if total is None else total + layer
    assert total is not None
    return total
