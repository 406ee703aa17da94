"""From a batch to what each network of a variant sees of it, and to completed images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmark.metrics import composite, quantize
from benchmark.training.batches import make_batch
from models.batch import Batch, Output
from models.squares import crop_squares
from models.variant import GeneratorSpec, Input


@dataclass(frozen=True)
class Inpainter:
    """A generator, and what its variant shows it."""

    network: nn.Module
    spec: GeneratorSpec

    def __call__(self, batch: Batch) -> Tensor:
        """Return the raw output `[N, 3, H, W]`."""
        masked = batch.filled(self.spec.fill, self.spec.shown_border_px)
        mask = batch.window(self.spec.mask_dilation)
        raw: Tensor = self.network(masked, mask, batch.corner)
        return raw


def shown(what: Input, batch: Batch, output: Output) -> Tensor:
    """Return what a discriminator with this input is shown of what a generator made."""
    if what == "hole":
        return crop_squares(output.raw, batch.corner, batch.hole_size)
    return output.completed if what == "completed" else output.raw


class Completed(NamedTuple):
    """Pixels after a generator."""

    quantized: Tensor
    """`[N, 3, H, W]` uint8, the raw output."""
    completed: Tensor
    """`[N, 3, H, W]` uint8, composited."""
    target: Tensor
    """`[N, 3, H, W]` uint8."""
    mask: Tensor
    """`[N, 1, H, W]` bool."""


@torch.no_grad()
def complete(
    inpainter: Callable[[Batch], Tensor], images: Tensor, boxes: Tensor, hole_size: int
) -> Completed:
    """Fill the holes of packed images and composite the result with the known pixels.

    Args:
        inpainter: from a batch to its raw output.
        images: `[N, H, W, 3]` uint8.
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)`.
        hole_size: side of all boxes.
    """
    batch = make_batch(images, boxes, hole_size)
    quantized = quantize(inpainter(batch).float())
    target = images.permute(0, 3, 1, 2)
    mask = batch.mask.bool()
    return Completed(quantized, composite(quantized, target, mask), target, mask)
