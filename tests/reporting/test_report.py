"""The report stage on a tiny checkout whose numbers are worked by hand."""

import json
import math
import pkgutil
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from scipy import stats

from benchmark.core import paths
from benchmark.core.config import Params, load_params
from benchmark.evaluation.results import mean_intervals, mean_of, read_results, seed_means
from benchmark.evaluation.score_table import read_score_table, write_score_table
from benchmark.pipeline.report import write_report
from benchmark.reporting import sections
from benchmark.reporting.sections import suite
from data.errors import InputError
from data.store import pixel_sha256
from tests.support.diagnoses import diagnosis, localizer
from tests.support.html_page import Page
from tests.support.report_tree import BAD, EVEN, GOOD, MISSING, TELEA, Checkout, draw_nothing
from tests.support.tiny import ROOT


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path, {"good": GOOD, "bad_gan": BAD, "even": EVEN})
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def quick(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """The same, without its figures."""
    draw_nothing(monkeypatch)
    return checkout


def _written(root: Path) -> dict[str, bytes]:
    names = ("summary.json", "claims.json", "report.md", "report.html")
    files = [paths.REPORTS / name for name in names]
    files += [p for d in ("tables", "figures") for p in sorted((paths.REPORTS / d).iterdir())]
    return {str(file): (root / file).read_bytes() for file in files}


@pytest.mark.promise("same_bytes")
def test_the_report_is_all_its_files_and_equal_bytes_each_time(checkout: Checkout) -> None:
    write_report(load_params())
    first = _written(checkout.root)
    charts = {
        *("validation_mse_h", "generator_reconstruction", "cost_flops", "cost_parameters"),
        *(f"{what}_{metric}" for what in ("against", "between")
          for metric in ("mse_h", "psnr_h", "ssim_h", "seam", "sharpness_c")),
    }  # fmt: skip
    assert {Path(name).name for name in first} == {
        *("summary.json", "claims.json", "report.md", "report.html", "claims.csv"),
        *("tiny.tex", "tiny.csv", "tiny_comparisons.csv", "tiny_protocols.csv"),
        *("tiny_comparison.png", "tiny_zoomed.png"),
        *(f"tiny_{name}.svg" for name in charts),
    }
    write_report(load_params())
    assert _written(checkout.root) == first
    text = b"".join(content for name, content in first.items() if not name.endswith(".png"))
    assert str(checkout.root).encode() not in text


def _links(page: str) -> list[str]:
    return [part.split(")")[0] for part in page.split("](")[1:]]


def _diagnosed(checkout: Checkout) -> str:
    """Write the report of a checkout whose discriminator was asked, and return its Markdown."""
    run = paths.Run("tiny", "good", 0)
    checkout.write_json(run.diagnosis, diagnosis("good", suite="tiny", judge=localizer()))
    run.probes.touch()
    write_report(load_params())
    return Path("reports/report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("package", "listed"), [(sections, sections.SECTIONS), (suite, suite.SECTIONS)]
)
def test_every_module_of_a_section_is_in_the_list_once(
    package: ModuleType, listed: Sequence[Callable[..., Any]]
) -> None:
    names = {found.name for found in pkgutil.iter_modules(package.__path__) if not found.ispkg}
    modules = [make.__module__.rpartition(".")[2] for make in listed if make.__name__ == "section"]
    assert sorted(modules) == sorted(names)


def test_every_link_of_the_markdown_leads_somewhere(quick: Checkout) -> None:
    page = _diagnosed(quick)
    titles = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    links = {*_links(page)}
    assert {link for link in links if link[0] == "#"} <= anchors
    documents = {link for link in links if link.startswith("../docs/")}
    assert documents and all((ROOT / paths.REPORTS / link).is_file() for link in documents)
    files = {link for link in links if link[0] != "#"} - documents
    assert len(files) > 15 and all((paths.REPORTS / link).is_file() for link in files)


def test_both_pages_have_the_same_sections_and_numbers(quick: Checkout) -> None:
    page = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(_diagnosed(quick))
    markdown, html = Page(page), Page(Path("reports/report.html").read_text(encoding="utf-8"))
    folded = [[n.text for n in side.all("summary")] for side in (markdown, html)]
    assert folded[0] == folded[1] and "All comparisons as numbers" in folded[0]
    heads = ("h1", "h2", "h3", "h4", "h5")
    titles = [[n.text for n in side.nodes if n.tag in heads] for side in (markdown, html)]
    # HTML has a title for each card of the overview, and its first section is that of the page.
    assert titles[0][1:] == [title for title in titles[1] if title != "Tiny_pictures"]
    numbers = [
        {*re.findall(r"[+-]?\d+\.\d{2,}", " ".join(n.text for n in side.all("table")))}
        for side in (markdown, html)
    ]
    assert len(numbers[0]) > 100 and numbers[0] == numbers[1]


def test_the_summary_holds_means_worked_by_hand(quick: Checkout) -> None:
    write_report(load_params())
    tiny = json.loads(Path("reports/summary.json").read_text())["tiny"]
    assert set(tiny) == {"good", "bad_gan", "even", "mean_color", "telea", "oracle"}
    # Means of .006, .016, .026, .036 and of .020, .030, .040, .050; telea has .025.
    assert tiny["good"]["mse_h"]["mean"] == 0.021
    assert tiny["bad_gan"]["mse_h"]["seeds"] == [0.035]
    assert tiny["bad_gan"]["skill"]["mean"] == pytest.approx(1 - 35 / 25, rel=1e-6)  # 7 digits
    assert tiny["telea"]["skill"]["mean"] == 0
    assert tiny["good"]["lpips_alex"]["mean"] is None
    assert tiny["good"]["lpips_alex"]["missing"] == MISSING


def test_intervals_and_means_of_a_ratio_are_those_of_its_logarithm(quick: Checkout) -> None:
    results = read_results(load_params(), "tiny")
    ratios = np.log(1 + GOOD)  # as the tree has them
    low, high = mean_intervals(results, "good", ["sharpness_c"])["sharpness_c"]
    reach = stats.t.ppf(0.975, 3) * ratios.std(ddof=1) / 2
    # Score tables have 7 digits.
    assert low == pytest.approx(math.exp(ratios.mean() - reach), rel=1e-6)
    assert high == pytest.approx(math.exp(ratios.mean() + reach), rel=1e-6)
    assert seed_means(results, "good", "sharpness_c") == [
        pytest.approx(stats.gmean(1 + GOOD), rel=1e-6)
    ]
    assert mean_of(results.aggregate["good"]["psnr_h_pooled"]) == pytest.approx(
        -10 * math.log10(0.021), rel=1e-9
    )


def test_measures_of_the_whole_test_set_are_shown_or_why_there_are_none(quick: Checkout) -> None:
    page = Path("reports/report.md")
    for entry, shown in (
        ({"value": 0.25, "se": 0.0125, "n": 1000}, r"| good | 0 | 0.2500 ± 0.0125 | — |"),
        ({"value": None, "missing": "needs 1,000 test images"}, "`kid_stlpips`: needs 1,000"),
    ):
        path = paths.Run("tiny", "good", 0).metrics
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"set_level": {"good": {"kid_stlpips": entry}}}))
        write_report(load_params())
        assert shown in page.read_text(encoding="utf-8")


