"""The completion of a shell, asked in the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from benchmark.__main__ import command_parser
from benchmark.cli import COMMANDS
from benchmark.cli.candidates import CRITERIA, METRICS, candidates
from benchmark.core.config import Criterion
from benchmark.metrics import METRICS as REGISTERED
from tests.support.tiny import ROOT

SUITES = sorted(path.stem for path in (ROOT / "benchmark/suites").glob("*.yaml"))
VARIANTS = sorted(path.stem for path in (ROOT / "models/variants").glob("*.yaml"))
BASH = """
eval "$("$1" -m benchmark completion bash)"
complete -p python python3 >&2
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_inpaintbench
printf '%s\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { print -u 2 -- "$@"; }
compadd() { print -rl -- ${(P)2}; }
_files() { print files; }
_python() { print python; }
eval "$("$1" -m benchmark completion zsh)"
shift
words=("$@") CURRENT=$#
_inpaintbench
"""
FISH = """
$argv[1] -m benchmark completion fish | source
complete -C "$argv[2]"
"""


def shell(name: str) -> str:
    """Return where a shell is, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here")
    return found


def ask(script: list[str], *words: str, folder: Path = ROOT) -> list[str]:
    done = subprocess.run(
        [*script, *words], cwd=folder, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout.split()


def in_bash(*words: str, folder: Path = ROOT) -> list[str]:
    """Return what bash offers in the place of the last word."""
    return ask([shell("bash"), "-c", BASH, "bash", sys.executable], *words, folder=folder)


def ours(line: str) -> list[str]:
    """Return what is offered for what follows `python -m benchmark`."""
    return candidates(command_parser(), line.split(" "))


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", [*COMMANDS, "--help", "--version"]),
        ("trai", ["train"]),
        ("--v", ["--version"]),
        ("train --su", ["--suite"]),
        ("train --suite ", SUITES),
        ("train --suite portr", ["portraits"]),
        ("train --suite portraits --variant localizer_", ["localizer_raw", "localizer_script"]),
        ("train --suite portraits --device ", ["auto", "cpu", "cuda"]),
        ("train --suite portraits --s", ["--seed"]),  # --suite is there already
        ("train --device=c", ["--device=cpu", "--device=cuda"]),
        ("train --suite = portr", ["portraits"]),  # as bash splits it
        ("train --suite =", SUITES),
        ("train --seed ", []),  # any number
        ("inpaint --images ", []),  # any folder
        ("inpaint --overwrite --crit", ["--criterion"]),  # an option without a value
        ("inpaint --criterion best_val_s", ["best_val_ssim"]),
        ("bands --suite portraits --suit", ["--suite"]),  # may be repeated
        ("bands --seeds 1 2 --sett", ["--setting"]),
        ("describe ", VARIANTS),
        ("describe l2 --j", ["--json"]),
        ("completion z", ["zsh"]),
        ("trian --", []),
    ],
)
def test_what_is_offered(line: str, expected: list[str]) -> None:
    assert ours(line) == expected


def test_what_is_offered_can_be_used() -> None:
    parsers = command_parser()
    for name in COMMANDS:
        for option in ours(f"{name} --"):
            help_text = parsers._subparsers._group_actions[0].choices[name].format_help()  # type: ignore[index,union-attr]
            assert option in help_text


def test_names_that_are_too_slow_to_import_are_those_that_there_are() -> None:
    assert tuple(REGISTERED) == METRICS
    assert get_args(Criterion) == CRITERIA


def test_bash_asks_the_command_line() -> None:
    python = sys.executable
    assert in_bash(python, "-m", "benchmark", "trai") == ["train"]
    assert in_bash(python, "-m", "benchmark", "train", "--suite", "=", "portr") == ["portraits"]
    assert in_bash(python, "-m", "benchmark", "describe", "l2", "--") == [
        "--help",
        "--suite",
        "--json",
    ]
    assert in_bash(python, "-m", "benchmark", "describe", "") == VARIANTS


def test_bash_offers_files_for_anything_else(tmp_path: Path) -> None:
    # Nothing of ours: with `-o default` readline offers files then.
    assert in_bash(sys.executable, "-m", "pytest", "tr") == []
    assert in_bash(sys.executable, "benchmark/core/paths.py", "") == []
    assert in_bash(sys.executable, "-m", "benchmark", "inpaint", "--out", "") == []


def test_nothing_runs_where_there_is_no_checkout(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\ntouch ran\n")
    (tmp_path / "python").chmod(0o755)
    assert in_bash("./python", "-m", "benchmark", "tr", folder=tmp_path) == []
    assert not (tmp_path / "ran").exists()
    (tmp_path / "benchmark/cli").mkdir(parents=True)
    (tmp_path / "benchmark/cli/completion.py").touch()
    in_bash("./python", "-m", "benchmark", "tr", folder=tmp_path)
    assert (tmp_path / "ran").exists()  # so that the above is no accident


def test_zsh_asks_the_command_line() -> None:
    command = [shell("zsh"), "-f", "-c", ZSH, "zsh", sys.executable]
    python = sys.executable
    assert ask(command, python, "-m", "benchmark", "trai") == ["train"]
    assert ask(command, python, "-m", "benchmark", "train", "--suite=portr") == [
        "--suite=portraits"
    ]
    assert ask(command, python, "-m", "benchmark", "inpaint", "--out", "") == ["files"]
    assert ask(command, python, "-m", "pytest", "tr") == ["python"]


def test_fish_asks_the_command_line() -> None:
    command = [shell("fish"), "--no-config", "-c", FISH, sys.executable]
    assert ask(command, "python -m benchmark trai") == ["train"]
    assert ask(command, "python -m benchmark train --suite=portr") == ["--suite=portraits"]
    assert "--json" in ask(command, "python -m benchmark describe l2 --")
