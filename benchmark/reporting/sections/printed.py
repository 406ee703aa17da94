"""What the sources print, beside what was measured here in the same units."""

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmark.claims.protocols import PROTOCOLS, Figures
from benchmark.claims.reported import ReportedTable, load_reported
from benchmark.metrics.registry import Better
from benchmark.reporting.blocks import (
    Block,
    Cell,
    Details,
    Group,
    Head,
    Row,
    Section,
    Table,
    Text,
)
from benchmark.reporting.dialect import plain
from benchmark.reporting.sections.suite.protocols import cells, translate
from benchmark.reporting.suite_report import Report

TITLE = "Printed and measured"
WARNING = (
    "What the authors print for variants of these names → what was measured here on datasets, in "
    "the units of the source. Images, splits, budgets and the choice of checkpoints are others "
    "there: a difference is no failure to reproduce, and an equal number no success. The order of "
    "the variants says more; whether a difference counts, the claims say."
)
Translated = Mapping[str, Mapping[str, Figures]]
"""Figures by method and protocol."""
Place = tuple[str, ReportedTable, Translated]
"""A suite, a printed table, and the suite's figures in its units."""


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
    ordered = [place for place in shown if len(_shared(*place[1:])) > 1]
    alone = [place for place in shown if place not in ordered]
    blocks: list[Block] = [Text(WARNING)]
    if ordered:
        blocks.append(_table(ordered))
    if alone:
        blocks.append(Details("Single variants, which have no order", [_table(alone)]))
    return Section(TITLE, blocks, "printed-and-measured", TITLE)


def _table(shown: Sequence[Place]) -> Table:
    """Return printed tables beside the figures of suites, those that were measured here."""
    measured = [
        (name, value)
        for _, table, translated in shown
        for variant in _shared(table, translated)
        for name in table.figures[variant]
        for value in [translated[variant][table.protocol].get(name, math.nan)]
    ]
    columns = list(dict.fromkeys(name for name, value in measured if not math.isnan(value)))
    heads = [Head(name, is_text=True) for name in ("variant", *columns)]
    return Table(TITLE, heads, [_group(*place, columns) for place in shown])


def _shared(table: ReportedTable, translated: Translated) -> list[str]:
    """Return the variants that a source prints and a suite has."""
    return [name for name in table.figures if name in translated]


def _group(
    suite: str, table: ReportedTable, translated: Translated, columns: Sequence[str]
) -> Group:
    """Return a row for each of our variants that a source prints, and the orders of these."""
    rows = []
    for variant in _shared(table, translated):
        there = cells(table.protocol, table.figures[variant])
        here = cells(table.protocol, translated[variant][table.protocol])
        pairs = [f"{there[name]} → {here[name]}" if name in there else "" for name in columns]
        rows.append(Row([Cell(text) for text in (variant, *pairs)]))
    rows += [Row([Cell("best first"), Cell(said)]) for said in _orders(table, translated)]
    return Group(rows, f"`{suite}`. {plain(f'{table.source}, {table.where}: {table.data}')}")


def _orders(table: ReportedTable, translated: Translated) -> Iterator[str]:
    """Yield each order of our variants that a source prints, and the one here, if it is another."""
    shared = _shared(table, translated)
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
