"""Rows of the score table for a test set whose images form groups, or do not."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from benchmark.core.config import Evaluation
from benchmark.evaluation.score_table import COLUMNS, groups_of
from benchmark.evaluation.test_set import TestSet, score_method, score_methods
from data.store import Record


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["", "", ""], ["c", "b", "a"]),
        (["x", "", "x"], ["a", "b", "a"]),
        (["x", "y", "y"], ["c", "a", "a"]),
    ],
)
def test_group_is_called_by_the_least_hash_of_its_images(
    groups: list[str], expected: list[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    boxes = np.full((3, 2, 4), [4, 4, 8, 8], dtype=np.int32)
    boxes[:, 1] += 2
    records = [
        Record("test", i, f"{i}.png", sha * 64, "", group)
        for i, (sha, group) in enumerate(zip("cba", groups, strict=True))
    ]
    test = TestSet(images, boxes, records, [0, 1, 2])
    scored = score_method(
        "oracle", 0, test, lambda rows, _: test.targets(rows), Evaluation(batch_size=2)
    )
    frame = scored.score_table
    assert groups_of(frame).tolist() == [sha * 16 for sha in expected] * 2
    assert ("group" in frame) == any(groups)
    assert tuple(frame.columns[: len(COLUMNS)]) == COLUMNS


def test_methods_side_by_side_have_the_rows_that_each_has_alone() -> None:
    count, rng = 5, np.random.default_rng(1)
    images = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    corners = rng.integers(0, 8, (count, 2, 2))
    boxes = np.concatenate([corners, corners + 6], axis=2).astype(np.int32)
    records = [Record("test", i, str(i), f"{i:064x}", "") for i in range(count)]
    test = TestSet(images, boxes, records, [*range(count)])

    def gray(rows: list[int], mask_number: int) -> Tensor:
        return torch.full_like(test.targets(rows), 100 + mask_number)

    methods = {"oracle": lambda rows, _: test.targets(rows), "gray": gray}
    settings = Evaluation(batch_size=2, examples=3)
    for name, scored in score_methods(methods, 0, test, settings).items():
        whole = Evaluation(batch_size=5, examples=3)
        alone = score_method(name, 0, test, methods[name], whole)
        # All rows of the first hole come first, whatever the batch size.
        keys = ["method", "seed", "image", "mask", "hole_px", "label"]
        pd.testing.assert_frame_equal(scored.score_table[keys], alone.score_table[keys])
        pd.testing.assert_frame_equal(scored.score_table, alone.score_table, atol=1e-6, rtol=1e-6)
        assert torch.equal(scored.examples, alone.examples) and len(scored.examples) == 3
