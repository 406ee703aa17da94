"""What the HTML report is made of, with hostile text where wanted, and a parser that reads it."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmark.claims.definitions import load_claims
from benchmark.claims.testing import evaluate_claims
from benchmark.core.config import load_params
from benchmark.evaluation.probes import PROBES
from benchmark.evaluation.reference_runs import Facts, Reference
from benchmark.evaluation.results import Results, read_results
from benchmark.reporting.figures.pictures import Pictures, read_pictures
from benchmark.reporting.html_page import html_page
from benchmark.reporting.sections import all_sections
from benchmark.reporting.suite_report import Report, SuiteReport, suite_reports
from tests.support.report_tree import BAD, EVEN, GOOD, Checkout

VOID = frozenset({"br", "img", "input", "link", "meta"})
"""Elements without content or end."""
ATTACKS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "]]><!--",
    "javascript:alert(5)",
    "</title></svg><svg onload=alert(6)>",
    "</style><b>",
    "$style ${style} &lt;b&gt; \u202e",
)


class Material(NamedTuple):
    """What the report is made of."""

    report: Report

    def page(self) -> str:
        """Return the report as HTML."""
        return html_page("Report", all_sections(self.report))

    @property
    def suite(self) -> SuiteReport:
        """The report on the one suite."""
        return self.report.local[0]

    @property
    def pictures(self) -> Pictures:
        """Its completed images."""
        assert self.suite.pictures is not None
        return self.suite.pictures


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


def _estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def _diagnosis(suite: str, variant: str, seed: int) -> dict[str, Any]:
    probes = {name: {"score": _estimate(0.4), "auc": _estimate(0.8)} for name in PROBES}
    judge = {
        "predicts": "score",
        "input": "hole",
        "trained": True,
        "probes": probes,
        "seam_reliance": _estimate(-0.2)
        | {"seam_only": _estimate(0.3), "seam_free": _estimate(0.5), "verdict": "content"},
    }
    untrained = {"predicts": "score", "input": "raw", "trained": False}
    content = {"suite": suite, "variant": variant, "seed": seed, "epoch": 2, "images": 4}
    return content | {"discriminators": {"judge": judge, "later": untrained}}


def _facts() -> Facts:
    machine = {"cpu": "Some CPU", "threads": 1, "system": "Linux", "python": "3", "torch": "2"}
    content = {
        "suite": "tiny",
        "note": "a tenth of the budget",
        "runs": {"l2": [0]},
        "machines": [machine],
        "split_counts": {"train": 4, "val": 2, "test": 4},
        "split_digest": "5" * 64,
    }
    return Facts.model_validate(content)


def material() -> Material:
    """Read what the report stage reads, with a second place that has the same results."""
    params, claims = load_params(), load_claims()
    results = read_results(params, "tiny")
    diagnoses = {("binary", seed): _diagnosis("tiny", "binary", seed) for seed in results.seeds}
    results = dataclasses.replace(results, diagnoses=diagnoses)
    reference = Reference("elsewhere", _facts(), results)
    local, references = suite_reports([results], [reference], [read_pictures(results)])
    elsewhere = f"tiny (reference: {reference.machine})"
    tested = evaluate_claims(claims, [("tiny", results), (elsewhere, results)])
    return Material(Report(params, local, references, tested))


def _renamed(results: Results, names: Mapping[str, str]) -> Results:
    def keyed(mapping: Mapping[tuple[str, int], Any]) -> dict[tuple[str, int], Any]:
        return {(names.get(v, v), seed): value for (v, seed), value in mapping.items()}

    return dataclasses.replace(
        results,
        variants=tuple(names.get(v, v) for v in results.variants),
        baselines=tuple(names.get(b, b) for b in results.baselines),
        frame=results.frame.assign(method=results.frame["method"].replace(dict(names))),
        curves=keyed(results.curves),
        epochs=keyed(results.epochs),
        origins=keyed(results.origins),
        flops={names.get(v, v): value for v, value in results.flops.items()},
    )


def with_text(made: Material, texts: Mapping[str, str]) -> Material:
    """Put a text into every field that can come from a user."""
    results, pictures = made.suite.results, made.suite.pictures
    (elsewhere,) = made.report.references
    assert pictures is not None and elsewhere.reference is not None
    update = {"title": texts["title"], "description": texts["description"]}
    suite = results.suite.model_copy(update=update)
    environment = {"cpu": texts["cpu"], "libraries": {texts["library"]: texts["release"]}}
    origins = {
        key: dataclasses.replace(
            origin,
            provenance={
                "training": {"environment": environment, "code_sha256": texts["digest"]},
                "evaluation": environment,
            },
        )
        for key, origin in results.origins.items()
    }
    results = dataclasses.replace(
        results,
        suite=suite,
        missing={"lpips_alex": texts["missing"]},
        refused={"biharmonic": texts["refused"]},
        frame=results.frame.assign(label=texts["label"]),
        curves={
            k: f.assign(**{f"generator/{texts['term']}": 1.0}) for k, f in results.curves.items()
        },
        origins=origins,
    )
    results = _renamed(results, {"even": texts["variant"], "mean_colour": texts["baseline"]})
    labels = [texts["label"]] * len(pictures.labels)
    variants = {texts["variant"] if n == "even" else n: a for n, a in pictures.variants.items()}
    pictures = dataclasses.replace(pictures, labels=labels, variants=variants)
    facts = elsewhere.reference.facts
    machine = facts.machines[0].model_copy(update={"cpu": texts["machine"]})
    facts = facts.model_copy(update={"note": texts["note"], "machines": [machine]})
    reference = dataclasses.replace(elsewhere.reference, facts=facts, results=results)
    tested = {
        name: dataclasses.replace(
            claim,
            claim=claim.claim.model_copy(update={"who": texts["who"], "claim": texts["claim"]}),
            findings=tuple(dataclasses.replace(f, place=texts["place"]) for f in claim.findings),
            untested=tuple((texts["nowhere"], texts["reason"]) for _ in claim.untested[:1]),
        )
        for name, claim in made.report.tested.items()
    }
    local, references = suite_reports([results], [reference], [pictures])
    return Material(Report(made.report.params, local, references, tested))


FIELDS = (
    *("title", "description", "cpu", "library", "release", "digest", "missing", "refused"),
    *("label", "term", "variant", "baseline", "machine", "note", "who", "claim", "place"),
    *("nowhere", "reason"),
)
SHORT = {"digest"}
"""Fields of which the report shows the first characters alone."""


def attacked_page(made: Material) -> str:
    """Return a report that has the attacks in every such field."""
    texts = {name: f"{name} {' '.join(ATTACKS)}" for name in FIELDS} | {"digest": ATTACKS[2]}
    return with_text(made, texts).page()


@contextmanager
def report_material(root: Path) -> Iterator[Material]:
    """Make a checkout of three variants and three seeds, stay in it, and read it."""
    scores = {"l2": GOOD, "binary": BAD, "even": EVEN}
    checkout = Checkout(root, scores, ["dog", "cat", "dog", "cat"])
    for seed, offset in ((1, 0.001), (2, 0.002)):
        for name, values in scores.items():
            checkout.write_run(name, seed, values + offset)
    checkout.params([*scores], [0, 1, 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield material()
