"""The README: its results are those of the committed report, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from benchmark.reporting.readme import END, START, update_readme, with_results
from data.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_results_are_those_of_the_report() -> None:
    report = (ROOT / "reports/report.md").read_text(encoding="utf-8")
    assert with_results(README, report) == README, "run `make repro`"


def test_only_what_lies_between_the_markers_changes() -> None:
    report = "# R\n\n## One\n\n**l2 wins**\n\n| a |\n|---|\n| 1 |\n\nrest\n\n## How to read\n\nx\n"
    found = with_results(f"above\n{START}old\n{END}below\n", report)
    assert found == f"above\n{START}**l2 wins**\n\n| a |\n|---|\n| 1 |\n{END}below\n"


def test_missing_marker_is_refused() -> None:
    with pytest.raises(InputError, match="needs a line"):
        with_results("no markers", "")


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "report.md: missing; `python -m benchmark report` makes it"), (b"\xff", "damaged")],
)
def test_a_report_that_cannot_be_read_is_refused(
    content: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text(f"{START}{END}")
    if content is not None:
        (tmp_path / "reports").mkdir()
        (tmp_path / "reports/report.md").write_bytes(content)
    with pytest.raises(InputError, match=message):
        update_readme()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_and_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    files = re.findall(r"`((?:benchmark|models|data|tests|reports)/[\w/.]+)`", text)
    generated = (
        "data/raw",
        "data/prepared",
        "benchmark/suites/my_",
        "models/variants/localizer_box",
    )
    missing = [n for n in links + files if not n.startswith(generated) and not (ROOT / n).exists()]
    assert missing == []


def test_every_variant_is_in_the_table_of_systems() -> None:
    for path in (ROOT / "models/variants").glob("*.yaml"):
        assert f"\n| `{path.stem}` |" in README
