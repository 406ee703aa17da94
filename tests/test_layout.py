"""The house: imports go down one list of packages, packages are small, names are our own."""

import ast
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = (
    "__main__", "cli", "throughput", "pipeline", "reporting", "versions", "submissions",
    "inference", "claims", "evaluation", "training", "stats", "metrics", "distributed", "core",
)  # fmt: skip
"""Packages of `benchmark/`; each may import those after it, then `models` and `data`."""
MOST_MODULES = 12
LONGEST_FUNCTION = 60
MODULES = sorted(p for top in ("benchmark", "models", "data") for p in (ROOT / top).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name: str) -> int | None:
    """Return the place of a module in the order; None for the libraries of others."""
    top, *rest = name.split(".")
    if top == "benchmark":
        return ORDER.index(rest[0]) if rest and rest[0] in ORDER else len(ORDER)
    return {"models": len(ORDER), "data": len(ORDER) + 1}.get(top)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down_the_list_only(path: Path) -> None:
    own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    ours = layer(own)
    assert ours is not None
    for name in imports(path):
        theirs = layer(name)
        assert theirs is None or theirs >= ours, f"{own} imports {name}"
        if own.startswith(("models.", "data.")) and theirs is not None:
            assert theirs == ours, f"{own} imports {name}; models and data know no other package"


def test_every_package_of_the_harness_has_its_place() -> None:
    packages = {path.parent.name for path in (ROOT / "benchmark").glob("*/__init__.py")}
    assert packages == {*ORDER} - {"__main__"}
    assert {path.name for path in (ROOT / "benchmark").glob("*.py")} == {
        "__init__.py", "__main__.py",
    }  # fmt: skip


def test_packages_are_small() -> None:
    for folder in {path.parent for path in MODULES if path.is_relative_to(ROOT / "benchmark")}:
        modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
        assert len(modules) <= MOST_MODULES, f"{folder.relative_to(ROOT)}: {len(modules)} modules"


def test_functions_can_be_read_at_a_glance() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    assert [p for p in MODULES if p.stem in sys.stdlib_module_names - {"__main__"}] == []


def test_every_module_says_what_it_is_for() -> None:
    for path in MODULES:
        line = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
        assert line.endswith((".", ":")) and len(line) > 20, path


def test_tests_mirror_the_packages() -> None:
    others = {"baselines", "support", "robustness", "regression", "data", "models"}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and p.name[0] not in "._"}
    assert folders == {*ORDER} - {"__main__"} | others


def test_the_order_is_the_one_that_the_readme_shows() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    places = [text.index(f"\n  {name}/") for name in ORDER[1:]]
    assert all(first < second for first, second in pairwise(places))


def test_a_reader_sees_the_pipeline_at_once() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 140


def test_readme_is_for_a_reader_in_a_hurry() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1500


def test_a_rebuild_ends_with_the_line_that_says_whether_it_is_the_same() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.split("\nrepro:")[1].split("\n\n")[0]
    assert "benchmark compare HEAD --line" in recipe.splitlines()[-1]
