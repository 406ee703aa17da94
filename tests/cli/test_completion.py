"""The completion of a shell, asked in the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import COMMANDS
from tests.support.tiny import ROOT

SUITES = sorted(path.stem for path in (ROOT / "benchmark/suites").glob("*.yaml"))
VARIANTS = sorted(path.stem for path in (ROOT / "models/variants").glob("*.yaml"))
BASH = """
eval "$("$1" -m benchmark completion bash)"
complete -p python python3 >&2
COMP_LINE="$2" COMP_POINT=${#2}
_inpaintbench ${2%% *}
printf '%s\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { print -u 2 -- "$@"; }
compadd() { print -rl -- ${(P)2}; }
compset() { print -u 2 -- "$@"; }
_files() { print files; }
_python() { print python; }
eval "$("$1" -m benchmark completion zsh)"
words=(${(s: :)2}) CURRENT=$#words
if [[ $2 == *' ' ]]; then words+=('') CURRENT=$#words; fi
_inpaintbench
"""
FISH = """
$argv[1] -m benchmark completion fish | source
complete -C "$argv[2]"
"""


def ask(shell: list[str], line: str, folder: Path = ROOT) -> list[str]:
    """Return what a shell offers in the place of the last word of a line."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    done = subprocess.run(
        [*shell, sys.executable, line], cwd=folder, capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout.split()


def in_bash(rest: str, start: str = sys.executable, folder: Path = ROOT) -> list[str]:
    return ask(["bash", "-c", BASH, "bash"], f"{start} {rest}", folder)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("trai", ["train"]),
        ("", [*COMMANDS]),
        pytest.param("--v", ["--version"], marks=pytest.mark.slow),
        ("train --su", ["--suite"]),
        ("train --suite ", SUITES),
        pytest.param("train --suite portr", ["portraits"], marks=pytest.mark.slow),
        ("train --suite=portr", ["portraits"]),  # bash has split it, and puts this after the `=`
        pytest.param(
            "train --suite portraits --device ", ["auto", "cpu", "cuda"], marks=pytest.mark.slow
        ),
        ("train --suite portraits --s", ["--seed"]),  # --suite is there already
        ("tolerances --suite portraits --suit", ["--suite"]),  # may be repeated
        pytest.param("inpaint --overwrite --crit", ["--criterion"], marks=pytest.mark.slow),
        ("inpaint --criterion best_val_s", ["best_val_ssim", "best_val_stlpips"]),
        ("describe ", VARIANTS),
        pytest.param("describe l2 --", ["--suite", "--json", "--help"], marks=pytest.mark.slow),
        pytest.param("completion z", ["zsh"], marks=pytest.mark.slow),
        # Nothing of ours: with `-o default` readline offers files then.
        ("inpaint --out ", []),
        pytest.param("train --seed ", [], marks=pytest.mark.slow),
    ],
)
def test_bash_asks_the_command_line(line: str, expected: list[str]) -> None:
    assert in_bash(f"-m benchmark {line}") == expected


def test_nothing_runs_where_there_is_no_checkout(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\ntouch ran\n")
    (tmp_path / "python").chmod(0o755)
    assert in_bash("-m benchmark tr", "./python", tmp_path) == []
    assert not (tmp_path / "ran").exists()
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark/__main__.py").touch()
    assert in_bash("-m pytest tr", "./python", tmp_path) == []
    assert in_bash("benchmark/core/paths.py ", "./python", tmp_path) == []
    assert not (tmp_path / "ran").exists()
    in_bash("-m benchmark tr", "./python", tmp_path)
    assert (tmp_path / "ran").exists()  # so that the above is no accident


def test_zsh_asks_the_command_line() -> None:
    zsh, python = ["zsh", "-f", "-c", ZSH, "zsh"], sys.executable
    assert ask(zsh, f"{python} -m benchmark trai") == ["train"]
    assert ask(zsh, f"{python} -m benchmark train --suite ") == SUITES
    assert ask(zsh, f"{python} -m benchmark train --suite=portr") == ["portraits"]  # after `=`
    assert ask(zsh, f"{python} -m benchmark inpaint --out ") == ["files"]
    assert ask(zsh, f"{python} -m pytest tr") == ["python"]


def test_fish_asks_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fish = ["fish", "--no-config", "-c", FISH]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)  # of the line's `python`
    assert ask(fish, "python -m benchmark trai") == ["train"]
    assert ask(fish, "python -m benchmark train --suite portr") == ["portraits"]
    assert "--json" in ask(fish, "python -m benchmark describe l2 --")
