"""The command line: wrong input gives one line and exit code 2, and loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.__main__ import main
from data.errors import InputError
from tests.support.layouts import put_images

ROOT = Path(__file__).resolve().parents[2]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused and return its message."""
    assert main(list(arguments)) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    return message


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_unknown_variant(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, stage, "--suite", "portraits", "--variant", "locliser")
    assert "'locliser'" in message and "localizer" in message


@pytest.mark.promise("configuration")
def test_missing_root(capsys: pytest.CaptureFixture[str]) -> None:
    message = refusal(capsys, "split", "--suite", "celeba_1024_128", "--root", "/no/such/place")
    assert "/no/such/place: no such folder" in message


def test_write_that_fails_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device", "/some/file")

    monkeypatch.setattr("benchmark.pipeline.split.split_suite", full_disk)
    assert "/some/file: No space left" in refusal(capsys, "split", "--suite", "portraits")


@pytest.mark.promise("code")
def test_code_that_changes_while_a_stage_runs_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = ROOT / "benchmark/pipeline/split.py"
    monkeypatch.setattr("benchmark.__main__.snapshot", lambda: {changed: "another digest"})
    monkeypatch.setattr("benchmark.pipeline.report.read_report", lambda *_, **__: None)
    monkeypatch.setattr("benchmark.reporting.readme.update_readme", lambda _: None)
    from benchmark.pipeline import split  # so that the module counts as loaded

    assert Path(split.__file__) == changed
    assert f"{changed} changed while this ran" in refusal(capsys, "readme")


@pytest.mark.promise("code")
@pytest.mark.parametrize("folder", ["benchmark/suites", "models/variants"])
def test_settings_that_change_while_a_stage_runs_are_refused(
    folder: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shutil.copytree(ROOT / "benchmark/suites", tmp_path / "benchmark/suites")
    shutil.copytree(ROOT / "models/variants", tmp_path / "models/variants")
    monkeypatch.chdir(tmp_path)
    names = {"benchmark/suites": "portraits", "models/variants": "l2"}
    edited = Path(folder, f"{names[folder]}.yaml").absolute()

    def train_and_edit(*_: object) -> None:
        edited.write_text(edited.read_text() + "\n")
        # What is not read may change.
        Path("models/variants/binary.yaml").write_text("")

    monkeypatch.setattr("benchmark.pipeline.train.train_run", train_and_edit)
    monkeypatch.setattr("benchmark.evaluation.provenance.record_training", lambda *_: None)
    words = ["train", "--suite", "portraits", "--variant", "l2"]
    assert f"{edited} changed while this ran; run it again" in refusal(capsys, *words)
    monkeypatch.setattr("benchmark.pipeline.train.train_run", lambda *_: None)
    assert main(words) == 0


def test_training_before_splitting_names_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("benchmark", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    message = refusal(capsys, "train", "--suite", "portraits", "--variant", "l2")
    assert "`python -m benchmark split --suite portraits` makes it" in message


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_device_that_is_not_there(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    options = ["--suite", "portraits", "--variant", "l2", "--device", "cuda"]
    assert "cuda" in refusal(capsys, stage, *options).lower()


def test_attach_refuses_to_hide_a_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "benchmark").symlink_to(ROOT / "benchmark")
    images = tmp_path / "images"
    images.mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["attach", "--suite", "photos", str(images)]) == 0
    assert (tmp_path / "data/raw/photos").resolve() == images
    assert main(["attach", "--suite", "photos", str(images)]) == 0  # a link may be replaced
    (tmp_path / "data/raw/photos").unlink()
    (tmp_path / "data/raw/photos").mkdir()
    capsys.readouterr()
    assert "is a folder of its own" in refusal(capsys, "attach", "--suite", "photos", str(images))
    assert "no such folder" in refusal(capsys, "attach", "--suite", "photos", str(tmp_path / "x"))


def test_split_says_how_many_groups_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    put_images(Path("data/raw/tiny"), *(f"{i:02d}_{j}.png" for i in range(12) for j in range(2)))
    text = (ROOT / "tests/support/tiny_suite.yaml").read_text("utf-8")
    source = "{name: image_folder, groups: '^([0-9]+)_'}"
    for old, new in (
        ("{name: portraits, count: 72, seed: 0}", source),
        ("train: 48, val: 12, test: 12", "train: 16, val: 4, test: 4"),
    ):
        assert old in text
        text = text.replace(old, new)
    Path("benchmark/suites").mkdir(parents=True)
    Path("benchmark/suites/tiny.yaml").write_text(text, "utf-8")
    assert main(["split", "--suite", "tiny"]) == 0
    said = "tiny: 16 train (of 8 groups), 4 val (of 2 groups), 4 test (of 2 groups); digest "
    assert said in capsys.readouterr().out


def test_reader_that_has_seen_enough_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m benchmark describe l2 --json | head -c 1",
        shell=True, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    "arguments",
    [
        ("split", "--suite", "portraits", "--root", ""),
        ("attach", "--suite", "celeba_1024", ""),
        ("export", "--checkpoint", "x", "--out", ""),
        ("inpaint", "--checkpoint", "x", "--images", "", "--masks", "center", "--out", "y"),
        ("inpaint", "--checkpoint", "x", "--images", "y", "--masks", "", "--out", "z"),
        ("compare", ""),
        ("gate", "--base", "HEAD", "--new", ""),
        ("select", "--from", ""),
        ("train", "--suite", "portraits", "--variant", "l2", "--tensorboard="),
    ],
)
def test_empty_path_is_not_the_present_folder(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "it is empty; name a file or a folder" in refusal(capsys, *arguments)


@pytest.mark.promise("configuration")
def test_error_is_one_line_whatever_a_name_has_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(tmp_path / "a\nerror: b")
    message = refusal(capsys, "split", "--suite", "celeba_1024", "--root", name)
    assert "a\\nerror: b" in message


def test_termination_cleans_up_as_an_interrupt_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned = []

    def work(folder: Path) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(True)

    monkeypatch.setattr("benchmark.core.config.names_in", work)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["list"]) == 130
    assert cleaned and capsys.readouterr().err == "error: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("answer", [InputError("model: damaged"), OSError("unreadable")])
def test_interruption_that_a_library_swallows_is_one_all_the_same(
    number: int,
    answer: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(folder: Path) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)  # the signal comes before it ends
        except KeyboardInterrupt:
            raise answer from None

    monkeypatch.setattr("benchmark.core.config.names_in", work)
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)
    before = signal.getsignal(number)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"
    assert signal.getsignal(number) == before
