"""The sections on a suite, one module each, in the order in which a reader sees them.

To add one, write a module with a function `section` and add a line to the list.
"""

from collections.abc import Callable

from benchmark.reporting.blocks import Section
from benchmark.reporting.dialect import plain
from benchmark.reporting.sections.suite import (
    breakdowns,
    comparisons,
    costs,
    curves,
    discriminators,
    files,
    origins,
    protocols,
    scores,
    set_level,
    summary,
)
from benchmark.reporting.suite_report import SuiteReport

SECTIONS: tuple[Callable[[SuiteReport], Section | None], ...] = (
    summary.section,
    scores.section,
    set_level.section,
    comparisons.section,
    protocols.section,
    breakdowns.section,
    costs.section,
    curves.section,
    discriminators.section,
    origins.section,
    files.section,
)


def suite_section(suite: SuiteReport) -> Section:
    """Return everything on a suite, or on reference runs of it, but pictures."""
    found = [make(suite) for make in SECTIONS]
    title = f"{plain(suite.title)} (`{suite.results.suite.name}`)"
    parts = [section for section in found if section is not None]
    return Section(title, parts, suite.name, suite.results.suite.title)
