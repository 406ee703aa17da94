"""Verification: which class applies, and the answer for results that are, or are not, the same.

Results are changed by hand, and a rebuild is replaced by a copy of the unchanged ones, except in
the tests that build for real.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.core.config import Params, load_suite, load_variant
from benchmark.pipeline.baselines import evaluate_baselines
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.reference import write_reference
from benchmark.pipeline.report import write_report
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.versions.diff import exactness
from benchmark.versions.expected import expected_results
from benchmark.versions.rebuild import (
    Rebuilt,
    Selection,
    Setting,
    file_md5,
    file_md5s,
    source_files,
)
from benchmark.versions.tolerances import (
    BASELINES,
    TOLERANCES,
    Measured,
    SuiteTolerances,
    Tolerances,
    origin_digest,
    write_tolerances,
)
from benchmark.versions.verification import Verification
from benchmark.versions.verify import verify
from data.errors import InputError
from tests.support.promises import tally
from tests.support.tiny import ROOT, files_below, params_text

pytestmark = pytest.mark.promise("verify")

RUN = paths.Run("tiny", "small", 0)
VARIANT = """\
title: A small network
origin: none
deviations: []
generator:
  network: attention_unet
  options: {channels: 4, attention: false}
  optimiser: {lr: 2e-4, betas: [0.5, 0.999]}
  losses: {hole_mse: {weight: 1.0, options: {average: image}}}
discriminators: {}
"""
MANIFEST = RUN.checkpoints / "manifest.json"
METRIC = "mse_h"
TOLERANCE = 3e-4
ELSEWHERE = "Some CPU (1-2-3, flags 0123abcd)"


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def build_everything() -> None:
    """Do in this process what the stages do."""
    suite, variant = load_suite("tiny"), load_variant("small")
    try:
        split_suite(suite)
        train_run(suite, variant, RUN, "cpu")
        evaluate_run(suite, variant, RUN, "cpu")
        evaluate_baselines(suite)
        write_report(Params.of_product(["tiny"], ["small"], [0]))
    finally:
        torch.use_deterministic_algorithms(False)  # training sets it for the whole process


class Kept:
    """A checkout with results of the tiny suite that are in git, and a copy of these results."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder / "checkout", folder / "results"

    def fill(self, patch: pytest.MonkeyPatch) -> None:
        """Make the checkout and its results."""
        patch.chdir(ROOT)
        for path in [*source_files(Path()), Path(".gitignore")]:
            if not path.is_relative_to("reports/reference"):
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.folder / path)
        patch.chdir(self.folder)
        patch.setenv("TORCH_HOME", str(self.folder.parent / "no_weights"))
        # Someone who edits the code meanwhile is no part of these tests.
        patch.setattr("benchmark.pipeline.train.stage_code", lambda stage: [])
        shutil.rmtree("reports/versions", ignore_errors=True)
        Path("reports/reference").mkdir()
        TOLERANCES.unlink(missing_ok=True)
        shutil.copy(ROOT / "tests/support/tiny_suite.yaml", "benchmark/suites/tiny.yaml")
        Path("params.yaml").write_text(params_text(["tiny"], ["small"], [0]))
        (paths.VARIANTS / "small.yaml").write_text(VARIANT)
        build_everything()
        for name in ("reports", "models/checkpoints"):
            shutil.copytree(name, self.results / name)
        git("init", "--quiet")
        git("add", "--all")
        git("commit", "--quiet", "--message", "state")

    def build(self, folder: Path, selection: Selection, setting: Setting, keep: bool) -> Rebuilt:
        """Stand in for `rebuild`: what comes out is what came out before."""
        for path in sorted((self.results / "reports").rglob("*")):
            name = path.relative_to(self.results)
            is_of_report = len(name.parts) == 2 or name.parts[1] in ("figures", "tables")
            if path.is_file() and is_of_report == selection.report:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / name)
        (folder / MANIFEST).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.results / MANIFEST, folder / MANIFEST)
        return Rebuilt(folder, {RUN: file_md5s(self.results / RUN.checkpoints)})


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    made = Kept(tmp_path_factory.mktemp("verify"))
    with pytest.MonkeyPatch.context() as patch:
        made.fill(patch)
    return made


