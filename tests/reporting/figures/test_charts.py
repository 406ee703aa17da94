"""Charts against the data that went in: their coordinates, words, ids and colors."""

import base64
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from benchmark.reporting.figures.costs import Priced, cost_svg, pareto_front, spread
from benchmark.reporting.figures.curves import curves_svg
from benchmark.reporting.figures.forest import forest_svg
from benchmark.reporting.figures.plot import is_logarithmic
from benchmark.reporting.figures.style import PALETTE, styles_of
from benchmark.reporting.figures.svg import STYLE, swatch
from benchmark.stats.intervals import Interval
from benchmark.stats.rulebook import Effect
from tests.reporting.figures.made_up import NAMES, charts
from tests.support.chromium import chromium, find_chromium
from tests.support.comparisons import comparison
from tests.support.promises import tally

HOSTILE = ("<script>", "]]>", "$x$", "$\\frac{", "a & \"b\" 'c'", "\x00\u202e", "中")
NEAR = 0.05
"""Coordinates are rounded to 0.01, those of the axis too."""
SVG = "{http://www.w3.org/2000/svg}"


BOXES = """s => [...s.querySelectorAll('text')].map(t => {
    const box = t.getBBox(), view = s.viewBox.baseVal;
    return [t.textContent, box.x, box.y, box.x + box.width, box.y + box.height,
            view.width, view.height];
})"""
"""Each text of an SVG: where it lies, and how large the chart is."""


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return charts()


def _all(svg: str, tag: str) -> Iterator[ElementTree.Element]:
    return ElementTree.fromstring(svg).iter(SVG + tag)


def _texts(svg: str) -> list[str]:
    return [text.text or "" for text in _all(svg, "text")]


def _points(svg: str, note: str) -> list[tuple[float, float]]:
    """Return where the markers are whose tooltips contain a text."""
    found: list[tuple[float, ...]] = []
    for group in _all(svg, "g"):
        title = group.find(f"{SVG}title")
        if title is not None and note in (title.text or ""):
            found += [
                tuple(float(number) for number in path.attrib["transform"][10:-1].split())
                for path in group.iter(SVG + "path")
                if "transform" in path.attrib
            ]
    return [(x, y) for x, y in found]


def _scale(svg: str, along: str) -> tuple[float, float]:
    """Return where 0 is on an axis, `x` or `y`, and how long 1 is, by the numbers beside it."""
    anchor = {"x": "middle", "y": "end"}[along]
    ticks = [
        (float(text.text or ""), float(text.attrib[along]))
        for text in _all(svg, "text")
        if text.attrib.get("text-anchor") == anchor and re.fullmatch(r"-?[\d.]+", text.text or "")
    ]
    (low, start), *_, (high, end) = ticks
    unit = (end - start) / (high - low)
    return start - low * unit, unit


@pytest.mark.promise("same_bytes")
def test_equal_data_give_equal_bytes_without_a_date(made: dict[str, str]) -> None:
    assert charts() == made
    assert not re.search(r"20\d\d-|matplotlib", "".join(made.values()), re.IGNORECASE)


def test_charts_have_no_id_that_another_one_of_a_page_could_have(made: dict[str, str]) -> None:
    for svg in made.values():
        names = {name for node in ElementTree.fromstring(svg).iter() for name in node.attrib}
        assert not names & {"id", "href", "clip-path"}
        assert "url(" not in svg


def test_charts_ask_for_nothing_and_have_no_inline_style(made: dict[str, str]) -> None:
    for svg in (*made.values(), swatch(styles_of(["a"])["a"])):
        root = ElementTree.fromstring(svg)
        for node in root.iter():
            assert node.tag.removeprefix(SVG) not in ("script", "image", "metadata")
            assert not [
                n for n in node.attrib if n == "style" or n.startswith(("on", "xlink", "{"))
            ]
        assert [style.text for style in root.iter(SVG + "style")] in ([STYLE], [])
    assert not re.search(r"@import|url\(|http", STYLE)


def test_a_chart_scales_and_has_words_for_those_who_do_not_see_it(made: dict[str, str]) -> None:
    for svg in made.values():
        root = ElementTree.fromstring(svg)
        assert root.attrib["role"] == "img"
        assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}"
        title, description = root[0].text, root[1].text
        assert root.attrib["aria-label"] == f"{title}. {description}"
        assert description and all(name in description for name in NAMES)


