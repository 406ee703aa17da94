"""`select`: shows params.yaml, and writes it only where what is asked for can be built."""

import json
from pathlib import Path

import pytest

from benchmark.__main__ import main
from benchmark.core.config import load_params
from tests.support.promises import tally
from tests.support.tiny import ROOT

BEFORE = """\
suites: [portraits, photos]
runs:
  portraits-l2-0: {suite: portraits, variant: l2, seed: 0}
  photos-l2-0: {suite: photos, variant: l2, seed: 0}
"""


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("benchmark", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "params.yaml").write_text(BEFORE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)  # someone may edit while this runs
    return tmp_path


def select(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["select", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_alone_it_shows_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert select(capsys).splitlines()[:2] == [
        "portraits: 1 run: l2 (seeds 0)",
        "photos: 1 run: l2 (seeds 0)",
    ]
    shown = json.loads(select(capsys, "--json"))
    assert shown == {"runs": 2, "suites": {"photos": {"l2": [0]}, "portraits": {"l2": [0]}}}
    assert Path("params.yaml").read_text() == BEFORE


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [([], [0]), (["--seeds", "3"], [3]), (["--seeds=0,2-4"], [0, 2, 3, 4])],
)
def test_runs_of_a_suite_are_replaced(
    seeds: list[str], expected: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    text = select(capsys, "--suite", "photos", "--variants", "l2,binary", *seeds)
    listed = ", ".join(map(str, expected))
    assert f"photos: {2 * len(expected)} runs: l2, binary (seeds {listed})\n" in text
    params = load_params()
    found = [(run.variant, run.seed) for run in params.runs_of("photos")]
    assert found == [(name, seed) for name in ("l2", "binary") for seed in expected]
    assert len(params.runs_of("portraits")) == 1


def test_a_suite_is_taken_out(capsys: pytest.CaptureFixture[str]) -> None:
    select(capsys, "--suite", "photos", "--none")
    assert load_params().suites == ("portraits",)


def test_another_file_is_taken_even_where_the_selection_is_damaged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("params.yaml").write_text("suites: [")
    Path("other.yaml").write_text("cifar10: {variants: [l2], seeds: [0, 1]}\n")
    shown = json.loads(select(capsys, "--from", "other.yaml", "--json"))
    assert shown == {"runs": 2, "suites": {"cifar10": {"l2": [0, 1]}}}
    assert len(load_params().runs) == 2


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--suite photo --variants l2", "no suite 'photo' in benchmark/suites/. Did you mean pho"),
        ("--suite photos --variants binry", "no variant 'binry' in models/variants/. Did you mea"),
        ("--suite photos --variants l2, --seeds 0", "no variant '' in models/variants/."),
        ("--suite photos --variants l2 --seeds 1-", "--seeds: '1-' is no list of seeds such as 0"),
        ("--suite photos --variants l2 --seeds -1", "--seeds: '-1' is no list of seeds such as 0"),
        ("--suite photos --variants l2 --seeds 2-1", "--seeds: 2-1 is no seed below 2**31 and no"),
        ("--suite photos --variants l2 --seeds 0-99999", "--seeds: 0-99999 is no seed below 2**3"),
        ("--suite photos --variants l2 --seeds 2147483648", "--seeds: 2147483648 is no seed belo"),
        ("--suite photos --variants l2 --seeds 0,0-1", "--seeds: 0,0-1 names a seed twice"),
        ("--suite photos", "--suite photos: --variants has to name variants, or --none be given"),
        ("--suite photos --none --seeds 0", "--none: takes the suite out; leave --seeds out"),
        ("--suite cifar10 --none", "suite 'cifar10' is not selected; selected are portraits, pho"),
        ("--variants l2", "--variants: --suite has to say of which suite"),
        ("--none", "--none: --suite has to say of which suite"),
        ("--from params.yaml --suite photos --none", "--from: replaces the whole selection; leav"),
        ("--from params.yaml --seeds 0", "--from: replaces the whole selection; leave the other"),
        ("--from other.yaml", "other.yaml: No such file or directory"),
    ],
)
def test_what_cannot_be_built_is_refused_and_nothing_is_written(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["select", *arguments.split(" ")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith(f"error: {message}")
    assert Path("params.yaml").read_text() == BEFORE
    tally("invalid command lines refused")
