"""A report of three variants and three seeds, and a parser that reads its page."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmark.core.config import load_params
from benchmark.core.paths import Run
from benchmark.pipeline.reference import write_reference
from benchmark.pipeline.report import read_report
from benchmark.reporting.html_page import html_page
from benchmark.reporting.sections import all_sections
from benchmark.reporting.suite_report import Report
from tests.support.diagnoses import binary, diagnosis
from tests.support.report_tree import BAD, EVEN, GOOD, Checkout

VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})
"""Elements without content or end."""


class Node(NamedTuple):
    """A start tag with its attributes, and the text until its end."""

    tag: str
    attributes: dict[str, str | None]
    texts: list[str]

    @property
    def text(self) -> str:
        """All text within, on one line."""
        return " ".join("".join(self.texts).split())


class Page(HTMLParser):
    """A page as an independent parser reads it; an end that fits no start is an error."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self._open: list[Node] = []
        self.feed(source)
        self.close()
        assert not self._open, f"{self._open[-1].tag} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs), [])
        assert len(node.attributes) == len(attrs), "an attribute twice"
        self.nodes.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self._open.pop().tag == tag, (
            f"unexpected end of {tag} at {self.getpos()}"
        )

    def handle_data(self, data: str) -> None:
        for node in self._open:
            node.texts.append(data)

    def all(self, tag: str, **attributes: str) -> list[Node]:
        """Return the elements with some attributes."""
        wanted = {name.rstrip("_").replace("_", "-"): v for name, v in attributes.items()}
        return [n for n in self.nodes if n.tag == tag and wanted.items() <= n.attributes.items()]


def page_of(report: Report) -> str:
    """Return a report as HTML."""
    return html_page("Report", all_sections(report))


@contextmanager
def made_report(root: Path) -> Iterator[Report]:
    """Make a checkout with reference runs that have the same results, stay in it, and read it."""
    scores = {"l2": GOOD, "binary": BAD, "even": EVEN}
    checkout = Checkout(root, scores, ["dog", "cat", "dog", "cat"])
    for seed, offset in ((1, 0.001), (2, 0.002)):
        for name, values in scores.items():
            checkout.write_run(name, seed, values + offset)
    for seed in range(3):
        asked = diagnosis("binary", seed, "tiny", judge=binary(), later=binary(trained=False))
        checkout.write_json(Run("tiny", "binary", seed).diagnosis, asked)
    checkout.params([*scores], [0, 1, 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_reference("tiny", note="a tenth of the budget")
        yield read_report(load_params())
