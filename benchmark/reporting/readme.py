"""Results in, the tables of README.md out, so that no number there is typed."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.core.config import load_params
from benchmark.core.files import write_text
from benchmark.evaluation.reference_runs import read_references
from benchmark.evaluation.results import read_results
from benchmark.reporting.blocks import Block, Group, Head, Row, Table, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.leaderboard import Standing, columns_of, standings
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.suite_report import SuiteReport, suite_reports
from benchmark.reporting.tables import leaderboard_row
from benchmark.stats.comparison import TELEA
from data.errors import InputError

START = "<!-- results: written by `python -m benchmark readme` -->\n"
END = "<!-- end of results -->\n"
METRICS = ("mse_h", "ssim_h", "sharpness_h")


def update_readme(readme: Path = Path("README.md")) -> None:
    """Write the results into the README, where they have changed.

    Raises:
        InputError: results are missing or damaged, or the README has no place for them.
    """
    text = _read(readme)
    params = load_params()
    results = [read_results(params, name) for name in params.suites]
    local, references = suite_reports(results, read_references(), [None] * len(results))
    updated = with_results(text, markdown_blocks(readme_blocks(local, references)))
    if updated != text:
        write_text(readme, updated)


def with_results(readme: str, results: str) -> str:
    """Return the README with these results between its markers."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise InputError(f"README.md: needs a line {START.strip()!r} and a line {END.strip()!r}")
    return f"{before}{START}{results}\n{END}{after}"


def readme_blocks(local: Iterable[SuiteReport], references: Sequence[SuiteReport]) -> list[Block]:
    """Return the headline and a short table of each suite, and one table of reference runs."""
    blocks: list[Block] = []
    for suite in local:
        rows = _standings(suite)
        variants = [row for row in rows if row.kind == "variant"]
        baselines = [row for row in rows if row.kind == "baseline"]
        groups = [Group(_rows(variants)), Group(_rows(baselines), "baselines, ranked apart")]
        headline = f"{plain(suite.title)}. {plain(suite.verdicts.headline)}"
        blocks += [Text(headline, "headline"), _table(suite.title, groups)]
    if references:
        groups = [_reference_group(suite) for suite in references]
        note = (
            "Our own runs on real photographs, made on another machine and kept in "
            "`reports/reference/`. Of the baselines, Telea and the strongest are shown."
        )
        blocks += [Text(note), _table("Reference runs", groups)]
    return blocks


def _reference_group(suite: SuiteReport) -> Group:
    shown = {*suite.results.variants, TELEA, suite.verdicts.strongest}
    rows = [row for row in _standings(suite) if row.method in shown]
    return Group(_rows(rows), f"{plain(suite.title)} (`{suite.results.suite.name}`)")


def _standings(suite: SuiteReport) -> list[Standing]:
    return standings(suite.results, suite.verdicts, columns_of(METRICS))


def _rows(rows: Iterable[Standing]) -> list[Row]:
    return [leaderboard_row(row, columns_of(METRICS)) for row in rows]


def _table(title: str, groups: Sequence[Group]) -> Table:
    heads = [Head(column.name, better=column.better) for column in columns_of(METRICS)]
    return Table(title, [Head("method", True), Head("verdict", True), *heads], groups)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: missing; it is part of the repository") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: damaged ({error}); it is part of the repository") from None
