"""The report stage on a tiny checkout whose numbers are worked by hand."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark import paths
from benchmark.config import Params, load_params
from benchmark.ledger import write_ledger
from benchmark.report import write_report
from data.errors import InputError
from data.store import Record, pixel_sha256, write_manifest

ROOT = Path(__file__).parent.parent
SUITE = """\
title: Tiny_pictures
description: Noise.
source: {name: portraits, count: 10, seed: 0}
image_size: 64
splits: {seed: 0, train: 4, val: 2, test: 4}
mask: {kind: random_square, size: 32}
training: {epochs: 2, batch_size: 2}
"""
TELEA = np.array([0.010, 0.020, 0.030, 0.040])
GOOD, BAD, EVEN = (TELEA + d for d in (-0.004, 0.010, np.array([-1, 1, -1, 1]) * 1e-3))
MISSING = "no weights; run `python -m benchmark weights`"


class Checkout:
    """A folder with everything that the report reads, for one suite."""

    def __init__(self, root: Path, scores: dict[str, list[float]], labels: list[str]) -> None:
        rng = np.random.default_rng(0)
        self.root, self.labels = root, labels
        self.images = rng.integers(0, 256, (len(labels), 64, 64, 3), dtype=np.uint8)
        corners = rng.integers(0, 33, (len(labels), 2))
        self.boxes = np.concatenate([corners, corners + 32], axis=1).astype(np.int32)
        for folder in (paths.SUITES, paths.VARIANTS, paths.REPORTS / "templates"):
            (root / folder).mkdir(parents=True)
        (root / paths.SUITES / "tiny.yaml").write_text(SUITE)
        page = paths.REPORTS / "templates" / "report.md"
        (root / page).write_text((ROOT / page).read_text(encoding="utf-8"), encoding="utf-8")
        variant = (ROOT / paths.VARIANTS / "l2.yaml").read_text(encoding="utf-8")
        self._write_prepared()
        self._write_baselines()
        for name, values in scores.items():
            (root / paths.VARIANTS / f"{name}.yaml").write_text(variant, encoding="utf-8")
            self.write_run(name, 0, values)
        self.params([*scores], [0])

    def params(self, variants: list[str], seeds: list[int]) -> None:
        text = f"suites: [tiny]\nvariants: [{', '.join(variants)}]\nseeds: {seeds}\n"
        (self.root / paths.PARAMS).write_text(text)

    def write_run(self, variant: str, seed: int, values: list[float]) -> None:
        run = paths.Run("tiny", variant, seed)
        write_ledger(self.root / run.scores, self.ledger(variant, seed, values))
        for path in (run.metrics, run.curves, run.completed):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"missing": {"lpips_alex": MISSING}})
        (self.root / run.metrics).write_text(content)
        curves = {"epoch": [1, 2], "generator/reconstruction": [0.2, 0.1]}
        curves |= {"validation/mse_h": [0.3, 0.2]}
        pd.DataFrame(curves).to_csv(self.root / run.curves, index=False)
        np.save(self.root / run.completed, 255 - self.images)

    def ledger(self, method: str, seed: int, values: list[float]) -> pd.DataFrame:
        """Return a ledger with the given mse_h; the other metrics follow from it."""
        mse = np.asarray(values)
        with np.errstate(divide="ignore"):
            psnr = -10 * np.log10(mse)
        keys = {
            "method": method,
            "seed": seed,
            "image": [pixel_sha256(image)[:16] for image in self.images],
            "mask": [hashlib.sha256(box.tobytes()).hexdigest()[:16] for box in self.boxes],
            "hole_px": 32 * 32,
            "label": self.labels,
        }
        scores = {"mse_h": mse, "psnr_h": psnr, "ssim_h": 1 - mse, "seam": -mse}
        scores |= {"sharpness_h": 1 + mse, "known_mae_raw": 0 * mse}
        scores["psnr_w"] = psnr - 10 * np.log10(32 * 32 / self.images[0, :, :, 0].size)
        return pd.DataFrame(keys | scores)

    def _write_prepared(self) -> None:
        folder = self.root / paths.prepared("tiny")
        folder.mkdir(parents=True)
        np.save(folder / "test.npy", self.images)
        np.save(folder / "test_boxes.npy", self.boxes[:, None])
        records = [
            Record("test", i, f"i{i}", pixel_sha256(image), label)
            for i, (image, label) in enumerate(zip(self.images, self.labels, strict=True))
        ]
        write_manifest(folder / "manifest.csv", records)

    def _write_baselines(self) -> None:
        scores = {"mean_colour": TELEA * 2, "telea": TELEA, "oracle": TELEA * 0}
        parts = [self.ledger(name, 0, list(values)) for name, values in scores.items()]
        write_ledger(self.root / paths.baseline_scores("tiny"), pd.concat(parts))
        path = self.root / paths.baseline_metrics("tiny")
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"missing": {}, "refused": {"biharmonic": "too_large"}}))
        folder = self.root / paths.baseline_completed("tiny")
        folder.mkdir(parents=True)
        for name in ("mean_colour", "telea"):
            np.save(folder / f"{name}.npy", self.images // 2)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    scores = {"good": list(GOOD), "bad_gan": list(BAD), "even": list(EVEN)}
    made = Checkout(tmp_path, scores, ["", "", "", ""])
    monkeypatch.chdir(tmp_path)
    return made


def _written(root: Path) -> dict[str, bytes]:
    files = [paths.REPORTS / "summary.json", paths.REPORTS / "report.md"]
    files += [p for d in ("tables", "figures") for p in sorted((paths.REPORTS / d).iterdir())]
    return {str(file): (root / file).read_bytes() for file in files}


def test_the_report_is_all_its_files_and_equal_bytes_each_time(checkout: Checkout) -> None:
    write_report(load_params())
    first = _written(checkout.root)
    assert {Path(name).name for name in first} == {
        *("summary.json", "report.md", "tiny.tex", "tiny.csv"),
        *("tiny_comparison.png", "tiny_zoomed.png", "tiny_curves.png"),
    }
    write_report(load_params())
    assert _written(checkout.root) == first
    text = b"".join(content for name, content in first.items() if not name.endswith(".png"))
    assert str(checkout.root).encode() not in text


def test_the_summary_holds_means_worked_by_hand(checkout: Checkout) -> None:
    write_report(load_params())
    tiny = json.loads(Path("reports/summary.json").read_text())["tiny"]
    assert set(tiny) == {"good", "bad_gan", "even", "mean_colour", "telea", "oracle"}
    # Means of .006, .016, .026, .036 and of .020, .030, .040, .050; telea has .025.
    assert tiny["good"]["mse_h"]["mean"] == 0.021
    assert tiny["bad_gan"]["mse_h"]["seeds"] == [0.035]
    assert tiny["bad_gan"]["skill"]["mean"] == pytest.approx(1 - 35 / 25, rel=1e-6)  # 7 digits
    assert tiny["telea"]["skill"]["mean"] == 0
    assert tiny["good"]["lpips_alex"]["mean"] is None
    assert tiny["good"]["lpips_alex"]["missing"] == MISSING


def test_a_variant_that_loses_to_telea_is_marked_in_its_row_and_in_words(
    checkout: Checkout,
) -> None:
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert r"| bad\_gan | ✗ loses to telea | 0.0350 | " in page
    assert "| good | ✓ beats every baseline | **0.0210** | " in page
    assert "| even | ≈ even with telea | <u>0.0250</u> | " in page
    assert r"bad\_gan (mse\_h 0.0350) is worse than telea (+0.01000" in page
    assert "1 loses to it, 1 is not distinguishable from it, 1 beats it" in page
    assert r"bad\_gan & $\times$ loses to telea & 0.0350" in Path(
        "reports/tables/tiny.tex"
    ).read_text(encoding="utf-8")


def test_the_page_explains_gaps_and_links_figures_that_exist(checkout: Checkout) -> None:
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert page.count("no weights; run") == 2  # below the table, and in the list of gaps
    assert r"biharmonic was not run: too\_large" in page
    assert "image sampling only" in page
    assert "### By" not in page
    assert "$" not in page
    links = [part.split(")")[0] for part in page.split("](")[1:]]
    assert len(links) == 3
    assert all((paths.REPORTS / link).is_file() for link in links)


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


def test_three_seeds_show_their_spread(checkout: Checkout) -> None:
    for seed, offset in ((1, 0.001), (2, 0.002)):
        checkout.write_run("good", seed, list(GOOD + offset))
    checkout.params(["good"], [0, 1, 2])
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert "0.0220 ± 0.0010" in page
    assert "training seeds: 0, 1, 2" in page
    assert "image sampling only" not in page
    tiny = json.loads(Path("reports/summary.json").read_text())["tiny"]
    assert tiny["good"]["mse_h"]["seeds"] == [0.021, 0.022, 0.023]
    assert set(tiny) == {"good", "mean_colour", "telea", "oracle"}, "bad_gan is not in params"


def test_classes_get_a_table_and_a_row_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Checkout(tmp_path, {"good": list(GOOD)}, ["dog", "cat", "dog", "cat"])
    monkeypatch.chdir(tmp_path)
    write_report(load_params())
    page = Path("reports/report.md").read_text(encoding="utf-8")
    assert "| dog | 2 | 0.0160 | 0.0400 | 0.0200 |" in page
    with Image.open("reports/figures/tiny_zoomed.png") as picture:
        assert 2 * 128 < picture.height < 3 * 128


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
    checkout: Checkout, gone: str, command: str
) -> None:
    Path(gone).unlink()
    with pytest.raises(InputError) as caught:
        write_report(load_params())
    assert gone in str(caught.value)
    assert f"`python -m benchmark {command}`" in str(caught.value)
    assert not Path("reports/report.md").exists()


def test_another_runs_ledger_is_refused(checkout: Checkout) -> None:
    write_ledger(Path("reports/scores/tiny/good/seed0.csv"), checkout.ledger("even", 0, list(EVEN)))
    with pytest.raises(InputError, match=r"good/seed0.csv: has rows of \[\('even', 0\)\]"):
        write_report(load_params())


def test_scores_of_fewer_images_are_refused(checkout: Checkout) -> None:
    part = checkout.ledger("good", 0, list(GOOD)).iloc[:3]
    write_ledger(Path("reports/scores/tiny/good/seed0.csv"), part)
    with pytest.raises(InputError, match="other images or holes"):
        write_report(load_params())


def test_scores_of_other_test_images_are_refused(checkout: Checkout) -> None:
    manifest = Path("data/prepared/tiny/manifest.csv")
    digest = pixel_sha256(checkout.images[0])
    manifest.write_text(manifest.read_text().replace(digest, "0" * 64))
    with pytest.raises(InputError, match=f"{digest[:16]}, which is not in"):
        write_report(load_params())


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("known_mae_raw", 0.01, "telea changed known pixels"),
        ("psnr_w", 0.01, "psnr_w and psnr_h of a ledger contradict each other"),
    ],
)
def test_scores_that_cannot_be_right_are_refused(
    checkout: Checkout, column: str, change: float, message: str
) -> None:
    values = {"telea": TELEA, "oracle": TELEA * 0}
    frame = pd.concat([checkout.ledger(name, 0, list(v)) for name, v in values.items()])
    frame.loc[frame["method"] == "telea", column] += change
    write_ledger(paths.baseline_scores("tiny"), frame)
    with pytest.raises(InputError, match=message):
        write_report(load_params())


def test_an_oracle_that_errs_is_refused(checkout: Checkout) -> None:
    path = paths.baseline_scores("tiny")
    parts = [checkout.ledger(name, 0, list(TELEA)) for name in ("telea", "oracle")]
    write_ledger(path, pd.concat(parts))
    with pytest.raises(InputError, match="oracle is not perfect"):
        write_report(load_params())


def test_a_variant_may_not_have_a_baselines_name(checkout: Checkout) -> None:
    checkout.write_run("telea", 0, list(TELEA))
    with pytest.raises(InputError, match="telea is both"):
        write_report(Params(suites=("tiny",), variants=("telea",), seeds=(0,)))
