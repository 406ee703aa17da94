"""The sections of the report, one module each, in the order in which a reader sees them.

To add a section, write a module with a function `section` and add a line to the list. Those on a
suite have a list of their own, in `suite/`.
"""

from collections.abc import Callable

from benchmark.reporting.blocks import Block, Section, Text
from benchmark.reporting.sections import (
    claims,
    downloads,
    gallery,
    overview,
    reading,
    throughput,
)
from benchmark.reporting.sections.suite import suite_section
from benchmark.reporting.suite_report import Report


def suites(report: Report) -> list[Section]:
    """Return a section for each suite of this checkout."""
    return [suite_section(suite) for suite in report.local]


def references(report: Report) -> Section:
    """Return the section on reference runs."""
    title, note = (
        "Reference runs",
        "Results of other machines or budgets, kept in `reports/reference/`.",
    )
    found: list[Block] = [suite_section(suite) for suite in report.references]
    return Section(title, [Text(note), *(found or [Text("None.")])], "reference-runs", title)


SECTIONS: tuple[Callable[[Report], Section | list[Section] | None], ...] = (
    overview.section,
    gallery.section,
    claims.section,
    suites,
    references,
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
