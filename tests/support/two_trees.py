"""Two checkouts with results, of which the new one begins as the old one."""

import copy
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from numpy.typing import ArrayLike

from benchmark.core import paths
from benchmark.evaluation.score_table import read_score_table
from benchmark.versions.compare import VersionComparison, compare_versions
from benchmark.versions.snapshot import open_version
from tests.support.report_tree import Checkout

L2 = paths.Run("tiny", "l2", 0)
SCORED = {"checkpoint": "last", "epoch": 2, "missing": {"lpips_alex": "no weights"}}


class Trees:
    """Two checkouts, `old` and `new`.

    Args:
        folder: in which they are made.
        scores: the mse_h of every image, by variant.
    """

    def __init__(self, folder: Path, scores: Mapping[str, ArrayLike]) -> None:
        self.old = Checkout(folder / "old", scores)
        self.new = copy.copy(self.old)
        self.new.root = folder / "new"
        shutil.copytree(self.old.root, self.new.root)

    def copy(self, folder: Path) -> "Trees":
        """Return a copy of both in another folder."""
        copied = copy.copy(self)
        copied.old, copied.new = copy.copy(self.old), copy.copy(self.new)
        for side in (copied.old, copied.new):
            shutil.copytree(side.root, folder / side.root.name)
            side.root = folder / side.root.name
        return copied

    @property
    def old_folder(self) -> Path:
        return self.old.root

    @property
    def new_folder(self) -> Path:
        return self.new.root

    def change_scores(
        self, change: Callable[[pd.DataFrame], pd.DataFrame], run: paths.Run = L2, old: bool = False
    ) -> None:
        """Replace the score table of a run, and its metrics by what follows from it."""
        side = self.old if old else self.new
        frame = change(read_score_table(side.root / run.scores))
        side.write_scores(run.scores, run.metrics, frame, SCORED)

    def change_baselines(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Replace the score table of the new baselines, and their metrics likewise."""
        frame = read_score_table(self.new.root / paths.baseline_scores("tiny"))
        self.new.write_baselines(change(frame))

    def compare(self) -> VersionComparison:
        """Compare the two."""
        with open_version(str(self.old.root)) as old, open_version(str(self.new.root)) as new:
            return compare_versions(old, new)
