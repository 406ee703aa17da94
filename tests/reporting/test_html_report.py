"""The HTML report without a browser: its numbers, its bytes and its markup."""

import base64
import dataclasses
import io
import json
import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from benchmark.reporting.blocks import Cell, Group, Head, Pictures, Row, Section, Table, Text
from benchmark.reporting.html_page import html_page, words
from benchmark.reporting.sections.claims import claims_json
from benchmark.reporting.sections.downloads import summary
from benchmark.reporting.sections.gallery import sheet, suite_data
from benchmark.reporting.sections.suite.files import csv_table
from benchmark.reporting.suite_report import Report, suite_reports
from tests.support.hostile import ATTACKS
from tests.support.html_page import Page, page_of
from tests.support.promises import tally
from tests.support.report_tree import BAD


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_nothing_is_asked_of_a_network(page: Page) -> None:
    addresses = [
        n.attributes[key] for n in page.nodes for key in ("src", "href") if key in n.attributes
    ]
    assert addresses
    assert all(address and address.startswith(("#", "data:")) for address in addresses)
    policy = page.all("meta", http_equiv="Content-Security-Policy")[0].attributes["content"]
    assert policy is not None and policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy and "http" not in policy


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(page: Page) -> None:
    ids = [n.attributes["id"] for n in page.nodes if "id" in n.attributes]
    assert len(ids) == len(set(ids))
    links = [str(n.attributes["href"]) for n in page.all("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_every_picture_has_a_text_alternative(page: Page) -> None:
    pictures = page.all("svg")
    shown = [n for n in pictures if n.attributes.get("aria-hidden") != "true"]
    assert len(shown) > 10
    assert all(n.attributes["role"] == "img" and n.attributes["aria-label"] for n in shown)
    assert not page.all("img"), "the script makes them"


def _row(page: Page, method: str) -> list[str]:
    """Return the cells of a method in the first table of scores."""
    start = next(i for i, n in enumerate(page.nodes) if n.attributes.get("data-key") == method)
    cells = []
    for node in page.nodes[start + 1 :]:
        if node.tag == "tr":
            break
        if node.tag == "td":
            cells.append(node.text)
    return cells


def test_the_table_has_means_and_intervals_worked_by_hand(made: Report) -> None:
    results = made.local[0].results
    frame = results.frame[results.frame["seed"] == 0]
    curves = {key: frame for key, frame in results.curves.items() if key[1] == 0}
    one_seed = dataclasses.replace(results, frame=frame, seeds=(0,), curves=curves)
    local, _ = suite_reports([one_seed], [], [made.local[0].pictures])
    page = Page(page_of(dataclasses.replace(made, local=local)))
    # Of .006, .016, .026 and .036: the mean, and the interval of Student's t.
    reach = stats.t.ppf(0.975, 3) * math.sqrt(5 / 3) * 0.01 / 2
    cells = _row(page, "l2")
    assert cells[0] == "✓ beats every baseline (provisional)"
    assert cells[1] == f"0.0210[{0.021 - reach:.4f}, {0.021 + reach:.4f}]"
    assert _row(page, "oracle")[1] == "0.0000"
    assert "—" in _row(page, "telea")


def test_verdicts_are_words_in_plots_and_tables(page: Page) -> None:
    assert "✓ better" in [n.text for n in page.all("text")]
    labels = [str(n.attributes.get("aria-label")) for n in page.all("svg")]
    forest = next(text for text in labels if "against the baselines, mse_h" in text)
    # Differences of -.003 in the mean of the seeds, without a spread between images.
    assert "l2 against telea: -0.00300 [" in forest


def test_downloads_are_the_files_of_the_report(made: Report, page: Page) -> None:
    links = {
        n.attributes["download"]: str(n.attributes["href"])
        for n in page.all("a")
        if "download" in n.attributes
    }
    content = {
        name: base64.b64decode(link.partition(",")[2]).decode() for name, link in links.items()
    }
    assert {"tiny.tex", "tiny.csv", "tiny_comparisons.csv", "reference-tiny.csv"} <= set(content)
    assert content["tiny.csv"] == csv_table(made.local[0].board)
    assert json.loads(content["summary.json"]) == {"tiny": summary(made.local[0].results)}
    assert json.loads(content["claims.json"]) == claims_json(made.tested)


def test_every_claim_is_there_with_every_verdict(made: Report, page: Page) -> None:
    rows = [n for n in page.all("tr") if "data-verdict" in n.attributes]
    counted = Counter(str(n.attributes["data-verdict"]) for n in rows)
    found = [f.verdict for tested in made.tested.values() for f in tested.findings]
    assert {v: n for v, n in counted.items() if v != "not testable"} == Counter(found)
    heads = " ".join(n.text for n in page.all("th", scope="rowgroup"))
    assert all(tested.claim.claim in heads for tested in made.tested.values())


def test_the_gallery_has_the_pixels_of_the_holes_without_loss(made: Report) -> None:
    results, pictures = made.local[0].results, made.local[0].pictures
    assert pictures is not None
    data = suite_data(results, pictures)
    method = next(m for m in data["methods"] if m["name"] == "binary")
    stream = io.BytesIO(base64.b64decode(method["sheet"].partition(",")[2]))
    pixels = np.asarray(Image.open(stream))
    for i, (x0, y0, x1, y1) in enumerate(data["boxes"]):
        cell = pixels[:32, 32 * i : 32 * i + 32]
        np.testing.assert_array_equal(cell, pictures.variants["binary"][i, y0:y1, x0:x1])
    assert method["scores"]["mse_h"] == pytest.approx(BAD.tolist())
    assert data["labels"] == ["dog", "cat", "dog", "cat"]


def test_a_sheet_has_rows_of_cells() -> None:
    images = [np.full((2, 3, 3), i, np.uint8) for i in range(10)]
    made = sheet(images, 4)
    assert made.shape == (8, 32, 3)
    assert (made[4:6, 4:7] == 9).all() and (made[2:4] == 0).all()


def test_pictures_that_cannot_be_compressed_leave_the_report_small(made: Report) -> None:
    rng = np.random.default_rng(0)
    results, pictures = made.local[0].results, made.local[0].pictures
    assert pictures is not None
    noise = rng.integers(0, 256, (64, 64, 64, 3), dtype=np.uint8)
    boxes = np.tile(np.array([0, 0, 32, 32], np.int32), (64, 1))
    many = dataclasses.replace(
        pictures,
        variants=dict.fromkeys(pictures.variants, noise),
        baselines=dict.fromkeys(pictures.baselines, noise),
        truth=noise,
        boxes=boxes,
        labels=[""] * 64,
    )
    size = len(json.dumps(suite_data(results, many)))
    assert 1e6 < size < 3e6


def test_text_is_escaped_once_wherever_a_block_has_it() -> None:
    assert words("run `a <b>` now, **\\*x\\* &** [y](#z) [f](../docs/a.md)") == (
        "run <code>a &lt;b&gt;</code> now, <strong>*x* &amp;</strong> "
        '<a href="#z">y</a> <span title="../docs/a.md">f</span>'
    )
    cell = Cell('"<&>"', more=["\x00\n\ud800"], note="'>\"")
    table = Table("<t>", [Head("<h>")], [Group([Row([cell])])])
    page = html_page("<i>", [Section("a &lt;", [Text("</p>"), table], "s")])
    assert "<title>&lt;i&gt;</title>" in page and "<h1>a &amp;lt;</h1>" in page
    assert "<p>&lt;/p&gt;</p>" in page and ">&lt;h&gt;</th>" in page
    assert 'title="&#39;&gt;&#34;">&#34;&lt;&amp;&gt;&#34;<' in page
    assert '<span class="more">\\x00 \\ud800</span>' in page


@pytest.mark.promise("escaping")
def test_data_for_the_script_cannot_end_its_element() -> None:
    gallery = [{"title": attack} for attack in ATTACKS]
    page = html_page("", [Section("", [Pictures([], gallery)], "s")])
    inner = page.partition('id="gallery-data">')[2].partition("</script>")[0]
    assert not {"<", ">", "&"} & set(inner)
    assert json.loads(inner) == gallery
    tally("hostile strings shown as text", len(ATTACKS))
