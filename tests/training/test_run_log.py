"""Watching a run: events are read back by TensorBoard."""

import io
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]
    event_accumulator,
)
from tensorboard.summary.writer import event_file_writer  # type: ignore[import-untyped]
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.core.paths import Run
from benchmark.pipeline.train import train_run
from benchmark.training.gan import GAN
from benchmark.training.progress import Progress
from benchmark.training.resume import ResumeState, TrainingInterruptedError
from benchmark.training.step import loss_names, training_step
from benchmark.training.validation import Gallery
from data.errors import InputError
from data.store import Store
from tests.support.tiny import (
    EPOCHS,
    ROOT,
    STEPS_PER_EPOCH,
    files_below,
    isolate,
    tiny_suite,
    tiny_variant,
)

EVENTS = Path("runs")
LOOK = 10
"""The one step of the tiny run, of 18, after which the losses are looked at."""
Scalars = dict[str, list[tuple[int, float]]]
"""Steps and values by tag."""
Whole = Callable[[str], tuple[Path, Scalars]]


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Return the checkout and the events of a run that was never stopped."""

    @cache
    def watched(variant: str) -> tuple[Path, Scalars]:
        folder = tmp_path_factory.mktemp("whole")
        with pytest.MonkeyPatch.context() as patch:
            _enter(patch, folder, prepared)
            _train(variant)
            return folder, _scalars(variant)

    return watched


@pytest.fixture(autouse=True)
def _checkout(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(monkeypatch, tmp_path, prepared)


def _enter(patch: pytest.MonkeyPatch, folder: Path, prepared: Path) -> None:
    isolate(patch, folder)
    shutil.copytree(prepared / "data", folder / "data")
    # Event files of one process and one second are told apart by this number, which is not padded:
    # the file after 9 would be read before it.
    patch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))


def _train(variant: str, events: Path | None = EVENTS) -> Run:
    run = Run("tiny", variant, 0)
    try:
        train_run(tiny_suite(), tiny_variant(variant), run, "cpu", events)
    finally:
        torch.use_deterministic_algorithms(False)  # training sets it for the whole process
    return run


def _events(variant: str) -> Any:
    folder = str(EVENTS / "tiny" / variant / "seed0")
    everything = {"scalars": 0, "images": 0}
    return event_accumulator.EventAccumulator(folder, everything).Reload()


def _scalars(variant: str) -> Scalars:
    found = _events(variant)
    tags = found.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags}


def _outputs(run: Run) -> dict[str, bytes]:
    return files_below(run.checkpoints) | {"curves": run.curves.read_bytes()}


# Events


def test_epochs_are_those_of_the_curves(whole: Whole) -> None:
    folder, found = whole("staged")
    curves = (
        pd.read_csv(folder / Run("tiny", "staged", 0).curves)
        .set_index("epoch")
        .drop(columns="images_seen")
    )
    scalars = {tag: values for tag, values in found.items() if "step/" not in tag}
    expected = {
        f"epoch/{name}" if name in loss_names(tiny_variant("staged")) else str(name): column
        for name, column in curves.items()
        if column.notna().any()
    }
    assert set(scalars) == set(expected)
    for tag, column in expected.items():
        # A term of a discriminator that has not started has no value.
        there = column.dropna()
        assert [step for step, _ in scalars[tag]] == [STEPS_PER_EPOCH * int(e) for e in there.index]
        # The curves have seven digits, an event 24 bits.
        assert [value for _, value in scalars[tag]] == pytest.approx([*there], rel=1e-6)


def test_single_steps_are_the_latest_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Tensor]] = []

    def record(*arguments: Any) -> dict[str, Tensor]:
        seen.append(training_step(*arguments))
        return seen[-1]

    monkeypatch.setattr("benchmark.pipeline.train.training_step", record)
    _train("localizer")
    scalars = _scalars("localizer")
    # The localizer is updated at every second step, and not at the one before the look.
    assert "discriminator/localizer/box" not in seen[LOOK - 2]
    for name in loss_names(tiny_variant("localizer")):
        values = [losses[name] for losses in seen[:LOOK] if name in losses]
        assert scalars[f"step/{name}"] == [(LOOK, float(values[-1]))]


def test_pictures_are_the_kept_ones_between_input_and_truth(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole("l2")[0])
    pictures = Run("tiny", "l2", 0).checkpoints / "validation"
    shown = _events("l2").Images("validation/images")
    assert [image.step for image in shown] == [STEPS_PER_EPOCH * e for e in (1, 2, 3)]
    for epoch, image in enumerate(shown, start=1):
        kept = np.asarray(Image.open(pictures / f"epoch{epoch:04d}.png"))
        found = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
        gallery = Gallery(tiny_suite(), Store(paths.prepared("tiny")))
        np.testing.assert_array_equal(found, gallery.compare(kept))


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation on tensors, those that fetch a value from the device among them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.append(str(func))
        return func(*args, **kwargs or {})


@pytest.mark.promise("watching")
def test_watching_changes_neither_a_byte_nor_what_is_computed() -> None:
    done = []
    for events in (None, EVENTS):
        with _Operations() as operations:
            done.append((_outputs(_train("localizer", events)), operations.names))
    (alone, operations_alone), (watched, operations_watched) = done
    assert watched == alone
    assert operations_watched == operations_alone
    assert "aten._local_scalar_dense.default" in operations_alone  # a look
    assert len(_scalars("localizer")) > 10  # it was watched


def _before_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], object]) -> None:
    """Do something once, before a step."""
    pending = [step]

    def wrapped(*arguments: Any) -> dict[str, Tensor]:
        if arguments[2] in pending:
            pending.clear()
            action()
        return training_step(*arguments)

    monkeypatch.setattr("benchmark.pipeline.train.training_step", wrapped)


def _terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def _crash() -> None:
    raise RuntimeError("power cut")


@pytest.mark.promise("watching")
@pytest.mark.parametrize("step", [5, 11])  # the last of an epoch, and one within
def test_stopped_run_goes_on_in_its_events(
    step: int, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    _before_step(monkeypatch, step, _terminate)
    with pytest.raises(TrainingInterruptedError):
        _train("l2")
    _train("l2")
    assert _scalars("l2") == whole("l2")[1]


@pytest.mark.parametrize("saved", [0, 8])
def test_what_a_crashed_run_has_shown_beyond_its_state_is_dropped(
    saved: int, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It crashes in the last epoch, having saved its state after an earlier step or not at all.
    if saved:
        _before_step(monkeypatch, saved - 1, _terminate)
        with pytest.raises(TrainingInterruptedError):
            _train("l2")
    _before_step(monkeypatch, 2 * STEPS_PER_EPOCH + 1, _crash)
    with pytest.raises(RuntimeError, match="power cut"):
        _train("l2")
    shown = _scalars("l2")
    assert [step for step, _ in shown["epoch/generator/total"]] == [6, 12]
    assert [step for step, _ in shown["step/generator/total"]] == [LOOK]
    _train("l2")
    assert _scalars("l2") == whole("l2")[1]
    assert len(_events("l2").Images("validation/images")) == EPOCHS


def test_events_are_on_the_disk_before_the_state_that_has_them_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {}
    save = ResumeState.save

    def wrapped(state: ResumeState, gan: GAN, progress: Progress) -> None:
        shown = _scalars("l2").get("epoch/generator/total", [])
        found[progress.step] = [at for at, _ in shown]
        save(state, gan, progress)

    write = event_file_writer.RecordWriter.write

    def slow(*arguments: Any) -> None:
        time.sleep(0.01)
        write(*arguments)

    monkeypatch.setattr(event_file_writer.RecordWriter, "write", slow)  # in another thread
    monkeypatch.setattr(ResumeState, "save", wrapped)
    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)  # after every step
    _train("l2")
    assert found == {step: [end for end in (6, 12, 18) if end <= step] for step in range(1, 19)}


def test_run_that_begins_anew_takes_the_place_of_its_events(whole: Whole) -> None:
    _train("l2")
    _train("l2")
    assert _scalars("l2") == whole("l2")[1]


@pytest.mark.parametrize("folder", ["reports", "models/checkpoints/tiny", "data/../reports/x"])
def test_events_where_dvc_removes_files_are_refused(folder: str) -> None:
    with pytest.raises(InputError, match=r"lies in (reports|models)/; choose a folder outside"):
        _train("l2", Path(folder))


def test_missing_tensorboard_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        _train("l2")


@pytest.mark.parametrize(
    ("variable", "options", "expected"),
    [
        (None, [], None),
        ("", [], None),
        ("runs", [], Path("runs")),
        (None, ["--tensorboard", "x"], Path("x")),
        ("runs", ["--tensorboard", "x"], Path("x")),
    ],
)
def test_option_or_variable_says_where_events_go(
    variable: str | None,
    options: list[str],
    expected: Path | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("INPAINTBENCH_TENSORBOARD", raising=False)
    if variable is not None:
        monkeypatch.setenv("INPAINTBENCH_TENSORBOARD", variable)
    given: list[Any] = []
    monkeypatch.setattr(
        "benchmark.pipeline.train.train_run", lambda *arguments: given.extend(arguments)
    )
    monkeypatch.chdir(ROOT)
    assert main(["train", "--suite", "portraits", "--variant", "l2", *options]) == 0
    assert given[3:] == ["auto", expected, None]
