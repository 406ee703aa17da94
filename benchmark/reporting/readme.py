"""A report in, the results in README.md out, so that no number there is typed."""

from pathlib import Path

from benchmark.core.files import write_text
from benchmark.reporting.blocks import Block, Cell, Group, Head, Row, Table, Text
from benchmark.reporting.budget import budget_range
from benchmark.reporting.dialect import plain
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.sections.claims import COVERAGE_MARK, short_blocks
from benchmark.reporting.suite_report import Report, SuiteReport
from benchmark.reporting.tables import columns_of, scores_table, standings
from benchmark.reporting.verdicts import PERCEPTUAL, best_of, outcome
from benchmark.stats.comparison import METRIC, TELEA
from data.errors import InputError

START = "<!-- results: written by `python -m benchmark readme` -->\n"
END = "<!-- end of results -->\n"
HEADS = (
    *("suite", "trained on (authors' stated budget: 100 %)"),
    *(f"{metric}: best variant, baseline" for metric in (METRIC, PERCEPTUAL)),
    "variants",
)
METRICS = ("mse_h", "stlpips_alex_h", "sharpness_c")
COLUMNS = columns_of(METRICS)


def update_readme(report: Report, readme: Path = Path("README.md")) -> None:
    """Write the results into the README, between its markers, where they have changed.

    Raises:
        InputError: the README is missing, damaged, or has no place for them.
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
    updated = f"{before}{START}{markdown_blocks(_blocks(report))}\n{END}{after}"
    if updated != text:
        write_text(readme, updated)


def _blocks(report: Report) -> list[Block]:
    """Return a row on each suite, and the claims as datasets have them; without any, the scores.

    What has no verdicts is left to the report.
    """
    shown = [suite for suite in report.suites if not suite.verdicts.withheld]
    rows = [Group([_row(suite) for suite in shown])]
    blocks: list[Block] = [Table("Suites", [Head(name, is_text=True) for name in HEADS], rows)]
    if claims := short_blocks(report.tested):
        return [*blocks, *claims]
    for suite in shown:
        blocks += [Text(f"{plain(suite.title)}:"), _scores(suite)]
    return blocks


def _row(suite: SuiteReport) -> Row:
    """Return the best variant of a suite beside the best baseline, and how the others fare."""
    verdicts, results = suite.verdicts, suite.results
    bests = [
        [best_of(results, names, metric) for names in (results.variants, results.baselines)]
        for metric in (METRIC, PERCEPTUAL)
    ]
    pairs = [", ".join(f"{b[0]} {b[1]:.4f}" if b else "—" for b in pair) for pair in bests]
    found = [c for c in verdicts.against if c.reference == verdicts.strongest]
    better, worse, even = outcome(found)
    counts = {"better": better, "even": even, "worse": worse}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    mark = COVERAGE_MARK if any(c.is_provisional for c in found) else ""
    budget = budget_range(suite.budgets.values())
    # A title has the protocol after the images.
    name = f"{suite.file}: {suite.results.suite.title.split(', ')[0]}"
    return Row([Cell(text) for text in (name, budget, *pairs, f"{said}{mark}")])


def _scores(suite: SuiteReport) -> Table:
    """Return the scores of the variants, and of Telea and the strongest baseline."""
    methods = {*suite.results.variants, TELEA, suite.verdicts.strongest}
    rows = standings(suite.results, suite.verdicts, COLUMNS)
    return scores_table(suite.title, [row for row in rows if row.method in methods], COLUMNS)
