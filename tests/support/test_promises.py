"""The page of promises: how it is made, and that the committed one is that of the present tests."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import promises
from tests.support.promises import MARKER, PROMISES, Held, check, table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/promises.md"
NOT_COUNTED = {"slow", "gpu"}
"""Marks of tests that `make promises` leaves out."""


def _marks(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the name and the first argument of every `pytest.mark.<name>(…)` below a node."""
    called = {id(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
    for inner in ast.walk(node):
        call = inner if isinstance(inner, ast.Call) else None
        target = call.func if call else inner
        if (
            id(inner) not in called
            and isinstance(target, ast.Attribute)
            and ast.unparse(target.value) == "pytest.mark"
        ):
            argument = call.args[0] if call and call.args else None
            yield target.attr, str(argument.value) if isinstance(argument, ast.Constant) else ""


def _marked_tests() -> dict[str, set[str]]:
    """Return the functions of the tests that hold each promise, by reading their files."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        of_module = [
            mark
            for node in module.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
            for mark in _marks(node.value)
        ]
        for node in module.body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            marks = of_module + [m for d in node.decorator_list for m in _marks(d)]
            # A mark within another one is of some of its cases alone.
            whole = [next(_marks(decorator), ("", "")) for decorator in node.decorator_list]
            if NOT_COUNTED & {name for name, _ in of_module + whole}:
                continue
            for name, promise in marks:
                if name == MARKER:
                    found[promise].add(f"{path.relative_to(ROOT)}::{node.name}")
    return found


def test_every_promise_is_held_by_a_test() -> None:
    assert set(_marked_tests()) == set(PROMISES)


def test_committed_page_has_every_promise(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--promises"):
        pytest.skip("the page is being written")
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines()[7:]]
    assert [promise for promise, _ in rows] == [*PROMISES.values()], "run `make promises`"
    assert all(re.search(r"[1-9][\d,]* test case", counted) for _, counted in rows)


def _found(**changes: Held) -> dict[str, Held]:
    return {name: Held(passed=1) for name in PROMISES} | changes


def test_row_adds_up_what_the_tests_counted() -> None:
    held = Held(passed=1200, skipped=2)
    held.figures.update({"kills survived": 1020, "attempts": 3})
    lines = table(_found(resume=held), "make x", "Some CPU").splitlines()
    assert lines[2] == "Written by `make x` from what its tests counted, on Some CPU; do not edit."
    assert (
        f"| {PROMISES['resume']} | 3 attempts, 1,020 kills survived, 1,200 test cases, 2 skipped |"
    ) in lines
    assert len(lines) == 7 + len(PROMISES)


def test_page_of_a_broken_promise_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"lock: tests/test_x\.py::test_y failed"):
        table(_found(lock=Held(passed=3, failed=["tests/test_x.py::test_y"])), "c", "m")
    with pytest.raises(ValueError, match="gpu: no test passed"):
        table(_found(gpu=Held(skipped=1)), "c", "m")


def test_misspelt_promise_is_an_error() -> None:
    with pytest.raises(KeyError, match="lokc"):
        check(["lock", "lokc"])


def test_promises_without_a_test_keep_the_page_from_being_written(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process, which has loaded PyTorch; what it has noted itself is another page's.
    monkeypatch.setattr(promises, "_held", defaultdict(Held))
    monkeypatch.setattr(promises, "_figures", Counter())
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile("import pytest\n@pytest.mark.promise('lock')\ndef test_it(): pass\n")
    pytester.makeini(f"[pytest]\nmarkers =\n    {MARKER}(name): holds\npythonpath = {ROOT}\n")
    outcome = pytester.runpytest_inprocess("--promises=page.md")
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED
    assert "resume: no test passed" in "\n".join(outcome.outlines)
    assert not (pytester.path / "page.md").exists()
