"""Images and holes -> what networks are trained on, on a device; what a generator made of it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from models.replicas import Part

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


@dataclass(frozen=True)
class Batch:
    """A batch of images with a square hole each."""

    image: Tensor
    """`[N, 3, H, W]` float in [-1, 1]."""
    mask: Tensor
    """`[N, 1, H, W]` float, 1 in the hole."""
    corner: Tensor
    """`[N, 2]` int64, `(x0, y0)` of the hole in pixels."""
    hole_size: int
    """Side of the holes in pixels; one number, so that crops have one shape."""
    part: Part | None = None
    """Which images of a larger batch these are, where processes share one."""

    @property
    def images(self) -> int:
        """How many images the batch has, with those of other processes."""
        return len(self.image) if self.part is None else self.part.whole

    @property
    def share(self) -> float:
        """How much a mean over these images weighs in that over the batch; 1 without others."""
        return 1.0 if self.part is None else self.part.share

    @cached_property
    def masked(self) -> Tensor:
        """The images with 0, mid-gray, in the hole."""
        return self.image * (1 - self.mask)

    def filled(self, color: Color | None, shown_border_px: int = 0) -> Tensor:
        """Return the images with a color in the hole, or in all but a border of the hole.

        Args:
            color: mid-gray without one.
            shown_border_px: width of the border that stays as it is.
        """
        if color is None and shown_border_px == 0:
            return self.masked
        hidden = self.window(-shown_border_px)
        masked = self.image * (1 - hidden)
        if color is None:
            return masked
        # Built by scalars, as a tensor made from a list would be copied from the host.
        channels = [torch.full_like(self.mask, value / 127.5 - 1) for value in color]
        return masked + torch.cat(channels, dim=1) * hidden

    def window(self, grow: int) -> Tensor:
        """Return `[N, 1, H, W]` masks of the holes, each side moved outwards by `grow` px.

        A negative number shrinks them. What would lie outside the image is cut off.
        """
        if grow == 0:
            return self.mask
        near, side = self.corner - grow, self.hole_size + 2 * grow
        columns = _within(near[:, 0], side, self.image.shape[3])
        rows = _within(near[:, 1], side, self.image.shape[2])
        return (rows[:, :, None] & columns[:, None, :]).unsqueeze(1).to(self.mask.dtype)

    @cached_property
    def box(self) -> Tensor:
        """`[N, 4]` holes `(x0, y0, x1, y1)`, normalized to [0, 1]."""
        edges = torch.cat([self.corner, self.corner + self.hole_size], dim=1)
        return edges.to(self.image.dtype) / self.image.shape[-1]


@dataclass(frozen=True)
class Output:
    """What a generator made of a batch."""

    raw: Tensor
    """`[N, 3, H, W]`, as the generator put it out."""
    completed: Tensor
    """`[N, 3, H, W]`, known pixels from the image and the hole from the generator."""


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host to a device without waiting for what runs there."""
    if device.type == "cuda":  # which reads pageable memory only when it has nothing else to do
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def _within(start: Tensor, side: int, size: int) -> Tensor:
    """Return `[N, size]`, True for `side` positions from `start` `[N]` on."""
    offset = torch.arange(size, device=start.device) - start[:, None]
    return (offset >= 0) & (offset < side)
