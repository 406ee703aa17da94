"""Versions of results that are drawn with known variances and a known difference."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.config import Params
from benchmark.evaluation.metrics_file import AnyMetrics
from benchmark.stats.intervals import Array
from benchmark.stats.power import Components
from benchmark.versions.snapshot import Snapshot, Subject
from tests.support.report_tree import SUITE


class Drawn(Snapshot):
    """A version whose score tables were never written."""

    def content(self, subject: Subject) -> dict[Path, bytes]:
        """Return bytes by which versions differ."""
        return dict.fromkeys((subject.metrics, subject.scores), self.name.encode())


def crossed(rng: np.random.Generator, parts: Components, seeds: int, images: int) -> Array:
    """Return numbers `[seeds, images]` of mean 0 that are made of seeds, images and the rest."""
    of_seeds = rng.normal(0, sum(parts.seeds) ** 0.5, (seeds, 1))
    of_images = rng.normal(0, parts.image**0.5, (1, images))
    numbers: Array = of_seeds + of_images + rng.normal(0, parts.residual**0.5, (seeds, images))
    return numbers


def two_versions(
    folder: Path,
    rng: np.random.Generator,
    shifts: Mapping[str, float],
    parts: Components,
    shape: tuple[int, int],
    metric: str = "mse_h",
) -> tuple[Snapshot, Snapshot]:
    """Return two versions of some variants.

    Args:
        folder: where settings are written.
        rng: what is drawn from.
        shifts: by how much the mean of each variant changes.
        parts: variances of what a score changes by.
        shape: seeds and images.
        metric: in which the variants are scored.
    """
    seeds, images = shape
    (folder / "benchmark/suites").mkdir(parents=True, exist_ok=True)
    (folder / "benchmark/suites/tiny.yaml").write_text(SUITE)
    params = Params.of_product(["tiny"], shifts, range(seeds))
    (folder / "params.yaml").write_text(json.dumps(params.model_dump(mode="json")))
    versions = Drawn("old", folder), Drawn("new", folder)
    for version in versions:
        subject = Subject("tiny", "baselines")
        version.aggregated[subject] = AnyMetrics(methods={})
        version.score_tables[subject] = _ledger("telea", 0, np.zeros(1), metric)
    for name, shift in shifts.items():
        before = rng.normal(20, 1, (seeds, images))
        after = before + shift + crossed(rng, parts, seeds, images)
        for version, scores in zip(versions, (before, after), strict=True):
            for seed, row in enumerate(scores):
                subject = Subject("tiny", name, seed)
                content = {name: {metric: {"mean": float(row.mean()), "n": images}}}
                version.aggregated[subject] = AnyMetrics.model_validate({"methods": content})
                version.score_tables[subject] = _ledger(name, seed, row, metric)
    return versions


def _ledger(method: str, seed: int, scores: Array, metric: str) -> pd.DataFrame:
    images = [f"{number:016x}" for number in range(len(scores))]
    keys = {"method": method, "seed": seed, "image": images, "mask": "0" * 16, "hole_px": 1024}
    return pd.DataFrame(keys | {"label": "", metric: scores})
