"""The sources' protocols against their steps from pixels, other libraries and cases by hand."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from skimage import metrics as reference
from torchmetrics.functional.image import peak_signal_noise_ratio

from benchmark.claims.protocols import PROTOCOLS, lightning_report, locpaint, pathak
from benchmark.claims.reported import REPORTED, load_reported
from benchmark.core.config import load_params, names_in
from benchmark.evaluation.results import Results, read_results
from benchmark.metrics import composite, score_images
from benchmark.reporting.markdown import markdown_blocks
from benchmark.reporting.sections.suite import protocols
from benchmark.reporting.sections.suite.protocols import protocol_csv, translate
from benchmark.reporting.suite_report import suite_reports
from data.errors import InputError
from tests.support.report_tree import BAD, GOOD, MISSING, TELEA, Checkout
from tests.support.tiny import ROOT

pytestmark = pytest.mark.promise("metrics")
COUNT = 70
"""Images: batches of 32 and of 64, each with a rest of 6."""
SIDE = 20
Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pixels() -> tuple[Images, Images, NDArray[np.bool_]]:
    """Return completed images, targets and holes of many sizes; one completion is exact."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    noise = (target + rng.integers(-60, 61, target.shape)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((COUNT, SIDE, SIDE), bool)
    for hole in mask:
        y, x, height, width = rng.integers(2, 9, 4)
        hole[y : y + height, x : x + width] = True
    noise[40] = target[40]
    return np.where(mask[..., None], noise, target), target, mask


@pytest.fixture(scope="module")
def score_table(pixels: tuple[Images, Images, NDArray[np.bool_]]) -> pd.DataFrame:
    completed, target = (torch.from_numpy(part).permute(0, 3, 1, 2) for part in pixels[:2])
    mask = torch.from_numpy(pixels[2])[:, None]
    names = ("mse_h", "psnr_h", "l1_percent_h", "psnr_w", "ssim_uniform_w")
    scores = score_images(composite(completed, target, mask), target, mask, names)
    return pd.DataFrame({"hole_px": mask.sum((1, 2, 3)).numpy()} | scores)


def _batches(size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, COUNT, size)]


def test_locpaint_is_its_evaluation_step_by_step(
    pixels: tuple[Images, Images, NDArray[np.bool_]], score_table: pd.DataFrame
) -> None:
    of_batches = []
    for where in _batches(32):
        ours, truth, holes = (part[where] for part in pixels)
        # On [-1, 1] as the networks have it; squares of the holes over the pixels of the masks.
        squares = (ours / 127.5 - truth / 127.5) ** 2 * holes[..., None]
        psnr, ssim = [], []
        for image, other in zip(truth / 255, ours / 255, strict=True):
            exact = np.array_equal(image, other)
            psnr.append(100.0 if exact else _psnr(image, other, 1))
            similar = reference.structural_similarity(  # type: ignore[no-untyped-call]
                image, other, data_range=1.0, channel_axis=2, win_size=7
            )
            ssim.append(similar)
        of_batches.append([squares.sum() / holes.sum(), np.mean(psnr), np.mean(ssim)])
    expected = np.mean(of_batches, axis=0)
    found = locpaint(score_table)
    # 1e-9: float64 sums in another order; the protocol's tolerance for this SSIM.
    figures = [found[name] for name in ("mse_x12", "psnr_db", "ssim_7x7")]
    np.testing.assert_allclose(figures, expected, rtol=1e-9)
    assert math.isnan(found["lpips_alex"])


def _psnr(truth: NDArray[np.float64], ours: NDArray[np.float64], data_range: float) -> float:
    found = reference.peak_signal_noise_ratio(  # type: ignore[no-untyped-call]
        truth, ours, data_range=data_range
    )
    return float(found)


