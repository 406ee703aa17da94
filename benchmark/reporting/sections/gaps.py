"""Metrics that could not be computed, and why."""

from benchmark.reporting.blocks import Items, Section, Text
from benchmark.reporting.dialect import with_code
from benchmark.reporting.suite_report import Report


def section(report: Report) -> Section:
    """Return the metrics that the suites of this checkout lack."""
    missing: dict[str, str] = {}
    for suite in report.local:
        missing.update(suite.results.missing)
    gaps = [f"`{name}`: {with_code(reason)}" for name, reason in sorted(missing.items())]
    return Section("Missing metrics", [Items(gaps) if gaps else Text("None.")], "missing-metrics")
