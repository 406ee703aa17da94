"""The baselines stage: test-set scores of the classical completions and of the truth."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from benchmark import paths
from benchmark.config import Suite
from benchmark.files import atomic_folder, write_json
from benchmark.ledger import write_ledger
from benchmark.scoring import (
    Fill,
    TestSet,
    load_test_set,
    metrics_content,
    save_examples,
    score_method,
)
from data.store import Store
from models.baselines import BASELINES, BaselineRefused

ORACLE = "oracle"
"""The truth itself, as a row of every table: it must score perfectly."""


def evaluate_baselines(suite: Suite, workers: int = 1) -> None:
    """Score all baselines and the oracle, through the very code that scores the trained runs.

    Args:
        suite: what to score on.
        workers: processes for baselines that work image by image; does not change the result.
    """
    test = load_test_set(suite)
    training = Store(paths.prepared(suite.name)).images("train")
    ledgers = []
    refused = {}
    with atomic_folder(paths.baseline_completed(suite.name)) as folder:
        bar = tqdm([*BASELINES, ORACLE], desc=f"baselines {suite.name}", unit="baseline")
        for name in bar:
            bar.set_postfix_str(name)
            if name == ORACLE:
                fill: Fill = lambda rows, mask_number: test.targets(rows)  # noqa: E731
            else:
                try:
                    fill = _baseline_fill(name, test, training, workers)
                except BaselineRefused as error:
                    refused[name] = str(error)
                    continue
            ledger, completed = score_method(name, 0, test, fill, suite.evaluation.batch_size)
            ledgers.append(ledger)
            save_examples(folder / f"{name}.npy", completed, suite.evaluation.examples)
    write_ledger(paths.baseline_scores(suite.name), pd.concat(ledgers, ignore_index=True))
    content = metrics_content(suite, paths.baseline_scores(suite.name))
    write_json(paths.baseline_metrics(suite.name), content | {"refused": refused})


def _baseline_fill(name: str, test: TestSet, training: NDArray[np.uint8], workers: int) -> Fill:
    """Run a baseline on all test images, their holes blanked, and return it as a method."""
    filled = []
    for mask_number in range(test.boxes.shape[1]):
        hole = test.masks(test.rows, mask_number)[:, 0].numpy()
        masked = np.where(hole[..., None], 0, test.images[test.rows]).astype(np.uint8)
        filled.append(BASELINES[name](masked, hole, training, workers=workers))
    place = {row: index for index, row in enumerate(test.rows)}

    def fill(rows: list[int], mask_number: int) -> Tensor:
        pixels = filled[mask_number][[place[row] for row in rows]]
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    return fill
