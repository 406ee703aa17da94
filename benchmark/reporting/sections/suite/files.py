"""The tables of a suite as LaTeX and CSV, for other programs."""

import re
from collections.abc import Sequence
from itertools import pairwise

from benchmark.core.text import csv_text, number, one_line
from benchmark.metrics.registry import Better, Column
from benchmark.reporting.blocks import Download, Downloads, Section
from benchmark.reporting.sections.suite.comparisons import comparisons_csv
from benchmark.reporting.sections.suite.protocols import protocol_csv
from benchmark.reporting.suite_report import SuiteReport
from benchmark.reporting.tables import Leaderboard, Standing

LATEX_ARROWS: dict[Better, str] = {
    "lower": r"$\downarrow$",
    "higher": r"$\uparrow$",
    "zero": r"$\to 0$",
    "one": r"$\to 1$",
}
LATEX_RANKS = {1: r"\textbf{%s}", 2: r"\underline{%s}"}
LATEX_CHARACTERS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # else an option of the line end before it
    "]": "{]}",
    "*": "{*}",
    "✗": r"$\times$",
    "✓": r"$+$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "—": "---",
}


def section(suite: SuiteReport) -> Section:
    """Return the suite's table as LaTeX and CSV, its comparisons, and its scores by protocol."""
    name, verdicts = f"tables/{suite.file}", suite.verdicts
    compared = [] if verdicts.withheld else [*verdicts.against, *verdicts.between]
    files = [
        Download(f"{name}.tex", "text/x-tex", latex_table(suite.board)),
        Download(f"{name}.csv", "text/csv", csv_table(suite.board)),
        Download(f"{name}_comparisons.csv", "text/csv", comparisons_csv(compared)),
        Download(f"{name}_protocols.csv", "text/csv", protocol_csv(suite.results)),
    ]
    return Section("", [Downloads(files)])


def latex_table(board: Leaderboard) -> str:
    """Return a leaderboard as LaTeX without packages: best bold, second underlined."""
    heads = ["method", "verdict"]
    heads += [f"{escape_latex(c.name)} {LATEX_ARROWS[c.better]}" for c in board.columns]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(board.caption)}}}",
        rf"\label{{tab:{board.label}}}",
        rf"\begin{{tabular}}{{ll{'r' * len(board.columns)}}}",
        r"\hline",
        " & ".join(heads) + r" \\",
        r"\hline",
    ]
    for row, after in pairwise([*board.rows, None]):
        assert row is not None
        lines.append(_latex_row(row, board.columns))
        if row.kind == "variant" and after is not None and after.kind != "variant":
            lines.append(r"\hline")
    lines += [r"\hline", r"\end{tabular}"]
    lines += [rf"\par\footnotesize --- {sentence_latex(note)}" for note in board.footnotes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _latex_row(row: Standing, columns: Sequence[Column]) -> str:
    cells = [escape_latex(row.method), escape_latex(row.verdict)]
    for column in columns:
        score = row.scores[column.name]
        text = escape_latex(number(score.value, column.decimals, score.spread))
        cells.append(LATEX_RANKS.get(score.rank or 0, "%s") % text)
    return " & ".join(cells) + r" \\"


def csv_table(board: Leaderboard) -> str:
    """Return a leaderboard as CSV: rounded to six decimals, empty where a metric is missing."""
    names = [column.name for column in board.columns]
    rows: list[list[str | float]] = []
    for row in board.rows:
        values = [row.scores[name].value for name in names]
        values += [row.scores[name].spread for name in names]
        rows.append([row.method, row.kind, row.verdict, *values])
    heads = ["method", "kind", "verdict", *names, *(f"{name}_sd" for name in names)]
    return csv_text([heads, *rows], decimals=6)


def escape_latex(text: str) -> str:
    """Return text as LaTeX that prints it."""
    return _latex(one_line(text))


def _latex(text: str) -> str:
    apart = re.sub("-(?=-)", "-\0", text)  # two hyphens would be a dash
    return "".join(LATEX_CHARACTERS.get(c, c) for c in apart).replace("\0", "{}")


def sentence_latex(text: str) -> str:
    """Return a sentence of ours as LaTeX that prints it; what is between backticks is code."""
    parts = one_line(text).split("`")
    if len(parts) % 2 == 0:
        return escape_latex(text)
    shown = [rf"\texttt{{{_latex(p)}}}" if i % 2 else _latex(p) for i, p in enumerate(parts)]
    return "".join(shown)