@pytest.fixture
def checkout(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Make the checkout the present folder, and undo afterwards what a test has changed."""
    monkeypatch.chdir(kept.folder)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no_weights"))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    checkpoints = Path("models/checkpoints")
    yield kept
    assert list((tmp_path / "temporary").iterdir()) == []
    git("checkout", "--quiet", ".")
    git("clean", "--quiet", "--force", "-d")
    if files_below(checkpoints) != files_below(kept.results / checkpoints):
        shutil.rmtree(checkpoints, ignore_errors=True)
        shutil.copytree(kept.results / checkpoints, checkpoints)


def verified(kept: Kept) -> Verification:
    return verify(expected_results(), build=kept.build)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def expect_elsewhere() -> None:
    """Let the expected run come from another machine."""

    def change(content: Any) -> None:
        for facts in (content["training"]["environment"], content["evaluation"]):
            facts["cpu"] = ELSEWHERE

    edit(RUN.provenance, change)


def change_metric(by: float) -> None:
    def change(content: Any) -> None:
        content["methods"]["small"][METRIC]["mean"] += by

    edit(RUN.metrics, change)


def write_measured(config_sha256: str | None = None, baselines: float | None = None) -> None:
    """Write what was measured of the variant and, if that is wanted, of the baselines."""
    training = json.loads(RUN.provenance.read_text())["training"]
    small = training if config_sha256 is None else {**training, "config_sha256": config_sha256}
    tried = ("one_thread",)
    measured = {"small": Measured(digest=origin_digest(small), settings=tried, seeds=(0, 1))}
    tolerance = {"small": TOLERANCE}
    if baselines is not None:
        digest = origin_digest({"data_sha256": training["data_sha256"]})
        measured[BASELINES] = Measured(digest=digest, settings=tried)
        tolerance[BASELINES] = baselines
    found = {METRIC: {"tolerance": tolerance, "seed_sd": {"small": 0.0141}}}
    write_tolerances(Tolerances(suites={"tiny": SuiteTolerances(measured=measured, metrics=found)}))


def states(found: Verification) -> dict[str, str]:
    return {f"{f.path} {f.part}" if f.part else f.path: f.state for f in found.files}


def test_unchanged_results_are_identical(checkout: Kept) -> None:
    found = verified(checkout)
    assert (found.verdict, found.is_identical, found.exactness) == ("identical", True, "E0")
    assert found.reasons == [] and found.notes == []
    assert set(states(found).values()) == {"identical"}
    # Every file that the stages have written, except for the packed images.
    compared = {file.path for file in found.files}
    written = {f"reports/{name}" for name in files_below(checkout.results / "reports")}
    single = {name for name in written if "/templates/" not in name and "/baselines/" not in name}
    assert single <= compared
    assert {"models/checkpoints/tiny/small/seed0", "reports/completed/tiny/baselines"} <= compared
    assert {metric.state for metric in found.means} == {"identical"}
    assert git("status", "--porcelain") == ""


def test_one_byte_of_any_result_is_found(checkout: Kept) -> None:
    targets = [
        *(RUN.scores, RUN.curves, RUN.metrics, RUN.diagnosis, RUN.probes, RUN.completed),
        *(paths.baseline_scores("tiny"), paths.baseline_metrics("tiny")),
        *(paths.REPORTS / name for name in ("report.md", "report.html", "claims.json")),
        *(paths.REPORTS / name for name in ("figures/tiny_curves.png", "tables/tiny.csv")),
        paths.baseline_completed("tiny") / "telea.npy",
        RUN.checkpoints / "validation/epoch0001.png",
    ]
    for path in targets:
        before = path.read_bytes()
        # The last digit of a table, so that it stays one; in the middle of anything else.
        place = max(before.rfind(digit) for digit in b"0123456789")
        path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        found = verified(checkout)
        path.write_bytes(before)
        assert (found.verdict, found.is_identical, found.exactness) == ("different", False, "E0"), (
            path
        )
        changed = {name for name, state in states(found).items() if state == "different"}
        assert all(path.as_posix().startswith(name.split(" ")[0]) for name in changed), changed
        assert changed, path
        tally("changed results found")


def test_file_that_was_not_rebuilt_is_found(checkout: Kept) -> None:
    def build(folder: Path, *rest: Any) -> Rebuilt:
        rebuilt = checkout.build(folder, *rest)
        (folder / RUN.probes).unlink(missing_ok=True)
        return rebuilt

    found = verify(expected_results(), build=build)
    assert states(found)[RUN.probes.as_posix()] == "different" and found.verdict == "different"


@pytest.mark.parametrize("by", [TOLERANCE / 2, -TOLERANCE / 2, TOLERANCE * 2, -TOLERANCE * 2])
def test_metric_on_another_machine(checkout: Kept, by: float) -> None:
    write_measured()
    expect_elsewhere()
    change_metric(by)
    found = verified(checkout)
    assert found.exactness == "E2"
    cpu = json.loads((checkout.results / RUN.provenance).read_text())["evaluation"]["cpu"]
    assert found.reasons == [f"cpu: {cpu} here, {ELSEWHERE} expected"]
    expected = "within tolerance" if abs(by) < TOLERANCE else "different"
    assert (found.verdict, found.is_identical) == (expected, False)
    changed = [metric for metric in found.means if metric.state != "identical"]
    assert [(m.method, m.metric, m.state) for m in changed] == [("small", METRIC, expected)]
    # 1e-12: the sum of two numbers below 1 is rounded at 1e-16.
    assert changed[0].difference == pytest.approx(-by, abs=1e-12)
    assert changed[0].tolerance == TOLERANCE
    assert changed[0].seed_sd == 0.0141
    tally("changed results found")


def test_nothing_but_equality_is_good_enough_on_the_same_machine(checkout: Kept) -> None:
    write_measured()
    change_metric(TOLERANCE / 2)
    found = verified(checkout)
    assert (found.exactness, found.verdict) == ("E0", "different")
    tally("changed results found")


def test_without_tolerances_a_changed_metric_is_different(checkout: Kept) -> None:
    expect_elsewhere()
    change_metric(1e-9)
    found = verified(checkout)
    assert found.verdict == "different"
    assert found.notes == [
        "no tolerances were measured; `python -m benchmark tolerances` measures them"
    ]
    assert "no tolerance" in found.as_text()


def test_tolerances_of_other_settings_do_not_apply(checkout: Kept) -> None:
    write_measured(config_sha256="0" * 64)
    expect_elsewhere()
    change_metric(TOLERANCE / 2)
    found = verified(checkout)
    assert found.verdict == "different"
    assert any("tiny/small were measured with other settings or images" in n for n in found.notes)


def test_baselines_have_tolerances_of_their_own(checkout: Kept) -> None:
    write_measured(baselines=3e-5)
    expect_elsewhere()

    def change(content: Any) -> None:
        content["methods"]["telea"][METRIC]["mean"] += 2.5e-5

    edit(paths.baseline_metrics("tiny"), change)
    assert verified(checkout).verdict == "within tolerance"
    edit(paths.baseline_metrics("tiny"), change)  # within the tolerance of variants
    assert verified(checkout).verdict == "different"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_other_data_is_different_in_every_class(checkout: Kept, elsewhere: bool) -> None:
    if elsewhere:
        expect_elsewhere()

    def change(content: Any) -> None:
        content["training"]["data_sha256"] = "0" * 64

    edit(RUN.provenance, change)
    found = verified(checkout)
    assert found.verdict == "different"
    assert states(found)[f"{RUN.provenance} data_sha256"] == "different"
    assert {metric.state for metric in found.means} == {"identical"}
    tally("changed results found")


def test_other_holes_are_different_in_every_class(checkout: Kept) -> None:
    expect_elsewhere()
    lines = RUN.scores.read_text().splitlines(keepends=True)
    fields = lines[1].split(",")
    fields[3] = "0123456789abcdef"
    RUN.scores.write_text("".join([lines[0], ",".join(fields), *lines[2:]]))
    found = verified(checkout)
    assert states(found)[f"{RUN.scores} images and holes"] == "different"
    assert found.verdict == "different"
    tally("changed results found")


def test_other_code_is_said_and_is_no_difference(checkout: Kept) -> None:
    def change(content: Any) -> None:
        content["training"]["code_sha256"] = "0" * 64

    edit(RUN.provenance, change)
    edit(MANIFEST, lambda content: content.update(code_sha256="0" * 64))
    found = verified(checkout)
    assert states(found)[f"{RUN.provenance} code_sha256"] == "different"
    # The weights are identical although the manifest beside them names the code.
    assert states(found)[RUN.checkpoints.as_posix()] == "identical"
    assert found.verdict == "identical"
    assert found.as_text().startswith(
        "note: the code is not the one that made the expected results"
    )


def test_weights_are_compared_with_the_lock_file(checkout: Kept) -> None:
    shutil.rmtree(RUN.checkpoints)
    assert states(verified(checkout))[RUN.checkpoints.as_posix()] == "nothing expected"
    lock_weights(file_md5(RUN.curves))
    found = verified(checkout)
    assert states(found)[RUN.checkpoints.as_posix()] == "different"
    assert found.verdict == "different"


def test_lock_file_of_other_results_is_not_asked(checkout: Kept) -> None:
    # As where the stages ran without DVC since.
    lock_weights("0" * 32)
    assert states(verified(checkout))[RUN.checkpoints.as_posix()] == "identical"


def lock_weights(curves_md5: str) -> None:
    outs = f"{{path: {RUN.checkpoints}, md5: 0123.dir}}, {{path: {RUN.curves}, md5: {curves_md5}}}"
    stage = f"  train@tiny-small-0: {{outs: [{outs}]}}\n"
    Path("dvc.lock").write_text(f"schema: '2.0'\nstages:\n{stage}")


def test_answer_in_both_forms(checkout: Kept) -> None:
    change_metric(-1.0)
    found = verified(checkout)
    content = json.loads(json.dumps(found.as_json()))
    assert set(content) == {
        "identical", "class", "reasons", "notes", "files", "metrics", "verdict"
    }  # fmt: skip
    assert (content["identical"], content["class"], content["verdict"]) == (
        False, "E0", "different",
    )  # fmt: skip
    [metric] = [m for m in content["metrics"] if (m["method"], m["metric"]) == ("small", METRIC)]
    assert metric["difference"] == pytest.approx(1.0, abs=1e-12)
    assert (metric["state"], metric["tolerance"]) == ("different", None)
    lines = found.as_text().splitlines()
    assert lines[0].startswith("class E0: ")
    assert f"different        {RUN.metrics}" in lines
    [line] = [line for line in lines if f" small {METRIC}: " in line]
    assert line.endswith("difference +1, no tolerance")
    assert lines[-1].startswith("verdict: different; class E0; ")
    assert lines[-1].endswith("not as promised: tiny/small/seed0")


def test_what_was_made_without_lpips_is_built_without(checkout: Kept) -> None:
    environments = []

    def build(folder: Path, selection: Selection, setting: Setting, keep: bool) -> Rebuilt:
        environments.append(setting.environment)
        assert not Path(setting.environment["TORCH_HOME"]).exists()
        return checkout.build(folder, selection, setting, keep)

    verify(expected_results(), build=build)
    assert len(environments) == 2


def refusal(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["verify", *options]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    return message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--suite", "tinny"), "Did you mean tiny?"),
        (("--suite", "photos"), "no expected result of suite photos; there are those of tiny"),
        (("--variant", "staged"), "no expected result of variant staged; there are those of small"),
        (("--variant", "locliser"), "no variant 'locliser'"),
        (("--seed", "7"), "no expected result of seed 7; there are those of 0"),
        (("--reference",), "--reference: needs --suite; there are none"),
        (("--reference", "--suite", "tiny"), "no reference runs of suite 'tiny'"),
    ],
)
def test_nothing_to_compare_with(
    checkout: Kept, options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refusal(capsys, *options)


@pytest.mark.parametrize(
    "path",
    [
        *(RUN.metrics, RUN.provenance, RUN.scores, RUN.curves, paths.baseline_metrics("tiny")),
        paths.REPORTS / "report.md",
    ],
)
def test_missing_result(checkout: Kept, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.unlink()
    message = refusal(capsys)
    assert "no expected result of" in message and f"{path} is missing" in message


@pytest.mark.parametrize("content", ["[]", '{"missing": null}', '{"training": []}'])
@pytest.mark.parametrize("path", [RUN.metrics, RUN.provenance])
def test_damaged_result(
    checkout: Kept, path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(content)
    refusal(capsys)


def test_result_of_other_settings(checkout: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    suite = Path("benchmark/suites/tiny.yaml")
    suite.write_text(suite.read_text().replace("epochs: 2", "epochs: 3"))
    assert "no expected result of tiny/small/seed0 with the present settings" in refusal(capsys)


def test_expected_lpips_that_cannot_be_computed(
    checkout: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(RUN.metrics, lambda content: content["missing"].clear())
    message = refusal(capsys)
    assert "lpips_alex is expected and cannot be computed here" in message
    assert "python -m benchmark weights" in message


def test_interrupt_leaves_nothing(checkout: Kept) -> None:
    def build(folder: Path, *_: Any) -> Rebuilt:
        assert (folder / "benchmark/pipeline/train.py").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(expected_results(), build=build)


def test_kept_copy_stays(checkout: Kept, tmp_path: Path) -> None:
    place = tmp_path / "copy"
    verify(expected_results(), keep=place, build=checkout.build)
    assert (place / RUN.metrics).read_bytes() == RUN.metrics.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        verify(expected_results(), keep=place, build=checkout.build)


def test_reference_runs_are_built_with_their_own_settings(checkout: Kept) -> None:
    write_reference("tiny", "two epochs")
    suite = paths.SUITES / "tiny.yaml"
    stored = suite.read_bytes()
    suite.write_text(suite.read_text().replace("epochs: 2", "epochs: 30"))
    RUN.metrics.unlink()
    seen = []

    def build(folder: Path, *rest: Any) -> Rebuilt:
        seen.append((folder / suite).read_bytes())
        return checkout.build(folder, *rest)

    found = verify(expected_results("tiny", reference=True), build=build)
    assert seen == [stored]  # and no report, which is about more than these runs
    assert (found.verdict, found.exactness) == ("identical", "E0")
    assert states(found)[RUN.checkpoints.as_posix()] == "nothing expected"
    assert states(found)[f"{RUN.provenance} weights_sha256"] == "identical"
    kept = paths.kept(paths.reference("tiny"), RUN.scores)
    kept.write_text(kept.read_text().replace("0", "1", 1))
    assert verify(expected_results("tiny", reference=True), build=build).verdict == "different"
    tally("changed results found")


def test_images_of_reference_runs_are_missing(
    checkout: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    write_reference("tiny")
    stored = paths.reference("tiny") / "suite.yaml"
    source = "source: {name: portraits, count: 72, seed: 0}"
    stored.write_text(stored.read_text().replace(source, "source: {name: image_folder}"))
    assert "data/raw/tiny: no such folder" in refusal(capsys, "--reference", "--suite", "tiny")


FACTS = {"cpu": "a", "device": "cpu", "threads": 2, "libraries": {"torch": "2.1"}}
ON_GPU = FACTS | {"device": "cuda", "gpu": "H"}


def origin(facts: dict[str, Any] | None) -> dict[str, Any]:
    return {"training": {"environment": facts}, "evaluation": facts}


@pytest.mark.parametrize(
    ("here", "there", "deterministic", "expected"),
    [
        (FACTS, FACTS, True, ("E0", [])),
        (FACTS, FACTS, False, ("E0", [])),
        (ON_GPU, ON_GPU, True, ("E1", [])),
        (ON_GPU, ON_GPU, False, ("E2", ["training.deterministic is false"])),
        (FACTS, FACTS | {"threads": 8}, True, ("E2", ["threads: 2 here, 8 expected"])),
        (
            FACTS,
            FACTS | {"libraries": {"torch": "2.0"}},
            True,
            ("E2", ["libraries.torch: 2.1 here, 2.0 expected"]),
        ),
        (
            FACTS,
            ON_GPU,
            True,
            ("E2", ["device: cpu here, cuda expected", "gpu: none here, H expected"]),
        ),
        (FACTS, None, True, ("E2", ["the expected results have no fingerprint of the machine"])),
    ],
)
def test_classes(
    here: dict[str, Any], there: dict[str, Any] | None, deterministic: bool, expected: object
) -> None:
    assert exactness(origin(here), origin(there), deterministic) == expected


def test_training_and_scoring_on_two_machines() -> None:
    there = {"training": {"environment": FACTS}, "evaluation": FACTS | {"cpu": "b"}}
    assert exactness(origin(FACTS), there, True) == ("E2", ["cpu: a here, b expected"])


def run_json(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    code = main(["verify", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_real_rebuild(checkout: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run_json(capsys, "--variant", "small")
    assert (code, found["verdict"], found["class"]) == (0, "identical", "E0")
    assert found["identical"] is True and found["reasons"] == []
    assert len(found["files"]) == 12
    assert git("status", "--porcelain") == ""
    assert not RUN.scratch.exists() or not any(RUN.scratch.rglob("*.safetensors"))


@pytest.mark.slow
def test_real_rebuild_of_everything(checkout: Kept, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run_json(capsys)
    assert (code, found["verdict"], found["class"]) == (0, "identical", "E0")
    assert "reports/report.md" in {file["path"] for file in found["files"]}
    assert git("status", "--porcelain") == ""
    change_metric(1e-9)
    code, found = run_json(capsys)
    assert (code, found["verdict"]) == (1, "different")
    tally("changed results found")
