"""A function in several processes that share what they compute, as those of a training do."""

import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed

Result = TypeVar("Result")
PATIENCE = timedelta(minutes=2)
"""A process that fails leaves the others waiting."""


def run_together(function: Callable[[], Result], count: int) -> list[Result]:
    """Return what a function, which can be pickled, returns in each of `count` processes."""
    with tempfile.TemporaryDirectory() as folder:
        task = partial(_join, function, count, str(Path(folder, "store")))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            return list(pool.map(task, range(count)))


def _join(function: Callable[[], Result], count: int, store: str, number: int) -> Result:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=number, world_size=count, timeout=PATIENCE
    )
    try:
        return function()
    finally:
        distributed.destroy_process_group()
