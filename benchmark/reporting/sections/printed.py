"""What the sources print, beside what was measured here in the same units."""

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmark.claims.protocols import PROTOCOLS, Figures
from benchmark.claims.reported import ReportedTable, load_reported
from benchmark.metrics.registry import Better
from benchmark.reporting.blocks import Cell, Group, Head, Row, Section, Table, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.sections.suite.protocols import cells, translate
from benchmark.reporting.suite_report import Report

TITLE = "Printed and measured"
WARNING = (
    "What the authors print for variants of these names → what was measured here on datasets, in "
    "the units of the source. Images, splits, budgets and the choice of checkpoints are others "
    "there: a difference is no failure to reproduce, and an equal number no success. The order of "
    "the variants says more."
)
Translated = Mapping[str, Mapping[str, Figures]]
"""Figures by method and protocol."""


def section(report: Report) -> Section | None:
    """Return the figures of the sources beside ours; None where no dataset has such variants.

    Raises:
        InputError: see `load_reported`.
    """
    reported = load_reported()
    shown = [
        (suite.results.suite.name, table, translated)
        for suite in report.suites
        if suite.is_dataset and not suite.verdicts.withheld
        for translated in [translate(suite.results)]
        for table in reported
        if any(name in translated for name in table.figures)
    ]
    if not shown:
        return None
    printed = [figures for _, table, _ in shown for figures in table.figures.values()]
    columns = list(dict.fromkeys(name for figures in printed for name in figures))
    heads = [Head(name, is_text=True) for name in ("variant", *columns)]
    groups = [_group(*pair, columns) for pair in shown]
    blocks = [Text(WARNING), Table(TITLE, heads, groups)]
    return Section(TITLE, blocks, "printed-and-measured", TITLE)


def _group(
    suite: str, table: ReportedTable, translated: Translated, columns: Sequence[str]
) -> Group:
    """Return a row for each of our variants that a source prints, and the orders of these."""
    rows = []
    for variant, printed in table.figures.items():
        if variant in translated:
            there = cells(table.protocol, printed)
            here = cells(table.protocol, translated[variant][table.protocol])
            pairs = [f"{there[name]} → {here[name]}" if name in there else "" for name in columns]
            rows.append(Row([Cell(text) for text in (variant, *pairs)]))
    rows += [Row([Cell("best first"), Cell(said)]) for said in _orders(table, translated)]
    return Group(rows, f"`{suite}`. {plain(f'{table.source}, {table.where}: {table.data}')}")


def _orders(table: ReportedTable, translated: Translated) -> Iterator[str]:
    """Yield each order of our variants that a source prints, and the one here, if it is another."""
    shared = [name for name in table.figures if name in translated]
    found: dict[str, list[str]] = {}
    for column in PROTOCOLS[table.protocol].columns:
        printed = {v: table.figures[v].get(column.name, math.nan) for v in shared}
        ours = {v: translated[v][table.protocol].get(column.name, math.nan) for v in shared}
        if len(shared) > 1 and all(map(math.isfinite, (*printed.values(), *ours.values()))):
            first, second = (_ranked(values, column.better) for values in (printed, ours))
            said = "the same" if first == second else ", ".join(second)
            found.setdefault(f"{', '.join(first)} → {said}", []).append(column.name)
    for order, names in found.items():
        yield f"{', '.join(names)}: {order}"


def _ranked(values: Mapping[str, float], better: Better) -> Sequence[str]:
    """Return names, the best value first."""
    return sorted(values, key=lambda name: values[name], reverse=better == "higher")
