"""What networks are trained on: a batch of images with holes, and what a generator made of it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scene:
    """A batch of images with a square hole each."""

    image: Tensor
    """`[N, 3, H, W]` float in [-1, 1]."""
    mask: Tensor
    """`[N, 1, H, W]` float, 1 in the hole."""
    corner: Tensor
    """`[N, 2]` int64, `(x0, y0)` of the hole in pixels."""
    hole_size: int
    """Side of the holes in pixels; one number, so that crops have one shape."""

    @cached_property
    def masked(self) -> Tensor:
        """The images with 0, mid-grey, in the hole."""
        return self.image * (1 - self.mask)

    @cached_property
    def box(self) -> Tensor:
        """`[N, 4]` holes `(x0, y0, x1, y1)`, normalised to [0, 1]."""
        edges = torch.cat([self.corner, self.corner + self.hole_size], dim=1)
        return edges.to(self.image.dtype) / self.image.shape[-1]


@dataclass(frozen=True)
class Output:
    """What a generator made of a scene."""

    raw: Tensor
    """`[N, 3, H, W]`, as the generator put it out."""
    completed: Tensor
    """`[N, 3, H, W]`, known pixels from the image and the hole from the generator."""
