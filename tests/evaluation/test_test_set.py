"""Rows of the score table for a test set whose images form groups, or do not."""

import numpy as np
import pytest

from benchmark.core.config import Evaluation
from benchmark.evaluation.score_table import COLUMNS, groups_of
from benchmark.evaluation.test_set import TestSet, score_method
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
