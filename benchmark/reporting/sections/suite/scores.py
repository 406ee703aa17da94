"""The scores of a suite: its table with intervals, verdicts and costs, and all other metrics."""

import math
from dataclasses import replace

from benchmark.evaluation.results import Results, mean_of
from benchmark.metrics import METRICS
from benchmark.metrics.registry import HEADLINE
from benchmark.reporting.blocks import Details, Items, Section, Text
from benchmark.reporting.dialect import plain, with_code
from benchmark.reporting.suite_report import SuiteReport
from benchmark.reporting.tables import Score, Standing, columns_of, scores_table, standings


def section(suite: SuiteReport) -> Section:
    """Return the table of headline metrics with its notes, and that of the others, folded."""
    results, board = suite.results, suite.board
    present = [name for name in METRICS if _has_values(results, name)]
    columns = [c for c in board.columns if c.name not in METRICS or c.name in present]
    rows = [_with_costs(row, suite) for row in board.rows]
    rest = columns_of([name for name in present if name not in HEADLINE])
    others = standings(results, suite.verdicts, rest)
    title, several = results.suite.title, len(results.seeds) > 1
    note = (
        f"{board.caption} In brackets: the 95 % interval of the mean. Bold is the best of its "
        "kind, underlined the second. Costs are those of the generator: its parameters in "
        "millions, the operations for one image, and the images it was trained on until the "
        f"checkpoint that was scored{', the mean of its seeds' if several else ''}."
    )
    if suite.throughput is not None:
        note += (
            " Images/s are those of a training step and ms those of the generator for an image of "
            f"a batch of {suite.throughput.batch_size}, timed apart from the runs, with images of "
            f"{suite.throughput.image_px} px, on {suite.throughput.machine_text}."
        )
    blocks = [
        scores_table(f"Results of {title}", rows, [*columns, *suite.cost_columns], suite.styles),
        Text(plain(note), "notes"),
        Items([with_code(note) for note in board.footnotes], "notes"),
        Details(
            "All other metrics",
            [scores_table(f"Other metrics of {title}", others, rest, suite.styles)],
        ),
    ]
    return Section("", blocks)


def _has_values(results: Results, metric: str) -> bool:
    return any(mean_of(scores.get(metric)) is not None for scores in results.aggregate.values())


def _with_costs(row: Standing, suite: SuiteReport) -> Standing:
    known = suite.costs.get(row.method, {})
    reason = "not known" if known else "has no network"
    costs = {c.name: Score(known.get(c.name, math.nan), reason=reason) for c in suite.cost_columns}
    return replace(row, scores={**row.scores, **costs})
