"""From a method and the test split to a row of scores per image and hole, by protocol ib1."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from benchmark.core import paths
from benchmark.core.config import Evaluation, Suite
from benchmark.evaluation.score_table import (
    aggregate,
    aggregate_by_label,
    read_score_table,
    robust_psnr,
)
from benchmark.metrics import (
    METRICS,
    PROTOCOL,
    known_mae_raw,
    missing_metrics,
    score_images,
)
from benchmark.metrics.set_level import SET_LEVEL, SetSummary, set_level, set_level_missing
from benchmark.metrics.shift_tolerant import pooled_features
from benchmark.training.batches import masks_from_boxes
from data.draws import Label
from data.masks import mask_bank
from data.store import Record, Store


@dataclass(frozen=True)
class TestSet:
    """The distinct images of a suite's test split, or of another one, with their fixed holes."""

    __test__ = False  # not a pytest class

    images: NDArray[np.uint8]
    """`[N, H, W, 3]`, memory-mapped."""
    boxes: NDArray[np.int32]
    """`[N, K, 4]` in pixels."""
    records: list[Record]
    rows: list[int]
    """Rows of `images` that are scored: an exact duplicate would count twice."""

    @property
    def hole_size(self) -> int:
        """Side of all holes in pixels."""
        x0, _, x1, _ = self.boxes[0, 0].tolist()
        return int(x1 - x0)

    @cached_property
    def groups(self) -> list[str] | None:
        """The group of each record, by the first 16 digits of the least SHA-256 of its images.

        An image that is a group of its own is called as in the column `image`, and names of files
        play no part. None where all images are groups of their own.
        """
        if not any(record.group for record in self.records):
            return None
        least: dict[str, str] = {}
        for record in self.records:
            least[record.unit] = min(record.sha256, least.get(record.unit, record.sha256))
        return [least[record.unit][:16] for record in self.records]

    def other(self, row: int) -> int:
        """Return another test image, half the split away: neighbors may be of one photograph."""
        return self._others[row]

    @cached_property
    def _others(self) -> dict[int, int]:
        half = len(self.rows) // 2
        return dict(zip(self.rows, self.rows[half:] + self.rows[:half], strict=True))

    def masks(self, rows: list[int], mask_number: int) -> Tensor:
        """Return the masks of some images, `[n, 1, H, W]` bool."""
        boxes = torch.from_numpy(self.boxes[rows, mask_number])
        return masks_from_boxes(boxes, self.images.shape[1])

    def targets(self, rows: list[int]) -> Tensor:
        """Return some images as `[n, 3, H, W]` uint8."""
        return torch.from_numpy(self.images[rows]).permute(0, 3, 1, 2)


def load_test_set(suite: Suite, split: str = "test") -> TestSet:
    """Load the test split of a suite, or another one as if it were to be scored.

    Raises:
        InputError: the split stage has not run, or its files are damaged.
    """
    store = Store(paths.prepared(suite.name))
    store.verify(split)
    records = store.records(split)
    first: dict[str, int] = {}
    for row, record in enumerate(records):
        first.setdefault(record.sha256, row)
    if split == "train":  # has no fixed holes of its own
        labels: list[Label] = [suite.evaluation.mask_seed, f"{split} mask"]
        hashes, count = [record.sha256 for record in records], suite.evaluation.masks_per_image
        boxes = mask_bank(suite.mask, suite.image_size, labels, hashes, count)
    else:
        boxes = store.boxes(split)
    return TestSet(store.images(split), boxes, records, list(first.values()))


Fill = Callable[[list[int], int], Tensor]
"""From rows of the test images and the number of a mask to filled pixels `[n, 3, H, W]` uint8."""


@dataclass(frozen=True)
class Scored:
    """What was found of a method."""

    score_table: pd.DataFrame
    examples: Tensor
    """The first images completed in their first hole, `[E, 3, H, W]` uint8."""
    set_level: dict[str, SetSummary]
    """Of all images, completed in their first hole."""


def score_method(method: str, seed: int, test: TestSet, fill: Fill, settings: Evaluation) -> Scored:
    """Score a method on all test images and holes.

    Args:
        method: name for the score table.
        seed: seed for the score table; 0 for methods that have none.
        test: the test images.
        fill: the method; what it puts on known pixels is measured apart and otherwise discarded.
        settings: how many images to take at a time, which does not change the scores, and how many
            examples to return.
    """
    parts, examples = [], []
    features: tuple[list[Tensor], list[Tensor]] = ([], [])  # of the truth, and completed
    absent = set_level_missing(len(test.rows), test.images.shape[1])
    holes, batch_size = test.boxes.shape[1], settings.batch_size
    total = holes * len(test.rows)
    with tqdm(total=total, desc=f"score {method}", unit="image", leave=False) as bar:
        for mask_number in range(holes):
            for start in range(0, len(test.rows), batch_size):
                rows = test.rows[start : start + batch_size]
                target, mask = test.targets(rows), test.masks(rows, mask_number)
                filled = fill(rows, mask_number)
                completed = torch.where(mask, filled, target)
                scores = score_images(completed, target, mask)
                scores["known_mae_raw"] = known_mae_raw(filled, target, mask)
                parts.append(_score_rows(method, seed, test, rows, mask, scores))
                if mask_number == 0 and start < settings.examples:
                    examples.append(completed[: settings.examples - start])
                if mask_number == 0 and absent is None:
                    for found, images in zip(features, (target, completed), strict=True):
                        found.append(pooled_features(images))
                bar.update(len(rows))
    measured: dict[str, SetSummary] = {n: {"value": None, "missing": absent} for n in SET_LEVEL}
    if absent is None:
        measured = set_level(*map(torch.cat, features))
    return Scored(pd.concat(parts, ignore_index=True), torch.cat(examples), measured)


def _score_rows(
    method: str, seed: int, test: TestSet, rows: list[int], mask: Tensor, scores: dict[str, Tensor]
) -> pd.DataFrame:
    keys = {
        "method": method,
        "seed": seed,
        "image": [test.records[row].sha256[:16] for row in rows],
        "mask": [hashlib.sha256(np.packbits(m).tobytes()).hexdigest()[:16] for m in mask.numpy()],
        "hole_px": mask.sum((1, 2, 3)).numpy(),
        "label": [test.records[row].label for row in rows],
    }
    if test.groups is not None:
        keys["group"] = [test.groups[row] for row in rows]
    # A metric that cannot be computed here has a column all the same, and no value in it.
    missing = {name: np.nan for name in missing_metrics()}
    found = {name: values.cpu().numpy() for name, values in scores.items()}
    return pd.DataFrame(keys | {name: (found | missing)[name] for name in METRICS})


def metrics_content(
    suite: Suite, score_table_path: Path, measured: Mapping[str, Mapping[str, SetSummary]]
) -> dict[str, object]:
    """Aggregate a score table as it was written, so that the file gives anyone the same numbers.

    Args:
        suite: the suite.
        score_table_path: of the score table.
        measured: the measures of the whole test set, by method.
    """
    score_table = read_score_table(score_table_path)
    missing = missing_metrics()
    pixels = suite.image_size**2
    return {
        "protocol": PROTOCOL,
        "methods": aggregate(score_table, pixels, missing),
        "by_label": aggregate_by_label(score_table, pixels, missing),
        "derived": robust_psnr(score_table, pixels),
        "set_level": measured,
        "missing": missing,
    }


def save_examples(path: Path, completed: Tensor) -> None:
    """Write completed images as `[E, H, W, 3]` uint8."""
    with path.open("wb") as file:
        np.save(file, completed.permute(0, 2, 3, 1).contiguous().numpy())
