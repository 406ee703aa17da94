"""Everything that is random in a run, each a pure function of (seed, purpose, epoch, index)."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.draws import Label, integers_below, random_bits, uniforms
from data.masks import MaskSpec
from models.replicas import Part


def weight_uniforms(seed: int, network: str) -> Callable[[str, tuple[int, ...]], Tensor]:
    """Return the draws for the initial weights of a network, in [0, 1), on the CPU.

    They depend on the seed, the network's name and the parameter's name, so variants that share a
    network start from equal weights on every device.
    """

    def draw(parameter: str, shape: tuple[int, ...]) -> Tensor:
        size = math.prod(shape)
        bits = random_bits([seed, "initial weights", network, parameter], -(-size // 4))
        return torch.from_numpy(uniforms(bits.reshape(-1)[:size]).reshape(shape))

    return draw


def training_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return a permutation of the training images for an epoch, `[count]`."""
    keys = random_bits([seed, "training order", epoch], count)
    return np.lexsort((keys[:, 1], keys[:, 0])).astype(np.int64)


def training_boxes(
    seed: int, epoch: int, count: int, law: MaskSpec, image_size: int
) -> NDArray[np.int32]:
    """Return each training image's hole in an epoch, `[count, 4]` boxes in pixels."""
    return law.boxes(random_bits([seed, "training mask", epoch], count), image_size)


def training_hole_sizes(
    seed: int, epoch: int, count: int, bounds: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the side of the holes of each batch of an epoch, `[count]` in pixels.

    Args:
        seed: the run's.
        epoch: number of epochs before this one.
        count: number of batches.
        bounds: the least and the greatest side.
    """
    least, greatest = bounds
    bits = random_bits([seed, "training hole size", epoch], count)
    return integers_below(bits[:, 0], greatest - least + 1) + least


def training_flips(seed: int, epoch: int, count: int) -> NDArray[np.bool_]:
    """Return which training images are mirrored in an epoch, `[count]`."""
    return random_bits([seed, "training flip", epoch], count)[:, 0] >= np.uint64(2**63)


class StepDraws:
    """Draws of a purpose: by step, by how often the step asked before, by position."""

    def __init__(self, seed: int, *purpose: Label) -> None:
        self._labels: list[Label] = [seed, *purpose]
        self._step = self._calls = 0
        self._part: Part | None = None

    def begin_step(self, step: int, part: Part | None = None) -> None:
        """Say which step the next draws are for, and of which images of its batch."""
        self._step, self._calls, self._part = step, 0, part

    def __call__(self, shape: tuple[int, ...], axis: int = 0) -> Tensor:
        """Return fresh numbers in [0, 1), float64, on the CPU.

        Args:
            shape: how many; of a part of a batch they are those that the batch would draw for it.
            axis: along which the images of the batch lie.
        """
        part = self._part or Part(0, shape[axis], shape[axis])
        whole = (*shape[:axis], part.whole, *shape[axis + 1 :])
        size = math.prod(whole)
        bits = random_bits([*self._labels, self._step, self._calls], -(-size // 4))
        self._calls += 1
        drawn = torch.from_numpy(uniforms(bits.reshape(-1)[:size]).reshape(whole))
        return drawn.narrow(axis, part.first, part.count)