def test_every_color_has_a_counterpart_on_dark_paper(made: dict[str, str]) -> None:
    for svg in made.values():
        used = set(re.findall(r'(?:fill|stroke)="#[0-9a-f]+"', svg.replace(STYLE, "")))
        assert len(used) > 5
        assert [name for name in used if f"[{name}]" not in STYLE] == []


def test_every_variant_is_named(made: dict[str, str]) -> None:
    for kind, svg in made.items():
        ends = [f"{name}: local" for name in NAMES] if kind == "probes" else [*NAMES]
        assert {*ends} <= {*_texts(svg)}, kind
    many = [f"variant_{i}" for i in range(22)]
    curve = pd.DataFrame({"epoch": [1, 2], "x": [1.0, 0.5]})
    chart = curves_svg("t", {(name, 0): curve for name in many}, "x", styles_of(many))
    assert chart is not None and {*many} <= {*_texts(chart)}


@pytest.mark.promise("escaping")
def test_hostile_names_are_text() -> None:
    plain = charts([f"name {i}" for i in range(len(HOSTILE))])
    for kind, svg in charts(HOSTILE).items():
        tags = [[node.tag for node in ElementTree.fromstring(s).iter()] for s in (svg, plain[kind])]
        assert tags[0] == tags[1]
        shown = " ".join(_texts(svg))
        for name in HOSTILE:
            assert name.replace("\x00\u202e", "\\x00\\u202e") in shown, (kind, name)
            tally("hostile strings shown as text")


def test_points_of_a_curve_are_the_means_of_its_seeds() -> None:
    curves = {
        ("v", seed): pd.DataFrame({"epoch": [1, 2, 3], "m": [2.0 + end, 1.0, end]})
        for seed, end in enumerate((0.5, 1.0))
    }
    svg = curves_svg("t", curves, "m", styles_of(["v"]))
    assert svg is not None
    (zero, unit), points = _scale(svg, "x"), sorted(_points(svg, "v, epoch"))
    assert [x for x, _ in points] == pytest.approx([zero + e * unit for e in (1, 2, 3)], abs=NEAR)
    zero, unit = _scale(svg, "y")
    heights = [y for _, y in points]
    # Numbers stand a constant below their gridlines.
    shifts = [y - (zero + m * unit) for y, m in zip(heights, (2.75, 1, 0.75), strict=True)]
    assert unit < 0 and max(shifts) - min(shifts) < NEAR
    assert heights[0] < heights[1] < heights[2]
    assert "v ends at 0.75 (mean of 2 seeds)" in svg
    assert svg.count('opacity="0.18"') == 1, "there is no band"
    alone = curves_svg("t", {("v", 0): curves["v", 0]}, "m", styles_of(["v"]))
    assert alone is not None and "opacity" not in alone
    assert curves_svg("t", curves, "other", styles_of(["v"])) is None


def test_a_curve_over_decades_is_logarithmic_and_has_gaps_for_what_is_not_there() -> None:
    frame = pd.DataFrame({"epoch": [1, 2, 3, 4], "m": [math.nan, 100.0, 1.0, 0.01]})
    svg = curves_svg("t", {("v", 0): frame}, "m", styles_of(["v"]))
    assert svg is not None and "m, logarithmic" in _texts(svg)
    heights = [y for _, y in sorted(_points(svg, "v, epoch"))]
    assert len(heights) == 3
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.02)
    assert is_logarithmic([0.001, 1, math.nan]) and not is_logarithmic([-1, 1000])
    assert not is_logarithmic([1, 20]) and not is_logarithmic([])


def test_a_forest_has_differences_where_the_axis_says_and_its_zero() -> None:
    found = [
        comparison("a", "x", -3.0, -1.0),
        comparison("a", "y", 1.0, 3.0),
        comparison("b", "x", -1.0, 1.0),
        comparison("b", "y", -1.0, 1.0),
    ]
    endless = Effect(Interval(2.0, ((math.inf, 1.0),)))
    found[3] = replace(found[3], effect=endless)
    svg = forest_svg("t", found, styles_of(["a", "b"]), "mse_h")
    zero, unit = _scale(svg, "x")
    for note, value in (("a against x", -2), ("a against y", 2), ("b against x", 0)):
        ((x, _),) = _points(svg, note)
        assert x == pytest.approx(zero + value * unit, abs=NEAR), note
    rows = [_points(svg, f"{c.method} against {c.reference}")[0][1] for c in found]
    assert rows == sorted(rows) and len(set(rows)) == 4
    dashed = [path.attrib["d"] for path in _all(svg, "path") if "stroke-dasharray" in path.attrib]
    assert [float(d.split()[1]) for d in dashed] == pytest.approx([zero], abs=NEAR)
    said = ["✓ better", "✗ worse", "? inconclusive", "? inconclusive"]
    assert [text for text in _texts(svg) if text[0] in "✓✗?="] == said
    assert ["← better", "worse →"] == [text for text in _texts(svg) if {"←", "→"} & {*text}]
    assert "2.00000 [-∞, ∞]" in svg


