"""HTML and SVG that text cannot break: it is escaped where it is put in, and nowhere else."""

import base64
import json
import re
from html import escape
from typing import Any

from data.errors import printable

VOID = frozenset({"br", "img", "input", "link", "meta"})
"""Elements without content or end."""
Value = str | int | float | bool | None


class Markup(str):
    """Finished HTML or SVG; any other text is escaped when it is put into an element."""

    __slots__ = ()


def text(content: str) -> Markup:
    """Return text as markup that shows it."""
    # Line ends count as spaces; what cannot be seen is shown as an escape.
    return Markup(escape(printable(re.sub(r"\s", " ", content)), quote=True))


def join(*parts: str) -> Markup:
    """Put text and markup one after the other."""
    return Markup("".join(part if isinstance(part, Markup) else text(part) for part in parts))


def element(tag: str, *children: str, **attributes: Value) -> Markup:
    """Return an element.

    Args:
        tag: its name.
        children: text, which is escaped, and markup, which is not.
        attributes: `class_` is `class`, and any other `_` a hyphen; True is an attribute without a
            value, and one that is None or False is left out. Floats have 2 decimals.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items())
    end = "" if tag in VOID else f"{join(*children)}</{tag}>"
    return Markup(f"<{tag}{named}>{end}")


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{text(decimal(value) if isinstance(value, float) else str(value))}"'


def decimal(value: float, decimals: int = 2) -> str:
    """Return a number without needless zeros, never as -0."""
    shown = f"{round(value, decimals) + 0.0:.{decimals}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def sentence(content: str) -> Markup:
    """Return a sentence of ours as markup; what is between backticks is code."""
    parts = content.split("`")
    if len(parts) % 2 == 0:
        return text(content)
    return join(*(element("code", p) if i % 2 else text(p) for i, p in enumerate(parts)))


def json_block(name: str, content: Any) -> Markup:
    """Return plain values as a block of data that a script reads by its id."""
    plain = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    # Nothing within ends the block or begins a comment.
    for character in "<>&":
        plain = plain.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{text(name)}">{plain}</script>')


def data_uri(kind: str, content: bytes) -> str:
    """Return a file as an address that contains it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def download(name: str, kind: str, content: str) -> Markup:
    """Return a link that saves a text file."""
    address = data_uri(f"{kind};charset=utf-8", content.encode("utf-8"))
    return element("a", name, href=address, download=name)


def table_box(label: str, *children: str, class_: str = "") -> Markup:
    """Return a table in a box that scrolls by itself, with the keyboard too."""
    inner = element("table", *children, class_=class_ or None)
    return element("div", inner, class_="box", role="region", aria_label=label, tabindex=0)


def plain_table(
    label: str, heads: tuple[str, ...], rows: list[list[str]], text_columns: int = 1
) -> Markup:
    """Return a table whose first column names the rows, its text columns to the left."""
    sides = ["left" if i < text_columns else "right" for i in range(len(heads))]
    head = [
        element("th", name, scope="col", class_=side)
        for name, side in zip(heads, sides, strict=True)
    ]
    body = []
    for first, *rest in rows:
        cells = [
            element("td", cell, class_=side) for cell, side in zip(rest, sides[1:], strict=True)
        ]
        body.append(element("tr", element("th", first, scope="row"), *cells))
    parts = element("thead", element("tr", *head)), element("tbody", *body)
    return table_box(label, element("caption", label, class_="unseen"), *parts)


def details(summary: str, *children: str) -> Markup:
    """Return what is folded until it is opened, and printed open."""
    return element("details", element("summary", summary), *children)
