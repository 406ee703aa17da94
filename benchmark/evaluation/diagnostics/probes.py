"""Probes: images of which one square is altered in a known way, to ask a discriminator about.

After the diagnostics of LocPaint (Kuo 2024), whose table says that blur, noise and mean color have
no boundary. Its script pastes them with a hard edge, as `hard_…` does here; without the prefix they
fade in over some pixels, so that what the table says is true. `seam_only` and `seam_free` take a
completed image apart into its boundary and its content. All are 8-bit images, as a user could store
them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtri
from torch import Tensor

from data.draws import random_bits, uniforms

BLURS = (3, 5, 10, 20)
"""Standard deviations of the blurs, in pixels of an image of `REFERENCE_PX`."""
NOISES = (0.1, 0.3, 0.5)
"""Standard deviations of the noise, in units of [-1, 1]."""
SPLIT = 5
"""Standard deviation of the Gaussian that splits low from high frequencies, in the same pixels."""
REFERENCE_PX = 128
"""Image size of LocPaint; blurs are scaled to look alike at other sizes."""
FADE_SHARE = 8
"""What has no boundary reaches its full strength behind this part of the square's side."""
REAL, SEAM_ONLY, SEAM_FREE, COMPLETED = "real", "seam_only", "seam_free", "completed"
CHANGES = (
    *(f"blur_{std}" for std in BLURS),
    *(f"noise_{std}" for std in NOISES),
    "mean_color",
    "foreign",
)
"""Contents of the square that no generator made: each fades in, and as `hard_…` does not."""
PROBES = (
    REAL,
    SEAM_ONLY,
    SEAM_FREE,
    COMPLETED,
    "offset",
    "low_frequencies",
    "raw",
    "reconstructed",
    *(name for change in CHANGES for name in (change, f"hard_{change}")),
)
"""All probes, in the order of tables."""


def make_probes(
    target: Tensor,
    boxes: Tensor,
    quantized: Tensor,
    reconstructed: Tensor,
    noise: Tensor,
    other: Tensor,
) -> dict[str, Tensor]:
    """Alter one square of each image in all ways.

    Args:
        target: `[N, 3, S, S]` uint8, the true images.
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)` of the squares, all of one size.
        quantized: `[N, 3, S, S]` uint8, the generator's raw output with the squares as holes.
        reconstructed: `[N, 3, S, S]` uint8, its raw output without any hole.
        noise: `[N, 3, S, S]` float64, of unit variance.
        other: `[N, 3, S, S]` uint8, for each image another true one, whose square `foreign` has.

    Returns:
        Images `[N, 3, S, S]` uint8 by the name of the probe, in the order of `PROBES`. All but
        `raw` and `reconstructed` equal the target outside the squares.
    """
    depth = depths(boxes, target.shape[-1])
    inside = depth > 0
    completed = torch.where(inside, quantized, target)
    fade = fade_weights(depth, fade_px(int(boxes[0, 2] - boxes[0, 0])))
    exact, scale = target.double(), target.shape[-1] / REFERENCE_PX

    def changed(change: Tensor, strength: Tensor) -> Tensor:
        return (exact + strength * change).round().clamp(0, 255).to(torch.uint8)

    generated = completed.double() - exact
    made = [
        target,
        torch.where(depth == 1, quantized, target),
        changed(generated, fade),
        completed,
        changed(seam_offsets(target, completed, boxes)[:, None, None, None], inside),
        changed(blurred(generated, SPLIT * scale), fade),
        quantized,
        reconstructed,
    ]
    changes = [
        *(blurred(exact, std * scale) - exact for std in BLURS),
        *(std * 127.5 * noise for std in NOISES),
        _mean_colors(exact, inside) - exact,
        other.double() - exact,
    ]
    made += [changed(change, strength) for change in changes for strength in (fade, inside)]
    return dict(zip(PROBES, made, strict=True))


