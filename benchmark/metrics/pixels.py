"""Section 1 of protocol ib1: from a generator's output to the pixels that are scored."""

import torch
from torch import Tensor

SUMMED = 2**24
"""Numbers that are summed at once."""


def quantize(output: Tensor) -> Tensor:
    """Map a generator's output to 8-bit pixels, rounding half to even.

    Args:
        output: `[N, 3, H, W]` floating point in [-1, 1]; values outside are clipped.

    Returns:
        `[N, 3, H, W]` uint8.

    Raises:
        ValueError: the output is not floating point or holds NaN.
    """
    if not output.is_floating_point():
        raise ValueError(f"a generator's output is floating point, not {output.dtype}")
    if bool(output.isnan().any()):
        raise ValueError("a generator's output holds NaN")
    return ((output.double() + 1) / 2 * 255).round().clamp(0, 255).to(torch.uint8)


def composite(quantized: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the quantized pixels in the hole and the target's everywhere else.

    Arguments are those of `Metric`.
    """
    return torch.where(mask, quantized, target)


def known_mae_raw(quantized: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean absolute error on the known pixels, on [0, 1], of what is not composited.

    Arguments and result are those of `Metric`.
    """
    distance = torch.maximum(quantized, target) - torch.minimum(quantized, target)
    return mean_over(distance, ~mask) / 255


def mean_over(values: Tensor, region: Tensor) -> Tensor:
    """Return each image's mean over a region's pixels and all channels.

    Integers are summed as integers, so their mean depends on neither order, batch nor device.

    Args:
        values: `[N, C, H, W]`.
        region: `[N, 1, H, W]` bool; pixels that count.

    Returns:
        `[N]` float64; NaN where the region is empty.
    """
    counted = torch.where(region, values, 0)
    if values.is_floating_point():
        total = counted.sum((1, 2, 3), dtype=torch.float64)
    else:  # a part at a time, as a sum begins by making all of it eight bytes wide
        parts = torch.split(counted, max(1, SUMMED // max(1, counted[:, :, :1].numel())), dim=2)
        total = torch.stack([part.sum((1, 2, 3), dtype=torch.int64) for part in parts]).sum(0)
    return total.double() / (values.shape[1] * region.sum((1, 2, 3)))


def check_images(completed: Tensor, target: Tensor, mask: Tensor) -> None:
    """Refuse what is not a batch of RGB images with a hole in each.

    Raises:
        ValueError: a shape or type is wrong, or a mask has no hole or no known pixel.
    """
    for name, image in (("completed", completed), ("target", target)):
        if image.dtype != torch.uint8 or image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"{name}: {image.dtype} {list(image.shape)} is not uint8 [N, 3, H, W]")
    if completed.shape != target.shape:
        raise ValueError(f"completed {list(completed.shape)}, target {list(target.shape)} differ")
    count, _, height, width = target.shape
    if mask.dtype != torch.bool or mask.shape != (count, 1, height, width):
        expected = f"bool [{count}, 1, {height}, {width}]"
        raise ValueError(f"mask: {mask.dtype} {list(mask.shape)} is not {expected}")
    hole_px = mask.sum((1, 2, 3))
    if not bool(((hole_px > 0) & (hole_px < height * width)).all()):
        raise ValueError("mask: every image needs at least one hole pixel and one known pixel")
