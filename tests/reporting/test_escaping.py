"""Text of users in everything that is written: it is text there, whatever it looks like.

Markdown is read back by an independent parser, CSV by Python's, and LaTeX by a few lines that know
nothing but what prints a character.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.core.config import load_params
from benchmark.core.text import csv_text, escape_markdown, one_line, text_cell
from benchmark.evaluation.score_table import read_score_table, write_score_table
from benchmark.metrics.registry import Column
from benchmark.pipeline.reference import write_reference
from benchmark.pipeline.report import read_report, write_report
from benchmark.reporting import dialect
from benchmark.reporting.blocks import Text
from benchmark.reporting.dialect import parse, with_code
from benchmark.reporting.markdown import markdown_blocks, words
from benchmark.reporting.readme import END, START, update_readme
from benchmark.reporting.sections.suite.files import (
    csv_table,
    escape_latex,
    latex_table,
    sentence_latex,
)
from benchmark.reporting.tables import Leaderboard, Score, Standing, scores_table
from data.errors import printable
from tests.support.hostile import HOSTILE, hostile_checkout, write_yaml
from tests.support.html_page import Page
from tests.support.promises import tally
from tests.support.report_tree import GOOD, Checkout, draw_nothing

pytestmark = pytest.mark.promise("escaping")
SHOWN = "hostile strings shown as text"
WORDS = st.text(st.sampled_from([*"ab1 \n\t\\`*_{}[]()<>#+-.!|~$&=:'\"@%^/;\u202e\x1b\u00e9"]))
QUICK = settings(max_examples=150, derandomize=True, deadline=None)
LONG = settings(QUICK, max_examples=5000)
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
FRAMES = {
    "paragraph": ("{}", "p"),
    "entry": ("- {}", "li"),
    "heading": ("## {} (`name`)", "h2"),
    "bold": ("**{}**", "strong"),
    "cell": ("| head | other |\n| --- | --- |\n| {} | x |", "td"),
    "picture": ("![{}: curves](figures/a.png)", "img"),
    "link": ("[{}](a.png)", "a"),
}
"""Where the report puts text, and the element that it is then in."""


def _page(markdown: str) -> Page:
    return Page(MARKDOWN.render(markdown))


def _texts(page: Page, tag: str) -> list[str]:
    """Return the text of all elements of a kind; of a picture, that which stands for it."""
    found = page.all(tag)
    return [node.attributes["alt"] or "" if tag == "img" else "".join(node.texts) for node in found]


def _tags(page: Page) -> list[str]:
    return [node.tag for node in page.nodes]


def _check_markdown(text: str) -> None:
    """Check that escaped text is read as this very text, wherever the report has it."""
    expected = one_line(text)
    for frame, element in FRAMES.values():
        if not expected:
            continue
        page, plain = _page(frame.format(escape_markdown(text))), _page(frame.format("word"))
        assert _tags(page) == _tags(plain), text
        shown = [found.replace("word", expected) for found in _texts(plain, element)]
        assert _texts(page, element) == shown
    tally(SHOWN)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_prints_what_is_hostile(text: str) -> None:
    _check_markdown(text)


@QUICK
@given(WORDS)
def test_markdown_prints_any_text(text: str) -> None:
    _check_markdown(text)


@pytest.mark.slow
@LONG
@given(WORDS)
def test_markdown_prints_any_of_many_texts(text: str) -> None:
    _check_markdown(text)


@pytest.mark.parametrize(
    "text", ["https://example.org/x", "see HTTP://example.org", "www.example.org", "ftp://a.b"]
)
def test_address_does_not_become_a_link_by_itself(text: str) -> None:
    # GitHub's extension makes links of these openings, where nothing is escaped within them.
    assert not re.search(r"(?i)(https?|ftp)://|www\.", escape_markdown(text))
    _check_markdown(text)


def test_code_in_a_message_is_code_and_nothing_else() -> None:
    message = with_code("lpips_alex: *not* there; `python -m x --a_b <c>` fetches it")
    page = _page(words(message))
    assert _texts(page, "code") == ["python -m x --a_b <c>"]
    assert _tags(page) == ["p", "code"]
    assert _texts(page, "p") == ["lpips_alex: *not* there; python -m x --a_b <c> fetches it"]
    for text in ("an `open one", "a `|` b", "empty `` code"):
        assert with_code(text) == dialect.plain(text)
    assert sentence_latex("run `a_b`, 5 %") == r"run \texttt{a\_b}, 5 \%"


@QUICK
@given(st.sampled_from(HOSTILE) | WORDS)
def test_text_of_users_is_plain_in_the_dialect_of_the_report(text: str) -> None:
    shown = one_line(text)
    assert parse(dialect.plain(text)) == ([("plain", shown, "")] if shown else [])
    assert words(dialect.plain(text)) == escape_markdown(text)
    kinds = [part.kind for part in parse(f"**{dialect.plain(text) or 'x'}** and {with_code(text)}")]
    assert kinds[0] == "strong" and not {"strong", "link"} & {*kinds[1:]}
    if shown:
        assert {*_tags(_page(f"x {words(with_code(text))}"))} <= {"p", "code"}
        tally(SHOWN)


@pytest.mark.parametrize("target", ["javascript:alert(1)", "http://example.org", "a b", ""])
def test_a_link_leads_to_the_page_or_a_file_of_the_repository(target: str) -> None:
    assert [part.kind for part in parse("[x](#a) [y](../docs/a_b.md)")] == ["link", "plain", "link"]
    assert {part.kind for part in parse(f"[x]({target})")} == {"plain"}


PRINTED = {
    r"\textbackslash{}": "\\", r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_",
    r"\{": "{", r"\}": "}", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
    r"\textasciigrave{}": "`", r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|",
    "{[}": "[", "{]}": "]", "{*}": "*", "{}": "",
}  # fmt: skip
"""What LaTeX prints for commands and groups, by its own manual."""
ACTIVE = re.compile(r"[\\{}$&#^_~%`<>|\[\]*]|--")


def _printed(latex: str) -> str:
    """Return what LaTeX prints; anything but plain characters and known commands is an error."""
    printed = ""
    while latex:
        command = next((c for c in PRINTED if latex.startswith(c)), None)
        assert command is not None or not ACTIVE.match(latex), latex
        printed += latex[0] if command is None else PRINTED[command]
        latex = latex[1 if command is None else len(command) :]
    return printed


@QUICK
@given(st.sampled_from(HOSTILE) | WORDS)
def test_latex_prints_any_text(text: str) -> None:
    assert _printed(escape_latex(text)) == one_line(text)
    tally(SHOWN)


FORMULA = re.compile(r"[=+\-@\t\r\n]")


def _check_cells(text: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV file; no cell is a formula, and none has a line break."""
    for row in csv.reader(io.StringIO(text), strict=True):
        for cell in row:
            try:
                float(cell)
            except ValueError:
                assert not FORMULA.match(cell) and cell.isprintable(), cell
        yield row


