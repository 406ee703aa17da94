"""The sections of the report, one module each, in the order in which a reader sees them.

To add a section, write a module with a function `section` and add a line to the list. Those on a
suite have a list of their own, in `suite/`.
"""

from collections.abc import Callable

from benchmark.reporting.blocks import Section
from benchmark.reporting.sections import (
    claims,
    downloads,
    gallery,
    overview,
    printed,
    reading,
    throughput,
)
from benchmark.reporting.sections.suite import suite_section
from benchmark.reporting.suite_report import Report


def suites(report: Report) -> list[Section]:
    """Return a section for each suite."""
    return [suite_section(suite) for suite in report.suites]


SECTIONS: tuple[Callable[[Report], Section | list[Section] | None], ...] = (
    overview.section,
    gallery.section,
    claims.section,
    printed.section,
    suites,
    throughput.section,
    reading.section,
    downloads.section,
)


def all_sections(report: Report) -> list[Section]:
    """Return the sections of a report."""
    everything: list[Section] = []
    for make in SECTIONS:
        found = make(report)
        everything += found if isinstance(found, list) else [found] if found is not None else []
    return everything
