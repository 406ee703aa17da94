"""The baselines stage: test-set scores of the classical completions and of the truth."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.files import atomic_folder, write_json
from benchmark.evaluation.score_table import write_score_table
from benchmark.evaluation.test_set import (
    Fill,
    TestSet,
    load_test_set,
    metrics_content,
    save_examples,
    score_methods,
)
from data.store import Store
from models.baselines import BASELINES, BaselineRefused, Completion
from models.ppca import Holes, Images

ORACLE = "oracle"
"""The truth itself, as a row of every table: it must score perfectly."""


GROUP_BYTES = 2**24
"""Of the images that a baseline completes at a time: a search passes over the training images for
them together."""


def evaluate_baselines(suite: Suite) -> None:
    """Score all baselines and the oracle, through the very code that scores the trained runs."""
    test = load_test_set(suite)
    training = Store(paths.prepared(suite.name)).images("train")
    as_method = _in_groups(test, suite.evaluation.batch_size)
    methods: dict[str, Fill] = {}
    refused = {}
    bar = tqdm(BASELINES.items(), desc=f"baselines {suite.name}", unit="baseline", leave=False)
    for name, baseline in bar:
        bar.set_postfix_str(name)
        method = as_method(baseline(training))
        try:
            method(test.rows[:1], 0)  # completes the first images, which are asked for next
        except BaselineRefused as error:
            refused[name] = str(error)
        else:
            methods[name] = method
    methods[ORACLE] = _truth(test)
    found = score_methods(methods, 0, test, suite.evaluation)
    with atomic_folder(paths.baseline_completed(suite.name)) as folder:
        for name, scored in found.items():
            save_examples(folder / f"{name}.npy", scored.examples)
    score_table = pd.concat([scored.score_table for scored in found.values()], ignore_index=True)
    write_score_table(paths.baseline_scores(suite.name), score_table)
    measured = {name: scored.set_level for name, scored in found.items()}
    content = metrics_content(suite, paths.baseline_scores(suite.name), measured)
    write_json(paths.baseline_metrics(suite.name), content | {"refused": refused})


def _truth(test: TestSet) -> Fill:
    return lambda rows, mask_number: test.targets(rows)


def _in_groups(test: TestSet, batch_size: int) -> Callable[[Completion], Fill]:
    """Return what makes a method of a completion, which gets images whose holes are blank.

    It completes the images in groups, each image with all its holes, and keeps the last group.
    """
    num_holes = test.boxes.shape[1]
    batch_bytes = batch_size * num_holes * test.images[0].nbytes
    size = batch_size * max(1, GROUP_BYTES // batch_bytes)
    places = {row: place for place, row in enumerate(test.rows)}

    @lru_cache(maxsize=1)
    def blanked(group: int) -> tuple[Images, Holes]:
        rows = test.rows[group * size : (group + 1) * size]
        hole = np.concatenate([test.masks(rows, n)[:, 0].numpy() for n in range(num_holes)])
        images = np.tile(test.images[rows], (num_holes, 1, 1, 1))
        masked = np.where(hole[..., None], 0, images).astype(np.uint8)
        for array in (masked, hole):
            array.setflags(write=False)  # so that one search serves several baselines
        return masked, hole

    def method(complete: Completion) -> Fill:
        @lru_cache(maxsize=1)
        def completed(group: int) -> Tensor:
            pixels = torch.from_numpy(complete(*blanked(group)))
            return pixels.reshape(num_holes, -1, *pixels.shape[1:]).permute(0, 1, 4, 2, 3)

        def fill(rows: list[int], mask_number: int) -> Tensor:
            group, first = divmod(places[rows[0]], size)
            return completed(group)[mask_number, first : first + len(rows)]

        return fill

    return method