@QUICK
@given(st.sampled_from(HOSTILE) | WORDS)
def test_cells_are_no_formulas_and_hold_the_text(text: str) -> None:
    ((first, cell, last),) = _check_cells(csv_text([["a", text, "b"]]))
    assert (first, last) == ("a", "b")
    assert (cell[1:] if cell.startswith("'") else cell) == one_line(text)
    tally(SHOWN)


@pytest.fixture(scope="module")
def score_table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Where a score table can be written, and what is in it."""
    folder = tmp_path_factory.mktemp("score_table")
    return folder / "score_table.csv", Checkout(folder, {}).score_table("l2", 0, GOOD)


@settings(QUICK, max_examples=50)
@given(label=st.sampled_from(HOSTILE) | WORDS)
def test_labels_of_a_ledger_come_back(label: str, score_table: tuple[Path, pd.DataFrame]) -> None:
    if "\r" in label:  # which the split stage refuses
        return
    path, frame = score_table
    frame = frame.assign(label=[label, "", "-1", "b"])
    write_score_table(path, frame)
    assert read_score_table(path)["label"].tolist() == frame["label"].tolist()
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file, strict=True):
            assert not row[5].startswith(("=", "+", "-", "@", "\t"))
    tally(SHOWN)


def test_text_cells_are_as_they_are_where_they_are_harmless() -> None:
    assert [text_cell(t) for t in ("cat", "1", "a=b", "")] == ["cat", "1", "a=b", ""]
    assert [text_cell(t) for t in ("=1", "@a", "'a", "-")] == ["'=1", "'@a", "''a", "'-"]


def test_tables_hold_hostile_text_in_every_format() -> None:
    for text in HOSTILE:
        rows = [
            Standing("l2", "variant", {text: Score(0.1, rank=1)}, text),
            Standing(text, "baseline", {text: Score(math.nan)}),
        ]
        board = Leaderboard([Column(text, "lower", 3)], rows, text, "label", [text])
        blocks = [scores_table(text, rows, board.columns), Text(with_code(text))]
        page = _page(markdown_blocks(blocks))
        shown = one_line(text)
        assert {*_tags(page)} <= {"table", "thead", "tbody", "tr", "th", "td", "strong", "em", "p",
                                  "code"}  # fmt: skip
        cells = _texts(page, "td")
        assert _texts(page, "th")[2] == f"{shown} ↓" and cells[1] == cells[6] == shown
        assert len(cells) % 3 == 0
        latex = latex_table(board).splitlines()
        lines = [line.removesuffix(r" \\").split(" & ") for line in latex if line.endswith(r" \\")]
        assert {len(row) for row in lines} == {3}
        assert _printed(lines[1][1]) == _printed(lines[2][0]) == shown
        assert len(latex) == 15
        assert [len(row) for row in _check_cells(csv_table(board))] == [5, 5, 5]
        tally(SHOWN)


# The whole report


SETS = [HOSTILE[i : i + 6] for i in range(0, len(HOSTILE) - 5, 6)] + [HOSTILE[-6:]]
LAYOUT = {
    *("h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "strong", "em", "code", "a", "img", "ins"),
    *("table", "thead", "tbody", "tr", "th", "td", "pre", "br", "details", "summary"),
}


class Pages(NamedTuple):
    """The two pages of a report."""

    markdown: Page
    html: Page


def _report(root: Path, texts: Sequence[str], patch: pytest.MonkeyPatch) -> Pages:
    hostile_checkout(root, texts)
    patch.chdir(root)
    draw_nothing(patch)
    write_reference("tiny", note=texts[0])
    write_report(load_params())
    markdown, html = (Path(f"reports/report.{kind}").read_text("utf-8") for kind in ("md", "html"))
    return Pages(_page(markdown), Page(html))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """The report on harmless texts."""
    words = ("Suite", "About it", "cat", "A paper", "no weights", "Somebody")
    with pytest.MonkeyPatch.context() as patch:
        return _report(tmp_path_factory.mktemp("plain") / "checkout", words, patch)


@pytest.mark.parametrize(
    "texts",
    [pytest.param(t, marks=[pytest.mark.slow] * (i % 8 > 0)) for i, t in enumerate(SETS)],
    ids=lambda texts: ascii(texts[0]),
)
def test_a_report_shows_hostile_text_as_text(
    texts: list[str], plain: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _report(tmp_path / "hostile", texts, monkeypatch)
    assert {*_tags(found.markdown)} <= LAYOUT
    for page, expected in zip(found, plain, strict=True):
        # The same elements in the same order: nothing in the text has become one, or ended one.
        shape, wanted = (
            [(n.tag, [*n.attributes]) for n in side.nodes if n.tag != "code"]
            for side in (page, expected)
        )
        assert shape == wanted
        everything = " ".join("".join(node.texts) for node in page.nodes)
        everything = " ".join(everything.split())
        for text in (texts[0], texts[1], texts[2], texts[3], texts[5]):
            assert one_line(text) in everything, text
            tally(SHOWN)
    targets, expected_targets = (
        [n.attributes[key] for n in side.nodes for key in ("href", "src") if key in n.attributes]
        for side in (found.markdown, plain.markdown)
    )
    assert targets == expected_targets and not any(":" in str(target) for target in targets)
    report = Path("reports/report.md").read_text(encoding="utf-8")
    assert printable(report.replace("\n", "")) == report.replace("\n", "")
    for path in Path("reports/tables").rglob("*.csv"):
        assert len([*_check_cells(path.read_text(encoding="utf-8"))]) > 1
    for path in Path("reports/tables").rglob("*.tex"):
        assert path.read_text(encoding="utf-8").count(r"\end{") == 2
    _check_readme()
    claims = json.loads(Path("reports/claims.json").read_text())
    assert claims["a"]["who"] == texts[5], "JSON holds it as it is"
    readme = _page((paths.reference("tiny") / "README.md").read_text(encoding="utf-8"))
    assert {*_tags(readme)} <= LAYOUT and one_line(texts[0]) in _texts(readme, "h1")[0]


def _check_readme() -> None:
    path = Path("README.md")
    path.write_text(f"# Title\n\n{START}{END}\nafter\n")
    update_readme(read_report(load_params(), with_pictures=False))
    readme = path.read_text(encoding="utf-8")
    assert readme.count(START) == readme.count(END) == 1
    assert readme.endswith(f"{END}\nafter\n")
    assert "table" in _tags(_page(readme)) and {*_tags(_page(readme))} <= LAYOUT


# The terminal


def _check_terminal(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    for stream in (captured.out, captured.err):
        # tqdm ends its bars with a carriage return.
        for line in stream.replace("\r", "\n").split("\n"):
            assert all(c.isprintable() for c in line), ascii(line)
    tally(SHOWN)
    return captured.out + captured.err


ESCAPES = [text for text in HOSTILE if not one_line(text).isascii() or "\x1b" in text] + [
    "\x1b]0;title\x07\x1b[2J",
    "\u202eabc\u2066",
]


@pytest.mark.parametrize("text", ESCAPES, ids=ascii)
def test_a_terminal_is_given_no_commands(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Checkout(tmp_path, {"l2": GOOD})
    monkeypatch.chdir(tmp_path)
    source = {"title": text, "unreadable": "skip", "source": {"name": "image_folder"}}
    sizes = {"splits": {"seed": 0, "train": 2, "val": 1, "test": 1}}
    write_yaml(paths.SUITES / "tiny.yaml", source | sizes)
    write_yaml(paths.VARIANTS / "l2.yaml", {"title": text, "origin": text, "deviations": [text]})
    shown = one_line(text)
    assert main(["list"]) == 0
    assert shown.split()[0] in _check_terminal(capsys)
    assert main(["describe", "l2", "--suite", "tiny"]) == 0
    assert shown.split()[0] in _check_terminal(capsys)
    assert main(["describe", "l2", "--json"]) == 0
    assert json.loads(_check_terminal(capsys))["title"] == text
    folder = tmp_path / f"images {text.replace('/', '')}"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (64, 64), (number, 9, 9)).save(folder / f"{number}.png")
    (folder / f"broken{text.replace('/', '')}.png").write_bytes(b"no image")
    assert main(["attach", "--suite", "tiny", str(folder)]) == 0
    _check_terminal(capsys)
    assert main(["split", "--suite", "tiny", "--workers", "1"]) == 0
    assert "skipped, not a readable image: broken" in _check_terminal(capsys)
    assert main(["split", "--suite", "tiny", "--root", f"nothing{text}"]) == 2
    _check_terminal(capsys)
    assert main(["describe", text]) == 2
    _check_terminal(capsys)


def test_numbers_keep_their_signs() -> None:
    for text in ("-0.5", "+0.25", "-1.23", "0.5 ± 0.1", "∞", "—", "1.5"):
        assert escape_markdown(text) == text
    assert math.isclose(float(escape_latex("-0.5")), -0.5)
