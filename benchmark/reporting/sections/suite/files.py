"""The tables of a suite as files for other programs."""

from benchmark.reporting.blocks import Download, Downloads, Section
from benchmark.reporting.sections.suite.comparisons import comparisons_csv
from benchmark.reporting.sections.suite.protocols import protocol_csv
from benchmark.reporting.suite_report import SuiteReport
from benchmark.reporting.tables import csv_table, latex_table


def section(suite: SuiteReport) -> Section:
    """Return the suite's table as LaTeX and CSV, its comparisons, and its scores by protocol."""
    name, verdicts = f"tables/{suite.file}", suite.verdicts
    comparisons = comparisons_csv([*verdicts.against, *verdicts.between])
    files = [
        Download(f"{name}.tex", "text/x-tex", latex_table(suite.board)),
        Download(f"{name}.csv", "text/csv", csv_table(suite.board)),
        Download(f"{name}_comparisons.csv", "text/csv", comparisons),
        Download(f"{name}_protocols.csv", "text/csv", protocol_csv(suite.results)),
    ]
    return Section("", [Downloads(files)])
