"""Documents and workflows: their commands parse, their links lead somewhere, a token is safe.

The parsers are that of our command line and DVC's own.
"""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML

from tests.support.command_line import options, parse
from tests.support.tiny import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROGRAMS: dict[str, Callable[[list[str]], object]] = {
    "python -m benchmark": parse,
    "dvc": get_main_parser().parse_args,
}


def jobs(path: Path) -> Iterator[dict[str, Any]]:
    """Give the jobs of a workflow, each with the permissions that it has."""
    # YAML 1.2, in which `on` is no boolean.
    content = YAML(typ="safe", pure=True).load(path)
    for job in content["jobs"].values():
        yield {"permissions": content["permissions"], **job}


def scripts(path: Path) -> list[str]:
    """Return what a document shows as code, or a workflow runs."""
    if path.suffix == ".md":
        return re.findall(r"(?ms)^```\w*\n(.*?)^```$", path.read_text(encoding="utf-8"))
    return [step["run"] for job in jobs(path) for step in job["steps"] if "run" in step]


def calls(script: str, program: str) -> Iterator[list[str]]:
    """Give the words after a program's name, wherever a script calls it."""
    script = re.sub(r"\\\n", " ", script)
    script = re.sub(r"(?m)(^|\s)#.*$", "", script)
    script = re.sub(r'"\$\{\w+\[@\]\}"', "", script)  # any number of words, or none
    script = re.sub(r"<(\w+)>", r"\1", script)  # what a reader is to fill in
    for rest in re.findall(rf"(?<![\w`.-]){re.escape(program)} (?=(\w.*))", script):
        found = []
        words = shlex.shlex(rest, posix=True, punctuation_chars=True)
        words.wordchars += ","
        for word in words:
            if set(word) <= set("();<>|&"):
                break
            found.append(word)
        yield found


@pytest.mark.parametrize("path", [*DOCUMENTS, *WORKFLOWS], ids=lambda path: path.name)
def test_commands_parse(path: Path) -> None:
    for program, parser in PROGRAMS.items():
        for arguments in (call for script in scripts(path) for call in calls(script, program)):
            try:
                parser(arguments)
            except (SystemExit, typer.TyperException):
                pytest.fail(f"{program} {shlex.join(arguments)}")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_options_that_are_mentioned_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for mention in re.findall(r"`python\s+-m\s+benchmark\s+(\w[^`]*)`", text):
        name, *rest = mention.split()
        named = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert named <= options(name), mention


def test_commands_are_found_wherever_they_are() -> None:
    script = (
        "git checkout v1 && dvc checkout  # and not dvc push\n"
        "OMP_NUM_THREADS=1 .venv/bin/python -m benchmark gate \\\n"
        '  --base "$base" "${allowed[@]}" > gate.txt 2>&1 || code=$?\n'
        "dvc exp run -S 'a.yaml:b=1' | tail -n 1\n"
        "reference/   kept by `python -m benchmark reference`\n"
    )
    ours, theirs = (list(calls(script, program)) for program in PROGRAMS)
    assert ours == [["gate", "--base", "$base"]]
    assert theirs == [["checkout"], ["exp", "run", "-S", "a.yaml:b=1"]]
    for program in PROGRAMS:
        assert [c for s in scripts(ROOT / "docs/versions.md") for c in calls(s, program)]


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_scripts_are_valid_and_no_code_of_a_pull_request_has_a_token_that_can_write(
    path: Path,
) -> None:
    for script in scripts(path):
        # An expression would be pasted into the script, whatever is in it.
        assert "${{" not in script
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "pull_request_target" not in path.read_text(encoding="utf-8")
    for job in jobs(path):
        if "write" in job["permissions"].values():
            assert not any("checkout" in step.get("uses", "") for step in job["steps"])
