"""Two checkouts measured in turns: the turns, versions without the bench, and deliberate faults."""

import shutil
import textwrap
from pathlib import Path

import pytest

from benchmark.__main__ import main
from benchmark.throughput.side_by_side import (
    FILE,
    FIRST_ROUNDS,
    LEAST_ROUNDS,
    LONGEST_S,
    ROUNDS,
    compare_with_base,
)
from data.errors import InputError
from tests.support import version_control
from tests.support.tiny import ROOT

STUB = """
import json, os, sys
start, log, n = {pace}, {log!r}, 0
print(json.dumps({subjects}), flush=True)
for line in sys.stdin:
    name, pace = line.strip(), start
    if name == "b": {on_b}
    with open(log, "a") as file: file.write(f"{{pace}}{{name}} ")
    print(json.dumps([pace, pace]), flush=True)
"""


def stub(folder: Path, pace: float, subjects: str = '{"a": 8, "b": 8}', on_b: str = "pass") -> Path:
    """Write a checkout whose times are given, and which logs what it is asked for."""
    (folder / FILE).parent.mkdir(parents=True)
    (folder / "params.yaml").touch()
    for package in FILE.parents[0], FILE.parents[1]:
        (folder / package / "__init__.py").touch()
    log = str(folder.parent / "log")
    text = textwrap.dedent(STUB).format(pace=pace, log=log, subjects=subjects, on_b=on_b)
    (folder / FILE).write_text(text)
    return folder


def test_sides_take_turns_and_who_is_first_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stub(tmp_path / "new", 4))
    base = str(stub(tmp_path / "base", 2))
    assert main(["gate", "--throughput", "--base", base]) == 1
    turns = (tmp_path / "log").read_text().split()
    assert turns[:8] == ["4a", "2a", "2b", "4b", "2a", "4a", "4b", "2b"]
    assert len(turns) == 2 * 2 * (FIRST_ROUNDS + ROUNDS)
    said = capsys.readouterr().out
    assert "slower: a: 2.00 times the wall time (p < .0001)" in said
    assert said.endswith(f"{base} -> .: 2 subjects, 4 failures\n")


def test_what_looks_no_slower_at_first_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stub(tmp_path / "new", 4))
    assert main(["gate", "--throughput", "--base", "."]) == 0
    assert len((tmp_path / "log").read_text().split()) == 2 * 2 * FIRST_ROUNDS
    assert capsys.readouterr().out == ". -> .: 2 subjects, passed\n"


def test_first_measuring_does_not_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Slow in the rounds of the first measuring alone, as equal code on a busy machine may look.
    lucky = f"pace = 4 if (n := n + 1) <= {FIRST_ROUNDS + 1} else 2"
    monkeypatch.chdir(stub(tmp_path / "new", 2, on_b=lucky))
    found = compare_with_base(str(stub(tmp_path / "base", 2)))
    assert found.notes == ("measured again, as they looked slower at first: b",)
    assert {change.name for change in found.changes} == {"b"} and not found.failures
    assert found.checked == 2
    # One slow round of the second measuring counts until enough others have followed.
    asked = (tmp_path / "log").read_text().split()
    assert asked[-1].endswith("b") and len(asked) == 2 * (2 * FIRST_ROUNDS + 8)


def test_it_ends_in_time_with_fewer_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stub(tmp_path / "new", 4))
    base = str(stub(tmp_path / "base", 2))
    clock = iter([0.0, *[LONGEST_S + 1] * 9])
    found = compare_with_base(base, clock=lambda: next(clock))
    assert found.notes[1] == "in fewer than 20 rounds, for want of time"
    turns = (tmp_path / "log").read_text().split()
    assert len(turns) == 2 * 2 * (LEAST_ROUNDS + LEAST_ROUNDS)


def test_what_is_not_the_same_in_both_is_left_out_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stub(tmp_path / "new", 4))
    base = stub(tmp_path / "base", 4, '{"a": 8, "b": 16, "c": 1}')
    found = compare_with_base(str(base))
    assert {change.name for change in found.changes} == {"a"} and found.checked == 1
    assert found.notes == tuple(f"not in both, or of other batches: {name}" for name in "bc")
    with pytest.raises(InputError, match=r"nothing to measure of both is named z\*"):
        compare_with_base(str(base), "z*")


def test_version_that_cannot_be_measured_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stub(tmp_path / "new", 4, on_b="raise SystemExit(3)"))
    base = stub(tmp_path / "base", 4)
    with pytest.raises(InputError, match=r"^this checkout: measuring it failed, see above$"):
        compare_with_base(str(base))
    with pytest.raises(InputError, match="neither a revision of this repository nor a folder"):
        compare_with_base("no_such_version")


def test_base_without_the_bench_passes_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").touch()
    version_control.commit(tmp_path)
    assert main(["gate", "--throughput", "--base", "HEAD"]) == 0
    assert capsys.readouterr().out == (
        "note: HEAD has no `bench` to compare with\nHEAD -> .: 0 subjects, passed\n"
    )


def copy_code(folder: Path) -> Path:
    """Copy what a worker needs of this checkout."""
    for name in ("benchmark", "models", "data"):
        left_out = shutil.ignore_patterns("__pycache__", "prepared", "checkpoints", "scratch")
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_this_checkout_can_be_measured_as_a_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy_code(tmp_path))
    version_control.commit(tmp_path)
    found = compare_with_base("HEAD", "discriminator/patchgan_small")
    assert [change.clock for change in found.changes] == ["wall", "CPU"]
    assert found.checked == 1 and all(0 < change.ratio < 100 for change in found.changes)
    assert not [p for p in Path.cwd().iterdir() if p.name.startswith("reports")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "seen_in"),
    [
        (
            "benchmark/training/network_inputs.py",
            "        raw: Tensor = self.network(",
            "        self.network(masked, mask, batch.corner)\n        raw: Tensor = self.network(",
            "step/l2",
        ),
        (
            "benchmark/training/batches.py",
            "torch.from_numpy(self._images[rows])",
            "torch.from_numpy(np.array(self._images)[rows])",
            "batches",
        ),
    ],
    ids=["doubled forward pass", "reloaded training set"],
)
def test_deliberate_fault_is_refused(
    file: str, old: str, new: str, seen_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = copy_code(tmp_path / "base")
    shutil.copytree(base, tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    change(Path(file), old, new)
    assert {f.name for f in compare_with_base(str(base), seen_in).failures} == {seen_in}
