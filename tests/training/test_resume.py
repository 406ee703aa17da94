"""Training gives equal bytes whenever it is run, and wherever it is stopped and resumed."""

import json
import re
import shutil
import signal
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.core.environment import fingerprint
from benchmark.core.hashing import json_digest
from benchmark.core.paths import Run
from benchmark.pipeline import train
from benchmark.pipeline.train import train_run
from benchmark.training import checkpoints
from benchmark.training.gan import training_digest
from benchmark.training.resume import TrainingInterruptedError
from benchmark.training.step import training_step
from benchmark.training.validation import Validation, validate
from data.errors import InputError
from tests.support.promises import tally
from tests.support.tiny import (
    EPOCHS,
    ROOT,
    STEPS_PER_EPOCH,
    files_below,
    isolate,
    tiny_suite,
    tiny_variant,
    train_tiny,
)

pytestmark = pytest.mark.usefixtures("tiny_checkout")

TOTAL_STEPS = EPOCHS * STEPS_PER_EPOCH
Outputs = dict[str, bytes]


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outputs]:
    """Return what a run gives that is never stopped."""

    @cache
    def outputs(variant: str) -> Outputs:
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("whole")
            isolate(patch, folder)
            shutil.copytree(prepared / "data", folder / "data")
            return _outputs(train_tiny(variant))

    return outputs


def _outputs(run: Run) -> Outputs:
    """Return all that a run has written, having checked that no state is left behind."""
    assert [path.name for path in run.scratch.iterdir()] == ["lock"]
    weights, tables = files_below(run.checkpoints), files_below(Path("reports"))
    return weights | {f"reports/{name}": content for name, content in tables.items()}


def _before_step(
    monkeypatch: pytest.MonkeyPatch, actions: dict[int, Callable[[], object]]
) -> list[int]:
    """Do something before certain steps, once each; return a list that the steps are added to."""
    steps: list[int] = []
    pending = dict(actions)

    def wrapped(*arguments: Any) -> dict[str, Tensor]:
        step = arguments[2]
        if step in pending:
            pending.pop(step)()
        steps.append(step)
        return training_step(*arguments)

    monkeypatch.setattr("benchmark.pipeline.train.training_step", wrapped)
    return steps


def _terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def _crash() -> None:
    raise RuntimeError("power cut")


@pytest.mark.promise("same_bytes")
@pytest.mark.parametrize("variant", ["l2", "localizer"])
def test_same_run_gives_the_same_bytes(variant: str, whole: Callable[[str], Outputs]) -> None:
    first = whole(variant)
    torch.manual_seed(123)  # what was drawn before plays no part
    assert _outputs(train_tiny(variant)) == first
    assert len([name for name in first if name.endswith(".png")]) == EPOCHS
    # In the same checkout, over the results that are there.
    assert _outputs(train_tiny(variant)) == first
    tally("trainings compared", 3)


def test_other_seed_gives_other_weights(whole: Callable[[str], Outputs]) -> None:
    first = whole("l2")
    other = _outputs(train_tiny("l2", seed=1))
    assert not {*_weights(first).values()} & {*_weights(other).values()}


def _weights(outputs: Outputs) -> Outputs:
    return {name: content for name, content in outputs.items() if name.endswith(".safetensors")}


