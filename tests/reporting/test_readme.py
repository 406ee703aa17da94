"""The README: its results are those of the committed report, and its links lead somewhere."""

import json
import re
from pathlib import Path

import pytest

from benchmark.core.config import load_params, load_suite
from benchmark.evaluation.reference_runs import read_reference
from benchmark.pipeline.reference import write_reference
from benchmark.reporting.readme import END, METRICS, START, update_readme
from data.errors import InputError
from tests.models.test_variants import SYSTEMS as VARIANTS_OF_SYSTEMS
from tests.support.report_tree import BAD, GOOD, Checkout

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SYSTEMS = (ROOT / "docs/systems.md").read_text(encoding="utf-8")


def _results() -> str:
    return README.partition(START)[2].partition(END)[0]


def _tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each table, without emphasis, the line below the head left out."""
    found: list[list[list[str]]] = []
    for block in text.strip().split("\n\n"):
        if block.startswith("|"):
            plain = re.sub(r"\*|</?ins>|\\", "", block)
            rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in plain.split("\n")]
            found.append([rows[0], *rows[2:]])
    return found


def test_numbers_are_those_of_the_committed_summary() -> None:
    summary = json.loads((ROOT / "reports/summary.json").read_text())
    tables = _tables(_results())
    for suite, (head, *rows) in zip(load_params(ROOT).suites, tables, strict=True):
        methods = summary[suite]
        assert [name.split()[0] for name in head] == ["method", "verdict", *METRICS]
        shown = {row[0]: row[2:] for row in rows if any(row[1:])}
        assert {*shown} == {*methods} - {"oracle"}
        for method, cells in shown.items():
            means = [methods[method][name]["mean"] for name in METRICS]
            shown_means = [float(cell.split(" ± ")[0]) for cell in cells]
            assert shown_means == pytest.approx(means, abs=0.51e-4)


def test_every_text_above_a_table_says_whose_results_these_are() -> None:
    headlines = [b for b in _results().strip().split("\n\n") if b[0] != "|"]
    suites = [load_suite(name, ROOT) for name in load_params(ROOT).suites]
    for suite, headline in zip(suites, headlines, strict=True):
        assert headline.startswith(f"**{suite.title}. ") and "telea" in headline
    # The reference runs that are kept were made with other settings, so that none is shown.
    for facts in (ROOT / "reports/reference").glob("*/reference.json"):
        assert read_reference(facts.parent).outdated
        assert f"(`{facts.parent.name}`)" not in _results()


def _checkout(root: Path, patch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(root, {"l2": GOOD, "binary": BAD})
    patch.chdir(root)
    return made


def test_tables_of_suites_and_of_reference_runs_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _checkout(tmp_path, monkeypatch)
    write_reference("tiny")
    Path("README.md").write_text(f"above\n{START}old\n{END}below\n")
    update_readme()
    text = Path("README.md").read_text(encoding="utf-8")
    before, rest = text.split(START)
    results, after = rest.split(END)
    assert (before, after) == ("above\n", "below\n")
    own, reference = _tables(results)
    assert own[0] == reference[0] and len(own[0]) == 5
    # The means of GOOD and BAD, and of the baselines.
    assert [row[:3] for row in own[1:]] == [
        ["l2", "✓ beats every baseline (provisional)", "0.0210"],
        ["binary", "✗ loses to telea (provisional)", "0.0350"],
        ["baselines, ranked apart", "", ""],
        ["mean_color", "", "0.0500"],
        ["telea", "", "0.0250"],
    ]
    assert [row[0] for row in reference[1:]] == [
        "Tiny_pictures on Some CPU (`tiny`)", "binary", "l2", "telea",
    ]  # fmt: skip
    between = results.split("\n\n")[-2]
    assert between.startswith("Our own runs") and "authors" not in between
    update_readme()
    assert Path("README.md").read_text(encoding="utf-8") == text


@pytest.mark.promise("damage")
def test_results_that_are_missing_and_a_readme_without_a_place_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _checkout(tmp_path, monkeypatch)
    for content, message in ((None, "part of the repository"), (b"\xff", "damaged")):
        if content is not None:
            Path("README.md").write_bytes(content)
        with pytest.raises(InputError, match=f"README.md: .*{message}"):
            update_readme()
    Path("README.md").write_text("no markers")
    with pytest.raises(InputError, match="needs a line"):
        update_readme()
    Path("README.md").write_text(f"{START}{END}")
    Path("reports/scores/tiny/l2/seed0.csv").unlink()
    with pytest.raises(InputError, match="evaluate --suite tiny --variant l2 --seed 0"):
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


def test_every_variant_of_a_system_is_in_the_table() -> None:
    for name in (name for family in VARIANTS_OF_SYSTEMS.values() for name in family):
        assert f"\n| `{name}` |" in SYSTEMS