def seam_offsets(target: Tensor, completed: Tensor, boxes: Tensor) -> Tensor:
    """Return by how much to brighten the true square for a seam as large as that of the completion.

    The seam is that of `benchmark.metrics.edges.seam`: the mean step across the contour beyond the
    target's. Of all whole numbers the one that comes nearest is taken, of several the smallest, and
    of both signs the positive one; colors end at 0 and 255.

    Args:
        target: `[N, 3, S, S]` uint8, the true images.
        completed: `[N, 3, S, S]` uint8, equal to them outside the squares.
        boxes: `[N, 4]` integer pixels.

    Returns:
        `[N]` float64, whole numbers from -255 to 255.
    """
    levels = np.array([0, *(sign * size for size in range(1, 256) for sign in (1, -1))])
    offsets = []
    for true, made, box in zip(*(t.cpu().numpy() for t in (target, completed, boxes)), strict=True):
        inner, outer = _contour(true.astype(np.int64), box)
        wanted = np.abs(_contour(made.astype(np.int64), box)[0] - outer).sum()
        moved = np.clip(inner + levels[:, None, None], 0, 255)
        gaps = np.abs(np.abs(moved - outer).sum((1, 2)) - wanted)
        offsets.append(float(levels[gaps.argmin()]))  # the first of equals
    return torch.tensor(offsets, dtype=torch.float64, device=target.device)


def _contour(
    image: NDArray[np.int64], box: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the values on both sides of a square's contour, `[3, P]` inside and outside."""
    x0, y0, x1, y1 = (int(edge) for edge in box)
    square, size = (slice(y0, y1), slice(x0, x1)), image.shape[-1]
    sides = [
        (image[:, y0, square[1]], image[:, y0 - 1, square[1]], y0 > 0),
        (image[:, y1 - 1, square[1]], image[:, min(y1, size - 1), square[1]], y1 < size),
        (image[:, square[0], x0], image[:, square[0], x0 - 1], x0 > 0),
        (image[:, square[0], x1 - 1], image[:, square[0], min(x1, size - 1)], x1 < size),
    ]
    present = [(inner, outer) for inner, outer, is_there in sides if is_there]
    inner, outer = (np.concatenate(side, axis=1) for side in zip(*present, strict=True))
    return inner, outer


def depths(boxes: Tensor, image_size: int) -> Tensor:
    """Return how deep in its square each pixel lies: 0 outside, 1 on the outermost frame.

    Args:
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)`.
        image_size: side of the images in pixels.

    Returns:
        `[N, 1, S, S]` int64.
    """
    along = torch.arange(image_size, device=boxes.device)
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.long().unbind(1))
    columns = torch.minimum(along - x0 + 1, x1 - along)
    rows = torch.minimum(along - y0 + 1, y1 - along)
    return torch.minimum(rows[:, None, :, None], columns[:, None, None, :]).clamp(min=0)


def fade_px(side: int) -> int:
    """Return over how many pixels a change fades in, in a square of that side."""
    return max(1, round(side / FADE_SHARE))


def fade_weights(depth: Tensor, width: int) -> Tensor:
    """Return the strength of a change that fades in, growing linearly from 0 outside to 1.

    Args:
        depth: of `depths`.
        width: pixels with less than full strength, on each side.

    Returns:
        Float64 of the same shape; 1 / (width + 1) on the outermost frame.
    """
    return (depth.double() / (width + 1)).clamp(max=1)


def blurred(images: Tensor, std_px: float) -> Tensor:
    """Blur whole images `[N, C, S, S]` float64 by a Gaussian, mirrored at their edges.

    As the surroundings take part, the blurred square goes over into them.
    """
    unit = np.eye(images.shape[-1])
    # Along one axis a blur is a matrix, whose columns are what becomes of a single bright pixel.
    matrix = torch.from_numpy(gaussian_filter1d(unit, std_px, axis=0, mode="reflect"))
    matrix = matrix.to(images.device)
    return matrix @ images @ matrix.T


def unit_noise(image_hashes: Sequence[str], image_size: int) -> NDArray[np.float64]:
    """Return Gaussian noise of unit variance, `[N, 3, S, S]`.

    An image's noise depends on its hash alone. It is the same for all strengths, so that these
    differ in nothing else.
    """
    shape = (3, image_size, image_size)
    count = -(-3 * image_size**2 // 4)
    bits = np.stack([random_bits(["probe noise", h], count) for h in image_hashes])
    drawn = uniforms(bits).reshape(len(image_hashes), -1)[:, : 3 * image_size**2]
    # The quantile of 0 would be infinite.
    return np.asarray(ndtri(np.maximum(drawn, 2.0**-54))).reshape(-1, *shape)


def _mean_colors(images: Tensor, mask: Tensor) -> Tensor:
    """Return each image's mean color inside a mask, `[N, 3, 1, 1]`."""
    total = torch.where(mask, images, 0).sum((2, 3), keepdim=True)
    return total / mask.sum((2, 3), keepdim=True)
