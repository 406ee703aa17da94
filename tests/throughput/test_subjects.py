"""What is measured: everything that there is, by its registries, and the command that does it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.__main__ import main
from benchmark.core.config import load_params
from benchmark.core.device import Engine
from benchmark.metrics import METRICS, missing_metrics
from benchmark.reporting.throughput import forward_name, read_throughput
from benchmark.throughput.subjects import Bench, all_subjects, fixed_subset, free, open_bench
from models.networks import discriminator_names, generator_names
from tests.support.command_line import options
from tests.support.tiny import ROOT, full_variant

VARIANTS = sorted(path.stem for path in (ROOT / "models/variants").glob("*.yaml"))


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        with open_bench("cpu") as opened:
            yield opened
    torch.use_deterministic_algorithms(False)  # the device sets it for the whole process


def test_everything_of_the_registries_is_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    subjects, missing = all_subjects(bench)
    names = [subject.name for subject in subjects]
    assert len(set(names)) == len(names)
    expected = {f"generator/{name}" for name in generator_names()}
    expected |= {f"discriminator/{name}" for name in discriminator_names()}
    expected |= {f"step/{name}" for name in VARIANTS}
    expected |= {f"metric/{name}" for name in METRICS if name not in missing_metrics()}
    expected |= {"split", "batches", "decode/jpg", "decode/png"}
    for name in VARIANTS:
        spec = full_variant(name).generator
        expected.add(forward_name("generator", spec.network, spec.options))
    assert {name for name in names if not name.startswith("discriminator/")} <= expected <= {*names}
    assert missing == {f"metric/{name}": reason for name, reason in missing_metrics().items()}


def test_gate_measures_a_part_that_has_the_steps_of_the_selected_variants(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    chosen = {subject.name for subject in fixed_subset(bench)}
    assert chosen < {subject.name for subject in all_subjects(bench)[0]}
    steps = {name for name in chosen if name.startswith("step/")}
    assert steps == {f"step/{name}" for name in load_params().variants}


def test_on_a_gpu_steps_are_also_timed_without_deterministic_algorithms(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    on_gpu = replace(bench, engine=Engine(torch.device("cuda")))
    names = {subject.name for subject in all_subjects(on_gpu)[0]}
    assert {f"step/{name} free" for name in VARIANTS} <= names
    assert torch.are_deterministic_algorithms_enabled()
    with free():
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
    assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark


@pytest.mark.parametrize(
    "name", ["split", "batches", "decode/png", "step/localizer", "metric/psnr_h", "metric/seam"]
)
def test_subjects_work_again_and_again(
    name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    subject = next(s for s in all_subjects(bench)[0] if s.name == name)
    work = subject.prepare()
    for _ in range(2):
        work()
    assert capfd.readouterr() == ("", "")
    assert not (ROOT / "data/prepared/throughput").exists()
    # A localizer is updated in every second step, so that a call has two.
    assert subject.images == {"split": 128, "batches": 2048, "step/localizer": 16}.get(name, 8)


def test_command_writes_a_file_of_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "times.json"
    words = ["bench", "--only", "*/patchgan_*", "--rounds", "2", "--device", "cpu"]
    assert main([*words, "--out", str(out)]) == 0
    torch.use_deterministic_algorithms(False)
    found = read_throughput(out)
    assert [*found.subjects] == ["discriminator/patchgan_instance", "discriminator/patchgan_small"]
    assert all(len(one.wall_s) == len(found.roof.wall_s) == 2 for one in found.subjects.values())
    assert found.machine["device"] == "cpu" and (found.batch_size, found.image_px) == (8, 64)
    said = capsys.readouterr().out
    assert "discriminator/patchgan_small " in said and said.endswith(f"-> {out}\n")
    # Too few rounds, which the gate says.
    assert main(["gate", "--throughput", str(out), str(out)]) == 2
    assert "was timed in 2 rounds; it takes 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "--only", "x"], "--only: name a file with --out"),
        (["bench", "--only", "x", "--out", "y"], "--only: nothing is named x; there are batches, "),
        (["gate"], "--base: name the version"),
        (["gate", "a.json", "b.json"], "a.json: files are compared with --throughput alone"),
        (["gate", "--throughput"], "--throughput: name two files, OLD and NEW, or a version"),
        (["gate", "--throughput", "a.json"], "--throughput: name two files"),
        (["gate", "--throughput", "--base", "x", "a", "b"], "--throughput: name two files"),
        (["gate", "--throughput", "--base", "x", "--allow", "y"], "takes neither --new nor"),
        (["gate", "--throughput", "a.json", "b.json"], "a.json: missing; `make bench` makes it"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(words) == 2
    torch.use_deterministic_algorithms(False)
    assert said in capsys.readouterr().err
    assert {"--throughput", "--base"} <= options("gate")
