"""The deciding metric by the area of the hole and by class, where they vary."""

import math
from collections.abc import Mapping

from benchmark.core.text import number
from benchmark.evaluation.results import mean_of
from benchmark.evaluation.score_table import Aggregate, aggregate_by_area, aggregate_by_label
from benchmark.reporting.blocks import Block, Details, Section, Table, Text, simple_table
from benchmark.reporting.suite_report import SuiteReport
from benchmark.stats.comparison import METRIC, ORACLE

UNFOLDED = 20
"""So many rows are shown unfolded."""


def section(suite: SuiteReport) -> Section | None:
    """Return a table for each way to break the scores down."""
    results = suite.results
    area = aggregate_by_area(results.frame, results.image_px, results.missing)
    label = aggregate_by_label(results.frame, results.image_px, results.missing)
    shown = [name for name in results.methods if name != ORACLE]
    blocks = []
    for by, parts in (("hole area", area if len(area) > 1 else {}), ("class", label)):
        if parts:
            note = Text(f"`{METRIC}` by {by}; lower is better.")
            table: Block = _table(by, parts, shown)
            if len(parts) > UNFOLDED:
                table = Details(f"{len(parts)} of them", [table])
            blocks.append(Section(f"By {by}", [note, table]))
    return Section("", blocks) if blocks else None


def _table(by: str, parts: Mapping[str, Aggregate], methods: list[str]) -> Table:
    rows = []
    for part, scores in parts.items():
        means = [mean_of(scores.get(name, {}).get(METRIC)) for name in methods]
        images = max(int(score[METRIC]["n"] or 0) for score in scores.values())
        cells = [number(math.nan if mean is None else mean, 4) for mean in means]
        rows.append([part, str(images), *cells])
    return simple_table(f"{METRIC} by {by}", [by, "N", *methods], rows)
