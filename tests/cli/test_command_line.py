"""The command line as a whole: its page, its commands, its suggestions and its exit codes."""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark.__main__ import command_parser, main
from benchmark.cli import COMMANDS, GROUPS
from benchmark.cli.arguments import print_json
from benchmark.cli.parser import help_page, meant
from benchmark.core.hashing import loaded_code
from tests.support.promises import tally
from tests.support.tiny import ROOT

FOLDER = ROOT / "benchmark/cli"
PARSERS: dict[str, argparse.ArgumentParser] = next(
    action.choices
    for action in command_parser()._actions
    if isinstance(action, argparse._SubParsersAction)
)
TAKES_SUITE = [name for name, parser in PARSERS.items() if "--suite" in parser.format_usage()]
HEAVY = {"torch", "numpy", "pandas", "matplotlib", "pydantic", "PIL", "scipy", "lightning"}


def run_itself(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, which lists what it imports on stderr."""
    command = [sys.executable, "-X", "importtime", "-m", "benchmark", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def misuse(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run what must be refused, whoever refuses it, and return its one line."""
    try:
        code: object = main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    return said.err


def required(parser: argparse.ArgumentParser, **given: str) -> list[str]:
    """Return the least that a command asks for, with names that are there."""
    words = []
    for action in parser._actions:
        value = str(next(iter(action.choices))) if action.choices else "l2"
        value = given.get(action.dest, "portraits" if action.dest == "suite" else value)
        if action.required and action.option_strings:
            words += [action.option_strings[0], value]
        elif action.required:
            words.append(value)
    return words


# The page and the list of commands


def test_help_fits_a_screen_and_is_quick() -> None:
    done = run_itself("--help")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) <= 24 and max(map(len, lines)) <= 80
    # What takes long to import is not: -X importtime lists `<self> | <total> | <module>`.
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "benchmark.cli.arguments" in imported and not HEAVY & imported


def test_every_command_is_on_the_page_once() -> None:
    rows = [row for row in command_parser().format_help().splitlines() if row.startswith("  ")]
    assert sorted(
        row[at : at + 11].strip() for row in rows for at in (2, 40) if row[at:]
    ) == sorted(COMMANDS)
    assert len(set(COMMANDS)) == len(COMMANDS)


def test_every_module_that_is_a_command_is_listed_and_every_listed_one_is_there() -> None:
    modules = {p.stem for p in FOLDER.glob("*.py") if re.search(r"(?m)^SUMMARY\b", p.read_text())}
    assert modules == set(COMMANDS) == set(PARSERS)


def test_page_has_two_columns_and_an_odd_one_has_a_line() -> None:
    page = help_page([("Fruit", {"apple": "red", "pear": "green", "plum": "blue"})])
    rows = page.splitlines()
    start = rows.index("Fruit")
    assert rows[start + 1].split() == ["apple", "red", "pear", "green"]
    assert rows[start + 2].split() == ["plum", "blue"]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = sys.modules[f"benchmark.cli.{name}"]
    words = next(group[name] for _, group in GROUPS if name in group)
    assert len(module.SUMMARY) <= 60 and module.SUMMARY[-1] != "." and len(words) <= 25
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and text.startswith(f"usage: python -m benchmark {name} ")
    assert " ".join(module.SUMMARY[1:].split()) in " ".join(text.split())


def test_without_a_command_the_page_is_shown_and_it_is_wrong_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", command_parser().format_help())


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
    assert {"benchmark/core/paths.py", "benchmark/core/hashing.py", "requirements.lock"} <= loaded
    assert {name for name in loaded if re.search("commands|exit_codes|__main__", name)} == set()
    assert {"benchmark.core.exit_codes", "benchmark.cli.train"} <= sys.modules.keys()


# Suggestions


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["trian"], "'trian' is no command; did you mean train? See `python -m benchmark --help`"),
        (["qqq"], "'qqq' is no command; see `python -m benchmark --help`"),
        # What is misspelt counts before what is missing for that reason.
        (
            ["train", "--siute", "portraits", "--variant", "l2"],
            "'--siute' is no option of this command; did you mean --suite? See "
            "`python -m benchmark train --help`",
        ),
        (
            ["train", "--suite=portraits", "--variant=l2", "--sede=1"],
            "'--sede' is no option of this command; did you mean --seed? See "
            "`python -m benchmark train --help`",
        ),
        (
            ["train", "--suite", "portraits", "--variant", "l2", "--device", "cup"],
            "--device: 'cup' is none of auto, cpu, cuda; did you mean cpu? See "
            "`python -m benchmark train --help`",
        ),
        (
            ["describe", "localiser"],
            "no variant 'localiser' in models/variants/. Did you mean localizer? There are: ",
        ),
        (
            ["split", "--suite", "cifar_10"],
            "no suite 'cifar_10' in benchmark/suites/. Did you mean cifar10? There are: ",
        ),
        (["list", "-x"], "unrecognized arguments: -x; see `python -m benchmark list --help`"),
    ],
)
def test_misspelt_word_is_met_with_the_right_one(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = misuse(capsys, *arguments).removeprefix("error: ")
    assert said.startswith(line) and (said == line + "\n" or line.endswith("There are: "))


def test_nothing_near_is_no_suggestion() -> None:
    assert meant("zzz", ["train", "split"]) == ""
    assert meant("spilt", ["train", "split"]) == "; did you mean split?"


def test_help_is_given_beside_a_misspelt_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "--siute", "portraits", "--help"])
    assert stop.value.code == 0 and capsys.readouterr().out.startswith("usage: ")


# Wrong use of every command: exit code 2 and one line


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = misuse(capsys, name, *required(PARSERS[name]), "--no-such-option")
    assert "'--no-such-option' is no option" in message
    tally("invalid command lines refused")


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("name", [name for name in COMMANDS if required(PARSERS[name])])
def test_missing_argument(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = misuse(capsys, name)
    assert "required: " in message and f"`python -m benchmark {name} --help`" in message
    tally("invalid command lines refused")


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("name", TAKES_SUITE)
def test_unknown_suite(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = required(PARSERS[name], suite="portriats")
    if "--suite" not in words:
        words += ["--suite", "portriats"]
    assert "'portriats'" in misuse(capsys, name, *words)
    tally("invalid command lines refused")


def test_these_tests_go_over_commands() -> None:
    assert len(TAKES_SUITE) >= 8 and len(COMMANDS) >= 16


# What a script reads


def test_json_is_sorted_and_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"b": 1, "a": {"d": [2], "c": None}})
    text = capsys.readouterr().out
    assert text.endswith("}\n") and re.findall(r'"([a-d])"', text) == ["a", "c", "d", "b"]


def test_list_for_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed.keys() == {"suites", "variants"}
    for kind, folder in (("suites", "benchmark/suites"), ("variants", "models/variants")):
        assert listed[kind].keys() == {path.stem for path in (ROOT / folder).glob("*.yaml")}
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
