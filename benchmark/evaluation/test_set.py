"""From a method and the test split to a row of scores per image and hole, by protocol ib1."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from benchmark.core import paths
from benchmark.core.config import Evaluation, Suite
from benchmark.core.hashing import json_digest
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
from benchmark.metrics.sharing import held
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
    store.require_settings(json_digest(suite.split_settings))
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


CPU = torch.device("cpu")
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


def score_method(
    method: str,
    seed: int,
    test: TestSet,
    fill: Fill,
    settings: Evaluation,
    device: torch.device = CPU,
) -> Scored:
    """Score a method on all test images and holes; see `score_methods`."""
    return score_methods({method: fill}, seed, test, settings, device)[method]


def score_methods(
    methods: Mapping[str, Fill],
    seed: int,
    test: TestSet,
    settings: Evaluation,
    device: torch.device = CPU,
) -> dict[str, Scored]:
    """Score methods side by side, so that what is known of the targets is computed once.

    Pixels stay on the device; what comes back is a number for each row and metric, and the
    examples.

    Args:
        methods: by the name for the score table; what one puts on known pixels is measured apart
            and otherwise discarded. They are asked for all holes of a batch of images in turn.
        seed: seed for the score table; 0 for methods that have none.
        test: the test images.
        settings: how many images to take at a time, which does not change the scores, and how many
            examples to return.
        device: where they put what they fill.
    """
    absent = set_level_missing(len(test.rows), test.images.shape[1])
    found = {method: _Found(method, seed, settings.examples) for method in methods}
    truth: list[Tensor] = []
    total = len(test.rows)
    described = f"score {next(iter(methods)) if len(methods) == 1 else f'{len(methods)} methods'}"
    with tqdm(total=total, desc=described, unit="image", leave=False) as bar:
        for start in range(0, total, settings.batch_size):
            rows = test.rows[start : start + settings.batch_size]
            target = test.targets(rows).to(device)
            with held(target):
                if absent is None:
                    truth.append(pooled_features(target))
                for number in range(test.boxes.shape[1]):
                    mask = test.masks(rows, number)
                    batch = _Batch(target, mask.to(device), number, _keys(test, rows, mask))
                    for method, fill in methods.items():
                        found[method].add(batch, fill(rows, number), absent is None)
            bar.update(len(rows))
    return {method: each.scored(absent, truth) for method, each in found.items()}


class _Batch(NamedTuple):
    target: Tensor
    mask: Tensor
    mask_number: int
    keys: dict[str, Any]
    """Columns of the score table."""


@dataclass
class _Found:
    """What was found of a method so far."""

    method: str
    seed: int
    num_examples: int
    parts: list[tuple[int, pd.DataFrame]] = field(default_factory=list)
    """With the number of the hole, by which tables are sorted."""
    examples: list[Tensor] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)

    def add(self, batch: _Batch, filled: Tensor, wants_features: bool) -> None:
        completed = torch.where(batch.mask, filled, batch.target)
        with held(completed):
            scores = score_images(completed, batch.target, batch.mask)
            scores["known_mae_raw"] = known_mae_raw(filled, batch.target, batch.mask)
            if batch.mask_number == 0:
                self.examples.append(completed[: self.num_examples])
                self.num_examples -= len(self.examples[-1])
                if wants_features:
                    self.features.append(pooled_features(completed))
        # A metric that cannot be computed here has a column all the same, and no value in it.
        columns = dict.fromkeys(METRICS, np.nan) | {n: v.cpu().numpy() for n, v in scores.items()}
        keys = {"method": self.method, "seed": self.seed} | batch.keys
        self.parts.append((batch.mask_number, pd.DataFrame(keys | columns)))

    def scored(self, absent: str | None, truth: list[Tensor]) -> Scored:
        parts = [part for _, part in sorted(self.parts, key=itemgetter(0))]
        measured: dict[str, SetSummary] = {n: {"value": None, "missing": absent} for n in SET_LEVEL}
        if absent is None:
            measured = set_level(torch.cat(truth), torch.cat(self.features))
        return Scored(pd.concat(parts, ignore_index=True), torch.cat(self.examples).cpu(), measured)


def _keys(test: TestSet, rows: list[int], mask: Tensor) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "image": [test.records[row].sha256[:16] for row in rows],
        "mask": [hashlib.sha256(np.packbits(m).tobytes()).hexdigest()[:16] for m in mask.numpy()],
        "hole_px": mask.sum((1, 2, 3)).numpy(),
        "label": [test.records[row].label for row in rows],
    }
    if test.groups is not None:
        keys["group"] = [test.groups[row] for row in rows]
    return keys


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
