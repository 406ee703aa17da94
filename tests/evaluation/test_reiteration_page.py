"""The page on filling again: its table is that of the committed diagnoses."""

import json
import re
from statistics import fmean

import pytest

from benchmark.core.paths import Run, kept, reference
from benchmark.evaluation.diagnostics.refilling import ELSEWHERE, ROUNDS, refilled
from tests.support.tiny import ROOT

PAGE = (ROOT / "docs/reiteration.md").read_text(encoding="utf-8")
ROWS = [*map(refilled, range(ROUNDS + 1)), ELSEWHERE]


def test_the_table_is_that_of_the_committed_diagnoses() -> None:
    lines = [line.strip("| ").split(" | ") for line in PAGE.split("\n") if line.startswith("|")]
    (_, *columns), _, *rows = lines
    assert len(rows) == len(ROWS)
    for place, column in enumerate(columns, start=1):
        suite, seed = re.fullmatch(r"(\w+), seed (\d)", column).groups()  # type: ignore[union-attr]
        run = Run(suite, "localizer", int(seed))
        path = run.diagnosis if suite == "portraits" else kept(reference(suite), run.diagnosis)
        content = json.loads((ROOT / path).read_text())
        values = content["discriminators"]["localizer"]["per_image"]
        means = [fmean(values[name]) for name in ROWS]
        assert [float(row[place]) for row in rows] == pytest.approx(means, abs=0.51e-4)
        # What the text says of them.
        assert means[0] < means[1] < min(means[2:-1])
        assert means[-1] > max(means[:-1])
