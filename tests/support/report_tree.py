"""A checkout with everything that the report reads, whose numbers are worked by hand."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike

from benchmark.claims.budgets import BUDGETS
from benchmark.claims.reported import REPORTED
from benchmark.core import paths
from benchmark.core.config import load_suite, load_variant
from benchmark.evaluation.score_table import (
    aggregate,
    aggregate_by_label,
    read_score_table,
    write_score_table,
)
from benchmark.metrics import PROTOCOL
from benchmark.training.gan import training_digest
from data.store import Record, Store, pixel_sha256, write_manifest
from tests.support.tiny import ROOT, params_text

SUITE = """\
title: Tiny_pictures
description: Noise.
source: {name: portraits, count: 10, seed: 0}
image_size: 64
splits: {seed: 0, train: 4, val: 2, test: 4}
mask: {kind: random_square, size: 32}
training: {epochs: 2, batch_size: 2}
"""
IMAGE_PX = 64
TELEA = np.array([0.010, 0.020, 0.030, 0.040])
GOOD, BAD, EVEN = (TELEA + d for d in (-0.004, 0.010, np.array([-1, 1, -1, 1]) * 1e-3))
ENVIRONMENT = {
    "cpu": "Some CPU (1-2-3, flags 0123abcd)",
    "threads": 2,
    "system": "Linux",
    "python": "3.11.7",
    "libraries": {"torch": "2.14.1"},
}
MISSING = "no weights; run `python -m benchmark weights`"


class Checkout:
    """A folder with everything that the report and the reference command read, for one suite.

    Args:
        root: the folder.
        scores: the mse_h of every image, by variant; all of seed 0.
        labels: the classes of the test images.
        suite: the name of the suite.
        environment: facts of the machine that go beyond `ENVIRONMENT`.
    """

    def __init__(
        self,
        root: Path,
        scores: Mapping[str, ArrayLike],
        labels: Sequence[str] = ("", "", "", ""),
        suite: str = "tiny",
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        rng = np.random.default_rng(0)
        self.root, self.labels, self.suite = root, list(labels), suite
        self.environment = ENVIRONMENT | dict(environment or {})
        self.images = rng.integers(0, 256, (len(labels), 64, 64, 3), dtype=np.uint8)
        corners = rng.integers(0, 33, (len(labels), 2))
        self.boxes = np.concatenate([corners, corners + 32], axis=1).astype(np.int32)
        for folder in (paths.SUITES, paths.VARIANTS):
            (root / folder).mkdir(parents=True)
        (root / paths.SUITES / f"{suite}.yaml").write_text(SUITE)
        for path in (paths.CLAIMS, REPORTED, BUDGETS):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text((ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")
        self._write_prepared()
        self._write_baselines()
        for name, values in scores.items():
            self.write_run(name, 0, values)
        if scores:
            self.params([*scores], [0])

    def params(self, variants: Sequence[str], seeds: Sequence[int]) -> None:
        """Say what the report is of."""
        (self.root / paths.PARAMS).write_text(params_text([self.suite], variants, seeds))

    def write_run(self, variant: str, seed: int, values: ArrayLike) -> None:
        """Write what training and evaluating a run leaves."""
        run = paths.Run(self.suite, variant, seed)
        text = (ROOT / paths.VARIANTS / "l2.yaml").read_text(encoding="utf-8")
        (self.root / paths.VARIANTS / f"{variant}.yaml").write_text(text, encoding="utf-8")
        scored = {"checkpoint": "last", "epoch": 2, "missing": {"lpips_alex": MISSING}}
        self.write_scores(run.scores, run.metrics, self.score_table(variant, seed, values), scored)
        training = {
            "config_sha256": training_digest(
                load_suite(self.suite, self.root), load_variant(variant, self.root)
            ),
            "data_sha256": Store(self.root / paths.prepared(self.suite)).digest(),
            "environment": self.environment,
        }
        content = {"training": training, "evaluation": self.environment}
        self.write_json(run.provenance, content)
        for path in (run.curves, run.completed):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        curves = {"epoch": [1, 2], "generator/reconstruction": [0.2, 0.1]}
        curves |= {"validation/mse_h": [0.3, 0.2]}
        pd.DataFrame(curves).to_csv(self.root / run.curves, index=False)
        np.save(self.root / run.completed, 255 - self.images)

    def write_scores(
        self, scores: Path, metrics: Path, frame: pd.DataFrame, content: Mapping[str, Any]
    ) -> None:
        """Write a score table and the metrics that it gives, with what else belongs to them."""
        write_score_table(self.root / scores, frame)
        score_table, missing = read_score_table(self.root / scores), content["missing"]
        found = {
            "protocol": PROTOCOL,
            "methods": aggregate(score_table, IMAGE_PX**2, missing),
            "by_label": aggregate_by_label(score_table, IMAGE_PX**2, missing),
        }
        self.write_json(metrics, found | dict(content))

    def write_baselines(self, frame: pd.DataFrame) -> None:
        """Write the scores of the baselines."""
        content = {"missing": {}, "refused": {"biharmonic": "too_large"}}
        scores, metrics = paths.baseline_scores(self.suite), paths.baseline_metrics(self.suite)
        self.write_scores(scores, metrics, frame, content)

    def write_json(self, path: Path, content: Any) -> None:
        """Write a JSON file with its folder."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(json.dumps(content))

    def score_table(self, method: str, seed: int, values: ArrayLike) -> pd.DataFrame:
        """Return a score table with the given mse_h; the other metrics follow from it."""
        mse = np.asarray(values)
        with np.errstate(divide="ignore"):
            psnr = -10 * np.log10(mse)
        keys = {
            "method": method,
            "seed": seed,
            "image": [pixel_sha256(image)[:16] for image in self.images],
            "mask": [hashlib.sha256(box.tobytes()).hexdigest()[:16] for box in self.boxes],
            "hole_px": 32 * 32,
            "label": self.labels,
        }
        scores = {"mse_h": mse, "psnr_h": psnr, "ssim_h": 1 - mse, "seam": -mse}
        scores |= {"sharpness_c": 1 + mse, "known_mae_raw": 0 * mse}
        scores["psnr_w"] = psnr - 10 * np.log10(32 * 32 / self.images[0, :, :, 0].size)
        return pd.DataFrame(keys | scores)

    def _write_prepared(self) -> None:
        folder = self.root / paths.prepared(self.suite)
        folder.mkdir(parents=True)
        np.save(folder / "test.npy", self.images)
        np.save(folder / "test_boxes.npy", self.boxes[:, None])
        np.save(folder / "val_boxes.npy", np.zeros((0, 1, 4), np.int32))
        records = [
            Record("test", i, f"i{i}", pixel_sha256(image), label)
            for i, (image, label) in enumerate(zip(self.images, self.labels, strict=True))
        ]
        write_manifest(folder / "manifest.csv", records)
        counts = {"train": 4, "val": 0, "test": 4}
        self.write_json(
            paths.prepared(self.suite) / "split.json", {"counts": counts, "digest": "5" * 64}
        )

    def _write_baselines(self) -> None:
        scores = {"mean_color": TELEA + 0.025, "telea": TELEA, "oracle": TELEA * 0}
        parts = [self.score_table(name, 0, values) for name, values in scores.items()]
        self.write_baselines(pd.concat(parts))
        folder = self.root / paths.baseline_completed(self.suite)
        folder.mkdir(parents=True)
        for name in ("mean_color", "telea"):
            np.save(folder / f"{name}.npy", self.images // 2)


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Leave drawings empty, which take most of the time, where a test is about something else."""

    def write_nothing(path: Path, _: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    for stage in ("report", "reference"):
        patch.setattr(f"benchmark.pipeline.{stage}.save_image", write_nothing)
    suite = "benchmark.reporting.sections.suite"
    for name in ("comparisons.forest", "costs.cost", "curves.curves", "discriminators.probes"):
        patch.setattr(f"{suite}.{name}_svg", lambda *_: "<svg></svg>")
