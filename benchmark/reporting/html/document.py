"""The page `report.html`: one file with everything in it, that asks no network for anything."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from string import Template
from typing import Any

from benchmark.claims.testing import Tested
from benchmark.core import paths
from benchmark.core.config import Params, load_variant
from benchmark.metrics import METRICS, PROTOCOL
from benchmark.reporting.claim_tables import claims_csv, claims_json
from benchmark.reporting.figures.pictures import Pictures
from benchmark.reporting.figures.style import Style, styles_of
from benchmark.reporting.figures.svg import STYLE, swatch
from benchmark.reporting.findings import DEFINITIONS
from benchmark.reporting.html.chapter import chapter_section, headline_of, name_of, title_of
from benchmark.reporting.html.gallery import gallery
from benchmark.reporting.html.markup import Markup, download, element, join, sentence
from benchmark.reporting.html.scores import WANTED
from benchmark.reporting.html.verdicts import claims_table
from benchmark.reporting.page import REGIONS, Chapter
from benchmark.reporting.wording import coverage
from data.errors import InputError

TEMPLATES = paths.REPORTS / "templates"


def html_report(
    params: Params,
    chapters: Sequence[Chapter],
    pictures: Mapping[str, Pictures],
    tested: Mapping[str, Tested],
    summaries: Mapping[str, Any],
) -> str:
    """Fill the template of the page.

    Args:
        params: what was built.
        chapters: its suites, and reference runs.
        pictures: the example images of suites of this checkout, by name.
        tested: the authors' claims.
        summaries: the content of `summary.json`.

    Raises:
        InputError: a template cannot be read or filled.
    """
    styles = styles_of(name for chapter in chapters for name in chapter.results.variants)
    local = [chapter for chapter in chapters if chapter.reference is None]
    references = [chapter for chapter in chapters if chapter.reference is not None]
    shown = {
        name_of(chapter): (chapter.results, pictures[name_of(chapter)])
        for chapter in local
        if name_of(chapter) in pictures
    }
    style = f"{_read('report.css').strip()}\n"
    script = _read("report.js")
    parts = {
        "policy": _policy(style, script),
        "style": style,
        "script": script,
        "protocol": element("code", PROTOCOL),
        "coverage": join(coverage(len(params.seeds))),
        "contents": _contents(chapters),
        "overview": join(*(_card(chapter, styles) for chapter in local)),
        "gallery": gallery(shown),
        "claims": claims_table(tested),
        "suites": join(*(chapter_section(chapter, styles) for chapter in local)),
        "references": join(*(chapter_section(chapter, styles) for chapter in references))
        or element("p", "None."),
        "definitions": join(*(_definition(name) for name in METRICS)),
        "probes": _paragraphs(DEFINITIONS),
        "variants": join(*(_origin(name) for name in params.variants)),
        "downloads": _downloads(summaries, tested),
    }
    return _filled(parts)


def _read(name: str) -> str:
    path = TEMPLATES / name
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _filled(parts: Mapping[str, str]) -> str:
    path = TEMPLATES / "report.html"
    try:
        return Template(_read(path.name)).substitute(parts)
    except KeyError as error:
        raise InputError(f"{path}: ${error.args[0]} is none of {', '.join(parts)}") from None
    except ValueError as error:  # a $ that begins no name
        raise InputError(f"{path}: cannot be filled ({error})") from None


def _policy(style: str, script: str) -> Markup:
    """Return the content security policy: these styles, this script, and pictures in the page."""
    rules = [
        "default-src 'none'",
        f"style-src {_digest(style)} {_digest(STYLE)}",
        f"script-src {_digest(script)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return element("meta", http_equiv="Content-Security-Policy", content="; ".join(rules))


def _digest(source: str) -> str:
    content = hashlib.sha256(source.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(content).decode('ascii')}'"


def _contents(chapters: Sequence[Chapter]) -> Markup:
    places = {"overview": "Overview", "pictures": "Pictures", "claims": "Does it hold?"}
    places |= {name_of(c): c.results.suite.title for c in chapters if c.reference is None}
    places |= {"references": "Reference runs", "reading": "How to read", "files": "Downloads"}
    return join(*(element("a", title, href=f"#{name}") for name, title in places.items()))


def _card(chapter: Chapter, styles: Mapping[str, Style]) -> Markup:
    """Return a suite in short: its headline, and the verdict on every variant."""
    words = chapter.words
    order = sorted(chapter.results.variants, key=lambda name: (words.means[name], name))
    verdicts = []
    for name in order:
        marker = words.marker(name)
        kind = {"✓": "better", "✗": "worse"}.get(marker[:1], "inconclusive")
        said = element("span", marker, class_=f"verdict {kind}")
        verdicts.append(element("li", Markup(swatch(styles[name])), element("span", name), said))
    title = element("a", title_of(chapter), href=f"#{name_of(chapter)}")
    said = element("p", headline_of(chapter))
    return element("article", element("h3", title), element("ul", *verdicts), said, class_="card")


def _definition(name: str) -> Markup:
    """Return a metric's region, unit and direction, and the first line of its docstring."""
    metric = METRICS[name]
    function: Any = metric.function
    if isinstance(function, partial):
        function = function.func
    line = (function.__doc__ or "").strip().splitlines()[0].removeprefix("Return ")
    facts = (REGIONS.get(metric.region, metric.region), metric.unit, WANTED[metric.better])
    listed = ", ".join(fact for fact in facts if fact)
    term = element("dt", element("code", name))
    described = element("dd", f"{line[:1].upper()}{line[1:]} ", element("span", f"({listed})"))
    return join(term, described)


def _paragraphs(text: str) -> Markup:
    """Return paragraphs and lists of our own Markdown."""
    blocks = []
    for block in text.strip().split("\n\n"):
        if block.startswith("- "):
            items = block.removeprefix("- ").split("\n- ")
            blocks.append(element("ul", *(element("li", sentence(item)) for item in items)))
        else:
            blocks.append(element("p", sentence(block)))
    return join(*blocks)


def _origin(name: str) -> Markup:
    variant = load_variant(name)
    term = element("dt", element("code", name))
    return join(term, element("dd", f"{variant.title}. {variant.origin}."))


def _downloads(summaries: Mapping[str, Any], tested: Mapping[str, Tested]) -> Markup:
    files = {"summary.json": summaries, "claims.json": claims_json(tested)}
    links = [download(name, "application/json", _json(content)) for name, content in files.items()]
    links.append(download("claims.csv", "text/csv", claims_csv(tested)))
    return element("ul", *(element("li", link) for link in links))


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
