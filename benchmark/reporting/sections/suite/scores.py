"""The scores of a suite: its table with intervals, verdicts and costs, and all other metrics."""

from collections.abc import Mapping, Sequence

from benchmark.evaluation.results import Results, mean_of
from benchmark.metrics import METRICS
from benchmark.metrics.registry import HEADLINE, Column
from benchmark.reporting.blocks import (
    Cell,
    Details,
    Group,
    Head,
    Items,
    Row,
    Section,
    Table,
    Text,
)
from benchmark.reporting.dialect import plain, with_code
from benchmark.reporting.figures.style import BASELINE
from benchmark.reporting.figures.svg import swatch
from benchmark.reporting.leaderboard import Standing, columns_of, standings
from benchmark.reporting.suite_report import Costs, SuiteReport
from benchmark.reporting.tables import GROUP_TITLES, score_cell, verdict_cell

COSTS = ("params (M)", "GFLOP", "images seen")


def section(suite: SuiteReport) -> Section:
    """Return the table of headline metrics with its notes, and that of the others, folded."""
    results, board = suite.results, suite.board
    present = [name for name in METRICS if _has_values(results, name)]
    first = [c for c in board.columns if c.name not in METRICS or c.name in present]
    rest = columns_of([name for name in present if name not in HEADLINE])
    others = standings(results, suite.verdicts, rest)
    several = len(results.seeds) > 1
    note = (
        f"{board.caption} In brackets: the 95 % interval of the mean. Bold is the best of its "
        "kind, underlined the second. Costs are those of the generator: its parameters in "
        "millions, the operations for one image, and the images it was trained on until the "
        f"checkpoint that was scored{', the mean of its seeds' if several else ''}."
    )
    blocks = [
        _table(f"Results of {results.suite.title}", suite, board.rows, first, suite.costs),
        Text(plain(note), "notes"),
        Items([with_code(note) for note in board.footnotes], "notes"),
        Details(
            "All other metrics",
            [_table(f"Other metrics of {results.suite.title}", suite, others, rest)],
        ),
    ]
    return Section("", blocks)


def _has_values(results: Results, metric: str) -> bool:
    return any(mean_of(scores.get(metric)) is not None for scores in results.aggregate.values())


def _table(
    title: str,
    suite: SuiteReport,
    rows: Sequence[Standing],
    columns: Sequence[Column],
    costs: Mapping[str, Costs] | None = None,
) -> Table:
    """Return a table with one group for variants, one for baselines and one for the oracle."""
    heads = [Head("method", is_text=True)]
    heads += [Head("verdict", is_text=True)] if costs is not None else []
    heads += [Head(column.name, better=column.better) for column in columns]
    heads += [Head(name, better="lower") for name in COSTS if costs is not None]
    groups = []
    for kind, group_title in GROUP_TITLES.items():
        shown = []
        for row in (row for row in rows if row.kind == kind):
            mark = swatch(suite.styles.get(row.method, BASELINE))
            cells = [Cell(row.method, key=row.method, mark=mark)]
            cells += [verdict_cell(row.verdict)] if costs is not None else []
            cells += [score_cell(row.scores[column.name], column) for column in columns]
            cells += _cost_cells(costs.get(row.method)) if costs is not None else []
            shown.append(Row(cells))
        groups.append(Group(shown, group_title, f"{kind}s"))
    return Table(title, heads, groups, "scores")


def _cost_cells(costs: Costs | None) -> list[Cell]:
    if costs is None:
        return [Cell("—", note="has no network")] * len(COSTS)
    parameters = None if costs.parameters is None else costs.parameters / 1e6
    flops = None if costs.flops is None else costs.flops / 1e9
    forms = ((parameters, ".2f"), (flops, ".3f"), (costs.images_seen, ",d"))
    return [
        Cell("—", note="not known") if value is None else Cell(format(value, form), key=value)
        for value, form in forms
    ]
