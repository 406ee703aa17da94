"""Tables of scores worked by hand, as Markdown, LaTeX and CSV."""

import csv
import io
import math

import pytest

from benchmark.core.text import number
from benchmark.metrics.registry import Column
from benchmark.reporting.markdown import markdown_table
from benchmark.reporting.sections.suite.files import csv_table, escape_latex, latex_table
from benchmark.reporting.tables import Leaderboard, Score, Standing, ranked, ranks, scores_table

NAN = math.nan


def _row(method: str, mse: float, kind: str = "variant", verdict: str = "") -> Standing:
    return Standing(method, kind, {"mse_h": Score(mse)}, verdict)  # type: ignore[arg-type]


def _board(*rows: Standing, footnotes: tuple[str, ...] = ()) -> Leaderboard:
    columns = [Column("mse_h", "lower", 3)]
    caption = "Photos: protocol ib1."
    return Leaderboard(columns, ranked(rows, columns), caption, "photos", footnotes)


def _markdown(board: Leaderboard) -> str:
    return markdown_table(scores_table(board.caption, board.rows, board.columns))


@pytest.mark.parametrize(
    ("better", "values", "expected"),
    [
        ("lower", [0.3, 0.1, 0.2], [3, 1, 2]),
        ("higher", [0.3, 0.1, math.inf], [2, 3, 1]),
        ("zero", [0.2, -0.1, 0.0], [3, 2, 1]),
        ("one", [0.5, 2.0, 1.25, 0.8, 0.0], [2, 2, 1, 1, 3]),
        ("lower", [0.1, NAN, 0.1, 0.2], [1, None, 1, 2]),
    ],
)
def test_ranks(better: str, values: list[float], expected: list[int | None]) -> None:
    assert ranks(values, Column("x", better, 3)) == expected  # type: ignore[arg-type]


def test_values_that_print_alike_rank_alike() -> None:
    assert ranks([0.0101, 0.0099, 0.02], Column("x", "lower", 3)) == [1, 1, 2]


def test_variants_are_ranked_apart_from_better_baselines_and_the_oracle_not_at_all() -> None:
    board = _board(
        _row("l2", 0.3),
        _row("gan", 0.2),
        _row("telea", 0.1, "baseline"),
        _row("oracle", 0, "oracle"),
    )
    latex = latex_table(board).splitlines()
    assert r"l2 &  & \underline{0.300} \\" in latex
    assert r"gan &  & \textbf{0.200} \\" in latex
    assert r"telea &  & \textbf{0.100} \\" in latex
    assert r"oracle &  & 0.000 \\" in latex
    assert latex[latex.index(r"gan &  & \textbf{0.200} \\") + 1] == r"\hline"
    markdown = _markdown(board).splitlines()
    assert "| l2 |  | <ins>0.300</ins> |" in markdown
    assert "| gan |  | **0.200** |" in markdown
    assert "| oracle |  | 0.000 |" in markdown


def test_both_of_a_tie_are_bold() -> None:
    latex = latex_table(_board(_row("a", 0.2), _row("b", 0.2), _row("c", 0.3)))
    assert latex.count(r"\textbf{0.200}") == 2
    assert latex.count(r"\underline{0.300}") == 1


def test_a_missing_metric_is_a_dash_with_a_footnote_and_empty_in_csv() -> None:
    board = _board(_row("l2", NAN), footnotes=("mse_h: no weights & no net",))
    assert "l2 &  & --- " in latex_table(board)
    assert r"--- mse\_h: no weights \& no net" in latex_table(board)
    assert "| l2 |  | — |" in _markdown(board)
    rows = list(csv.DictReader(io.StringIO(csv_table(board))))
    assert rows[0]["mse_h"] == ""


@pytest.mark.promise("escaping")
def test_escaped_latex() -> None:
    assert escape_latex("a---b [1] *") == "a-{}-{}-b {[}1{]} {*}"
    assert escape_latex(r"a_b & 5 % \x {y} ~^#$") == (
        r"a\_b \& 5 \% \textbackslash{}x \{y\} \textasciitilde{}\textasciicircum{}\#\$"
    )


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [
        (0.01825, NAN, "0.018"),
        (-0.0001, NAN, "0.000"),
        (math.inf, NAN, "∞"),
        (NAN, 0.1, "—"),
        (1.0, 0.25, "1.000 ± 0.250"),
    ],
)
def test_printed_numbers(value: float, spread: float, expected: str) -> None:
    assert number(value, 3, spread) == expected
