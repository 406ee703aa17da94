"""Out of memory: one line that names a batch size that fits, found by trying."""

import gc
import re
import resource
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.__main__ import main
from benchmark.core.paths import Run
from benchmark.pipeline.diagnose import diagnose_run
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.training.gan import GAN, build_gan, training_step
from benchmark.training.network_inputs import Completed, complete
from benchmark.training.out_of_memory import largest_batch_size, memory_for
from data.errors import InputError
from models.batch import Batch
from tests.support.children import Children, Job
from tests.support.promises import tally
from tests.support.tiny import (
    BATCH_SIZE,
    cpu_fabric,
    files_below,
    isolate,
    tiny_suite,
    tiny_variant,
    train_tiny,
)

pytestmark = pytest.mark.promise("memory")

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
    MemoryError("Unable to allocate 7.11 PiB for an array"),
]


@pytest.fixture(autouse=True)
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path)
    split_suite(tiny_suite())


def _limit_training(
    monkeypatch: pytest.MonkeyPatch, most: int, error: Exception = ALLOCATORS[1]
) -> list[int]:
    """Let steps of more images fail; return a list to which the batch sizes are added."""
    tried: list[int] = []

    def limited(fabric: Any, gan: GAN, batch: Batch, *rest: int) -> dict[str, Tensor]:
        tried.append(len(batch.image))
        losses = training_step(fabric, gan, batch, *rest)
        if len(batch.image) > most:
            raise error
        return losses

    monkeypatch.setattr("benchmark.pipeline.train.training_step", limited)
    monkeypatch.setattr("benchmark.training.out_of_memory.training_step", limited)
    return tried


@pytest.mark.parametrize(
    ("most", "tried", "advice", "error"),
    [
        (23, [48, 24, 12, 12], "12 does", ALLOCATORS[0]),
        (6, [48, 24, 12, 6, 6], "6 does", ALLOCATORS[1]),
        (2, [48, 24, 12, 6, 3, 2, 2], "2 does", ALLOCATORS[2]),
        (1, [48, 24, 12, 6, 3, 2], "nor does 2", ALLOCATORS[3]),
    ],
)
def test_training_that_does_not_fit_names_a_batch_size_that_does(
    most: int, tried: list[int], advice: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _limit_training(monkeypatch, most, error)
    message = (
        r"training\.batch_size: 48 of benchmark/suites/tiny\.yaml does not fit into "
        rf"\d+\.\d GiB of memory; {advice}$"
    )
    with pytest.raises(InputError, match=message):
        train_tiny("l2", batch_size=48)
    assert found == tried  # what fits does a second step: the first one has no state of Adam yet
    tally("lacks of memory explained")


def test_memory_of_the_failed_networks_is_free_when_others_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    networks: list[weakref.ref[nn.Module]] = []

    def build(*arguments: Any) -> GAN:
        gc.disable()  # the collector would do by chance what is to be done on purpose
        assert [network for network in networks if network() is not None] == []
        gan = build_gan(*arguments)
        networks.extend(weakref.ref(p.network) for p in (gan.generator,))
        return gan

    monkeypatch.setattr("benchmark.pipeline.train.build_gan", build)
    monkeypatch.setattr("benchmark.training.out_of_memory.build_gan", build)
    _limit_training(monkeypatch, 4)
    try:
        with pytest.raises(InputError, match="3 does"):
            train_tiny("localizer", batch_size=24)
    finally:
        gc.enable()
    assert len(networks) == 4


def test_trial_updates_every_discriminator(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []

    def step(*arguments: Any) -> dict[str, Tensor]:
        losses = training_step(*arguments)
        seen.append({name.split("/")[1] for name in losses if name.startswith("discriminator/")})
        return losses

    monkeypatch.setattr("benchmark.training.out_of_memory.training_step", step)
    for variant in ("staged", "localizer"):  # one starts late, one is updated at every second step
        images = np.zeros((48, 32, 32, 3), np.uint8)
        chosen = tiny_suite(), tiny_variant(variant)
        assert largest_batch_size(*chosen, 0, cpu_fabric(), images) == BATCH_SIZE // 2
    assert seen == [{"binary", "localizer"}] * 2 + [{"localizer"}] * 2


def test_state_stays_and_the_run_goes_on_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = files_below(train_tiny("l2").checkpoints)
    calls: list[int] = []

    def step(*arguments: Any) -> dict[str, Tensor]:
        calls.append(arguments[3])
        if len(calls) in (8, 12):
            raise ALLOCATORS[0]
        return training_step(*arguments)

    monkeypatch.setattr("benchmark.pipeline.train.training_step", step)
    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
    for _ in range(2):
        with pytest.raises(InputError, match=r"training\.batch_size: 8"):
            train_tiny("l2")
    assert files_below(train_tiny("l2").checkpoints) == expected
    assert calls == [*range(8), 7, *range(8, 11), *range(10, 18)]


def test_command_says_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmark.core.config.load_suite", lambda _: tiny_suite())
    monkeypatch.setattr("benchmark.core.config.load_variant", tiny_variant)
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)
    _limit_training(monkeypatch, 4)
    assert main(["train", "--suite", "tiny", "--variant", "l2", "--device", "cpu"]) == 2
    torch.use_deterministic_algorithms(False)
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line and "image/s" not in line
    ]
    assert len(lines) == 1 and lines[0].endswith("; 4 does")


