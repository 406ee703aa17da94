"""What to do when memory does not suffice: one line that names the setting, and what would fit."""

import gc
import os
import resource
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.training.batches import ImageFeed, make_batch
from benchmark.training.gan import build_gan, training_step
from data.errors import InputError
from models.variant import Variant

LEAST_BATCH = 2
"""Batch norm has nothing to compare in less."""
_MESSAGES = (
    *("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED"),
    "could not create a primitive",
)
"""How the allocators of PyTorch, of CUDA and its libraries, and last of oneDNN put it."""


def is_exhausted(error: BaseException) -> bool:
    """Tell whether an error says that there is not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MESSAGES)


def _say_less() -> str:
    return "a smaller one takes less"


@contextmanager
def memory_for(
    setting: str, device: torch.device, advice: Callable[[], str] = _say_less
) -> Iterator[None]:
    """Turn a lack of memory into an error that says which setting is too large.

    Args:
        setting: name and value of the setting.
        device: where the memory is short.
        advice: what else to say. When it is called, what the failed calls held is free again, so
            that it may try what fits.

    Raises:
        InputError: there is not enough memory.
    """
    try:
        yield
        return
    except (MemoryError, RuntimeError) as error:
        if not is_exhausted(error):
            raise
        _free(error)
    raise InputError(f"{setting} does not fit into {_memory_of(device)}; {advice()}")


def batch_setting(suite: Suite, section: str) -> str:
    """Return a batch size of a suite with its name and its file, for `memory_for`."""
    value = getattr(suite, section).batch_size
    return f"{section}.batch_size: {value} of {paths.SUITES / suite.name}.yaml"


def largest_batch_size(
    suite: Suite, variant: Variant, seed: int, fabric: Fabric, images: NDArray[np.uint8]
) -> int | None:
    """Halve the batch size of the training until its steps fit; None where nothing does.

    Args:
        suite: whose batch size does not fit.
        variant: the networks.
        seed: of the run.
        fabric: device and precision.
        images: the training images, `[N, H, W, 3]`.
    """
    size = suite.training.batch_size
    while size > LEAST_BATCH:
        size = max(size // 2, LEAST_BATCH)
        try:
            _try_steps(suite, variant, seed, fabric, images, size)
            return size
        except (MemoryError, RuntimeError) as error:
            if not is_exhausted(error):
                raise
            _free(error)
    return None


def _try_steps(
    suite: Suite,
    variant: Variant,
    seed: int,
    fabric: Fabric,
    images: NDArray[np.uint8],
    batch_size: int,
) -> None:
    """Do the two steps that take most: all networks are updated, from the second on by Adam."""
    gan = build_gan(suite, variant, seed, fabric)
    gan.train(True)
    rows = np.arange(batch_size)
    rows_there = torch.from_numpy(rows).to(fabric.device)
    side = max(suite.mask.size, *(suite.training.hole_sizes or (0,)))
    boxes = torch.tensor([[0, 0, side, side]], device=fabric.device).expand(batch_size, 4)
    batch = make_batch(ImageFeed(images, fabric.device)(rows, rows_there), boxes, side)
    # The end of a run, where all discriminators have started, at a step that updates all of them.
    step = int(
        np.lcm.reduce([spec.update_every for spec in variant.discriminators.values()] or [1])
    )
    for _ in range(2):
        losses = training_step(fabric, gan, batch, step, step)
    float(losses["generator/total"])  # waits for the device


def _free(error: BaseException) -> None:
    """Let go of what the calls held that an error has ended."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    torch.cuda.empty_cache()


def _memory_of(device: torch.device) -> str:
    """Return how much memory there is, in words."""
    if device.type == "cuda":
        size = torch.cuda.get_device_properties(device).total_memory
        return f"the {size / 2**30:.1f} GiB of {torch.cuda.get_device_name(device)}"
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        size = min(size, limit)
    return f"{size / 2**30:.1f} GiB of memory"
