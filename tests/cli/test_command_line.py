"""The command line as a whole: its page, its commands, its suggestions and its exit codes."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark.__main__ import main
from benchmark.cli.app import RENAMED
from benchmark.cli.options import answer
from benchmark.core.hashing import loaded_code
from tests.support.command_line import COMMANDS, options, required
from tests.support.promises import tally
from tests.support.tiny import ROOT

TAKES_SUITE = [name for name in COMMANDS if "--suite" in options(name)]
HEAVY = {"torch", "pandas", "cv2", "scipy", "matplotlib", "lightning"}
LIGHT = {"numpy", "PIL", "pydantic"}
"""What reading a suite takes."""


def run_itself(*arguments: str) -> tuple[str, set[str]]:
    """Run the command line in a process of its own; return its answer and the modules it loads."""
    command = [sys.executable, "-X", "importtime", "-m", "benchmark", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    # Its stderr lists `<self> | <total> | <module>`.
    return done.stdout, {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def misuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run what must be refused and return its one line."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    tally("invalid command lines refused")
    return said.err


# The page and the list of commands


def test_help_fits_a_screen() -> None:
    text, _ = run_itself("--help")
    lines = text.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    rows = [line for line in lines if line.startswith("  ")]
    names = [row[at : at + 11].strip() for row in rows for at in (2, 40) if row[at:]]
    assert sorted(names) == sorted(COMMANDS)


@pytest.mark.parametrize(
    ("argument", "unneeded"),
    [
        ("--help", HEAVY | LIGHT),
        ("--version", HEAVY | LIGHT - {"pydantic"}),
        ("list", HEAVY),
        ("select", HEAVY),
    ],
)
def test_commands_that_only_look_start_quickly(argument: str, unneeded: set[str]) -> None:
    _, loaded = run_itself(argument)
    assert "benchmark.cli.app" in loaded and not unneeded & loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_command_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name]
    assert 5 < len(command.short_help) <= 25
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: python -m benchmark {name} ")
    assert " ".join(command.help.split()) in " ".join(text.split())
    documented = {*re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE)} - {"--help"}
    assert documented == {option for option in options(name) if option.startswith("--")}
    assert not re.search("[╭│\x1b]", text)


def test_without_a_command_the_page_is_shown_and_it_is_wrong_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert main([]) == 2
    assert capsys.readouterr() == ("", page)


def test_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr("benchmark.cli.version.ROOT", tmp_path)
    monkeypatch.setattr("benchmark.core.git.ROOT", tmp_path)
    # In a repository that is not the checkout's own there is no commit to name.
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"inpaintbench {project['version']}\n"
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "pyproject.toml"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "one"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert main(["--version"]) == 0
    found = re.fullmatch(r"inpaintbench \S+ \(commit ([0-9a-f]{7,})\)\n", capsys.readouterr().out)
    assert found and head.stdout.startswith(found[1])
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write("\n")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.endswith(f"(commit {found[1]}, with changes)\n")


@pytest.mark.promise("code")
def test_results_depend_on_no_module_of_the_command_line() -> None:
    loaded = {path.relative_to(ROOT).as_posix() for path in loaded_code()}
    assert {"benchmark/core/paths.py", "benchmark/core/hashing.py"} <= loaded
    assert {name for name in loaded if re.search("benchmark/(cli|__main__)", name)} == set()
    assert "benchmark.cli.stages" in sys.modules


# Suggestions


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("trian", "No such command 'trian'. Did you mean 'train'? See `python -m benchmark"),
        ("qqq", "No such command 'qqq'; see `python -m benchmark --help`"),
        # What is misspelt counts before what is missing for that reason.
        (
            "train --siute portraits --variant l2",
            "No such option: --siute. Did you mean --suite? See `python -m benchmark train --help`",
        ),
        (
            "train --suite=portraits --variant=l2 --sede=1",
            "No such option: --sede. Did you mean --seed? See `python -m benchmark train --help`",
        ),
        ("train --suit portraits --variant l2", "No such option: --suit. Did you mean --suite?"),
        ("train --suite portraits --variant l2 --seeds 1", "No such option: --seeds. Did you mean"),
        (
            "train --suite portraits --variant l2 --device cup",
            "Invalid value for '--device': 'cup' is not one of 'auto', 'cpu', 'cuda'. Did you mean "
            "cpu? See `python -m benchmark train --help`",
        ),
        (
            "describe localiser",
            "no variant 'localiser' in models/variants/. Did you mean localizer? There are: ",
        ),
        (
            "split --suite cifar_10",
            "no suite 'cifar_10' in benchmark/suites/. Did you mean cifar10? There are: ",
        ),
        ("--versoin", "No such option: --versoin. Did you mean --version? See"),
        ("list -x", "No such option: -x; see `python -m benchmark list --help`"),
        ("train --suite", "Option '--suite' requires an argument"),
        ("describe l2 extra\n\x1b[31m", "Got unexpected extra argument(s) (extra"),
        (
            "split --suite photos --workers 0",
            "Invalid value for '--workers': Input should be",
        ),
        (
            "train --suite a --variant b --seed -1",
            "Invalid value for '--seed': Input should be",
        ),
        (
            "train --suite a --variant b --seed 1.5",
            "Invalid value for '--seed': Input should be",
        ),
        ("compare --json --markdown HEAD", "--json, --markdown, --line: choose one"),
        *[(f"{old} --suite portraits", f"No such command '{old}': it is ") for old in RENAMED],
    ],
)
@pytest.mark.promise("configuration")
def test_wrong_word_is_met_with_the_right_one(
    arguments: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = misuse(capsys, *arguments.split(" ")).removeprefix("error: ")
    assert said.startswith(line) and said.rstrip("\n").isprintable()
    if not line.startswith(("no ", "--json")):  # what the parser says
        assert " --help`\n" in said


def test_former_names_lead_to_commands_that_there_are() -> None:
    assert RENAMED.keys() == {"diagnose", "bands"}
    for words in RENAMED.values():
        assert re.findall("`(.*?)`", words)[0] in COMMANDS


# Wrong use of every command: exit code 2 and one line


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = misuse(capsys, name, *required(name), "--no-such-option")
    assert "No such option: --no-such-option" in message
    assert f"`python -m benchmark {name} --help`" in message


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("name", [name for name in COMMANDS if required(name)])
def test_missing_argument(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = misuse(capsys, name)
    assert "Missing " in message and f"`python -m benchmark {name} --help`" in message


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("name", TAKES_SUITE)
def test_unknown_suite(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = required(name, suite="portriats")
    words += [] if "--suite" in words else ["--suite", "portriats"]
    words += ["--variants", "l2"] if name == "select" else []
    assert "'portriats'" in misuse(capsys, name, *words)


def test_these_tests_go_over_commands() -> None:
    assert len(TAKES_SUITE) >= 8 and len(COMMANDS) >= 16


# What a script reads


def test_json_is_sorted_and_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    answer(True, {"b": 1, "a": {"d": [2], "c": None}}, "not this")
    text = capsys.readouterr().out
    assert text.endswith("}\n") and re.findall(r'"([a-d])"', text) == ["a", "c", "d", "b"]


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed.keys() == {"suites", "variants"}
    for kind, folder in (("suites", "benchmark/suites"), ("variants", "models/variants")):
        names = {path.stem for path in (ROOT / folder).glob("*.yaml")}
        assert listed[kind].keys() == names and all(f"  {name} " in text for name in names)
    assert listed["variants"]["l2"] == "LocPaint L2"


def test_split_for_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "benchmark/suites").mkdir(parents=True)
    shutil.copy(ROOT / "tests/support/tiny_suite.yaml", tmp_path / "benchmark/suites/tiny.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)  # someone may edit while this runs
    assert main(["split", "--suite", "tiny", "--workers", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said.pop("folder") == "data/prepared/tiny"
    assert said == json.loads((tmp_path / "data/prepared/tiny/split.json").read_text())
