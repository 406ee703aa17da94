"""ST-LPIPS (Ghildyal and Liu 2022): LPIPS on features that a shift by a pixel hardly changes.

The weights come with the package `stlpips-pytorch`, so the metric is always there. The package
itself is never imported: it needs two libraries that it does not declare, prints and unpickles. Its
AlexNet takes no stride in a convolution, and blurs before it leaves out every second pixel.
"""

import hashlib
import math
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad, relu

from benchmark.metrics.perceptual import (
    MetricUnavailable,
    exact_convolutions,
    hole_mean,
    scaled,
    unit_length,
    whole_mean,
)
from benchmark.metrics.sharing import shared
from benchmark.metrics.windows import is_large, maps_around
from data.errors import InputError

PACKAGE, FILE = "stlpips-pytorch", "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth"
SHA256 = "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"
CONVOLUTIONS = (
    ("net.slice1.0", 2), ("net.slice2.5", 2), ("net.slice3.9", 1), ("net.slice4.11", 1),
    ("net.slice5.13", 1),
)  # fmt: skip
"""Name and padding of each; after each follows a layer of features."""
STRIDES = (2, 4, 8, 8, 8)
"""Pixels from one place of a layer to the next."""
SMALLEST_PX = 21
"""Side of the smallest image that has a feature in every layer."""
REACH_PX = 104
"""Beyond which no pixel changes a feature."""


def stlpips_w(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each image's ST-LPIPS over the whole image; NaN below 21 px a side.

    Arguments and result are those of `Metric`.

    Raises:
        MetricUnavailable: see `stlpips_missing`.
        InputError: the weights are not those of the package's version 0.0.2.
    """
    return whole_mean(_layer_maps(completed, target, mask))


def stlpips_h(completed: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean of the spatial ST-LPIPS map over the hole dilated by 5 pixels.

    Arguments, result and errors are those of `stlpips_w`.
    """
    return hole_mean(_layer_maps(completed, target, mask), mask)


def pooled_features(images: Tensor) -> Tensor:
    """Return the deepest layer's features, averaged over all places, `[N, 256]` float32.

    At each place they are of unit length, as ST-LPIPS compares them, times the root of their
    number: a vector's mean square is 1 at most, which suits the kernel of KID.

    Args:
        images: `[N, 3, H, W]` uint8, of at least `SMALLEST_PX` a side.

    Raises:
        MetricUnavailable, InputError: see `stlpips_w`.
    """
    deepest = _unit_features(images)[-1]
    return deepest.mean((2, 3)) * math.sqrt(deepest.shape[1])


def stlpips_missing() -> str | None:
    """Return why ST-LPIPS cannot be computed, or None if it can."""
    if _weights_path() is None:
        return f"the weights of the package {PACKAGE} are not installed"
    return None


def _weights_path() -> Path | None:
    try:
        path = Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


@cache
def _weights(device: torch.device) -> dict[str, Tensor]:
    path = _weights_path()
    if path is None:
        raise MetricUnavailable(str(stlpips_missing()))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise InputError(f"{path}: SHA-256 {digest[:16]}…, not {SHA256[:16]}… of {PACKAGE} 0.0.2")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return {name: weight.to(device) for name, weight in weights.items()}


@shared
def _layer_maps(completed: Tensor, target: Tensor, mask: Tensor) -> list[Tensor]:
    """Return the distances of all layers, `[N, 1, h, w]` float32 each."""
    height, width = target.shape[2:]
    if min(height, width) < SMALLEST_PX:
        return [torch.full((len(target), 1, 1, 1), float("nan"), device=target.device)]
    if not is_large(target):
        return _distances(completed, target)
    images = completed, target, mask
    return maps_around(_distances, images, _sizes(height, width), STRIDES, REACH_PX)


def _distances(completed: Tensor, target: Tensor) -> list[Tensor]:
    weights = _weights(target.device)
    ours, truth = _unit_features(completed), _unit_features(target)
    with torch.no_grad(), exact_convolutions():
        return [
            conv2d((a - b) ** 2, weights[f"lin{index}.model.1.weight"])
            for index, (a, b) in enumerate(zip(ours, truth, strict=True))
        ]


@shared
def _unit_features(images: Tensor) -> list[Tensor]:
    """Return the features of all layers for images `[N, 3, H, W]` uint8, of length 1."""
    with torch.no_grad(), exact_convolutions():
        return [*map(unit_length, _features(_weights(images.device), scaled(images)))]


def _features(weights: dict[str, Tensor], image: Tensor) -> list[Tensor]:
    """Return the features of all layers for images `[N, 3, H, W]` in [-1, 1]."""
    x = (image - weights["scaling_layer.shift"]) / weights["scaling_layer.scale"]
    features: list[Tensor] = []
    for layer, (name, padding) in enumerate(CONVOLUTIONS):
        if layer in (1, 2):
            x = _blurred_half(_max_of_nine(x))
        x = conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)
        x = relu(_blurred_half(x) if layer == 0 else x)
        features.append(x)
    return features


def _max_of_nine(x: Tensor) -> Tensor:
    """Return the maximum of each 3 by 3 window; without gradients, faster than max pooling."""
    rows = torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def _blurred_half(x: Tensor) -> Tensor:
    """Blur by [1, 2, 1] / 4 along both axes and keep every second pixel (Zhang 2019)."""
    kernel = torch.tensor([1.0, 2.0, 1.0], device=x.device) / 4
    filters = torch.outer(kernel, kernel).expand(x.shape[1], 1, 3, 3)
    return conv2d(pad(x, (2, 2, 2, 2), mode="reflect"), filters, stride=2, groups=x.shape[1])


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of all layers' maps."""

    def halved(size: int) -> int:
        return (size + 1) // 2 + 1

    def along(size: int) -> list[int]:
        first = halved(size - 6)
        second = halved(first - 2)
        return [first, second, *[halved(second - 2)] * 3]

    return list(zip(along(height), along(width), strict=True))
