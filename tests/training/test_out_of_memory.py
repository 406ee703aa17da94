"""Out of memory: one line that names the setting to lower, and nothing is lost."""

import gc
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.__main__ import main
from benchmark.core.device import memory_for
from benchmark.core.paths import Run
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.training.network_inputs import Completed, complete
from benchmark.training.step import training_step
from data.errors import InputError
from tests.support.children import Children, Job
from tests.support.promises import tally
from tests.support.tiny import files_below, tiny_suite, tiny_variant, train_tiny

pytestmark = [pytest.mark.promise("memory"), pytest.mark.usefixtures("tiny_checkout")]

RUN = Run("tiny", "l2", 0)
CPU = torch.device("cpu")
LARGER: dict[str, Any] = {
    "source": {"name": "portraits", "count": 138},
    "image_size": 128,
    "splits": {"seed": 1, "train": 128, "val": 4, "test": 6},
}
ALLOCATORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("could not create a primitive"),
    MemoryError("Unable to allocate 7.11 PiB for an array"),
]
LOWER = "lower training.batch_size (8) in benchmark/suites/tiny.yaml"


@pytest.mark.parametrize("error", ALLOCATORS)
def test_command_names_the_setting_and_its_file_in_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("benchmark.core.config.load_suite", lambda _: tiny_suite())
    monkeypatch.setattr("benchmark.core.config.load_variant", tiny_variant)
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)
    monkeypatch.setattr("benchmark.pipeline.train.training_step", fail)
    assert main(["train", "--suite", "tiny", "--variant", "l2", "--device", "cpu"]) == 2
    torch.use_deterministic_algorithms(False)
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line and "image/s" not in line
    ]
    assert lines == [f"error: out of memory on cpu: {LOWER}"]
    tally("lacks of memory explained")


def test_state_stays_and_the_run_goes_on_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = files_below(train_tiny("l2").checkpoints)
    calls: list[int] = []

    def step(*arguments: Any) -> dict[str, Tensor]:
        calls.append(arguments[2])
        if len(calls) in (8, 12):
            raise ALLOCATORS[0]
        return training_step(*arguments)

    monkeypatch.setattr("benchmark.pipeline.train.training_step", step)
    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
    for _ in range(2):
        with pytest.raises(InputError, match=re.escape(LOWER)):
            train_tiny("l2")
    assert files_below(train_tiny("l2").checkpoints) == expected
    assert calls == [*range(8), 7, *range(8, 11), *range(10, 18)]


def test_validation_that_does_not_fit_names_its_own_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def validate(*_: Any) -> None:
        raise ALLOCATORS[1]

    monkeypatch.setattr("benchmark.pipeline.train.validate", validate)
    with pytest.raises(InputError, match=r"lower evaluation\.batch_size \(4\) in .*tiny\.yaml$"):
        train_tiny("l2")


@pytest.mark.parametrize("module", ["pipeline.evaluate", "evaluation.diagnostics.predictions"])
def test_evaluation_that_does_not_fit_names_its_setting(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(inpainter: Any, images: Tensor, *rest: Any) -> Completed:
        if len(images) > 7:
            raise ALLOCATORS[0]
        return complete(inpainter, images, *rest)

    suite, variant = tiny_suite({"epochs": 1}, evaluation={"batch_size": 8}), tiny_variant("binary")
    run = train_tiny("binary", epochs=1)
    monkeypatch.setattr(f"benchmark.{module}.complete", limited)
    with pytest.raises(InputError, match=r"lower evaluation\.batch_size \(8\) in .*tiny\.yaml$"):
        evaluate_run(suite, variant, run, "cpu")
    suite = tiny_suite({"epochs": 1}, evaluation={"batch_size": 5})
    evaluate_run(suite, variant, run, "cpu")
    torch.use_deterministic_algorithms(False)


def test_other_errors_pass() -> None:
    for error in (RuntimeError("shapes do not match"), KeyError("memory"), OSError(12, "memory")):
        with pytest.raises(type(error)) as caught, memory_for("--batch-size (16)", CPU):
            raise error
        assert caught.value is error


def test_real_allocators_are_recognized() -> None:
    def too_large() -> Any:
        return torch.empty(10**15)

    for allocate in (too_large, lambda: np.empty(10**15)):
        with (
            pytest.raises(InputError, match=r"^out of memory on cpu: lower --batch-size \(16\)$"),
            memory_for("--batch-size (16)", CPU),
        ):
            allocate()


@pytest.mark.slow
def test_real_process_with_little_memory_is_told_so(tmp_path: Path, children: Children) -> None:
    split_suite(tiny_suite(**LARGER))
    # One activation of a step of 128 images takes 64 MiB, and about ten are needed at a time.
    job = Job(
        str(tmp_path), "l2", save_every_s=1e9, room=300 * 2**20, suite=LARGER,
        training={"batch_size": 128, "epochs": 1},
    )  # fmt: skip
    ended = children.run(job)
    assert ended.code == 2
    assert ended.messages == [f"error: out of memory on cpu: {LOWER.replace('8', '128')}"]
    assert children.run(replace(job, room=0)).code == 0
    tally("lacks of memory explained")


@pytest.mark.gpu
def test_gpu_with_little_memory_is_told_so(tmp_path: Path) -> None:
    split_suite(tiny_suite(**LARGER))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction(300 * 2**20 / total)
        suite = tiny_suite({"batch_size": 128, "epochs": 1}, **LARGER)
        with pytest.raises(InputError, match=r"on cuda: lower training\.batch_size \(128\) in"):
            train_run(suite, tiny_variant("l2"), RUN, "cuda")
        gc.collect()  # the frames of the error hold tensors
        torch.cuda.empty_cache()
        suite = tiny_suite({"batch_size": 8, "epochs": 1}, **LARGER)
        train_run(suite, tiny_variant("l2"), RUN, "cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.use_deterministic_algorithms(False)
    tally("lacks of memory explained")
