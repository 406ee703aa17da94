"""The sections of the report, one module each, in the order in which a reader sees them.

To add a section, write a module with a function `section` and add a line to one of the lists.
"""

from collections.abc import Callable

from benchmark.reporting.blocks import Section, Text, plain
from benchmark.reporting.sections import (
    breakdowns,
    claims,
    comparisons,
    costs,
    curves,
    discriminators,
    downloads,
    files,
    gaps,
    gallery,
    origins,
    overview,
    protocols,
    reading,
    scores,
    summary,
    variants,
)
from benchmark.reporting.suite_report import Report, SuiteReport

OF_A_SUITE: tuple[Callable[[SuiteReport], Section | None], ...] = (
    summary.section,
    scores.section,
    comparisons.section,
    costs.section,
    protocols.section,
    breakdowns.section,
    curves.section,
    discriminators.section,
    origins.section,
    files.section,
)
"""What is said of a suite, and of reference runs."""

BEFORE: tuple[Callable[[Report], Section | None], ...] = (
    overview.section,
    gallery.section,
    claims.section,
)
"""What stands before the suites."""

AFTER: tuple[Callable[[Report], Section | None], ...] = (
    reading.section,
    variants.section,
    gaps.section,
    downloads.section,
)
"""What stands after the suites."""


def sections(report: Report) -> list[Section]:
    """Return all sections of the report."""
    before = [make(report) for make in BEFORE]
    suites = [_suite(suite) for suite in report.local]
    after = [make(report) for make in AFTER]
    everything = [*before, *suites, _references(report), *after]
    return [section for section in everything if section is not None]


def _suite(suite: SuiteReport) -> Section:
    found = [make(suite) for make in OF_A_SUITE]
    title = f"{plain(suite.title)} (`{suite.results.suite.name}`)"
    parts = [section for section in found if section is not None]
    return Section(title, parts, suite.name, suite.results.suite.title)


def _references(report: Report) -> Section:
    note = "Results of other machines or budgets, kept in `reports/reference/`."
    suites = [_suite(suite) for suite in report.references] or [Text("None.")]
    return Section("Reference runs", [Text(note), *suites], "reference-runs", "Reference runs")
