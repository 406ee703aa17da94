"""Reference runs: what is kept of a checkout's runs, and what a report elsewhere makes of it."""

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.core.config import load_params
from benchmark.evaluation.reference_runs import read_references
from benchmark.pipeline.reference import write_reference
from benchmark.pipeline.report import write_report
from data.errors import InputError
from tests.support.diagnoses import diagnosis, localizer
from tests.support.report_tree import BAD, GOOD, TELEA, Checkout, draw_nothing
from tests.support.tiny import files_below

NOTE = "6 of 30\nepochs, <b>30</b> minutes | *two* `cores`"
FOLDER = Path("reports/reference/far")


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout on a machine with a GPU, with two runs of a suite that is nowhere else."""
    gpu = {"gpu": "Some <GPU>", "device": "cuda"}
    made = Checkout(tmp_path / "far", {"l2": GOOD, "binary": BAD}, suite="far", environment=gpu)
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def far(drawn: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """The same, whose figures are empty."""
    draw_nothing(monkeypatch)
    return drawn


def kept_elsewhere(far: Checkout, patch: pytest.MonkeyPatch) -> Checkout:
    """Return another checkout, with another suite, to which the reference runs are brought."""
    near = Checkout(far.root.parent / "near", {"good": GOOD})
    shutil.copytree(far.root / FOLDER, near.root / FOLDER)
    shutil.rmtree(far.root)
    patch.chdir(near.root)
    return near


def test_what_is_kept(far: Checkout) -> None:
    far.write_json(paths.Run("far", "l2", 0).diagnosis, diagnosis("l2") | {"suite": "far"})
    write_reference("far", NOTE, pictures=True)
    assert set(files_below(FOLDER)) == {
        *("README.md", "reference.json", "suite.yaml", "comparison.png"),
        *("variants/l2.yaml", "variants/binary.yaml"),
        *("metrics/baselines.json", "scores/baselines.csv"),
        "diagnostics/l2/seed0/predictions.json",
        *(f"{kind}/{name}/seed0.{suffix}" for name in ("l2", "binary")
          for kind, suffix in (("metrics", "json"), ("scores", "csv"), ("curves", "csv"),
                               ("provenance", "json"))),
    }  # fmt: skip
    for kind in ("scores", "curves"):
        copied = (FOLDER / kind / "l2/seed0.csv").read_bytes()
        assert copied == Path(f"reports/{kind}/far/l2/seed0.csv").read_bytes()
    assert (FOLDER / "suite.yaml").read_bytes() == Path("benchmark/suites/far.yaml").read_bytes()
    facts = json.loads((FOLDER / "reference.json").read_text())
    assert facts["note"] == NOTE.replace("\n", " ")
    assert facts["runs"] == {"binary": [0], "l2": [0]}
    assert facts["split_counts"] == {"train": 4, "val": 0, "test": 4}
    assert facts["machines"] == [
        {"cpu": "Some CPU (1-2-3, flags 0123abcd)", "gpu": "Some <GPU>", "python": "3.11.7",
         "system": "Linux", "threads": 2, "torch": "2.14.1"}
    ]  # fmt: skip
    assert set(facts["flops"]) == {"binary", "l2"}


@pytest.mark.promise("same_bytes")
def test_equal_bytes_each_time_and_nothing_of_the_host(drawn: Checkout) -> None:
    write_reference("far", NOTE, pictures=True)
    first = files_below(FOLDER)
    write_reference("far", NOTE, overwrite=True, pictures=True)
    assert files_below(FOLDER) == first
    text = b"".join(content for name, content in first.items() if not name.endswith(".png"))
    assert str(drawn.root).encode() not in text
    assert platform.node().encode() not in text


def test_a_report_elsewhere_shows_the_runs_with_their_machine(
    far: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference("far", NOTE, pictures=True)
    near = kept_elsewhere(far, monkeypatch)
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    title = "\n## Tiny\\_pictures (reference: Some &lt;GPU&gt;) (`far`)\n"
    section = page.split(title)[1].split("\n## ")[0]
    assert (
        "- Note: 6 of 30 epochs, &lt;b&gt;30&lt;/b&gt; minutes \\| \\*two\\* \\`cores\\`" in section
    )
    assert "- Machine: Some &lt;GPU&gt;; CPU threads: 2; PyTorch 2.14.1" in section
    assert "- Budget: 2 epochs in batches of 2" in section
    assert "4 train, 0 val, 4 test; digest of the split `5555555555555555`" in section
    assert "| l2 | ✓ beats every baseline (provisional) | **0.0210**<br>" in section
    assert ": binary 2, l2 2." in section, "the scored epochs"
    links = [part.split(")")[0] for part in section.split("](")[1:]]
    assert {"reference/far/comparison.png", "tables/reference/far.csv"} <= {*links}
    assert "figures/reference/far_validation_mse_h.svg" in links
    files = [link for link in links if link[0] != "#" and not link.startswith("../docs/")]
    assert all((paths.REPORTS / link).is_file() for link in files)
    html = Path("reports/report.html").read_text(encoding="utf-8")
    assert html.count('alt="Tiny_pictures (reference: Some &lt;GPU&gt;): completed images"') == 1
    claims = page.split("## Does it hold here?")[1].split("\n## ")[0]
    gain = float(np.mean(-10 * np.log10(GOOD / BAD)))
    place = "far (reference: Some &lt;GPU&gt;)"
    assert f"| {place} | ✓ supported | psnr\\_h: l2 - binary +{gain:.3f} \\[" in claims
    assert "l2" in Path("reports/tables/reference/far.csv").read_text()
    assert set(json.loads(Path("reports/summary.json").read_text())) == {"tiny"}
    assert not (near.root / paths.prepared("far")).exists()
    assert not (near.root / paths.SUITES / "far.yaml").exists()
    assert not (near.root / paths.VARIANTS / "binary.yaml").exists()


def test_own_results_and_reference_runs_of_one_suite_stand_side_by_side(far: Checkout) -> None:
    write_reference("far", pictures=True)
    write_report(load_params())
    content = json.loads(Path("reports/claims.json").read_text())["c3"]
    assert [f["suite"] for f in content["findings"]] == ["far", "far (reference: Some <GPU>)"]
    own, reference = (f["evidence"] for f in content["findings"])
    assert own == reference
    tables = Path("reports/tables")
    rows = [
        sorted((tables / name).read_text().splitlines())
        for name in ("far.csv", "reference/far.csv")
    ]
    assert rows[0] == rows[1]


def test_runs_of_other_settings_than_the_present_ones_are_marked_and_count_for_nothing(
    far: Checkout,
) -> None:
    write_reference("far", pictures=True)
    assert [reference.outdated for reference in read_references()] == [()]
    path = paths.VARIANTS / "binary.yaml"
    text = path.read_text()
    path.write_text(text.replace("title: ", "title: Another ", 1))
    assert [reference.outdated for reference in read_references()] == [()], "a title is no setting"
    path.write_text(text.replace("2e-4", "3e-4", 1))
    assert [reference.outdated for reference in read_references()] == [("binary",)]
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    section = page.split("\n## Tiny\\_pictures (reference: Some &lt;GPU&gt;) (`far`)\n")[1]
    section = section.split("\n## ")[0]
    made = json.loads((FOLDER / "reference.json").read_text())["version"]
    assert f"Made by {made}, whose settings of binary differ from the present ones" in section
    assert "✓" not in section and "✗" not in section
    claims = json.loads(Path("reports/claims.json").read_text())
    assert [f["suite"] for f in claims["c3"]["findings"]] == ["far"]


@pytest.mark.parametrize("by_earlier_version", [False, True])
def test_a_diagnosis_that_was_kept_tests_its_claim(
    by_earlier_version: bool, far: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.write_run("localizer", 0, GOOD)
    found = localizer("boundary")
    content = diagnosis("localizer", localizer=found) | {"suite": "far", "epoch": 2}
    far.write_json(paths.Run("far", "localizer", 0).diagnosis, content)
    write_reference("far", pictures=True)
    if by_earlier_version:  # which had one file a run, and no folder
        kept = FOLDER / "diagnostics/localizer/seed0"
        (kept / "predictions.json").rename(kept.with_suffix(".json"))
        kept.rmdir()
    kept_elsewhere(far, monkeypatch)
    write_report(load_params())
    content = json.loads(Path("reports/claims.json").read_text())["c6"]
    assert content["overall"] == "supported"
    # .8 - .3 in the first of four images, and a per cent more of it in each one after it.
    alone, more = content["findings"][0]["evidence"]
    assert more["difference"] == pytest.approx(0.5 * 1.015)
    assert alone["comparison"] == "iou of localizer of localizer: effect of the seam"


@pytest.mark.parametrize("kind", ["scores", "metrics", "curves", "provenance"])
def test_a_run_that_lacks_a_file_is_left_out_by_name(far: Checkout, kind: str) -> None:
    (path,) = Path("reports", kind, "far/binary").iterdir()
    path.unlink()
    facts = write_reference("far", pictures=True)
    assert facts.runs == {"l2": [0]}
    assert facts.left_out == {"far/binary/seed0": f"{path} is missing"}
    assert not (FOLDER / "variants/binary.yaml").exists()
    assert f"- `far/binary/seed0`: {path}" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("config_sha256", "it was trained with other settings than the present ones"),
        ("data_sha256", "it was trained on other images than the present ones"),
        (
            "init_from",
            "it started from the weights of another run, which may have seen the test images",
        ),
    ],
)
def test_a_run_of_other_settings_or_images_is_left_out(
    far: Checkout, key: str, message: str
) -> None:
    path = paths.Run("far", "binary", 0).provenance
    content = json.loads(path.read_text())
    content["training"][key] = "0" * 64
    far.write_json(path, content)
    assert write_reference("far", pictures=True).left_out == {"far/binary/seed0": message}


def test_a_run_of_a_variant_that_has_gone_is_left_out(far: Checkout) -> None:
    (paths.VARIANTS / "binary.yaml").unlink()
    assert write_reference("far", pictures=True).left_out == {
        "far/binary/seed0": "there is no variant binary"
    }


def test_variants_may_have_different_seeds(far: Checkout) -> None:
    far.write_run("l2", 3, GOOD + 0.002)
    far.params(["l2", "binary"], [0])
    assert write_reference("far", pictures=True).runs == {"binary": [0], "l2": [0, 3]}
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    section = page.split("\n## Tiny\\_pictures (reference")[1]
    assert "training seeds: 0, 3 (of binary 0)." in section
    # Means .021 and .023; sqrt(2) times half their distance is .0014.
    assert "0.0220 ± 0.0014" in section
    assert ": binary 2, l2 2 / 2." in section


def test_what_is_kept_already_is_not_replaced_unasked(far: Checkout) -> None:
    write_reference("far", "first")
    first = files_below(FOLDER)
    with pytest.raises(InputError, match=r"reports/reference/far: is there already; --add"):
        write_reference("far", "second")
    assert files_below(FOLDER) == first
    Path("reports/scores/far/l2/seed0.csv").write_text("damaged")
    with pytest.raises(InputError, match=r"scores/far/l2/seed0\.csv"):
        write_reference("far", "second", overwrite=True)
    assert files_below(FOLDER) == first, "a failure leaves the old ones"
    assert [path.name for path in FOLDER.parent.iterdir()] == ["far"]
    far.write_run("l2", 0, GOOD)
    assert write_reference("far", "second", overwrite=True).note == "second"


def test_runs_are_added_seed_by_seed_and_take_the_place_of_the_same_ones(far: Checkout) -> None:
    write_reference("far", "first")
    first = files_below(FOLDER)
    shutil.rmtree("reports/scores/far/binary")  # a clone has just what it has made
    far.write_run("l2", 0, BAD)
    far.write_run("l2", 2, GOOD)
    facts = write_reference("far", add=True)
    assert facts.runs == {"binary": [0], "l2": [0, 2]}
    assert (facts.note, facts.left_out) == ("first", {})
    assert set(facts.flops) == {"binary", "l2"}
    found = files_below(FOLDER)
    assert found.keys() - first.keys() == {
        f"{kind}/l2/seed2.{suffix}" for kind, suffix in
        (("metrics", "json"), ("scores", "csv"), ("curves", "csv"), ("provenance", "json"))
    }  # fmt: skip
    for name in ("scores/binary/seed0.csv", "provenance/binary/seed0.json"):
        assert found[name] == first[name]
    assert found["scores/l2/seed0.csv"] == Path("reports/scores/far/l2/seed0.csv").read_bytes()
    assert found["scores/l2/seed0.csv"] != first["scores/l2/seed0.csv"]
    assert write_reference("far", "second", add=True).note == "second"
    assert {**files_below(FOLDER)}.keys() == found.keys()


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        (
            "benchmark/suites/far.yaml",
            "Noise.",
            "Noise.\nevaluation: {examples: 3}",
            "the suite has",
        ),
        ("data/prepared/far/split.json", "5" * 16, "6" * 16, "the images or their splits are oth"),
        ("models/variants/binary.yaml", "lr: 2e-4", "lr: 3e-4", "the settings of binary are other"),
    ],
)
def test_runs_that_do_not_fit_those_that_are_there_are_not_added(
    path: str, old: str, new: str, message: str, far: Checkout
) -> None:
    write_reference("far", "first")
    first, text = files_below(FOLDER), Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))
    with pytest.raises(InputError, match=f"^{FOLDER}: {message}.*; --overwrite replaces it$"):
        write_reference("far", add=True)
    assert files_below(FOLDER) == first


def test_runs_beside_baselines_of_other_scores_are_not_added(far: Checkout) -> None:
    write_reference("far", "first")
    far.write_baselines(far.score_table("telea", 0, TELEA + 0.001))
    with pytest.raises(InputError, match=f"^{FOLDER}: its baselines have other scores than rep"):
        write_reference("far", add=True)


def test_to_add_and_to_replace_are_two_things(
    far: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reference", "--suite", "far", "--add", "--overwrite"]) == 2
    assert "--add: keeps what is there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("reports/provenance", r"no run is complete \(far/binary/seed0: reports/provenance/far"),
        ("reports/scores/far/baselines.csv", "`python -m benchmark baselines --suite far` makes"),
        ("data/prepared", "`python -m benchmark split --suite far` makes it"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(far: Checkout, gone: str, message: str) -> None:
    path = Path(gone)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match=message):
        write_reference("far", pictures=True)
    assert not FOLDER.exists()


def test_the_picture_has_as_many_rows_as_fit(
    drawn: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_reference("far", pictures=True).figure
    path = FOLDER / "comparison.png"
    with Image.open(path) as picture:
        tall = picture.height
    # The columns of both are the same, so that half the rows take about half the bytes.
    monkeypatch.setattr("benchmark.pipeline.reference.FIGURE_BYTES", path.stat().st_size * 2 // 3)
    assert write_reference("far", overwrite=True, pictures=True).figure
    with Image.open(path) as picture:
        assert picture.height == tall - 2 * (128 + 10)  # two rows of 128 px, 10 px apart
    monkeypatch.setattr("benchmark.pipeline.reference.FIGURE_BYTES", 0)
    assert not write_reference("far", overwrite=True, pictures=True).figure
    assert not path.exists()


def test_pictures_are_kept_only_where_that_is_asked_for(drawn: Checkout) -> None:
    assert not write_reference("far").figure
    assert not (FOLDER / "comparison.png").exists()
    assert "comparison.png" not in (FOLDER / "README.md").read_text()


def test_scores_are_kept_without_pictures_too(far: Checkout) -> None:
    shutil.rmtree("reports/completed")
    assert not write_reference("far", pictures=True).figure
    assert "comparison.png" not in (FOLDER / "README.md").read_text()
    assert [found.name for found in read_references()] == ["far"]


@pytest.mark.promise("damage")
@pytest.mark.parametrize("gone", ["scores/l2/seed0.csv", "curves/l2/seed0.csv", "comparison.png"])
def test_a_file_that_has_gone_is_named_with_the_command(far: Checkout, gone: str) -> None:
    write_reference("far", pictures=True)
    (FOLDER / gone).unlink()
    with pytest.raises(InputError) as caught:
        read_references()
    command = "`python -m benchmark reference --suite far --overwrite` makes it"
    assert str(caught.value) == f"{FOLDER / gone}: missing; {command}"


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nota": "x"}, "nota: unknown key, did you mean note?"),
        ({"runs": {}}, "runs: "),
        ({"runs": {"l2": []}}, "runs.l2: "),
        ({"split_counts": {"train": 1, "val": 1}}, "split_counts.test: this key is missing"),
    ],
)
def test_wrong_facts_are_named(far: Checkout, change: dict[str, Any], message: str) -> None:
    write_reference("far", pictures=True)
    path = FOLDER / "reference.json"
    far.write_json(path, json.loads(path.read_text()) | change)
    with pytest.raises(InputError) as caught:
        read_references()
    assert str(caught.value).startswith(f"{path}: {message}")


def test_references_come_sorted_and_unfinished_ones_not_at_all(far: Checkout) -> None:
    write_reference("far", pictures=True)
    for name in ("a", "z", ".half.partial"):
        shutil.copytree(FOLDER, FOLDER.with_name(name))
    (FOLDER.with_name("empty")).mkdir()
    assert [found.name for found in read_references()] == ["a", "far", "z"]


def test_machines_are_named_by_what_did_the_work(far: Checkout) -> None:
    far.environment.pop("gpu")
    far.write_run("binary", 0, BAD)
    write_reference("far", pictures=True)
    (found,) = read_references()
    assert found.machine == "Some CPU, Some <GPU>"


def test_the_command_says_what_it_kept(far: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    far.write_run("l2", 1, GOOD)
    paths.Run("far", "binary", 0).curves.unlink()
    assert main(["reference", "--suite", "far", "--note", "one"]) == 0
    said = capsys.readouterr()
    assert said.out == "reports/reference/far: 2 runs of 1 variants\n"
    assert said.err.startswith("left out: far/binary/seed0: reports/curves/far")
    assert main(["reference", "--suite", "far"]) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert main(["reference", "--suite", "far", "--overwrite", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["folder"] == "reports/reference/far" and said["runs"] == {"l2": [0, 1]}
    assert list(said["left_out"]) == ["far/binary/seed0"]
