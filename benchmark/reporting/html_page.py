"""Sections of the report in, one HTML file out, which has everything in it and asks no network.

Jinja2 escapes every text. What it does not escape is the drawings, the style and the script, which
come from this package alone.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.core import paths
from benchmark.metrics.registry import ARROWS, WANTED
from benchmark.reporting.blocks import Block, Download, Section, Table
from benchmark.reporting.dialect import parse
from benchmark.reporting.figures.svg import STYLE
from data.errors import printable

TEMPLATES = Path(__file__).parent / "templates"
PARTS = {
    "plain": "{}",
    "code": "<code>{}</code>",
    "strong": "<strong>{}</strong>",
    "link": '<a href="{1}">{0}</a>',
}
FILE_LINK = '<span title="{1}">{0}</span>'
"""A link to a file of the repository, which may be nowhere near the page."""


def html_page(title: str, sections: Sequence[Section]) -> str:
    """Return the page; equal sections give equal bytes."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    filters = (words, data_uri, png_uri, sort_key, without_style, verdict_counts, kind)
    environment.filters.update({made.__name__: made for made in filters})
    style = f"{_read('report.css')}{STYLE}\n"
    script = _read("report.js")
    return environment.get_template("report.html").render(
        title=title,
        sections=sections,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        arrows=ARROWS,
        wanted=WANTED,
    )


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the content security policy: this style, this script, and pictures in the page."""
    digests = {
        kind: base64.b64encode(hashlib.sha256(source.encode("utf-8")).digest()).decode("ascii")
        for kind, source in (("style", style), ("script", script))
    }
    rules = [
        "default-src 'none'",
        *(f"{kind}-src 'sha256-{digest}'" for kind, digest in digests.items()),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(rules)


def _visible(value: Any) -> Any:
    """Return text on one line, with escapes for what cannot be seen; anything else as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(re.sub(r"\s", " ", value))
    return value


def words(text: str) -> Markup:
    """Return a text of the dialect as HTML."""
    shown = []
    for what, content, target in parse(text):
        form = PARTS[what] if what != "link" or target.startswith("#") else FILE_LINK
        shown.append(Markup(form).format(_visible(content), target))
    return Markup("").join(shown)


def data_uri(file: Download) -> str:
    """Return a text file as an address that contains it."""
    return _uri(f"{file.media_type};charset=utf-8", file.content.encode("utf-8"))


def png_uri(path: str) -> str:
    """Return a picture of the folder of reports as an address that contains it."""
    return _uri("image/png", (paths.REPORTS / path).read_bytes())


def _uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def sort_key(key: float | str) -> str:
    """Return the key of a cell as the page's script reads it."""
    return key if isinstance(key, str) else f"{key:.9g}".replace("inf", "Infinity")


def without_style(svg: str) -> Markup:
    """Return a drawing without the rules of all drawings, which the page has once."""
    return Markup(svg.replace(f"<style>{STYLE}</style>", ""))


def verdict_counts(table: Table) -> dict[str, int]:
    """Return how many rows have each verdict, the most frequent first."""
    rows = [row for group in table.groups for row in group.rows]
    return dict(Counter(row.verdict for row in rows).most_common())


def kind(block: Block) -> str:
    """Return the name of a block's class."""
    return type(block).__name__
