"""Settings of the whole test process, what many tests begin with, and the page of promises."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.core.portable import NETWORKS
from benchmark.pipeline.split import split_suite
from tests.support import promises
from tests.support.children import Children
from tests.support.tiny import isolate, tiny_suite

pytest_plugins = ["pytester"]

# cuBLAS and PyTorch read it once, be the first test on a GPU a deterministic one or not.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

LONG = ("pipeline", "training", "versions", "robustness", "throughput", "regression")
"""Folders whose files take longest."""
PROMISES, FIGURES = "promises", "figures"
"""Names of what a test's report carries."""

# As for a command: it is a fifteenth of the time.
gc.set_threshold(100_000, 50, 1000)

# Tests that pin bits pin them for one thread, and small networks are no slower with it; threads
# that wait for each other would be many times slower beside another process.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def caps_end_with_the_test() -> Iterator[None]:
    """Take back what a command sets for a portable suite, which child processes would inherit."""
    before = {name: os.environ.get(name) for name in NETWORKS}
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    """Start processes that train; it takes seconds to load the libraries."""
    children = Children()
    yield children
    children.close()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with prepared images and nothing trained; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        split_suite(tiny_suite())
    return folder


@pytest.fixture
def tiny_checkout(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the present folder: a checkout of the tiny suite, its images prepared."""
    isolate(monkeypatch, tmp_path)
    shutil.copytree(prepared / "data", tmp_path / "data")
    return tmp_path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the page of promises."""
    parser.addoption(
        "--promises",
        metavar="FILE",
        help="write what the tests hold and counted to a Markdown file",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse marks of promises that there are none of, and begin with what takes longest."""
    for item in items:
        promises.check(_promises_of(item))
    # A file is one worker's. A long one that begins last lets the others wait.
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Let a test's promises and figures travel with its report, which may go to another process."""
    if call.when == "call" or call.excinfo is not None:
        item.user_properties.append((PROMISES, _promises_of(item)))
        item.user_properties.append((FIGURES, promises.take_figures()))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended: its call, or a set-up that failed or skipped it."""
    properties: dict[str, Any] = dict(report.user_properties)
    if (report.when == "call" or report.outcome != "passed") and PROMISES in properties:
        promises.note_outcome(
            report.nodeid, properties[PROMISES], report.outcome, properties[FIGURES]
        )


def _promises_of(item: pytest.Item) -> list[str]:
    return [str(marker.args[0]) for marker in item.iter_markers(promises.MARKER)]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the page of promises where it was asked for and all tests passed."""
    target = session.config.getoption("--promises")
    # Of several processes, the one that collects all reports writes it.
    if target is None or exitstatus != 0 or hasattr(session.config, "workerinput"):
        return
    try:
        promises.write(Path(target), "make promises", _machine())
    except ValueError as error:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.get_terminal_writer().line(f"error: {target} is not written: {error}")


def _machine() -> str:
    from benchmark.core.environment import fingerprint

    facts = fingerprint(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return f"{facts.get('gpu', facts['cpu'])}, torch {facts['libraries']['torch']}"
