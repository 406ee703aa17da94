"""The report of the tiny tree, as the tests of the HTML page look at it."""

from collections.abc import Iterator

import pytest

from benchmark.reporting.suite_report import Report
from tests.support.html_page import made_report, page_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    with made_report(tmp_path_factory.mktemp("html")) as found:
        yield found


@pytest.fixture(scope="module")
def source(made: Report) -> str:
    return page_of(made)
