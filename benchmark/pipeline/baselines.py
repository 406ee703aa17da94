"""The baselines stage: test-set scores of the classical completions and of the truth."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
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
    score_method,
)
from data.store import Store
from models.baselines import BASELINES, BaselineRefused

ORACLE = "oracle"
"""The truth itself, as a row of every table: it must score perfectly."""


def evaluate_baselines(suite: Suite) -> None:
    """Score all baselines and the oracle, through the very code that scores the trained runs."""
    test = load_test_set(suite)
    training = Store(paths.prepared(suite.name)).images("train")
    score_tables, measured, refused = [], {}, {}
    with atomic_folder(paths.baseline_completed(suite.name)) as folder:
        bar = tqdm([*BASELINES, ORACLE], desc=f"baselines {suite.name}", unit="baseline")
        for name in bar:
            bar.set_postfix_str(name)
            fill = _truth(test) if name == ORACLE else _baseline(name, test, training)
            try:
                scored = score_method(name, 0, test, fill, suite.evaluation)
            except BaselineRefused as error:
                refused[name] = str(error)
                continue
            score_tables.append(scored.score_table)
            measured[name] = scored.set_level
            save_examples(folder / f"{name}.npy", scored.examples)
    write_score_table(paths.baseline_scores(suite.name), pd.concat(score_tables, ignore_index=True))
    content = metrics_content(suite, paths.baseline_scores(suite.name), measured)
    write_json(paths.baseline_metrics(suite.name), content | {"refused": refused})


def _truth(test: TestSet) -> Fill:
    return lambda rows, mask_number: test.targets(rows)


def _baseline(name: str, test: TestSet, training: NDArray[np.uint8]) -> Fill:
    """Return a baseline as a method; it gets images whose holes are blank."""
    complete = BASELINES[name](training)

    def fill(rows: list[int], mask_number: int) -> Tensor:
        hole = test.masks(rows, mask_number)[:, 0].numpy()
        masked = np.where(hole[..., None], 0, test.images[rows]).astype(np.uint8)
        filled = complete(masked, hole)
        return torch.from_numpy(filled).permute(0, 3, 1, 2)

    return fill
