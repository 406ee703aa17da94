"""Results in, the tables of README.md out, so that no number there is typed."""

from pathlib import Path

from benchmark.core.config import load_params
from benchmark.core.files import write_text
from benchmark.evaluation.reference_runs import read_references
from benchmark.reporting.blocks import Block, Group, Table, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.suite_report import SuiteReport, local_results, suite_reports
from benchmark.reporting.tables import (
    Standing,
    columns_of,
    score_heads,
    score_rows,
    scores_table,
    standings,
)
from benchmark.stats.comparison import ORACLE, TELEA
from data.errors import InputError

START = "<!-- results: written by `python -m benchmark readme` -->\n"
END = "<!-- end of results -->\n"
METRICS = ("mse_h", "stlpips_alex_h", "sharpness_c")
COLUMNS = columns_of(METRICS)


def update_readme(readme: Path = Path("README.md")) -> None:
    """Write the results into the README, between its markers, where they have changed.

    Raises:
        InputError: results are missing or damaged, or the README has no place for them.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise InputError(
            f"{readme}: missing or damaged ({error}); it is part of the repository"
        ) from None
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise InputError(f"{readme}: needs a line {START.strip()!r} and a line {END.strip()!r}")
    updated = f"{before}{START}{markdown_blocks(_blocks())}\n{END}{after}"
    if updated != text:
        write_text(readme, updated)


def _blocks() -> list[Block]:
    """Return the headline and a short table of each suite, and one table of reference runs.

    Those from which no verdict is drawn are left to the report.
    """
    params = load_params()
    results = local_results(params)
    local, references = suite_reports(results, read_references(), [None] * len(results))
    references = [suite for suite in references if not suite.verdicts.withheld]
    blocks: list[Block] = []
    for suite in local:
        shown = [row for row in _standings(suite) if row.kind != ORACLE]
        headline = f"{plain(suite.title)}. {plain(suite.headline)}"
        blocks += [Text(headline, "headline"), scores_table(suite.title, shown, COLUMNS)]
    if references:
        note = (
            "Our own runs on real photographs, made on another machine and kept in "
            "`reports/reference/`. Of the baselines, Telea and the strongest are shown."
        )
        groups = [_reference_group(suite) for suite in references]
        blocks += [Text(note), Table("Reference runs", score_heads(COLUMNS), groups)]
    return blocks


def _reference_group(suite: SuiteReport) -> Group:
    shown = {*suite.results.variants, TELEA, suite.verdicts.strongest}
    rows = [row for row in _standings(suite) if row.method in shown]
    return Group(score_rows(rows, COLUMNS), f"{plain(suite.title)} (`{suite.results.suite.name}`)")


def _standings(suite: SuiteReport) -> list[Standing]:
    return standings(suite.results, suite.verdicts, COLUMNS)
