"""How the training went: the validation metric and the losses, epoch by epoch."""

from collections.abc import Iterable

from benchmark.reporting.blocks import Block, Details, Figure, Figures, Section, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.figures.curves import bands_text, curves_svg, panel_title
from benchmark.reporting.suite_report import SuiteReport
from benchmark.stats.comparison import METRIC

MAIN_COLUMNS = {
    f"validation/{METRIC}": f"Validation {METRIC}",
    "generator/reconstruction": "Reconstruction loss in training",
}
"""Columns of the tables of epochs that are shown unfolded, and what they are called."""


def section(suite: SuiteReport) -> Section:
    """Return the charts of the main columns, and of all others, folded."""
    curves = suite.results.curves
    every = dict.fromkeys(name for frame in curves.values() for name in frame.columns)
    rest = [name for name in every if "/" in name and name not in MAIN_COLUMNS]
    blocks: list[Block] = [
        Figures(_figures(suite, MAIN_COLUMNS)),
        Text(bands_text(curves), "notes"),
    ]
    if figures := _figures(suite, rest):
        note = "Loss terms are shown before weighting; each network's total is weighted."
        blocks.append(Details("All losses", [Text(note), Figures(figures)]))
    return Section("Training curves", blocks)


def _figures(suite: SuiteReport, columns: Iterable[str]) -> list[Figure]:
    figures = []
    for column in columns:
        name = MAIN_COLUMNS.get(column) or panel_title(column)
        title = f"{suite.title}: {name}"
        svg = curves_svg(title, suite.results.curves, column, suite.styles)
        if svg is not None:
            path = f"figures/{suite.file}_{file_name(column)}.svg"
            figures.append(Figure(path, svg, plain(name[:1].upper() + name[1:]), title))
    return figures


def file_name(column: str) -> str:
    """Return a column's name as it can be part of the name of a file."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in column)
