"""Section 2 of protocol ib1: the pixels over which a metric is taken."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Region = Literal["w", "h", "b", "c"]
SMALL_PX = 8
"""Radius up to which a seam band is found by a disc, in all images at once. A disc costs as much as
its radius squared, and a distance transform the same for all."""


def region_pixels(mask: Tensor, region: Region) -> Tensor:
    """Return the pixels of a region.

    Args:
        mask: `[N, 1, H, W]` bool, True in the hole.
        region: `w` whole image, `h` hole, `b` seam band, `c` core (hole without seam band).

    Returns:
        `[N, 1, H, W]` bool. The core of a small hole can be empty.
    """
    if region == "w":
        return torch.ones_like(mask)
    if region == "h":
        return mask
    if region == "b":
        return seam_band(mask)
    return mask & ~seam_band(mask)


def seam_band(mask: Tensor) -> Tensor:
    """Return the hole's pixels within Euclidean distance r of a known pixel.

    r = max(1, round(min(h, w) / 32)), rounded half to even, where h and w are the sides of the
    bounding box of the image's hole. What lies outside the image is not known. Shapes are those of
    `region_pixels`.
    """
    radii = _seam_radii(mask)
    known = (~mask).float()
    band = torch.zeros_like(mask)
    for radius in torch.unique(radii).tolist():  # one step per size of hole, not per image
        at = radii == radius
        if radius > SMALL_PX:
            band[at] = torch.stack([_near_known(hole, radius) for hole in mask[at]])
            continue
        offset = torch.arange(-radius, radius + 1, device=mask.device)
        disc = (offset[:, None] ** 2 + offset[None, :] ** 2 <= radius**2).float()
        # The sum counts the known pixels in reach: exactly 0 or at least 1.
        reached = functional.conv2d(known, disc[None, None], padding=radius) > 0.5
        band |= reached & mask & at[:, None, None, None]
    return band


def _near_known(hole: Tensor, radius: int) -> Tensor:
    """Return the pixels of a hole `[1, H, W]` within a distance of a known pixel, exactly."""
    from scipy.ndimage import distance_transform_edt  # takes long to load, and few holes need it

    near = distance_transform_edt(hole[0].cpu().numpy()) <= radius
    return hole & torch.from_numpy(near).to(hole.device)


def _seam_radii(mask: Tensor) -> Tensor:
    side = torch.minimum(_extent(mask.any(3)), _extent(mask.any(2)))
    return (side.double() / 32).round().clamp(min=1).long().squeeze(1)


def _extent(occupied: Tensor) -> Tensor:
    """Return the distance from the first to the last True of the last axis, both counted."""
    flags = occupied.int()
    return flags.shape[-1] - flags.argmax(-1) - flags.flip(-1).argmax(-1)


def dilate(mask: Tensor, radius: int) -> Tensor:
    """Return the pixels whose square window of side 2·radius + 1 touches the hole."""
    window = 2 * radius + 1
    return functional.max_pool2d(mask.float(), window, stride=1, padding=radius) > 0.5
