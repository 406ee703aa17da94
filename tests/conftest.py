"""Settings of the whole test process, and the page of promises."""

from pathlib import Path

import pytest
import torch

from tests import promises

pytest_plugins = ["pytester"]

# Tests that pin bits pin them for one thread, and small networks are no slower with it; threads
# that wait for each other would be many times slower beside another process.
torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the page of promises."""
    parser.addoption(
        "--promises",
        metavar="FILE",
        help="write what the tests hold and counted to a Markdown file",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note the promises of every test that will run."""
    for item in items:
        names = [marker.args[0] for marker in item.iter_markers(promises.MARKER)]
        promises.mark(item.nodeid, names)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how a test ended: its call, or a set-up that failed or skipped it."""
    if report.when == "call" or report.outcome != "passed":
        promises.note_outcome(report.nodeid, report.outcome)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the page of promises where it was asked for and all tests passed."""
    target = session.config.getoption("--promises")
    if target is None or exitstatus != 0:
        return
    try:
        promises.write(Path(target), "make test-slow", _machine())
    except ValueError as error:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.get_terminal_writer().line(f"error: {target} is not written: {error}")


def _machine() -> str:
    from benchmark.environment import fingerprint

    facts = fingerprint(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return f"{facts.get('gpu', facts['cpu'])}, torch {facts['libraries']['torch']}"