def test_validation_that_does_not_fit_names_its_own_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def validate(*_: Any) -> None:
        raise ALLOCATORS[1]

    monkeypatch.setattr("benchmark.pipeline.train.validate", validate)
    with pytest.raises(InputError, match=r"^evaluation\.batch_size: 4 of .*; a smaller one takes"):
        train_tiny("l2")


@pytest.mark.parametrize("stage", [evaluate_run, diagnose_run])
def test_evaluation_that_does_not_fit_names_its_setting(
    stage: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(inpainter: Any, images: Tensor, *rest: Any) -> Completed:
        if len(images) > 7:
            raise ALLOCATORS[0]
        return complete(inpainter, images, *rest)

    suite, variant = tiny_suite({"epochs": 1}, evaluation={"batch_size": 8}), tiny_variant("binary")
    run = train_tiny("binary", epochs=1)
    monkeypatch.setattr(f"{stage.__module__}.complete", limited)
    with pytest.raises(InputError, match=r"^evaluation\.batch_size: 8 of benchmark/suites/tiny"):
        stage(suite, variant, run, "cpu")
    stage(tiny_suite({"epochs": 1}, evaluation={"batch_size": 5}), variant, run, "cpu")
    torch.use_deterministic_algorithms(False)


def test_other_errors_pass() -> None:
    for error in (RuntimeError("shapes do not match"), KeyError("memory"), OSError(12, "memory")):
        with pytest.raises(type(error)) as caught, memory_for("--batch-size 16", CPU):
            raise error
        assert caught.value is error


def test_real_allocators_are_recognised() -> None:
    def too_large() -> Any:
        return torch.empty(10**15)

    for allocate in (too_large, lambda: np.empty(10**15)):
        with (
            pytest.raises(InputError, match=r"^--batch-size 16 does not fit into .* GiB of memory"),
            memory_for("--batch-size 16", CPU),
        ):
            allocate()


def test_limit_of_the_process_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3 * 2**29, 2**40))
    with pytest.raises(InputError, match=r"into 1\.5 GiB of memory"), memory_for("this", CPU):
        raise MemoryError


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
    (line,) = ended.messages
    advice = r"(\d+ does|nor does 2)"
    pattern = rf"error: training\.batch_size: 128 .* into \d\.\d GiB of memory; {advice}"
    assert re.fullmatch(pattern, line)
    assert children.run(replace(job, room=0)).code == 0
    tally("lacks of memory explained")


@pytest.mark.gpu
def test_gpu_with_little_memory_is_told_what_fits(tmp_path: Path) -> None:
    split_suite(tiny_suite(**LARGER))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction(300 * 2**20 / total)
        suite = tiny_suite({"batch_size": 128, "epochs": 1}, **LARGER)
        with pytest.raises(InputError, match=r"; (64|32|16|8) does$") as caught:
            train_run(suite, tiny_variant("l2"), RUN, "cuda")
        fits = int(str(caught.value).rsplit(" ", 2)[1])
        suite = tiny_suite({"batch_size": fits, "epochs": 1}, **LARGER)
        train_run(suite, tiny_variant("l2"), RUN, "cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.use_deterministic_algorithms(False)
    tally("lacks of memory explained")