def test_pathak_is_the_mean_over_images_of_the_hole(
    pixels: tuple[Images, Images, NDArray[np.bool_]], score_table: pd.DataFrame
) -> None:
    inexact = [i for i in range(COUNT) if i != 40]
    holes = [[part[i][pixels[2][i]] / 255 for part in pixels[:2]] for i in inexact]
    expected = [
        np.mean([_psnr(truth, ours, 1) for ours, truth in holes]),
        100 * np.mean([np.abs(ours - truth).mean() for ours, truth in holes]),
        100 * np.mean([((ours - truth) ** 2).mean() for ours, truth in holes]),
    ]
    found = pathak(score_table.drop(index=40))
    # 1e-9: float64 sums in another order.
    figures = [found[name] for name in ("psnr_db", "l1_percent", "l2_percent")]
    np.testing.assert_allclose(figures, expected, rtol=1e-9)
    assert pathak(score_table)["psnr_db"] == math.inf


def test_the_lightning_report_is_the_librarys_psnr_of_each_batch(
    pixels: tuple[Images, Images, NDArray[np.bool_]], score_table: pd.DataFrame
) -> None:
    batches = []
    for where in _batches(64):
        ours, truth = (torch.from_numpy(part[where][pixels[2][where]]) for part in pixels[:2])
        ours, truth = (part.double() / 127.5 - 1 for part in (ours, truth))
        batches.append(peak_signal_noise_ratio(ours, truth, data_range=2.0).item())
    # 1e-6: the library takes the logarithm of the range in float32.
    assert lightning_report(score_table)["psnr_db"] == pytest.approx(np.mean(batches), rel=1e-6)


def test_a_smaller_last_batch_counts_as_much_as_the_others() -> None:
    rows = pd.DataFrame({"mse_h": [0.01, 0.03, 0.08], "hole_px": [9, 9, 9]})
    rows["psnr_w"] = [10.0, 30.0, 50.0]
    rows["ssim_uniform_w"] = [0.2, 0.4, 0.9]
    rows["lpips_alex"] = [0.0, 0.1, 0.45]
    # Batches of (1, 2) and (3): an MSE of .02 and .08, 20 and 50 dB, .3 and .9, .05 and .45.
    found = locpaint(rows, batch=2)
    expected = {"mse_x12": 0.6, "psnr_db": 35, "ssim_7x7": 0.6, "lpips_alex": 0.25}
    assert found == pytest.approx(expected, rel=1e-12)
    assert locpaint(rows)["mse_x12"] == pytest.approx(12 * 0.04, rel=1e-12)


def test_an_infinite_psnr_is_100_db_in_one_source_and_infinite_in_the_others() -> None:
    rows = pd.DataFrame({"mse_h": [0.1, 0.0], "hole_px": [4, 4]})
    rows["psnr_w"], rows["psnr_h"] = [16.0, math.inf], [10.0, math.inf]
    assert locpaint(rows)["psnr_db"] == 58
    assert pathak(rows)["psnr_db"] == math.inf
    assert lightning_report(rows, batch=1)["psnr_db"] == math.inf
    assert lightning_report(rows, batch=2)["psnr_db"] == pytest.approx(-10 * math.log10(0.05))


def test_holes_of_a_batch_are_pooled_by_their_pixels() -> None:
    # (100 * .001 + 300 * .133) / 400 is .1, which is 10 dB; then .001, which is 30 dB.
    rows = pd.DataFrame({"mse_h": [0.001, 0.133, 0.001], "hole_px": [100, 300, 5]})
    assert lightning_report(rows, batch=2)["psnr_db"] == pytest.approx(20, rel=1e-12)
    assert locpaint(rows, batch=2)["mse_x12"] == pytest.approx(12 * 0.0505, rel=1e-12)


def test_the_twelve_agrees_with_the_psnr_that_the_same_author_prints() -> None:
    printed = [t for t in load_reported(ROOT) if t.protocol == "locpaint"]
    assert printed
    for figures in [figures for table in printed for figures in table.figures.values()]:
        # A hole of 64 px is a quarter of an image of 128 px. A mean PSNR is at least that of the
        # mean MSE (Jensen), and on images of one kind hardly more: .5 dB on those of LocPaint. With
        # factors of 4, 3 or 1, for channels or range alone or neither, it would be 5 dB and more.
        of_mean = -10 * math.log10(figures["mse_x12"] / 12 / 4)
        assert 0 < figures["psnr_db"] - of_mean < 1


