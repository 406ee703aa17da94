"""The README: its results are those of the committed report, and its links lead somewhere."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.claims.definitions import load_claims
from benchmark.core import paths
from benchmark.core.config import Suite, load_params, load_suite
from benchmark.pipeline.reference import write_reference
from benchmark.pipeline.report import read_report
from benchmark.reporting.readme import END, START, update_readme
from data.errors import InputError
from models.baselines import BASELINES
from tests.models.test_variants import SYSTEMS as VARIANTS_OF_SYSTEMS
from tests.support.report_tree import BAD, GOOD, Checkout

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SYSTEMS = (ROOT / "docs/systems.md").read_text(encoding="utf-8")
SHOWN = ("mse_h", "stlpips_alex_h")
HEADS_OF_CLAIMS = ["authors' claim", "what was found", "difference [95 % interval]", "on"]


def _results() -> str:
    return README.partition(START)[2].partition(END)[0]


def _tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each table, without emphasis, the line below the head left out."""
    found: list[list[list[str]]] = []
    for block in text.strip().split("\n\n"):
        if block.startswith("|"):
            lines = [re.split(r"(?<!\\)\|", line[1:-1]) for line in block.split("\n")]
            rows = [[re.sub(r"\*|</?ins>|\\", "", cell).strip() for cell in line] for line in lines]
            found.append([rows[0], *rows[2:]])
    return found


def _update() -> None:
    update_readme(read_report(load_params(), with_pictures=False))


def test_numbers_are_those_of_the_committed_files() -> None:
    summary = json.loads((ROOT / "reports/summary.json").read_text())
    folders = [path.parent for path in ROOT.glob("reports/reference/*/reference.json")]
    kept = {f"reference/{folder.name}": folder for folder in folders}
    rows_of_suites, claims = _tables(_results())
    shown = {row[0].split(": ")[0]: row for row in rows_of_suites[1:]}
    assert shown.keys() == summary.keys() | kept.keys()
    for place, row in shown.items():
        suite = load_suite(place.removeprefix("reference/"), ROOT)
        assert suite.title.startswith(row[0].removeprefix(f"{place}: "))
        methods = _kept_means(kept[place]) if place in kept else _means([summary[place]])
        baselines = {name for name in BASELINES if name in methods}
        variants = methods.keys() - baselines - {"oracle"}
        for metric, cell in zip(SHOWN, row[2:4], strict=True):
            means = {name: method[metric] for name, method in methods.items()}
            for names, pair in zip((variants, baselines), cell.split(", "), strict=True):
                name, mean = pair.split()
                assert float(mean) == pytest.approx(means[name], abs=0.51e-4)
                assert means[name] == min(means[name] for name in names)
        counts = [int(part.split()[0]) for part in row[4].split(", ")]
        assert sum(counts) == len(variants)
    committed = json.loads((ROOT / "reports/claims.json").read_text())
    assert claims[0] == HEADS_OF_CLAIMS
    decided = {said.split(". ")[0] for said, *_ in claims[1:]}
    exact = {name: claim["overall"] for name, claim in committed.items() if _is_exact(claim)}
    assert "c23" in exact
    listed = _results().partition("By arithmetic: ")[2].partition(".\n")[0]
    assert dict(re.findall(r"(c\d+) \S+ (\w+)", listed)) == exact
    verdicts = {
        name: {f["verdict"] for f in claim["findings"] if _of_dataset(f)}
        for name, claim in committed.items()
        if name not in exact
    }
    left_open = [name for name, found in verdicts.items() if found == {"inconclusive"}]
    assert decided == {name for name, found in verdicts.items() if found} - {*left_open}
    left_open.sort(key=lambda name: int(name[1:]))
    if left_open:
        assert f"Not decided: {', '.join(left_open)}." in _results()
    for said, verdict, difference, suites in claims[1:]:
        name, sentence = said.split(". ", 1)
        assert sentence == committed[name]["claim"]
        found = [f for f in committed[name]["findings"] if _of_dataset(f)]
        overall, _, instead = verdict.split(" ", 1)[1].partition(": ")
        assert {f["verdict"] for f in found} == {overall} or overall == "mixed"
        if overall != "mixed":
            assert instead == ("" if overall == "supported" else found[0]["found"])
            measure, *texts = re.fullmatch(
                r"(.*) ([+-][\d.]+) \[([+-][\d.]+), ([+-][\d.]+)\]", difference
            ).groups()  # type: ignore[union-attr]
            decimals = len(texts[0].split(".")[1])
            assert any(
                part["comparison"] == measure
                and [part[key] for key in ("difference", "low", "high")]
                == pytest.approx([float(text) for text in texts], abs=0.51 * 10**-decimals)
                for part in found[0]["evidence"]
            )
        runs = {run.split("/")[0] for f in found for run in f["runs"]}
        assert {*suites.split(", ")} == runs or suites == f"{len(runs)} suites"


