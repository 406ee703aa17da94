"""Verification: which class applies, and the answer for results that are, or are not, the same.

Results are changed by hand, and a rebuild is replaced by a copy of the unchanged ones, except in
the tests that build for real.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.core.config import Params, load_suite, load_variant
from benchmark.core.portable import ANY_CPU
from benchmark.evaluation.provenance import AnyProvenance, record_evaluation
from benchmark.pipeline.baselines import evaluate_baselines
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.reference import write_reference
from benchmark.pipeline.report import write_report
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.versions.diff import machine_differences
from benchmark.versions.rebuild import Setting, Stage, copy_sources, run_options, run_stages
from benchmark.versions.tolerances import (
    BASELINES,
    TOLERANCES,
    Measured,
    SuiteTolerances,
    Tolerances,
    origin_digest,
    write_tolerances,
)
from benchmark.versions.verification import Part, Verification, exactness, weakest
from benchmark.versions.verify import kept_results, verify
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
  optimizer: {lr: 2e-4, betas: [0.5, 0.999]}
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
        copy_sources(self.folder)
        shutil.copy(".gitignore", self.folder)
        patch.chdir(self.folder)
        patch.setenv("TORCH_HOME", str(self.folder.parent / "no_weights"))
        # Someone who edits the code meanwhile is no part of these tests.
        patch.setattr("benchmark.pipeline.train.stage_code", lambda stage: [])
        for name in ("versions", "reference"):
            shutil.rmtree(paths.REPORTS / name, ignore_errors=True)
        paths.REFERENCES.mkdir()
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

    def build(self, folder: Path, stages: Sequence[Stage], setting: Setting) -> None:
        """Stand in for `run_stages`: what comes out is what came out before."""
        for path in sorted(p for p in self.results.rglob("*") if p.is_file()):
            name = path.relative_to(self.results)
            is_of_report = len(name.parts) == 2 or name.parts[1] in ("figures", "tables")
            if is_of_report == (stages == [("report",)]):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / name)


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
    monkeypatch.setattr("benchmark.versions.verify.run_stages", kept.build)
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


def verified() -> Verification:
    return verify(kept_results())


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


def means(found: Verification) -> list[Any]:
    return [mean for mean in found.as_json()["metrics"] if mean["state"] != "identical"]


def test_unchanged_results_are_identical(checkout: Kept) -> None:
    found = verified()
    assert (found.verdict, found.exactness) == ("identical", "E0")
    assert found.reasons == [] and found.notes == [] and means(found) == []
    assert set(found.files.values()) == {True}
    # Every file that the stages have written, except for the packed images.
    written = files_below(checkout.results)
    ours = {n for n in written if "/provenance/" not in n}
    inputs = {MANIFEST.as_posix(), "reports/throughput.json"}  # the second one is no stage's
    assert ours - inputs <= set(found.files)
    assert git("status", "--porcelain") == ""


def test_one_byte_of_any_result_is_found(checkout: Kept) -> None:
    targets = [
        *(RUN.scores, RUN.curves, RUN.metrics, RUN.diagnosis, RUN.completed),
        *(paths.baseline_scores("tiny"), paths.baseline_metrics("tiny")),
        *(paths.REPORTS / name for name in ("report.md", "report.html", "claims.json")),
        *(
            paths.REPORTS / name
            for name in ("figures/tiny_validation_mse_h.svg", "tables/tiny.csv")
        ),
        paths.baseline_completed("tiny") / "telea.npy",
        RUN.checkpoints / "validation/epoch0001.png",
    ]
    for path in targets:
        before = path.read_bytes()
        # The last digit of a table, so that it stays one; in the middle of anything else.
        place = max(before.rfind(digit) for digit in b"0123456789")
        path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        found = verified()
        path.write_bytes(before)
        assert (found.verdict, found.exactness) == ("different", "E0"), path
        assert [name for name, same in found.files.items() if not same] == [path.as_posix()]
        tally("changed results found")


def test_file_that_was_not_rebuilt_is_found(
    checkout: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(folder: Path, *rest: Any) -> None:
        checkout.build(folder, *rest)
        (folder / RUN.curves).unlink(missing_ok=True)

    monkeypatch.setattr("benchmark.versions.verify.run_stages", build)
    found = verified()
    assert not found.files[RUN.curves.as_posix()] and found.verdict == "different"


@pytest.mark.parametrize("by", [TOLERANCE / 2, -TOLERANCE / 2, TOLERANCE * 2, -TOLERANCE * 2])
def test_metric_on_another_machine(checkout: Kept, by: float) -> None:
    write_measured()
    expect_elsewhere()
    change_metric(by)
    found = verified()
    assert found.exactness == "E2"
    cpu = json.loads((checkout.results / RUN.provenance).read_text())["evaluation"]["cpu"]
    assert found.reasons == [f"cpu: {cpu} now, {ELSEWHERE} before"]
    expected = "within tolerance" if abs(by) < TOLERANCE else "different"
    assert found.verdict == expected
    [changed] = means(found)
    assert [changed[k] for k in ("method", "metric", "state")] == ["small", METRIC, expected]
    # 1e-12: the sum of two numbers below 1 is rounded at 1e-16.
    assert changed["here"] - changed["expected"] == pytest.approx(-by, abs=1e-12)
    assert changed["tolerance"] == TOLERANCE
    tally("changed results found")


def test_nothing_but_equality_is_good_enough_on_the_same_machine(checkout: Kept) -> None:
    write_measured()
    change_metric(TOLERANCE / 2)
    found = verified()
    assert (found.exactness, found.verdict) == ("E0", "different")
    tally("changed results found")


def test_without_tolerances_a_changed_metric_is_different(checkout: Kept) -> None:
    expect_elsewhere()
    change_metric(1e-9)
    found = verified()
    assert found.verdict == "different"
    assert len(found.notes) == 2  # of the run, and of the baselines
    assert all("no tolerances were measured for tiny/" in note for note in found.notes)
    assert "no tolerance" in found.as_text()


def test_tolerances_of_other_settings_do_not_apply(checkout: Kept) -> None:
    write_measured(config_sha256="0" * 64)
    expect_elsewhere()
    change_metric(TOLERANCE / 2)
    found = verified()
    assert found.verdict == "different"
    assert any("no tolerances were measured for tiny/small" in note for note in found.notes)


def test_baselines_have_tolerances_of_their_own(checkout: Kept) -> None:
    write_measured(baselines=3e-5)
    expect_elsewhere()

    def change(content: Any) -> None:
        content["methods"]["telea"][METRIC]["mean"] += 2.5e-5

    edit(paths.baseline_metrics("tiny"), change)
    assert verified().verdict == "within tolerance"
    edit(paths.baseline_metrics("tiny"), change)  # within the tolerance of variants
    assert verified().verdict == "different"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_other_data_is_different_in_every_class(checkout: Kept, elsewhere: bool) -> None:
    if elsewhere:
        expect_elsewhere()

    def change(content: Any) -> None:
        content["training"]["data_sha256"] = "0" * 64

    edit(RUN.provenance, change)
    found = verified()
    assert found.verdict == "different"
    assert not found.files[f"{RUN.provenance}: data_sha256"] and means(found) == []
    tally("changed results found")


def test_other_holes_are_different_in_every_class(checkout: Kept) -> None:
    write_measured(baselines=1.0)
    expect_elsewhere()
    lines = RUN.scores.read_text().splitlines(keepends=True)
    fields = lines[1].split(",")
    fields[3] = "0123456789abcdef"
    RUN.scores.write_text("".join([lines[0], ",".join(fields), *lines[2:]]))
    found = verified()
    assert found.verdict == "different" and means(found) == []
    tally("changed results found")


def test_other_code_is_said_and_is_no_difference(checkout: Kept) -> None:
    def change(content: Any) -> None:
        content["training"]["code_sha256"] = "0" * 64

    edit(RUN.provenance, change)
    edit(MANIFEST, lambda content: content.update(code_sha256="0" * 64))
    found = verified()
    assert found.verdict == "identical"
    assert found.as_text().startswith("note: tiny/small/seed0 is of other code")


def test_weights_are_compared_by_their_digest_too(checkout: Kept) -> None:
    shutil.rmtree(RUN.checkpoints)
    assert verified().verdict == "identical"
    edit(RUN.provenance, lambda content: content["training"].update(weights_sha256="0" * 64))
    found = verified()
    assert not found.files[f"{RUN.provenance}: weights_sha256"] and found.verdict == "different"


def test_answer_in_both_forms(checkout: Kept) -> None:
    change_metric(-1.0)
    found = verified()
    content = json.loads(json.dumps(found.as_json()))
    assert set(content) == {
        "identical", "class", "reasons", "notes", "files", "metrics", "verdict"
    }  # fmt: skip
    assert (content["identical"], content["class"], content["verdict"]) == (
        False, "E0", "different",
    )  # fmt: skip
    [metric] = [m for m in content["metrics"] if (m["method"], m["metric"]) == ("small", METRIC)]
    assert (metric["state"], metric["tolerance"]) == ("different", None)
    lines = found.as_text().splitlines()
    assert lines[0].startswith("class E0: ")
    assert f"different        {RUN.metrics}" in lines
    [line] = [line for line in lines if f" small {METRIC}: " in line]
    assert line.endswith(" expected, no tolerance")
    assert lines[-1].startswith("verdict: different; class E0; ")
    assert lines[-1].endswith("not as promised: tiny/small/seed0")


def test_what_was_made_without_lpips_is_built_without(
    checkout: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments = []

    def build(folder: Path, stages: Sequence[Stage], setting: Setting) -> None:
        environments.append(setting.environment)
        assert not Path(setting.environment["TORCH_HOME"]).exists()
        checkout.build(folder, stages, setting)

    monkeypatch.setattr("benchmark.versions.verify.run_stages", build)
    verified()
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
        (("--suite", "photos"), "no such results are kept; there are those of tiny/small/seed0"),
        (("--variant", "staged"), "no such results are kept"),
        (("--variant", "locliser"), "no variant 'locliser'"),
        (("--seed", "7"), "no such results are kept"),
        (("--reference",), "--reference: needs --suite, one of: none"),
        (("--reference", "--suite", "tiny"), "--reference: needs --suite, one of: none"),
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
    assert f"{path}: missing; `dvc repro` makes it" in message


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
    assert "no results of tiny/small/seed0 with the present settings" in refusal(capsys)


def test_interrupt_leaves_nothing(checkout: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path, *_: Any) -> None:
        assert (folder / "benchmark/pipeline/train.py").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.versions.verify.run_stages", build)
    with pytest.raises(KeyboardInterrupt):
        verified()


def test_kept_copy_stays(checkout: Kept, tmp_path: Path) -> None:
    place = tmp_path / "copy"
    verify(kept_results(), keep=place)
    assert (place / RUN.metrics).read_bytes() == RUN.metrics.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        verify(kept_results(), keep=place)


def test_reference_runs_are_built_with_their_own_settings(
    checkout: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reference("tiny", "two epochs")
    suite = paths.SUITES / "tiny.yaml"
    stored = suite.read_bytes()
    suite.write_text(suite.read_text().replace("epochs: 2", "epochs: 30"))
    RUN.metrics.unlink()
    seen = []

    def build(folder: Path, *rest: Any) -> None:
        seen.append((folder / suite).read_bytes())
        checkout.build(folder, *rest)

    monkeypatch.setattr("benchmark.versions.verify.run_stages", build)
    found = verify(kept_results("tiny", reference=True))
    assert seen == [stored]  # and no report, which is about more than these runs
    assert (found.verdict, found.exactness) == ("identical", "E0")
    assert f"{RUN.provenance}: weights_sha256" in found.files
    kept = paths.kept(paths.reference("tiny"), RUN.scores)
    kept.write_text(kept.read_text().replace("0", "1", 1))
    assert verify(kept_results("tiny", reference=True)).verdict == "different"
    tally("changed results found")


def test_reference_runs_are_built_with_the_code_of_their_commit(
    checkout: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = Path("models/losses.py")
    stored = code.read_text()
    record_evaluation(RUN, {"commit": git("rev-parse", "HEAD").strip(), "dirty": False})
    write_reference("tiny", "")
    code.write_text("raise RuntimeError")
    seen = []

    def build(folder: Path, *rest: Any) -> None:
        seen.append((folder / code).read_text())
        checkout.build(folder, *rest)

    monkeypatch.setattr("benchmark.versions.verify.run_stages", build)
    found = verify(kept_results("tiny", reference=True))
    assert (found.verdict, seen) == ("identical", [stored])
    assert "whose code builds it again" in found.notes[0]
    version = paths.kept(paths.reference("tiny"), RUN.version)
    edit(version, lambda content: content["evaluation"].update(commit="0" * 40))
    assert (
        "its commit is not in this repository (000000000000): the present code"
        in (verify(kept_results("tiny", reference=True)).notes[0])
    )
    assert seen == [stored, "raise RuntimeError"]


def test_weakest_of_some_parts_is_that_of_the_least_promise() -> None:
    parts = [Part(name, name, [], {}) for name in ("E0", "P", "E2", "E1")]
    assert weakest(parts).name == "E2"
    assert weakest(parts[:2]).name == "E0"


FACTS = {"cpu": "a", "device": "cpu", "threads": 2, "libraries": {"torch": "2.1"}}
PORTABLE = FACTS | {"cpu": ANY_CPU}
ON_GPU = FACTS | {"device": "cuda", "gpu": "H"}


@pytest.mark.parametrize(
    ("here", "there", "deterministic", "expected"),
    [
        (FACTS, FACTS, True, ("E0", [])),
        (PORTABLE, PORTABLE, True, ("P", [])),
        (FACTS, FACTS, False, ("E0", [])),
        (ON_GPU, ON_GPU, True, ("E1", [])),
        (ON_GPU, ON_GPU, False, ("E2", ["training.deterministic is false"])),
        (FACTS, FACTS | {"threads": 8}, True, ("E2", ["threads: 2 now, 8 before"])),
        (
            FACTS,
            FACTS | {"libraries": {"torch": "2.0"}},
            True,
            ("E2", ["libraries.torch: 2.1 now, 2.0 before"]),
        ),
        (
            FACTS,
            ON_GPU,
            True,
            ("E2", ["device: cpu now, cuda before", "gpu: none now, H before"]),
        ),
        (FACTS, {}, True, ("E2", ["the kept results do not say on which machine they were made"])),
    ],
)
def test_classes(
    here: dict[str, Any], there: dict[str, Any], deterministic: bool, expected: object
) -> None:
    kept = AnyProvenance.model_validate({"training": {"environment": there}, "evaluation": there})
    differences = machine_differences(here, there) if there else []
    assert exactness(kept, differences, deterministic) == expected


def test_scored_on_another_machine(checkout: Kept) -> None:
    edit(RUN.provenance, lambda content: content["evaluation"].update(cpu="b"))
    assert verified().exactness == "E2"


def run_json(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    code = main(["verify", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def make_by_commands() -> None:
    """Score and report as a user does: this process has loaded NumPy without `cap_arrays`."""
    stages = [("evaluate", *run_options(RUN)), ("baselines", "--suite", "tiny"), ("report",)]
    run_stages(Path(), stages, Setting("usual"))


def test_real_rebuild(
    checkout: Kept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.versions.verify.run_stages", run_stages)
    code, found = run_json(capsys, "--variant", "small")
    assert (code, found["verdict"], found["class"]) == (0, "identical", "E0")
    assert found["identical"] is True and found["reasons"] == []
    assert {file["identical"] for file in found["files"]} == {True}
    assert git("status", "--porcelain") == ""
    assert not RUN.scratch.exists() or not any(RUN.scratch.rglob("*.safetensors"))


@pytest.mark.slow
def test_real_rebuild_of_reference_runs_with_the_code_of_their_commit(
    checkout: Kept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.versions.verify.run_stages", run_stages)
    make_by_commands()
    record_evaluation(RUN, {"commit": git("rev-parse", "HEAD").strip(), "dirty": False})
    write_reference("tiny", "")
    Path("models/losses.py").write_text("raise RuntimeError")
    code, found = run_json(capsys, "--reference", "--suite", "tiny")
    assert (code, found["verdict"], found["class"]) == (0, "identical", "E0")


@pytest.mark.slow
def test_real_rebuild_of_everything(
    checkout: Kept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.versions.verify.run_stages", run_stages)
    make_by_commands()
    before = git("status", "--porcelain")
    code, found = run_json(capsys)
    assert (code, found["verdict"], found["class"]) == (0, "identical", "E0")
    assert "reports/report.md" in {file["path"] for file in found["files"]}
    assert git("status", "--porcelain") == before
    change_metric(1e-9)
    code, found = run_json(capsys)
    assert (code, found["verdict"]) == (1, "different")
    tally("changed results found")