def test_everything_published_is_of_a_variant_and_a_figure_that_exist() -> None:
    tables = load_reported(ROOT)
    variants = {variant for table in tables for variant in table.figures}
    assert variants <= set(names_in(ROOT / "models/variants"))
    assert {table.protocol for table in tables} == set(PROTOCOLS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("protocol: pathak", "protocol: ib1", "protocol ib1 is not one of locpaint, pathak"),
        ("{psnr_db: 18.58}", "{psnr: 18.58}", "figures.context_encoder.psnr: pathak has only"),
        ("{psnr_db: 18.58}", "{psnr_db: high}", "valid number"),
        ("where: table 1, first row", "there: table 1", "did you mean where"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (ROOT / REPORTED).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / REPORTED).parent.mkdir(parents=True)
    (tmp_path / REPORTED).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load_reported(tmp_path)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    """Return scores of `l2` and of a variant of which nothing is printed, of two seeds each."""
    checkout = Checkout(tmp_path, {"l2": GOOD, "bad_gan": BAD})
    checkout.write_run("l2", 1, GOOD + 0.002)
    checkout.write_run("bad_gan", 1, BAD)
    checkout.params(["l2", "bad_gan"], [0, 1])
    monkeypatch.chdir(tmp_path)
    return read_results(load_params(), "tiny")


def test_seeds_are_averaged(results: Results) -> None:
    # GOOD has a mean of .021, and .023 with the second seed; all holes are of one size.
    found = translate(results)["l2"]
    assert found["pathak"]["l2_percent"] == pytest.approx(
        2.2, rel=1e-6
    )  # 7 digits in a score table
    assert found["locpaint"]["mse_x12"] == pytest.approx(0.264, rel=1e-6)
    expected = -10 * (math.log10(0.021) + math.log10(0.023)) / 2
    assert found["lightning_report"]["psnr_db"] == pytest.approx(expected, rel=1e-6)


def _section(results: Results) -> str:
    """Return the section on protocols as Markdown."""
    ((suite,), _) = suite_reports([results], [], [None])
    return markdown_blocks([protocols.section(suite)])


def test_the_section_has_our_figures_in_each_unit(results: Results) -> None:
    section = _section(results)
    row = next(line for line in section.splitlines() if line.startswith("| l2 | 0.2640 |"))
    assert row.count("|") == 2 + sum(len(e.columns) for e in PROTOCOLS.values())
    assert r"| oracle | 0.0000 | 100.00 | — | — | ∞ | — | 0.00 | ∞ |" in section


def test_what_is_missing_is_a_gap_with_its_reason(results: Results) -> None:
    section = _section(results)
    assert MISSING in section
    assert "a score table has no value of `ssim_uniform_w`" in section
    frame = results.frame.assign(ssim_uniform_w=0.75, l1_percent_h=5.0, lpips_alex=0.25)
    whole = _section(replace(results, frame=frame))
    assert "—" not in whole
    # The holes of TELEA are a quarter of their images.
    decibels = np.mean(-10 * np.log10(TELEA / 4))
    assert rf"| telea | 0.3000 | {decibels:.2f} | 0.7500 | 0.2500 |" in whole


def test_the_csv_has_every_method_and_figure(results: Results) -> None:
    head, *rows = csv.reader(io.StringIO(protocol_csv(results)))
    names = [f"{p}_{c.name}" for p, e in PROTOCOLS.items() for c in e.columns]
    assert head == ["method", "kind", *names]
    assert [row[:2] for row in rows] == [
        *(["l2", "variant"], ["bad_gan", "variant"]),
        *(["mean_color", "baseline"], ["telea", "baseline"], ["oracle", "oracle"]),
    ]
    first = dict(zip(head, rows[0], strict=True))
    assert first["locpaint_mse_x12"] == "0.264000"
    assert first["locpaint_ssim_7x7"] == ""
    assert dict(zip(head, rows[-1], strict=True))["pathak_psnr_db"] == "inf"