def _kept_means(folder: Path) -> dict[str, dict[str, float]]:
    """Return `_means` of the runs and baselines that are kept of a suite."""
    files = (folder / "metrics").rglob("*.json")
    return _means([json.loads(path.read_text())["methods"] for path in files])


def _means(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the mean of the seeds of each method, by metric."""
    found: dict[str, list[dict[str, Any]]] = {}
    for methods in runs:
        for name, metrics in methods.items():
            found.setdefault(name, []).append(metrics)
    return {
        name: {metric: float(np.mean([m[metric]["mean"] for m in seeds])) for metric in SHOWN}
        for name, seeds in found.items()
    }


def _is_exact(claim: dict[str, Any]) -> bool:
    """Whether no image plays a part in any of its findings."""
    parts = [part for finding in claim["findings"] for part in finding["evidence"]]
    return bool(parts) and not any(part["images"] or part["seeds"] for part in parts)


def _of_dataset(finding: dict[str, Any]) -> bool:
    suites = {run.split("/")[0] for run in finding["runs"]}
    return bool(suites) and all(is_dataset(load_suite(name, ROOT)) for name in suites)


def is_dataset(suite: Suite) -> bool:
    """Whether the images are those of a dataset."""
    return suite.source.needs_folder


def _checkout(root: Path, patch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(root, {"l2": GOOD, "binary": BAD})
    patch.chdir(root)
    return made


def test_own_suites_have_a_row_and_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _checkout(tmp_path, monkeypatch)
    write_reference("tiny")
    Path("README.md").write_text(f"above\n{START}old\n{END}below\n")
    _update()
    text = Path("README.md").read_text(encoding="utf-8")
    before, rest = text.split(START)
    results, after = rest.split(END)
    assert (before, after) == ("above\n", "below\n")
    suites, own, reference = _tables(results)
    # l2 is GOOD and binary BAD, and Telea the best without training: both of one seed.
    said = ["l2 0.0210, telea 0.0250", "—, —", "1 better, 1 worse"]
    assert [[row[0], *row[2:]] for row in suites[1:]] == [
        ["tiny: Tiny_pictures", *said], ["reference/tiny: Tiny_pictures", *said],
    ]  # fmt: skip
    assert results.count("1 worse\\* |") == 2
    assert len(own[0]) == 5
    # The means of GOOD and BAD, and of the strongest baseline, which is Telea here.
    assert [row[:3] for row in own[1:]] == [
        ["l2", "✓ beats every baseline (provisional)", "0.0210"],
        ["binary", "✗ loses to telea (provisional)", "0.0350"],
        ["baselines, ranked apart", "", ""],
        ["telea", "", "0.0250"],
    ]
    assert reference[1:] == [own[2], own[1], *own[3:]], "runs that are kept are sorted by name"
    _update()
    assert Path("README.md").read_text(encoding="utf-8") == text


def test_claims_are_those_that_a_dataset_was_found_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _checkout(tmp_path, monkeypatch)
    path = paths.SUITES / "tiny.yaml"
    path.write_text(path.read_text().replace("name: portraits, count: 10, seed: 0", "name: celeba"))
    Path("README.md").write_text(f"{START}{END}")
    _update()
    _, (head, *rows) = _tables(Path("README.md").read_text(encoding="utf-8").removeprefix(START))
    assert head == HEADS_OF_CLAIMS
    gain = float(np.mean(-10 * np.log10(GOOD / BAD)))
    (row,) = (row for row in rows if row[0].startswith("c3. "))
    assert row[:2] == [f"c3. {load_claims()['c3'].claim}", "✓ supported"]
    assert row[2].startswith(f"psnr_h: l2 - binary +{gain:.3f} [") and row[3:] == ["tiny"]
    assert not any(row[0].startswith("c23. ") for row in rows), "no image decides it"
    assert "By arithmetic: c23 ✗ reversed.\n" in Path("README.md").read_text(encoding="utf-8")


@pytest.mark.promise("damage")
def test_results_that_are_missing_and_a_readme_without_a_place_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _checkout(tmp_path, monkeypatch)
    for content, message in ((None, "part of the repository"), (b"\xff", "damaged")):
        if content is not None:
            Path("README.md").write_bytes(content)
        with pytest.raises(InputError, match=f"README.md: .*{message}"):
            _update()
    Path("README.md").write_text("no markers")
    with pytest.raises(InputError, match="needs a line"):
        _update()
    Path("README.md").write_text(f"{START}{END}")
    Path("reports/scores/tiny/l2/seed0.csv").unlink()
    with pytest.raises(InputError, match="evaluate --suite tiny --variant l2 --seed 0"):
        _update()


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
