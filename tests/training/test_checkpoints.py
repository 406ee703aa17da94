"""Checkpoints: what comes back, what is refused, what a crash leaves, and who may train a run."""

import json
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.core.files import write_json
from benchmark.core.hashing import file_sha256
from benchmark.training.checkpoints import MANIFEST, load_checkpoint, read_manifest
from benchmark.training.gan import GAN, TrainableNetwork
from benchmark.training.progress import Progress
from benchmark.training.resume import ResumeState, run_lock
from benchmark.training.tensors import (
    check_tensors,
    load_tensors,
    save_tensors,
    with_prefix,
    without_prefix,
)
from data.errors import InputError
from tests.support.promises import tally
from tests.support.tiny import ROOT, numbers, tiny_variant

TENSORS = {
    "generator/weight": numbers()(3, 4),
    "generator/half": numbers()(5).bfloat16(),
    "generator/steps": torch.tensor(7),
    "generator/turned": numbers()(2, 3).T,
}


def _assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_tensors_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.safetensors"
    sha256 = save_tensors(path, TENSORS)
    assert sha256 == file_sha256(path)
    _assert_same(load_tensors(path, sha256), TENSORS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [p.name for p in path.parent.iterdir()] == ["b.safetensors"]


def test_equal_tensors_give_equal_bytes(tmp_path: Path) -> None:
    reversed_order = dict(reversed(TENSORS.items()))
    first = save_tensors(tmp_path / "first", TENSORS)
    assert save_tensors(tmp_path / "second", reversed_order) == first


@pytest.mark.promise("damage")
def test_flipped_bit_is_refused_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    sha256 = save_tensors(path, TENSORS)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(_with_flipped_bit(whole, place))
        with pytest.raises(InputError, match=f"{path}: damaged or foreign.*{sha256}"):
            load_tensors(path, sha256)
        tally("corrupted files refused")


def _with_flipped_bit(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]


@pytest.mark.promise("damage")
def test_truncated_file_is_refused_even_if_its_hash_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    sha256 = save_tensors(path, TENSORS)
    whole = path.read_bytes()
    for kept in range(0, len(whole), 7):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match="damaged or foreign"):
            load_tensors(path, sha256)
        with pytest.raises(InputError, match="cannot be read"):
            load_tensors(path, file_sha256(path))
        tally("corrupted files refused")


@pytest.mark.promise("damage")
def test_damaged_header_is_no_traceback_even_if_the_hash_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, TENSORS)
    whole = path.read_bytes()
    refused = 0
    for place in range(8 + int.from_bytes(whole[:8], "little")):
        path.write_bytes(_with_flipped_bit(whole, place))
        try:  # a flipped bit in a name gives another name, which is no concern of the format
            load_tensors(path, file_sha256(path))
        except InputError as error:
            assert str(error).startswith(f"{path}: cannot be read (") and "\n" not in str(error)
            refused += 1
    tally("corrupted files refused", refused)
    assert refused > 100