def test_methods_and_baselines_are_where_they_cost_and_err() -> None:
    def priced(name: str, cost: float, error: float) -> Priced:
        return Priced(name, cost, error, error - 0.5, error + 0.5)

    methods = [priced("a", 1, 4), priced("b", 2, 3), priced("c", 3, 6)]
    svg = cost_svg("t", "GFLOP", "mse_h", methods, {"telea": 5.0}, styles_of("abc"))
    places = {m.name: _points(svg, f"{m.name}: ")[-1] for m in methods}
    (xa, ya), (xb, yb), (xc, yc) = (places[name] for name in "abc")
    assert xb - xa == pytest.approx(xc - xb, abs=0.02) and xa < xb
    assert ya - yc == pytest.approx(2 * (yb - ya), abs=0.04) and yb > ya
    assert "a: 1, 4.0000, on the front; b: 2, 3.0000, on the front; c: 3, 6.0000." in svg
    heights = {text.text: float(text.attrib["y"]) for text in _all(svg, "text")}
    assert heights["c"] < heights["telea"] < heights["a"] < heights["b"]


def test_the_front_is_what_nothing_beats() -> None:
    def priced(name: str, cost: float, error: float) -> Priced:
        return Priced(name, cost, error, error, error)

    facts = (("a", 1, 5), ("b", 2, 5), ("c", 2, 3), ("d", 4, 3), ("e", 9, 1))
    assert [m.name for m in pareto_front([priced(*fact) for fact in facts])] == ["a", "c", "e"]
    equal = [priced("x", 1, 1), priced("y", 1, 1)]
    assert pareto_front(equal) == equal


def test_names_are_apart_and_below_the_top() -> None:
    assert spread([10, 50], 15, 100) == [10, 50]
    placed = spread([10, 12, 95, 96, 97], 15, 100)
    assert all(b - a >= 15 for a, b in pairwise(placed)) and placed[-1] == 100


def test_every_style_is_another_one_and_hangs_on_the_order_alone() -> None:
    names = [f"v{i}" for i in range(49)]
    styles = styles_of(names)
    assert len(set(styles.values())) == 49
    first = [styles[name] for name in names[: len(PALETTE)]]
    for what in ("color", "dash", "marker"):
        assert len({str(getattr(style, what)) for style in first}) == len(PALETTE)
    assert styles_of(names[:3] * 2) == {name: styles[name] for name in names[:3]}


@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_strict_page_shows_charts_in_its_theme(
    made: dict[str, str], theme: str, tmp_path: Path
) -> None:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    head = f"""<meta http-equiv="Content-Security-Policy" content="{policy}">
        <meta name="color-scheme" content="{theme}">
        <meta name="viewport" content="width=device-width">"""
    page = tmp_path / "page.html"
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8>{head}{''.join(made.values())}")
    with chromium() as browser:
        browser.size(390, 900)
        browser.open(page)
        color = "e => getComputedStyle(e).fill"
        found = browser.run(f"[...document.querySelectorAll('text')].map({color})")
        # Every text is dark on light paper, and light on dark paper.
        channels = np.array([[int(n) for n in re.findall(r"\d+", rgb)[:3]] for rgb in found])
        assert len(channels) > 50
        if theme == "light":
            assert (channels.mean(axis=1) < 128).all()
        else:
            assert (channels.max(axis=1) > 150).all()
        assert browser.run("document.documentElement.scrollWidth") <= 390
        boxes = browser.run(f"[...document.querySelectorAll('svg')].map({BOXES})")
    # Nothing is cut off or written over something else.
    for chart in boxes:
        for i, (text, x0, y0, x1, y1, width, height) in enumerate(chart):
            assert x0 >= -1 and y0 >= -1 and x1 <= width + 1 and y1 <= height + 2, text
            for other, u0, v0, u1, v1, *_ in chart[:i]:
                overlap = min(x1, u1) - max(x0, u0) > 1 and min(y1, v1) - max(y0, v0) > 4
                assert not overlap, (text, other)
