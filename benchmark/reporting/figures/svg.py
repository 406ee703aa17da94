"""A Matplotlib figure in, one SVG out that stands alone or inside a page, in light and in dark.

The same text is a file and a part of `report.html`. Nothing in it needs a script, a network or an
inline `style`, which the page's content security policy forbids; `STYLE` is allowed by its digest.
"""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patches import PathPatch
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike

from benchmark.reporting.figures import style as looks
from data.errors import printable

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # one, or each text searches for several
    "text.parse_math": False,  # a $ in a name is a $
    "lines.scale_dashes": False,
    "font.size": looks.FONT,
    "text.color": looks.INK,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
NOTE = "note:"
"""Begins the ids of what has a tooltip; the rest of the id is its text."""
DARK = {
    looks.INK: ("#e4e7ea", "--ink"),
    looks.MUTED: ("#9ba5af", "--muted"),
    looks.RULE: ("#343a41", "--rule"),
    looks.PAPER: ("#15181b", "--paper"),
    looks.GOOD: ("#5fd1a7", "--good"),
    looks.BAD: ("#f5a06b", "--bad"),
}
"""Colors on dark paper, and the page's variables that come before them."""
PALETTE_DARK = ("#5aa9de", "#ee8b4c", "#4cc29c", "#e0a3c4", "#f0bb4d", "#93d0f4", "#c4c7ca")


def _style_sheet() -> str:
    """Return the rules of every chart: its size, the page's font, and colors for dark paper."""
    colors = {light: f"light-dark({light}, {dark})" for light, (dark, _) in DARK.items()}
    paper = colors[looks.PAPER]
    colors = {light: f"var({DARK[light][1]}, {both})" for light, both in colors.items()}
    for light, dark in zip(looks.PALETTE, PALETTE_DARK, strict=True):
        colors[light] = f"light-dark({light}, {dark})"
    rules = [
        f"svg.chart:root {{ color-scheme: light dark; background: {paper}; }}",
        "svg.chart[role]:not(:root) { width: 100%; max-width: 32rem; height: auto; }",
        "svg.chart text { font-family: var(--sans, system-ui, sans-serif); }",
    ]
    for light, both in colors.items():
        for what in ("fill", "stroke"):
            rules.append(f'svg.chart [{what}="{light}"] {{ {what}: {both}; }}')
    # Without light-dark(), all is as on light paper.
    return "\n".join(["@supports (color: light-dark(red, red)) {", *rules, "}"])


STYLE = _style_sheet()
"""The content of the `<style>` of every chart."""


@contextmanager
def chart_settings() -> Iterator[None]:
    """Draw as this package does, whatever the settings of Matplotlib are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def blank_chart(height: float, width: float = looks.WIDTH) -> Figure:
    """Return an empty figure of this size in pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")


def draw(axes: Axes, x: ArrayLike, y: ArrayLike, note: str = "", **look: Any) -> None:
    """Draw a line or a marker; a reader who points at it is shown the note."""
    line = Line2D(x, y, clip_on=False, **look)
    if note:
        line.set_gid(NOTE + printable(note))
    axes.add_line(line)


def to_svg(figure: Figure, title: str, description: str) -> str:
    """Return a figure as SVG; equal figures give equal text.

    Args:
        figure: drawn under `chart_settings`, with the colors of `style`.
        title: what it shows.
        description: its numbers, for readers who do not see it.

    Returns:
        One element, without an XML declaration and without ids.
    """
    title, description = printable(title), printable(description)
    root = _rendered(figure)
    _, _, width, height = root.get("viewBox", "").split()
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": "chart",
        "width": width,
        "height": height,
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-label": f"{title}. {description}",
        # What Matplotlib says in a style sheet.
        "stroke-linejoin": "round",
    }
    heads = [ElementTree.Element(tag) for tag in ("title", "desc", "style")]
    for head, content in zip(heads, (title, description, STYLE), strict=True):
        head.text = content
    root[:0] = heads
    return ElementTree.tostring(root, encoding="unicode")


@lru_cache
def swatch(style: looks.Style) -> str:
    """Return a method's marker as a small SVG to stand beside its name in the page."""
    with chart_settings():
        figure, mark = blank_chart(14, 14), MarkerStyle(style.marker)
        place = mark.get_transform() + Affine2D().scale(9).translate(7, 7)
        outline = mark.get_path().transformed(place)
        face = looks.PAPER if style.is_hollow else style.color
        figure.add_artist(PathPatch(outline, fc=face, ec=style.color, lw=1.5, transform=None))
        root = _rendered(figure)
    root.attrib = {"class": "chart swatch", "viewBox": "0 0 14 14", "aria-hidden": "true"}
    return ElementTree.tostring(root, encoding="unicode")


def _rendered(figure: Figure) -> ElementTree.Element:
    """Return Matplotlib's SVG as elements without namespaces, style sheets and ids.

    Ids would be there twice in a page with two charts.
    """
    stream = io.StringIO()
    with warnings.catch_warnings():
        # The reader's fonts may have what ours has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="svg", metadata=NO_METADATA)
    root = ElementTree.fromstring(stream.getvalue())
    shapes = {path.attrib["id"]: path.attrib["d"] for path in root.iterfind(".//{*}defs/{*}path")}
    for parent in [*root.iter()]:
        for definitions in parent.findall("{*}defs"):
            parent.remove(definitions)
    for node in root.iter():
        _simplify(node, shapes)
    return root


def _simplify(node: ElementTree.Element, shapes: Mapping[str, str]) -> None:
    """Give an element plain names, short numbers, attributes in place of `style`, and its note."""
    node.tag, node.tail = _local(node.tag), None
    attributes = {_local(name): value for name, value in node.attrib.items()}
    rules = [rule.split(":") for rule in attributes.pop("style", "").split(";") if rule]
    attributes |= {name.strip(): value.strip() for name, value in rules}
    if rules:
        attributes.setdefault("fill", "#000000")  # Matplotlib leaves black out
    if node.tag == "use":
        node.tag, place = "path", f"{attributes.pop('x')} {attributes.pop('y')}"
        attributes["d"] = shapes[attributes.pop("href").removeprefix("#")]
        attributes["transform"] = f"translate({_rounded(place)})"
    elif node.tag == "text":
        attributes["font-family"] = "sans-serif"
        del attributes["transform"]  # by an angle of 0
    for name in attributes.keys() & {"d", "x", "y"}:
        attributes[name] = _rounded(attributes[name])
    if (name := attributes.pop("id", "")).startswith(NOTE):
        note = ElementTree.Element("title")
        note.text = name.removeprefix(NOTE)
        node.insert(0, note)
    if node.tag not in ("text", "title"):
        node.text = None  # white space
    node.attrib = attributes


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _rounded(numbers: str) -> str:
    """Round the numbers of an attribute to 2 decimals, which is finer than a screen."""
    return " ".join(
        f"{round(float(part), 2) + 0.0:g}" if part[-1].isdigit() else part
        for part in numbers.split()
    )