def test_a_variant_that_loses_to_telea_is_marked_in_its_row_and_in_words(
    quick: Checkout,
) -> None:
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert r"| bad\_gan | ✗ loses to telea (provisional) | 0.0350<br>" in page
    assert "| good | ✓ beats every baseline (provisional) | **0.0210**<br>" in page
    assert "| even | ≈ even with telea | <ins>0.0250</ins><br>" in page
    assert r"| bad\_gan - telea | ✗ worse (provisional) | +0.01000 \[" in page
    assert "1 loses to it, 1 is not distinguishable from it, 1 beats it" in page
    assert r"bad\_gan & $\times$ loses to telea (provisional) & 0.0350" in Path(
        "reports/tables/tiny.tex"
    ).read_text(encoding="utf-8")


def test_the_page_explains_gaps(quick: Checkout) -> None:
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    # Below the table, below that of the sources' units, and in the list of gaps.
    assert page.count("no weights; run") == 3
    assert r"- biharmonic was not run: too\_large" in page
    assert "image sampling only" in page
    assert "## By" not in page


def test_the_comparison_shows_input_variants_baselines_and_truth(checkout: Checkout) -> None:
    write_report(load_params())
    with Image.open("reports/figures/tiny_comparison.png") as picture:
        pixels = np.asarray(picture)
    gap, wider, bottom = 138, 152, 16  # 128 px and 10 px; 14 px more between groups
    truth, complement = (
        image.repeat(2, axis=0).repeat(2, axis=1)
        for image in (checkout.images[-1], 255 - checkout.images[-1])
    )
    shift = -bottom - 128, -bottom
    right = pixels.shape[1] - 16
    np.testing.assert_array_equal(pixels[shift[0] : shift[1], right - 128 : right], truth)
    last_variant = right - wider - gap - wider
    np.testing.assert_array_equal(
        pixels[shift[0] : shift[1], last_variant - 128 : last_variant], complement
    )
    masked_input = last_variant - 2 * gap - wider
    x0, y0, x1, y1 = 2 * checkout.boxes[-1]
    tile = pixels[shift[0] : shift[1], masked_input - 128 : masked_input]
    assert (tile[y0:y1, x0:x1] == 128).all()