@pytest.mark.promise("resume")
@pytest.mark.parametrize(
    ("variant", "stops"),
    [
        # The signal comes during the step of this number; 6, 12 and 18 steps end an epoch.
        ("l2", [0]),
        ("l2", [5]),
        ("l2", [8, 9, 14]),
        ("l2", [TOTAL_STEPS - 1]),
        ("localizer", [2]),  # between two updates of the discriminator
        ("localizer", [11, 15]),
        ("staged", [10, 12]),  # just before the localizer starts, at 12.6
        ("staged", [13]),
    ],
)
def test_stopped_and_resumed_is_never_stopped(
    variant: str,
    stops: list[int],
    whole: Callable[[str], Outputs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = whole(variant)
    steps = _before_step(monkeypatch, dict.fromkeys(stops, _terminate))
    for stop in stops:
        with pytest.raises(TrainingInterruptedError, match=f"after step {stop + 1} of 18"):
            train_tiny(variant)
        assert not Run("tiny", variant, 0).checkpoints.exists()
        tally("stops survived")
    assert _outputs(train_tiny(variant)) == expected
    assert steps == [*range(TOTAL_STEPS)]  # no step is done twice


def test_signal_handlers_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    _before_step(monkeypatch, {1: lambda: signal.raise_signal(signal.SIGINT)})
    with pytest.raises(TrainingInterruptedError):
        train_tiny("l2")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.promise("resume")
@pytest.mark.parametrize(
    ("variant", "step"), [("l2", 3), ("l2", 6), ("localizer", 9), ("staged", 17)]
)
def test_crashed_and_resumed_is_never_stopped(
    variant: str,
    step: int,
    whole: Callable[[str], Outputs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = whole(variant)
    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)  # after every step
    steps = _before_step(monkeypatch, {step: _crash})
    with pytest.raises(RuntimeError, match="power cut"):
        train_tiny(variant)
    assert _outputs(train_tiny(variant)) == expected
    assert steps == [*range(TOTAL_STEPS)]


@pytest.mark.promise("resume")
@pytest.mark.parametrize("without_state", [False, True])
def test_crash_in_the_validation_loses_no_epoch(
    without_state: bool,
    whole: Callable[[str], Outputs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = whole("l2")
    if not without_state:
        monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
    _fail_once(monkeypatch, train, "validate", at_call=2)
    with pytest.raises(RuntimeError, match="power cut"):
        train_tiny("l2")
    assert _outputs(train_tiny("l2")) == expected


@pytest.mark.promise("resume")
@pytest.mark.parametrize("function", ["write_json", "write_text"])
def test_crash_while_results_are_written_loses_nothing(
    function: str,
    whole: Callable[[str], Outputs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = whole("l2")
    monkeypatch.setattr("benchmark.pipeline.train.SAVE_EVERY_S", -1.0)
    _fail_once(monkeypatch, checkpoints, function, at_call=1)
    with pytest.raises(RuntimeError, match="power cut"):
        train_tiny("l2")
    assert _outputs(train_tiny("l2")) == expected


def _fail_once(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str, at_call: int
) -> None:
    original, calls = getattr(module, function), []

    def wrapped(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at_call:
            _crash()
        return original(*arguments)

    monkeypatch.setattr(module, function, wrapped)


def test_changed_budget_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = _before_step(monkeypatch, {4: _terminate})
    with pytest.raises(TrainingInterruptedError):
        train_tiny("l2")
    _outputs(train_tiny("l2", epochs=1))
    assert steps == [*range(5), *range(STEPS_PER_EPOCH)]


def test_changed_set_of_pictures_starts_anew(
    whole: Callable[[str], Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole("l2")
    _before_step(monkeypatch, {STEPS_PER_EPOCH: _terminate})
    suite = tiny_suite(watching={"images": 2})
    with pytest.raises(TrainingInterruptedError):
        train_run(suite, tiny_variant("l2"), Run("tiny", "l2", 0), "cpu")
    # The picture of the first epoch, which shows two images, is not among those of eight.
    assert _outputs(train_tiny("l2")) == expected


def _other_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"threads": 99, "cpu": "another"}
    for module in ("benchmark.pipeline.train", "benchmark.training.resume"):
        monkeypatch.setattr(f"{module}.fingerprint", lambda device: fingerprint(device) | changes)


def _other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("benchmark.pipeline.train", "benchmark.training.resume"):
        monkeypatch.setattr(f"{module}.stage_code", lambda stage: [ROOT / "README.md"])


def _other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "training_digest", lambda *given: training_digest(*given)[::-1])


def _older_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take from the state what earlier versions did not write, and change its key."""
    (path,) = Run("tiny", "l2", 0).scratch.glob("*/state.json")
    content = json.loads(path.read_text())
    del content["content_sha256"], content["facts"]
    path.write_text(json.dumps(content | {"content_sha256": json_digest(content)}))
    path.parent.rename(path.parent.with_name("earlier"))


@pytest.mark.parametrize(
    ("change", "respects"),
    [
        (_other_machine, r"cpu \(.+, now another\) and threads \(\d+, now 99\)"),
        (_other_code, "code"),
        (_other_settings, "settings, images or initial weights"),
        (_older_version, "code, settings or machine"),
    ],
)
def test_run_that_begins_anew_beside_another_state_says_so(
    change: Callable[[pytest.MonkeyPatch], None],
    respects: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = _before_step(monkeypatch, {4: _terminate, 5: _terminate, 2: _terminate})
    for _ in range(3):  # of which the latter two go on from the first
        with pytest.raises(TrainingInterruptedError):
            train_tiny("l2")
    assert "note:" not in capsys.readouterr().err
    (state,) = Run("tiny", "l2", 0).scratch.glob("*/state.json")
    change(monkeypatch)
    train_tiny("l2")
    assert steps[6:] == [*range(TOTAL_STEPS)]
    (note,) = (line for line in capsys.readouterr().err.splitlines() if "note:" in line)
    name = "earlier" if change is _older_version else state.parent.name
    assert re.search(
        rf"note: {state.parents[1]}: begins anew; the state after step 6 in {name} differs in "
        rf"{respects}, and is removed when the run is done$",
        note,
    )


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        *product(["step*.safetensors", "epoch0001.safetensors"], ["bit", "end", "gone", "empty"]),
        *[("epoch0001.png", "bit"), ("epoch0001.png", "gone")],
        *[("state.json", "bit"), ("state.json", "end"), ("state.json", "empty")],
    ],
)
def test_damaged_state_is_refused_before_a_step_is_done(
    pattern: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = _before_step(monkeypatch, {8: _terminate})
    with pytest.raises(TrainingInterruptedError):
        train_tiny("l2")
    (path,) = Run("tiny", "l2", 0).scratch.glob(f"*/{pattern}")
    _damage(path, damage)
    before = files_below(path.parent)
    with pytest.raises(InputError, match=rf"damaged.*delete {path.parent} to begin anew"):
        train_tiny("l2")
    assert steps == [*range(9)]
    assert files_below(path.parent) == before
    tally("corrupted files refused")


def _damage(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"bit": bytes(content), "end": bytes(content[:-8]), "empty": b""}
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(changed[damage])


def test_run_begins_anew_once_a_damaged_state_is_deleted(
    whole: Callable[[str], Outputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    _before_step(monkeypatch, {8: _terminate})
    with pytest.raises(TrainingInterruptedError):
        train_tiny("l2")
    (path,) = Run("tiny", "l2", 0).scratch.glob("*/state.json")
    _damage(path, "end")
    with pytest.raises(InputError, match="to begin anew"):
        train_tiny("l2")
    shutil.rmtree(path.parent)
    assert _outputs(train_tiny("l2")) == whole("l2")


@pytest.mark.promise("damage")
def test_weights_that_are_damaged_while_the_run_goes_on_are_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damage() -> None:
        (path,) = Run("tiny", "l2", 0).scratch.glob("*/epoch0001.safetensors")
        _damage(path, "bit")

    _before_step(monkeypatch, {14: damage})
    calls: list[int] = []

    def worse(*arguments: Any) -> Validation:
        """Let each epoch be worse than the one before, so that the first one's weights stay."""
        calls.append(1)
        return validate(*arguments)._replace(scores={"validation/psnr_h": 10.0 - len(calls)})

    monkeypatch.setattr("benchmark.pipeline.train.validate", worse)
    with pytest.raises(InputError, match=r"epoch0001\.safetensors: damaged or foreign"):
        train_tiny("l2")
    assert not Run("tiny", "l2", 0).checkpoints.exists()
    tally("corrupted files refused")


@pytest.mark.promise("damage")
def test_what_a_killed_process_was_writing_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    _before_step(monkeypatch, {4: _terminate, 5: _terminate})
    with pytest.raises(TrainingInterruptedError):
        train_tiny("l2")
    (state,) = Run("tiny", "l2", 0).scratch.glob("*/state.json")
    for name in (".step00000005.safetensors.partial", ".tmpXyz"):
        (state.parent / name).write_bytes(b"half of it")
    with pytest.raises(TrainingInterruptedError):
        train_tiny("l2")
    assert sorted(p.name for p in state.parent.iterdir()) == [
        *("epoch0001.png", "epoch0001.safetensors", "state.json", "step00000006.safetensors"),
    ]


@pytest.mark.promise("code")
def test_code_that_changes_while_it_runs_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "losses.py"
    code.write_text("weight = 1\n")
    monkeypatch.setattr("benchmark.core.hashing.ROOT", tmp_path)
    monkeypatch.setattr("benchmark.pipeline.train.stage_code", lambda stage: [code])
    _before_step(monkeypatch, {7: lambda: code.write_text("weight = 2\n")})
    with pytest.raises(InputError, match="the code changed while it ran"):
        train_tiny("l2")
    run = Run("tiny", "l2", 0)
    assert not run.checkpoints.exists()
    assert not run.curves.exists()
    assert train_tiny("l2").checkpoints.exists()
