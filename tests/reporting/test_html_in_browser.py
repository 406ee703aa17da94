"""The HTML report in a browser: it sorts, filters, moves, and asks no network."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from benchmark.core.config import load_params
from benchmark.pipeline.report import write_report
from benchmark.reporting.suite_report import Report
from tests.support.chromium import Chromium, chromium, find_chromium
from tests.support.hostile import ATTACKS, hostile_checkout
from tests.support.promises import tally

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")
QUIET = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
SCORES = "document.querySelector('table.scores')"
READY = "document.querySelectorAll('.cards figure').length > 0"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as found:
        yield found


@pytest.fixture
def shown(browser: Chromium, source: str, tmp_path: Path) -> Chromium:
    """Return the browser with the report, newly loaded."""
    file = tmp_path / "report.html"
    file.write_text(source, encoding="utf-8")
    browser.media()
    browser.size(1280, 900)
    browser.open(file)
    browser.wait(READY)
    return browser


def _faults(browser: Chromium) -> list[Any]:
    """Return what a page did that it may not do."""
    browser.run("0")
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    foreign = [a for a in asked[1:] if not a.startswith("data:")]
    wanted = (*QUIET, "Page.javascriptDialogOpening")
    return foreign + [event for event in browser.events if event["method"] in wanted]


def test_it_loads_without_error_or_request(shown: Chromium) -> None:
    assert _faults(shown) == []
    assert unquote(shown.run("location.protocol")) == "file:"


def _order(browser: Chromium) -> list[str]:
    names = ".map(cell => cell.dataset.key)"
    return list(browser.run(f"[...{SCORES}.querySelectorAll('tbody th')]{names}"))


def _keys(browser: Chromium, place: int, kind: str) -> list[str | None]:
    script = (
        f"[...{SCORES}.querySelectorAll('tr.{kind}')]"
        f".map(row => row.cells[{place}].dataset.key ?? null)"
    )
    return list(browser.run(script))


def _head(browser: Chromium, place: int) -> str:
    return f"{SCORES}.tHead.rows[0].cells[{place}]"


def test_sorting_orders_rows_by_their_values(shown: Chromium) -> None:
    count = shown.run("document.querySelector('table.scores thead').rows[0].cells.length")
    orders = set()
    for place in range(2, count):
        button = f"{_head(shown, place)}.querySelector('button')"
        for _ in range(2):
            shown.run(f"{button}.click()")
            order = shown.run(f"{_head(shown, place)}.ariaSort")
            for kind in ("variants", "baselines"):
                keys = _keys(shown, place, kind)
                known = [float(key) for key in keys if key is not None]
                assert known == sorted(known, reverse=order == "descending")
                assert keys[len(known) :] == [None] * (len(keys) - len(known)), (
                    "unknown ones are last"
                )
            orders.add(tuple(_order(shown)))
        marked = f"[...{SCORES}.querySelectorAll('[aria-sort]')].length"
        assert shown.run(marked) == 1, "one column is the sorted one"
    best_first = ["l2", "even", "binary"], ["telea", "mean_color"], ["oracle"]
    upwards = tuple(name for group in best_first for name in group)
    downwards = tuple(name for group in best_first for name in reversed(group))
    assert orders == {upwards, downwards}


def test_sorting_takes_the_best_first_and_works_by_keyboard(shown: Chromium) -> None:
    names = shown.run(
        "[...document.querySelector('table.scores thead').rows[0].cells].map(c => c.innerText)"
    )
    place = next(i for i, name in enumerate(names) if name.startswith("psnr_h"))
    shown.run(f"{_head(shown, place)}.querySelector('button').focus()")
    shown.press("Enter")
    assert shown.run(f"{_head(shown, place)}.ariaSort") == "descending"
    assert _order(shown)[:3] == ["l2", "even", "binary"]
    shown.press(" ")
    assert shown.run(f"{_head(shown, place)}.ariaSort") == "ascending"
    assert _order(shown)[:3] == ["binary", "even", "l2"]


def test_baselines_can_be_ranked_among_the_variants_and_apart_again(shown: Chromium) -> None:
    box = f"{SCORES}.parentElement.previousElementSibling.querySelector('input')"
    shown.run(f"{_head(shown, 2)}.querySelector('button').click()")
    assert _order(shown) == ["l2", "even", "binary", "telea", "mean_color", "oracle"]
    shown.run(f"{box}.click()")
    # Means over seeds: .022, .026, .036; telea has .025.
    assert _order(shown) == ["l2", "telea", "even", "binary", "mean_color", "oracle"]
    shown.run(f"{box}.click()")
    assert _order(shown) == ["l2", "even", "binary", "telea", "mean_color", "oracle"]


def _choose(browser: Chromium, name: str, value: str) -> None:
    browser.run(
        f"(() => {{ const s = document.getElementById('{name}'); s.value = '{value}';"
        " s.dispatchEvent(new Event('change')); })()"
    )


VISIBLE = (
    "[...document.querySelectorAll('[data-verdict]')].filter(row => row.checkVisibility())"
    ".map(row => row.dataset.verdict)"
)


def test_claims_are_filtered_by_verdict(shown: Chromium) -> None:
    every = Counter(shown.run(VISIBLE))
    assert len(every) >= 2
    for verdict, count in every.items():
        _choose(shown, "claims-filter", verdict)
        assert shown.run(VISIBLE) == [verdict] * count
    _choose(shown, "claims-filter", "")
    assert Counter(shown.run(VISIBLE)) == every


def test_one_plot_of_each_kind_is_shown_and_a_selection_changes_it(shown: Chromium) -> None:
    place = "document.querySelector('.panels')"
    panels = f"[...{place}.querySelectorAll('.panel')]"
    visible = f"{panels}.filter(p => p.checkVisibility()).map(p => p.dataset.name)"
    assert shown.run(visible) == ["mse_h"]
    shown.run(f"{place}.querySelector('select').focus()")
    shown.press("ArrowDown")
    assert shown.run(visible) == ["psnr_h"]


def _pixel(browser: Chromium, x: int, y: int) -> list[int]:
    context = "document.querySelector('.stage canvas').getContext('2d')"
    return list(browser.run(f"[...{context}.getImageData({x}, {y}, 1, 1).data].slice(0, 3)"))


def test_the_divider_moves_by_keyboard_and_pointer(made: Report, shown: Chromium) -> None:
    pictures = made.local[0].pictures
    assert pictures is not None
    x0, y0, x1, y1 = (int(n) for n in pictures.boxes[0])
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    completed = pictures.variants["l2"][0, y, x].tolist()
    shown.run("document.querySelector('.stage input').focus()")
    shown.press("End")
    assert _pixel(shown, x, y) == [128, 128, 128]
    shown.press("ArrowLeft")
    assert shown.run("document.querySelector('.stage input').value") == "99"
    shown.run("document.querySelector('.stage').scrollIntoView({block: 'center'})")
    left, top, width, height = shown.run(
        "(() => { const r = document.querySelector('.stage').getBoundingClientRect();"
        " return [r.left, r.top, r.width, r.height]; })()"
    )
    shown.mouse("mousePressed", left + 0.9 * width, top + height / 2)
    shown.mouse("mouseMoved", left + 1, top + height / 2)
    shown.mouse("mouseReleased", left + 1, top + height / 2)
    assert int(shown.run("document.querySelector('.stage input').value")) <= 3
    assert _pixel(shown, x, y) == completed
    # Outside the hole all is the truth.
    u, v = ((x0 + 40) % 64, (y0 + 40) % 64)
    assert _pixel(shown, u, v) == pictures.truth[0, v, u].tolist()


def _images(browser: Chromium) -> list[int]:
    names = browser.run("[...document.querySelectorAll('.cards strong')].map(s => s.textContent)")
    return [int(name.split()[1].strip(",")) for name in names]


def test_the_gallery_is_ordered_and_filtered(shown: Chromium) -> None:
    assert _images(shown) == [1, 2, 3, 4]
    _choose(shown, "gallery-order", "worst")
    assert _images(shown) == [4, 3, 2, 1], "errors grow with the number"
    _choose(shown, "gallery-order", "disagreement")
    # binary is .014 above l2 in all; even is nearer to l2 in the first and third.
    assert sorted(_images(shown)) == [1, 2, 3, 4]
    _choose(shown, "gallery-order", "random")
    assert sorted(_images(shown)) == [1, 2, 3, 4]
    _choose(shown, "gallery-right", "binary")
    assert "mse 0.0200" in shown.run("document.querySelector('.cards').textContent")


def test_differences_are_dark_where_nothing_differs_and_the_hole_is_outlined(
    made: Report, shown: Chromium
) -> None:
    assert made.local[0].pictures is not None
    x0, y0, x1, y1 = (int(n) for n in made.local[0].pictures.boxes[0])
    _choose(shown, "gallery-right", "truth")
    _choose(shown, "gallery-left", "truth")
    shown.run("document.getElementById('gallery-difference').click()")
    shown.run("document.querySelector('.stage input').focus()")
    shown.press("Home")
    assert _pixel(shown, (x0 + x1) // 2, (y0 + y1) // 2) == [0, 0, 0]
    assert shown.run("document.querySelectorAll('.outline').length") == 0
    shown.run("document.getElementById('gallery-outline').click()")
    left, width = shown.run(
        "(() => { const o = document.querySelector('.outline').getBoundingClientRect(),"
        " s = document.querySelector('.stage').getBoundingClientRect();"
        " return [(o.left - s.left) / s.width, o.width / s.width]; })()"
    )
    assert left == pytest.approx(x0 / 64, abs=0.01) and width == pytest.approx(0.5, abs=0.01)


def test_all_methods_of_an_image_open_in_a_dialog_that_escape_closes(shown: Chromium) -> None:
    shown.run("document.querySelector('.cards button').focus()")
    shown.press("Enter")
    names = shown.run("[...document.querySelectorAll('dialog strong')].map(s => s.textContent)")
    assert names == ["masked input", "truth", "l2", "binary", "even", "mean_color", "telea"]
    shown.press("Escape")
    assert not shown.run("document.querySelector('dialog').open")


OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_no_width_makes_the_page_scroll_sideways(shown: Chromium, width: int) -> None:
    shown.size(width, 800)
    shown.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert shown.run(OVERFLOW) <= 0
    assert shown.run("document.querySelector('table.scores').parentElement.scrollWidth") > 0


def test_sentences_of_verdicts_leave_room_for_the_other_columns(shown: Chromium) -> None:
    shown.size(1280, 800)
    assert shown.run("document.querySelectorAll('.claims .verdict .more').length") > 0
    assert shown.run(
        "[...document.querySelectorAll('.claims')].every("
        "table => table.scrollWidth <= table.parentElement.clientWidth)"
    )


def test_the_dark_scheme_is_that_of_the_system_until_the_button_is_pressed(
    shown: Chromium,
) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"

    def brightness() -> float:
        numbers = shown.run(ground).partition("(")[2].strip(")").split(",")
        return sum(float(n) for n in numbers[:3]) / 3

    assert brightness() > 240
    shown.media(scheme="dark")
    assert brightness() < 40
    shown.run("document.getElementById('theme').click()")
    assert brightness() > 240
    assert shown.run("document.getElementById('theme').ariaPressed") == "false"


def test_paper_has_all_and_no_controls(shown: Chromium) -> None:
    shown.run("dispatchEvent(new Event('beforeprint'))")
    shown.media("print")
    hidden = (
        "[...document.querySelectorAll('main table, main svg, main p, main li, main canvas')]"
        ".filter(e => !e.checkVisibility() && !e.closest('.without-script, dialog')).length"
    )
    assert shown.run(hidden) == 0
    controls = (
        "[...document.querySelectorAll('.controls, #theme')].filter(e => e.checkVisibility())"
    )
    assert shown.run(f"{controls}.length") == 0
    assert len(shown.run(VISIBLE)) > 5


ROLES = ("button", "checkbox", "combobox", "slider", "link", "image", "region", "option")


def test_every_control_and_picture_has_a_name(shown: Chromium) -> None:
    nodes = shown.send("Accessibility.getFullAXTree")["nodes"]
    shown_ones = [n for n in nodes if not n["ignored"]]
    seen = Counter(n["role"]["value"] for n in shown_ones)
    assert all(seen[role] for role in ("button", "checkbox", "combobox", "slider", "link"))
    nameless = [
        n for n in shown_ones if n["role"]["value"] in ROLES and not n.get("name", {}).get("value")
    ]
    assert nameless == []


FOCUSED = """(() => {
  const control = document.activeElement;
  const place = control.matches('.stage input') ? control.parentElement : control;
  return [control.tagName, getComputedStyle(place).outlineStyle];
})()"""
"""The focus, and the line around it; that of a divider is around its picture."""


def test_the_keyboard_reaches_controls_with_a_visible_focus(shown: Chromium) -> None:
    reached = set()
    for _ in range(30):
        shown.press("Tab")
        tag, outline = shown.run(FOCUSED)
        reached.add(tag)
        assert outline != "none", tag
    assert {"A", "BUTTON", "SELECT", "INPUT"} <= reached


def test_tables_plots_and_claims_are_there_without_a_script(
    browser: Chromium, source: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(source, encoding="utf-8")
    browser.media()
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(file)
        shown = "[...document.querySelectorAll('{}')].filter(e => e.checkVisibility()).length"
        assert browser.run(shown.format("table.scores")) == 2
        assert browser.run(shown.format("[data-verdict]")) > 5
        assert browser.run(shown.format(".panel svg")) > 5
        assert browser.run(shown.format(".controls, #theme")) == 1, "a place is kept for the button"
        assert (
            browser.run("getComputedStyle(document.getElementById('theme')).visibility") == "hidden"
        )
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.promise("escaping")
def test_hostile_text_does_nothing_in_a_browser(
    browser: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile_checkout(tmp_path / "checkout", [" ".join(ATTACKS)] * 6)
    monkeypatch.chdir(tmp_path / "checkout")
    write_report(load_params())
    browser.media()
    browser.size(360, 800)
    browser.open(Path("reports/report.html"))
    browser.wait(READY)
    browser.run("document.querySelector('.cards button').click()")
    assert _faults(browser) == []
    assert browser.run(OVERFLOW) <= 0
    tally("hostile strings shown as text", 6 * len(ATTACKS))