def test_three_seeds_show_their_spread(quick: Checkout) -> None:
    for seed, offset in ((1, 0.001), (2, 0.002)):
        quick.write_run("good", seed, GOOD + offset)
    quick.params(["good"], [0, 1, 2])
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert "0.0220 ± 0.0010" in page
    assert "training seeds: 0, 1, 2" in page
    assert "image sampling only" not in page
    tiny = json.loads(Path("reports/summary.json").read_text())["tiny"]
    assert tiny["good"]["mse_h"]["seeds"] == [0.021, 0.022, 0.023]
    assert set(tiny) == {"good", "mean_color", "telea", "oracle"}, "bad_gan is not in params"


def test_classes_get_a_table_and_a_row_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Checkout(tmp_path, {"good": GOOD}, ["dog", "cat", "dog", "cat"])
    monkeypatch.chdir(tmp_path)
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert "| dog | 2 | 0.0160 | 0.0450 | 0.0200 |" in page
    with Image.open("reports/figures/tiny_zoomed.png") as picture:
        assert 2 * 128 < picture.height < 3 * 128


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    ("gone", "command"),
    [
        ("reports/scores/tiny/baselines.csv", "baselines --suite tiny"),
        ("reports/metrics/tiny/baselines.json", "baselines --suite tiny"),
        ("reports/completed/tiny/baselines/telea.npy", "baselines --suite tiny"),
        ("reports/scores/tiny/good/seed0.csv", "evaluate --suite tiny --variant good --seed 0"),
        ("reports/metrics/tiny/good/seed0.json", "evaluate --suite tiny --variant good --seed 0"),
        ("reports/completed/tiny/good/seed0.npy", "evaluate --suite tiny --variant good --seed 0"),
        ("reports/curves/tiny/good/seed0.csv", "train --suite tiny --variant good --seed 0"),
        ("data/prepared/tiny/test.npy", "split --suite tiny"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_makes_it(
    quick: Checkout, gone: str, command: str
) -> None:
    Path(gone).unlink()
    with pytest.raises(InputError) as caught:
        write_report(load_params())
    assert gone in str(caught.value)
    assert f"`python -m benchmark {command}`" in str(caught.value)
    assert not Path("reports/report.md").exists()


def test_claims_are_tested_where_their_runs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Checkout(tmp_path, {"l2": GOOD, "binary": BAD})
    monkeypatch.chdir(tmp_path)
    draw_nothing(monkeypatch)
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    section = page.split("## Does it hold here?")[1].split("\n## ")[0]
    gain = float(np.mean(-10 * np.log10(GOOD / BAD)))
    assert f"| tiny | ✓ supported | psnr\\_h: l2 - binary +{gain:.3f} \\[" in section
    assert "c10. " in section and "| · not testable | needs runs of attention" in section
    assert "c14. " in section and r"biharmonic was not run: too\_large" in section
    content = json.loads(Path("reports/claims.json").read_text())
    assert content["c3"]["overall"] == "supported"
    assert content["c13"]["untested"] == [
        {"suite": "tiny", "reason": "stlpips_alex_h has no values"}
    ]
    assert content["c23"]["findings"][0]["evidence"][0]["difference"] == -0.2244
    assert "c3,LocPaint,tiny,supported," in Path("reports/tables/claims.csv").read_text()


def test_a_diagnosis_has_its_section(quick: Checkout) -> None:
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert "What the discriminators go by" not in page and "seam_only" not in page
    quick.write_json(paths.Run("tiny", "good", 0).diagnosis, diagnosis("good", suite="tiny"))
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert "### What the discriminators go by\n\nNo variant of this suite" in page
    assert "- `real`: nothing is altered." in page


@pytest.mark.promise("damage")
def test_another_runs_ledger_is_refused(quick: Checkout) -> None:
    for kind, suffix in (("scores", "csv"), ("metrics", "json")):
        copy = Path(f"reports/{kind}/tiny/good/seed0.{suffix}")
        copy.write_bytes(Path(f"reports/{kind}/tiny/even/seed0.{suffix}").read_bytes())
    with pytest.raises(InputError, match=r"good/seed0.csv: has rows of \[\('even', 0\)\]"):
        write_report(load_params())


@pytest.mark.promise("damage")
def test_scores_of_fewer_images_are_refused(quick: Checkout) -> None:
    run, part = paths.Run("tiny", "good", 0), quick.score_table("good", 0, GOOD).iloc[:3]
    facts = {"checkpoint": "last", "epoch": 2, "missing": {}}
    quick.write_scores(run.scores, run.metrics, part, facts)
    with pytest.raises(InputError, match="other images, holes or groups"):
        write_report(load_params())


def test_report_says_of_how_many_groups_the_test_images_are(quick: Checkout) -> None:
    write_report(load_params())
    assert "; 4 test images, 1 hole(s) each." in Path("reports/report.md").read_text("utf-8")
    for path in [*Path("reports").rglob("seed0.csv"), paths.baseline_scores("tiny")]:
        if "image" in (table := pd.read_csv(path)):
            group = table["image"].mask(table.groupby("method").cumcount() < 2, "one")
            write_score_table(path, read_score_table(path).assign(group=group))
    write_report(load_params())
    text = Path("reports/report.md").read_text("utf-8")
    assert "; 4 test images of 3 groups, 1 hole(s) each." in text


@pytest.mark.promise("damage")
def test_scores_of_other_test_images_are_refused(quick: Checkout) -> None:
    manifest = Path("data/prepared/tiny/manifest.csv")
    digest = pixel_sha256(quick.images[0])
    manifest.write_text(manifest.read_text().replace(digest, "0" * 64))
    with pytest.raises(InputError, match=f"{digest[:16]}, which is not in"):
        write_report(load_params())


@pytest.mark.promise("damage")
@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("known_mae_raw", 0.01, "telea changed known pixels"),
        ("psnr_w", 0.01, "psnr_w and psnr_h of a score table contradict each other"),
    ],
)
def test_scores_that_cannot_be_right_are_refused(
    quick: Checkout, column: str, change: float, message: str
) -> None:
    values = {"telea": TELEA, "oracle": TELEA * 0}
    frame = pd.concat([quick.score_table(name, 0, v) for name, v in values.items()])
    frame.loc[frame["method"] == "telea", column] += change
    quick.write_baselines(frame)
    with pytest.raises(InputError, match=message):
        write_report(load_params())


@pytest.mark.promise("damage")
def test_an_oracle_that_errs_is_refused(quick: Checkout) -> None:
    parts = [quick.score_table(name, 0, TELEA) for name in ("telea", "oracle")]
    quick.write_baselines(pd.concat(parts))
    with pytest.raises(InputError, match="oracle is not perfect"):
        write_report(load_params())


def test_a_variant_may_not_have_a_baselines_name(quick: Checkout) -> None:
    quick.write_run("telea", 0, TELEA)
    with pytest.raises(InputError, match="telea is both"):
        write_report(Params.of_product(["tiny"], ["telea"], [0]))
