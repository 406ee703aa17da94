"""The score command: anybody's completed images, scored by protocol ib1.

Every image is scored at its own size; those of equal size go through the metrics together.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from benchmark.core.config import NAME_PATTERN
from benchmark.metrics import METRICS, known_mae_raw, score_images
from benchmark.submissions.catalogue import Finding
from benchmark.submissions.doctor import Examination, all_findings, note_pairing
from benchmark.submissions.submission import (
    Pairing,
    Sample,
    Submission,
    pair_files,
    read_sample,
    require_whole,
    wrong_hole,
    wrong_size,
)
from data.errors import InputError
from models.baselines import BASELINES
from models.filters import WINDOW

BASELINE_NAMES = ("mean_colour", "telea", "navier_stokes")
"""Those that need no training images and run at any size."""
BATCH_PX = 2**20
"""Pixels that go through the metrics at a time, unless one image has more: of SSIM's float64 maps
these are some 300 MB."""


@dataclass(frozen=True)
class Request:
    """What to score, and beside what."""

    submission: Submission
    name: str = "completed"
    """Of the method, in the score_table."""
    baselines: bool = False
    training: Path | None = None
    """Training images, in which the images should not be."""


@dataclass
class Scores:
    """The scores of a submission."""

    score_table: pd.DataFrame
    """As `benchmark.evaluation.score_table` describes it; rows in the order of the images' names."""
    images: pd.DataFrame
    """For each file its `name`, the keys `image` and `mask` of its row, `height` and `width`."""
    findings: list[Finding]
    """What the doctor says."""


@dataclass
class _Rows:
    """Samples that wait to be scored, and the parts of the score table that are done."""

    request: Request
    waiting: list[tuple[int, Sample]] = field(default_factory=list)
    waiting_px: int = 0
    parts: list[pd.DataFrame] = field(default_factory=list)

    def add(self, number: int, sample: Sample) -> None:
        pixels = sample.hole.size
        if self.waiting and self.waiting_px + pixels > BATCH_PX:
            self.score()
        self.waiting.append((number, sample))
        self.waiting_px += pixels

    def score(self) -> None:
        """Score what waits, equal sizes together."""
        by_size: defaultdict[tuple[int, ...], list[tuple[int, Sample]]] = defaultdict(list)
        for number, sample in self.waiting:
            by_size[sample.hole.shape].append((number, sample))
        for batch in by_size.values():
            self.parts += _score_batch(batch, self.request)
        self.waiting, self.waiting_px = [], 0


def score_submission(request: Request) -> Scores:
    """Score all images of a submission, each file decoded once.

    Raises:
        InputError: files are missing or cannot be read, or do not fit their image.
    """
    pairing = pair_files(request.submission)
    require_whole(pairing, request.submission)
    examination, rows = Examination(), _Rows(request)
    note_pairing(examination, pairing)
    seen: dict[tuple[str, str], int] = {}
    images = []
    for number, sample in enumerate(_samples(pairing, request.submission)):
        examination.look_at(sample)
        keys = _keys(sample)
        images.append((sample.name, *keys, *sample.hole.shape))
        # An exact duplicate would count twice.
        if seen.setdefault(keys, number) == number:
            rows.add(number, sample)
    rows.score()
    score_table = pd.concat(rows.parts).sort_values(["order", "number"], kind="stable")
    return Scores(
        score_table.drop(columns=["order", "number"]).reset_index(drop=True),
        pd.DataFrame(images, columns=["name", "image", "mask", "height", "width"]),
        all_findings(examination, request.training),
    )


def _samples(pairing: Pairing, submission: Submission) -> Iterator[Sample]:
    """Read all images in the order of their names.

    Raises:
        InputError: one cannot be read, or has another size or no hole.
    """
    for triple in tqdm(pairing.triples, desc="score", unit="image"):
        sample = read_sample(triple, submission.hole)
        if reason := wrong_size(sample) or wrong_hole(sample):
            raise InputError(f"{triple.completed} with {triple.mask}: {reason}")
        if min(sample.hole.shape) < WINDOW:
            raise InputError(f"{triple.image}: SSIM needs {WINDOW} px a side")
        yield sample


def _keys(sample: Sample) -> tuple[str, str]:
    """Return how the score table names an image and its mask."""
    mask = hashlib.sha256(np.packbits(sample.hole).tobytes()).hexdigest()
    return sample.image_sha256[:16], mask[:16]


def _score_batch(batch: list[tuple[int, Sample]], request: Request) -> list[pd.DataFrame]:
    """Return the rows of images of one size, for each method."""
    samples = [sample for _, sample in batch]
    target = np.stack([sample.target for sample in samples])
    hole = np.stack([sample.hole for sample in samples])
    methods = {request.name: np.stack([sample.completed for sample in samples])}
    if request.baselines:
        # A baseline gets images whose holes are blank.
        blank = np.where(hole[..., None], 0, target).astype(np.uint8)
        methods |= {name: BASELINES[name](blank, hole, blank[:0]) for name in BASELINE_NAMES}
    truth, mask = _tensor(target), torch.from_numpy(hole)[:, None]
    keys = [_keys(sample) for sample in samples]
    parts = []
    for order, (method, pixels) in enumerate(methods.items()):
        given = _tensor(pixels)
        scores = score_images(torch.where(mask, given, truth), truth, mask)
        scores["known_mae_raw"] = known_mae_raw(given, truth, mask)
        columns = {
            "method": method,
            "seed": 0,
            "image": [image for image, _ in keys],
            "mask": [mask for _, mask in keys],
            "hole_px": hole.sum((1, 2)),
            "label": [Path(sample.name).parent.name for sample in samples],
        }
        # A metric that cannot be computed here has a column all the same, and no value in it.
        found = {name: scores[name].numpy() if name in scores else np.nan for name in METRICS}
        place = {"order": order, "number": [number for number, _ in batch]}
        parts.append(pd.DataFrame(columns | found | place))
    return parts


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def check_name(name: str, baselines: bool) -> None:
    """Refuse a method's name that the score table cannot hold.

    Raises:
        InputError: see above.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InputError(f"--name {name!r}: must match {NAME_PATTERN}")
    if baselines and name in BASELINE_NAMES:
        raise InputError(f"--name {name}: is a baseline, which --baselines scores too")
