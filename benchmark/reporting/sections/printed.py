"""What the sources print, beside what was measured here in the same units."""

import math
from collections.abc import Iterator, Mapping, Sequence

from benchmark.claims.protocols import PROTOCOLS, Figures
from benchmark.claims.reported import ReportedTable, load_reported
from benchmark.metrics.registry import Better
from benchmark.reporting.blocks import Cell, Group, Head, Items, Row, Section, Table, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.sections.suite.protocols import cells, translate
from benchmark.reporting.suite_report import Report

TITLE = "Printed and measured"
WARNING = (
    "What the authors print for variants of these names, and what was measured here on datasets, "
    "in the units of the source. Images, splits, budgets and the choice of checkpoints are others "
    "there: a difference is no failure to reproduce, and an equal number no success. The order of "
    "the variants says more."
)
HEADS = ("variant", "printed", "here", "printed by", "of")
Translated = Mapping[str, Mapping[str, Figures]]
"""Figures by method and protocol."""


def section(report: Report) -> Section | None:
    """Return the figures of the sources beside ours; None where no dataset has such variants.

    Raises:
        InputError: see `load_reported`.
    """
    reported = load_reported()
    groups, orders = [], []
    for suite in report.suites:
        if suite.is_dataset and not suite.verdicts.withheld:
            translated = translate(suite.results)
            tables = [t for t in reported if any(name in translated for name in t.figures)]
            rows = [row for table in tables for row in _rows(table, translated)]
            title = f"{plain(suite.title)} (`{suite.results.suite.name}`)"
            groups += [Group(rows, title)] if rows else []
            for table in tables:
                found = [
                    f"`{suite.results.suite.name}`, {said}" for said in _orders(table, translated)
                ]
                orders += found
    if not groups:
        return None
    heads = [Head(name, is_text=True) for name in HEADS]
    listed = [Items(orders)] if orders else []
    blocks = [Text(WARNING), *listed, Table(TITLE, heads, groups)]
    return Section(TITLE, blocks, "printed-and-measured", TITLE)


def _rows(table: ReportedTable, translated: Translated) -> Iterator[Row]:
    """Yield a row for each of our variants that a source prints."""
    for variant, printed in table.figures.items():
        if variant in translated:
            ours = {name: translated[variant][table.protocol][name] for name in printed}
            pair = [_listed(cells(table.protocol, figures)) for figures in (printed, ours)]
            origin = [f"{table.source}, {table.where}", table.data]
            yield Row([Cell(text) for text in (variant, *pair, *origin)])


def _listed(figures: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in figures.items())


def _orders(table: ReportedTable, translated: Translated) -> Iterator[str]:
    """Yield for each figure of a table whether our variants have the order that is printed."""
    shared = [name for name in table.figures if name in translated]
    for column in PROTOCOLS[table.protocol].columns:
        printed = {v: table.figures[v].get(column.name, math.nan) for v in shared}
        ours = {v: translated[v][table.protocol].get(column.name, math.nan) for v in shared}
        if len(shared) > 1 and all(map(math.isfinite, (*printed.values(), *ours.values()))):
            first, second = (_ranked(values, column.better) for values in (printed, ours))
            said = "the same order" if first == second else f"here {', '.join(second)}"
            where = f"{table.source}, {table.where}"
            yield plain(f"{where}: {column.name}, best first: {', '.join(first)}; {said}.")


def _ranked(values: Mapping[str, float], better: Better) -> Sequence[str]:
    """Return names, the best value first."""
    return sorted(values, key=lambda name: values[name], reverse=better == "higher")
