"""The first section: what came of every suite."""

from benchmark.metrics import PROTOCOL
from benchmark.reporting.blocks import Card, Cards, Cell, Section, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.figures.svg import swatch
from benchmark.reporting.suite_report import Report, SuiteReport
from benchmark.reporting.tables import verdict_cell
from benchmark.reporting.verdicts import coverage


def section(report: Report) -> Section:
    """Return each suite's headline, and the verdict on every variant."""
    shown = [suite for suite in report.suites if not suite.verdicts.withheld]
    covers_seeds = all(suite.verdicts.covers_seeds for suite in shown)
    blocks = [
        Text(
            "A network is worth its training only where it beats what costs less, classical "
            "interpolation and statistics of the training images (`knn_mean`, `ppca`, ...), so "
            "every suite begins with that comparison. "
            f"Protocol `{PROTOCOL}`. {coverage(covers_seeds)}",
            "lead",
        ),
        Cards([_card(suite) for suite in shown]),
    ]
    return Section("What learned inpainting is worth", blocks, "overview", "Overview")


def _card(suite: SuiteReport) -> Card:
    verdicts = suite.verdicts
    rows = [
        (Cell(name, mark=swatch(suite.styles[name])), verdict_cell(verdicts.marker(name)))
        for name in verdicts.best_first
    ]
    return Card(suite.title, suite.name, rows, plain(suite.headline))
