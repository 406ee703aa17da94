"""What was compared: every variant, and where it comes from."""

from benchmark.core.config import load_variant
from benchmark.reporting.blocks import Items, Section
from benchmark.reporting.dialect import plain
from benchmark.reporting.suite_report import Report


def section(report: Report) -> Section:
    """Return the variants of the suites of this checkout."""
    found = {name: load_variant(name) for name in report.params.variants}
    entries = [f"`{name}`: {plain(f'{v.title}. {v.origin}.')}" for name, v in found.items()]
    return Section("What was compared", [Items(entries)], "what-was-compared")
