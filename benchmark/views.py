"""What each network of a variant is shown of a scene."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmark.metrics import composite, quantise
from benchmark.scenes import make_scene
from models.scene import Output, Scene
from models.squares import crop_squares
from models.variant import DiscriminatorSpec, GeneratorSpec, Input


@dataclass(frozen=True)
class Inpainter:
    """A generator, and what its variant shows it."""

    network: nn.Module
    spec: GeneratorSpec

    def __call__(self, scene: Scene) -> Tensor:
        """Return the raw output `[N, 3, H, W]`."""
        masked, mask = scene.filled(self.spec.fill), scene.window(self.spec.mask_dilation)
        raw: Tensor = self.network(masked, mask, scene.corner)
        return raw


def seen_real(spec: DiscriminatorSpec, scene: Scene) -> Tensor:
    """Return what a discriminator is shown of the true images."""
    if spec.input == "hole":
        return crop_squares(scene.image, scene.corner, scene.hole_size)
    return scene.image


def seen_fake(spec: DiscriminatorSpec, scene: Scene, output: Output) -> Tensor:
    """Return what a discriminator is shown of what a generator made, in its own update."""
    return _shown(spec.input, scene, output)


def seen_for_generator(spec: DiscriminatorSpec, scene: Scene, output: Output) -> Tensor:
    """Return what a discriminator is shown in the generator's update."""
    return _shown(spec.generator_input or spec.input, scene, output)


def _shown(what: Input, scene: Scene, output: Output) -> Tensor:
    if what == "hole":
        return crop_squares(output.raw, scene.corner, scene.hole_size)
    return output.completed if what == "completed" else output.raw


class Completed(NamedTuple):
    """Pixels after a generator."""

    quantised: Tensor
    """`[N, 3, H, W]` uint8, the raw output."""
    completed: Tensor
    """`[N, 3, H, W]` uint8, composited."""
    target: Tensor
    """`[N, 3, H, W]` uint8."""
    mask: Tensor
    """`[N, 1, H, W]` bool."""


@torch.no_grad()
def complete(
    inpainter: Callable[[Scene], Tensor], images: Tensor, boxes: Tensor, hole_size: int
) -> Completed:
    """Fill the holes of packed images and composite the result with the known pixels.

    Args:
        inpainter: from a scene to its raw output.
        images: `[N, H, W, 3]` uint8.
        boxes: `[N, 4]` integer pixels `(x0, y0, x1, y1)`.
        hole_size: side of all boxes.
    """
    scene = make_scene(images, boxes, hole_size)
    quantised = quantise(inpainter(scene).float())
    target = images.permute(0, 3, 1, 2)
    mask = scene.mask.bool()
    return Completed(quantised, composite(quantised, target, mask), target, mask)