@pytest.mark.promise("damage")
@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F8_E8M0", "C64", "NONE", "f32"])
def test_type_of_numbers_that_is_not_known_is_no_traceback(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "weights.safetensors"
    header = json.dumps({"x": {"dtype": dtype, "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    try:
        found = load_tensors(path, file_sha256(path))
    except InputError as error:
        assert str(error).startswith(f"{path}: cannot be read (")
    else:  # the newest libraries know it; then it does not fit any network
        with pytest.raises(InputError, match="x is torch"):
            check_tensors(tmp_path, found, {"x": torch.zeros(2)})
    tally("corrupted files refused")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.safetensors: cannot be read"):
        load_tensors(tmp_path / "gone.safetensors", "0" * 64)


class _Mischief:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.promise("no_execution")
@pytest.mark.parametrize("write", ["pickle", "torch"])
def test_pickle_is_refused_and_not_executed(tmp_path: Path, write: str) -> None:
    path, trap = tmp_path / "weights.safetensors", tmp_path / "trap"
    if write == "pickle":
        path.write_bytes(pickle.dumps(_Mischief(trap)))
    else:
        torch.save({"generator/weight": _Mischief(trap)}, path)
    with pytest.raises(InputError, match="cannot be read"):
        load_tensors(path, file_sha256(path))
    assert not trap.exists()
    tally("files with code refused")


def test_prefixes_are_put_on_and_taken_off() -> None:
    inner = {"a": torch.tensor(1), "b/c": torch.tensor(2)}
    outer = with_prefix("net", inner) | with_prefix("network", inner)
    assert without_prefix("net", outer) == inner
    assert set(outer) == {"net/a", "net/b/c", "network/a", "network/b/c"}


WANTED = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"b": None}, "b is missing"),
        ({"c": torch.zeros(1)}, "c is not part of the networks"),
        ({"a": torch.zeros(3, 2)}, r"a is torch.float32 [3, 2], not torch.float32 [2, 3]"),
        ({"b": torch.zeros(4).double()}, r"b is torch.float64 [4], not torch.float32 [4]"),
        ({"b": torch.zeros(4).int()}, r"b is torch.int32 [4], not torch.float32 [4]"),
        ({"a": torch.full((2, 3), float("nan"))}, "a holds NaN or infinity"),
        ({"a": torch.full((2, 3), float("-inf"))}, "a holds NaN or infinity"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, change: dict[str, Tensor | None], reason: str
) -> None:
    check_tensors(tmp_path, dict(WANTED), WANTED)
    found = {name: value for name, value in (WANTED | change).items() if value is not None}
    message = f"{tmp_path}: the weights do not fit: {reason}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        check_tensors(tmp_path, found, WANTED)
    tally("corrupted files refused")


# The manifest


def _checkpoint(folder: Path, **changes: Any) -> None:
    sha256 = save_tensors(folder / "epoch0002.safetensors", TENSORS)
    entry = {"epoch": 2, "sha256": sha256}
    manifest = {
        "run": {"suite": "tiny", "variant": "l2", "seed": 0},
        "checkpoints": {"best_val_psnr": entry},
        "environment": {},
        **dict.fromkeys(("config_sha256", "data_sha256", "code_sha256"), "0"),
    }
    write_json(folder / MANIFEST, manifest | changes)


def _load(folder: Path, criterion: str = "best_val_psnr") -> dict[str, Tensor]:
    return load_checkpoint(folder, read_manifest(folder, "make train"), criterion)


def test_checkpoint_comes_back(tmp_path: Path) -> None:
    _checkpoint(tmp_path)
    _assert_same(_load(tmp_path), TENSORS)


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    "changes",
    [
        {"run": None},
        {"run": {"suite": "tiny"}},
        {"checkpoints": []},
        {"checkpoints": {"last": {"epoch": "../x", "sha256": "0"}}},
        {"checkpoints": {"last": {"epoch": 1}}},
        {"config_sha256": 3},
    ],
)
def test_damaged_manifest_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    _checkpoint(tmp_path, **changes)
    with pytest.raises(InputError, match=rf"manifest\.json: {next(iter(changes))}"):
        _load(tmp_path)
    tally("corrupted files refused")


def test_criterion_that_chose_nothing_is_named_with_those_that_did(tmp_path: Path) -> None:
    _checkpoint(tmp_path)
    with pytest.raises(InputError, match="no checkpoint 'last'; there are best_val_psnr"):
        _load(tmp_path, "last")


def test_missing_manifest_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing; `make train` makes it"):
        _load(tmp_path)


def test_file_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    _checkpoint(tmp_path)
    save_tensors(tmp_path / "epoch0002.safetensors", {"generator/weight": torch.zeros(1)})
    with pytest.raises(InputError, match="damaged or foreign"):
        _load(tmp_path)


# Crashes


@pytest.mark.promise("writing")
def test_full_disk_is_one_line_and_leaves_the_old_weights(tmp_path: Path) -> None:
    # What writes the tensors is no Python, and has errors of its own.
    path = tmp_path / "weights.safetensors"
    sha256 = save_tensors(path, TENSORS)
    code = (
        "import resource, pathlib, sys, torch\n"
        "from benchmark.training.tensors import save_tensors\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    save_tensors(pathlib.Path(sys.argv[1]), {'x': torch.zeros(4096)})\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"InputError {path}: cannot be written (")
    assert "File too large" in done.stdout and done.stdout.count("\n") == 1
    _assert_same(load_tensors(path, sha256), TENSORS)
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


# Resuming


PROGRESS = Progress(
    step=7,
    curves=[{"epoch": 1.0, "validation/psnr_h": 0.1 + 0.2}],  # a number of all digits
    kept={"last": {"epoch": 1, "file": "epoch0001.safetensors", "sha256": "0", "value": None}},
    sums={"generator/total": 1.5},
    counts={"generator/total": 1},
)


def _gan(weight: float = 0.0) -> GAN:
    network = nn.Linear(2, 1)
    nn.init.constant_(network.weight, weight)
    return GAN(
        tiny_variant("l2"), TrainableNetwork(network, torch.optim.Adam([network.weight])), {}
    )


def _save(state: ResumeState, progress: Progress = PROGRESS) -> None:
    """Save a state and the file that it names."""
    for file, entry in zip(progress.files(), progress.kept.values(), strict=True):
        entry["sha256"] = save_tensors(state.folder / file, TENSORS)
    state.save(_gan(), progress)


def test_latest_state_comes_back_and_the_older_ones_go(tmp_path: Path) -> None:
    state = ResumeState(tmp_path, "key")
    assert state.load(_gan()) == Progress()
    for step in (3, 12, 7):
        state.save(_gan(step), Progress(step))
    found = _gan()
    assert ResumeState(tmp_path, "key").load(found) == Progress(7)
    assert (found.weights()["generator/weight"] == 7).all()
    assert sorted(p.name for p in state.folder.iterdir()) == [
        "state.json",
        "step00000007.safetensors",
    ]
    assert ResumeState(tmp_path, "other").load(_gan()) == Progress()


def _places(content: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places of all values of a JSON file, containers included."""
    yield place
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in entries:
        if isinstance(value, dict | list):
            yield from _places(value, (*place, key))
        else:
            yield (*place, key)


@pytest.mark.promise("damage")
@pytest.mark.parametrize("change", ["other", "gone"])
def test_state_that_is_damaged_in_any_field_is_refused(tmp_path: Path, change: str) -> None:
    state = ResumeState(tmp_path, "key")
    _save(state)
    path = state.folder / "state.json"
    text = path.read_text()
    places = [place for place in _places(json.loads(text)) if place]
    assert ("progress", "kept", "last", "value") in places and ("content_sha256",) in places
    for place in places:
        content = json.loads(text)
        holder = content
        for key in place[:-1]:
            holder = holder[key]
        if change == "gone":
            del holder[place[-1]]
        else:
            holder[place[-1]] = [holder[place[-1]]]
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=f"damaged.*delete {state.folder} to begin anew"):
            state.load(_gan())
        tally("corrupted files refused")


@pytest.mark.promise("damage")
def test_flipped_bit_of_a_state_is_refused_wherever_it_is(tmp_path: Path) -> None:
    state = ResumeState(tmp_path, "key")
    _save(state)
    path = state.folder / "state.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(_with_flipped_bit(whole, place))
        try:
            loaded = state.load(_gan())
        except InputError as error:
            assert f"delete {state.folder} to begin anew" in str(error)
            tally("corrupted files refused")
        else:  # white space, and the last digit of a number, say nothing
            assert loaded == PROGRESS


def test_removed_state_is_no_state_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ResumeState(tmp_path, "key")
    state.save(_gan(), Progress(1))
    monkeypatch.setattr("shutil.rmtree", lambda _: None)  # as if it had been killed there
    state.remove()
    assert ResumeState(tmp_path, "key").load(_gan()) == Progress()
    monkeypatch.undo()
    state.remove()
    assert [*tmp_path.iterdir()] == []


# The lock


def _holder(folder: Path) -> "subprocess.Popen[str]":
    """Start a process that holds the lock of a run until it is killed."""
    code = (
        "import pathlib, sys, time\n"
        "from benchmark.training.resume import run_lock\n"
        "with run_lock(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    with _holder(tmp_path / "run") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.promise("lock")
def test_second_process_is_refused_until_the_first_is_killed(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    for _ in range(2):  # the refused one does not take the owner's name away
        with pytest.raises(InputError, match=f"trained by process {holder.pid}$"):
            run_lock(tmp_path / "run").__enter__()
        tally("second trainings refused")
    with run_lock(tmp_path / "another"):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with run_lock(tmp_path / "run"):
        assert (tmp_path / "run" / "lock").read_text() == f"process {os.getpid()}"


def test_lock_ends_with_its_block_even_by_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), run_lock(tmp_path):
            raise RuntimeError
