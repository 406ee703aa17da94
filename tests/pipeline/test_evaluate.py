"""Scoring: what is in the score table, that it adds up, and that a run is what it says it is."""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.hashing import file_sha256
from benchmark.core.paths import Run
from benchmark.evaluation.score_table import metric_columns, read_score_table
from benchmark.evaluation.test_set import load_test_set
from benchmark.metrics import METRICS, PROTOCOL
from benchmark.pipeline.baselines import ORACLE, evaluate_baselines
from benchmark.pipeline.evaluate import evaluate_run, evaluate_split
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from data.errors import InputError
from data.store import Store, pixel_sha256, write_manifest
from models import baselines
from models.baselines import BASELINES
from tests.support.promises import tally
from tests.support.tiny import (
    HOLE_PX,
    IMAGE_PX,
    ROOT,
    files_below,
    full_variant,
    isolate,
    make_scored,
    tiny_suite,
    tiny_variant,
)

TEST_IMAGES, MASKS, EXAMPLES = 10, 2, 3
RUN = Run("tiny", "l2", 0)


def _suite(batch_size: int = 4, **changes: Any) -> Suite:
    settings = {"batch_size": batch_size, "masks_per_image": MASKS, "examples": EXAMPLES}
    return tiny_suite({"epochs": 1}, evaluation=settings, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with a trained run, scored, and scored baselines."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        make_scored(_suite())
    return folder


@pytest.fixture
def checkout(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of it, which is the present folder."""
    shutil.copytree(trained, tmp_path / "checkout")
    isolate(monkeypatch, tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture
def score_table(checkout: Path) -> pd.DataFrame:
    return read_score_table(RUN.scores)


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


# The score table


def test_ledger_has_a_row_for_every_image_and_hole(score_table: pd.DataFrame) -> None:
    assert len(score_table) == TEST_IMAGES * MASKS
    assert {*score_table["method"]} == {"l2"}
    assert {*score_table["seed"]} == {0}
    assert {*score_table["hole_px"]} == {HOLE_PX**2}
    records = Store(paths.prepared("tiny")).records("test")
    assert [*score_table["image"]] == [record.sha256[:16] for record in records] * MASKS
    assert {"mse_h", "psnr_h", "ssim_h", "seam", "known_mae_raw"} <= {*metric_columns(score_table)}
    assert metric_columns(score_table) == [*METRICS]


def test_masks_are_named_by_their_pixels(score_table: pd.DataFrame) -> None:
    boxes = Store(paths.prepared("tiny")).boxes("test")
    expected = []
    for number in range(MASKS):
        for x0, y0, x1, y1 in boxes[:, number]:
            hole = np.zeros((IMAGE_PX, IMAGE_PX), bool)
            hole[y0:y1, x0:x1] = True
            expected.append(hashlib.sha256(np.packbits(hole).tobytes()).hexdigest()[:16])
    assert [*score_table["mask"]] == expected


def test_scores_are_those_of_the_pixels_that_are_kept(score_table: pd.DataFrame) -> None:
    completed, store = np.load(RUN.completed), Store(paths.prepared("tiny"))
    targets, boxes = store.images("test")[:EXAMPLES], store.boxes("test")[:EXAMPLES, 0]
    assert completed.shape == targets.shape
    for row, (ours, target, (x0, y0, x1, y1)) in enumerate(
        zip(completed, targets, boxes, strict=True)
    ):
        squared = (ours.astype(float) - target) ** 2 / 255**2
        mse = squared[y0:y1, x0:x1].mean()
        # Seven digits are written.
        assert score_table["mse_h"][row] == pytest.approx(mse, rel=1e-6)
        assert score_table["psnr_h"][row] == pytest.approx(-10 * math.log10(mse), rel=1e-6)
        squared[y0:y1, x0:x1] = 0
        assert (squared == 0).all()


def _measured(score_table: pd.DataFrame) -> list[str]:
    """Return the metrics of a score table without those of LPIPS, whose weights are not there."""
    missing = [name for name in METRICS if name.startswith("lpips")]
    assert score_table[missing].isna().all(axis=None)
    return [name for name in metric_columns(score_table) if name not in missing]


def test_metrics_are_the_means_of_the_ledger(score_table: pd.DataFrame) -> None:
    content = _json(RUN.metrics)
    assert content["protocol"] == PROTOCOL
    assert content["checkpoint"] == "best_val_psnr"
    assert content["epoch"] == 1
    summaries = content["methods"]["l2"]
    assert set(summaries) == set(METRICS)
    for name in _measured(score_table):
        is_ratio = METRICS[name].better == "one"
        scaled = np.log(score_table[name].clip(0.01, 100)) if is_ratio else score_table[name]
        per_image = scaled.groupby(score_table["image"]).mean()
        mean = math.exp(per_image.mean()) if is_ratio else per_image.mean()
        # Sums of float64 in another order.
        assert summaries[name]["mean"] == pytest.approx(mean, rel=1e-12)
        assert summaries[name]["sd"] == pytest.approx(per_image.std(ddof=1), rel=1e-9)
        assert summaries[name]["n"] == TEST_IMAGES
    errors = score_table.groupby("image")[["mse_h", "psnr_h"]].mean()
    derived = {name: entry["mean"] for name, entry in content["derived"]["l2"].items()}
    pooled = -10 * math.log10(errors["mse_h"].mean())
    expected = {"psnr_h_median": errors["psnr_h"].median(), "psnr_h_pooled": pooled}
    assert derived == pytest.approx(expected, rel=1e-12)
    absent = {"value": None, "missing": f"needs 1,000 test images, and there are {TEST_IMAGES}"}
    assert content["set_level"] == {"l2": {"kid_stlpips": absent, "uids_stlpips": absent}}
    assert summaries["lpips_alex"]["mean"] is None
    assert "python -m benchmark weights" in content["missing"]["lpips_alex"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_other_splits_are_scored_apart(split: Literal["train", "val"], checkout: Path) -> None:
    before = files_below(Path("reports"))
    folder = evaluate_split(_suite(), tiny_variant("l2"), RUN, "cpu", split)
    assert folder == Path("reports/splits") / split / "tiny/l2/seed0"
    after = files_below(Path("reports"))
    assert {name: content for name, content in after.items() if "splits/" not in name} == before
    found = read_score_table(folder / "scores.csv")
    records = Store(paths.prepared("tiny")).records(split)
    assert set(found["image"]) == {record.sha256[:16] for record in records}
    assert found.groupby("image").size().unique().tolist() == [MASKS]
    assert found.groupby("image")["mask"].nunique().unique().tolist() == [MASKS]
    content = _json(folder / "metrics.json")
    assert content["split"] == split
    mean = found.groupby("image")["mse_h"].mean().mean()
    assert content["methods"]["l2"]["mse_h"]["mean"] == pytest.approx(mean, rel=1e-12)


def test_command_scores_another_split_alone_and_names_gaps_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def record(*arguments: Any) -> Path:
        asked.append(arguments[-1])
        return Path("reports/splits/val")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("benchmark.pipeline.evaluate.evaluate_split", record)
    monkeypatch.setattr("benchmark.pipeline.evaluate.evaluate_run", None)  # not called
    reasons = {"lpips_alex": "no weights", "lpips_vgg": "no other weights"}
    monkeypatch.setattr("benchmark.metrics.missing_metrics", lambda: reasons)
    assert main("evaluate --suite portraits --variant l2 --split val".split()) == 0
    found = capsys.readouterr()
    assert asked == ["val"] and found.out == "reports/splits/val\n"
    assert found.err == "note: without lpips_alex, lpips_vgg: no weights\n"


def test_scores_of_the_validation_split_are_those_of_the_curves(checkout: Path) -> None:
    # The curve has the first hole of every image, before duplicates are left out; there are none.
    suite = tiny_suite({"epochs": 1}, evaluation={"batch_size": 4, "masks_per_image": 1})
    split_suite(suite)
    train_run(suite, tiny_variant("l2"), RUN, "cpu")
    torch.use_deterministic_algorithms(False)
    folder = evaluate_split(suite, tiny_variant("l2"), RUN, "cpu", "val")
    curve = pd.read_csv(RUN.curves)["validation/mse_h"].iloc[-1]
    # The table of epochs has seven digits.
    assert read_score_table(folder / "scores.csv")["mse_h"].mean() == pytest.approx(curve, rel=1e-6)


@pytest.mark.promise("batch_size")
@pytest.mark.parametrize("batch_size", [1, 7])
def test_scores_do_not_depend_on_the_batch_size(batch_size: int, score_table: pd.DataFrame) -> None:
    baselines = read_score_table(paths.baseline_scores("tiny"))
    evaluate_run(_suite(batch_size), tiny_variant("l2"), RUN, "cpu")
    evaluate_baselines(_suite(batch_size))
    _check_same_scores(read_score_table(RUN.scores), score_table)
    _check_same_scores(read_score_table(paths.baseline_scores("tiny")), baselines)


@pytest.mark.slow
@pytest.mark.promise("batch_size")
@pytest.mark.parametrize("name", ["context_encoder", "attention_unet_code", "strided_random"])
def test_batch_size_rounds_few_pixels_of_whole_networks_otherwise(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Libraries multiply small matrices in another order, so that an output differs in its last bits
    # and a value on the edge between two levels becomes the other one.
    isolate(monkeypatch, tmp_path)
    mask = {"kind": "random_square", "size": 32}
    suite, run = _suite(64, image_size=64, mask=mask), Run("tiny", name, 0)
    split_suite(suite)
    train_run(suite, full_variant(name), run, "cpu")
    found = []
    for batch_size in (64, 1, 7):
        settings = {"batch_size": batch_size, "examples": TEST_IMAGES}
        evaluation = suite.evaluation.model_copy(update=settings)
        changed = suite.model_copy(update={"evaluation": evaluation})
        evaluate_run(changed, full_variant(name), run, "cpu")
        found.append((read_score_table(run.scores), np.load(run.completed).astype(int)))
    torch.use_deterministic_algorithms(False)
    score_table, completed = found[0]
    for other, pixels in found[1:]:
        assert [*other["mask"]] == [*score_table["mask"]] and [*other["image"]] == [
            *score_table["image"]
        ]
        difference = np.abs(pixels - completed)
        # Last bits of float32 are 1e-7 of the range of 256 levels, in both directions.
        assert difference.max() <= 1 and (difference > 0).mean() < 1e-4
        names = _measured(score_table)
        np.testing.assert_allclose(other[names].mean(), score_table[names].mean(), rtol=1e-4)
        tally("rows of scores compared", len(other))


def _check_same_scores(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    names, keys = metric_columns(expected), ["method", "seed", "image", "mask", "hole_px"]
    pd.testing.assert_frame_equal(found[keys], expected[keys])
    # The promise of the protocol: a batch may change the order of sums before pixels are rounded.
    np.testing.assert_allclose(found[names], expected[names], rtol=0, atol=1e-6)
    tally("rows of scores compared", len(found))


@pytest.mark.promise("same_bytes")
def test_whole_run_in_another_folder_repeats_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for folder in (tmp_path / "one", tmp_path / "another"):
        isolate(monkeypatch, folder)
        run = Run("tiny", "localizer", 3)
        split_suite(_suite())
        train_run(_suite(), tiny_variant("localizer"), run, "cpu")
        evaluate_run(_suite(), tiny_variant("localizer"), run, "cpu")
        torch.use_deterministic_algorithms(False)
        evaluate_baselines(_suite())
        found.append({n: c for n, c in files_below(folder).items() if not n.endswith("/lock")})
    kinds = {name.split("/")[1] for name in found[0]}
    assert kinds == {
        *("prepared", "checkpoints"),  # of data/ and models/; the others are of reports/
        *("completed", "curves", "diagnostics", "metrics", "provenance", "scores"),
    }
    assert found[0] == found[1]
    tally("files compared", len(found[0]))


# Crashes


@pytest.mark.promise("writing")
@pytest.mark.parametrize("function", ["write_score_table", "write_json", "save_examples"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_evaluation_that_ends_midway_leaves_whole_files_and_can_be_repeated(
    function: str, error: BaseException, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_below(checkout / "reports")
    for path in (RUN.scores, RUN.metrics, RUN.provenance, RUN.completed, RUN.diagnosis):
        path.write_bytes(b"old")
    old = files_below(checkout / "reports")

    def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"benchmark.pipeline.evaluate.{function}", fail)
        with pytest.raises((KeyboardInterrupt, InputError, OSError)):
            evaluate_run(_suite(), tiny_variant("l2"), RUN, "cpu")
    found = files_below(checkout / "reports")
    assert found.keys() == before.keys()
    assert all(found[name] in (old[name], before[name]) for name in found)
    evaluate_run(_suite(), tiny_variant("l2"), RUN, "cpu")
    assert files_below(checkout / "reports") == before
    tally("stops survived" if isinstance(error, KeyboardInterrupt) else "full disks survived")


def test_duplicate_test_image_is_scored_once(checkout: Path) -> None:
    folder = paths.prepared("tiny")
    store = Store(folder)
    images, boxes = np.array(store.images("test")), store.boxes("test")
    images[4], boxes[4] = images[1], boxes[1]
    records = [r for split in ("train", "val", "test") for r in store.records(split)]
    index = next(i for i, r in enumerate(records) if (r.split, r.index) == ("test", 4))
    twin = type(records[0])("test", 4, "twin", pixel_sha256(images[1]), "")
    assert twin.sha256 == store.records("test")[1].sha256
    np.save(folder / "test.npy", images)
    np.save(folder / "test_boxes.npy", boxes)
    write_manifest(folder / "manifest.csv", [*records[:index], twin, *records[index + 1 :]])
    assert load_test_set(_suite()).rows == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    evaluate_baselines(_suite())
    scores = read_score_table(paths.baseline_scores("tiny"))
    assert (scores["image"] == twin.sha256[:16]).sum() == MASKS * scores["method"].nunique()


# Refusals


def test_run_of_another_variant_is_refused(checkout: Path) -> None:
    variant = tiny_variant("l2")
    optimizer = variant.generator.optimizer.model_copy(update={"lr": 1e-3})
    generator = variant.generator.model_copy(update={"optimizer": optimizer})
    changed = variant.model_copy(update={"generator": generator})
    with pytest.raises(InputError, match=r"trained with another config.*benchmark train --suite"):
        evaluate_run(_suite(), changed, RUN, "cpu")


def test_run_on_other_images_is_refused(checkout: Path) -> None:
    boxes = paths.prepared("tiny") / "test_boxes.npy"
    np.save(boxes, np.load(boxes)[::-1])
    with pytest.raises(InputError, match="trained with another data"):
        evaluate_run(_suite(), tiny_variant("l2"), RUN, "cpu")


def test_edited_test_image_is_refused(checkout: Path) -> None:
    path = paths.prepared("tiny") / "test.npy"
    images = np.load(path)
    images[3, 0, 0, 0] ^= 1
    np.save(path, images)
    with pytest.raises(InputError, match=r"image 3 .* is not the one of the manifest"):
        evaluate_run(_suite(), tiny_variant("l2"), RUN, "cpu")
    with pytest.raises(InputError, match=r"image 3 .* is not the one of the manifest"):
        evaluate_baselines(_suite())


def test_missing_run_names_the_command_that_trains_it(checkout: Path) -> None:
    command = "python -m benchmark train --suite tiny --variant l2 --seed 3"
    with pytest.raises(InputError, match=f"missing; `{command}` makes it"):
        evaluate_run(_suite(), tiny_variant("l2"), Run("tiny", "l2", 3), "cpu")


def _forge(change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the weights of the run, and the manifest so that it lists them."""
    (weights,) = RUN.checkpoints.glob("*.safetensors")
    tensors = {name: value.clone() for name, value in load_file(weights).items()}
    change(tensors)
    save_file(tensors, weights)
    manifest = _json(RUN.checkpoints / "manifest.json")
    for entry in manifest["checkpoints"].values():
        entry["sha256"] = file_sha256(weights)
    (RUN.checkpoints / "manifest.json").write_text(json.dumps(manifest))


def _rename(tensors: dict[str, Tensor]) -> None:
    for name in [*tensors]:
        tensors[name.replace("generator/", "netG.")] = tensors.pop(name)


WEIGHT, SHIFT = "generator/layers.0.weight", "generator/layers.1.running_mean"
FORGERIES: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "missing": (lambda t: t.pop(WEIGHT), f"{WEIGHT} is missing"),
    "too many": (
        lambda t: t.update({"discriminator/binary/x": torch.ones(1)}),
        "discriminator/binary/x is not part of the networks",
    ),
    "another project's": (_rename, "generator/layers.0.bias is missing"),
    "shape": (
        lambda t: t.update({WEIGHT: t[WEIGHT].flatten()}),
        f"{WEIGHT} is torch.float32 [512], not torch.float32 [8, 4, 4, 4]",
    ),
    "float16": (
        lambda t: t.update({WEIGHT: t[WEIGHT].half()}),
        f"{WEIGHT} is torch.float16 [8, 4, 4, 4], not torch.float32",
    ),
    "float64": (
        lambda t: t.update({name: v.double() for name, v in t.items() if name == SHIFT}),
        f"{SHIFT} is torch.float64 [8], not torch.float32",
    ),
    "NaN": (lambda t: t[WEIGHT].view(-1)[5:6].fill_(math.nan), f"{WEIGHT} holds NaN"),
    "infinity": (lambda t: t[SHIFT].fill_(math.inf), f"{SHIFT} holds NaN or infinity"),
}


@pytest.mark.promise("damage")
@pytest.mark.parametrize("kind", FORGERIES)
def test_weights_that_do_not_fit_are_refused_even_if_the_manifest_lists_them(
    kind: str, checkout: Path
) -> None:
    change, reason = FORGERIES[kind]
    _forge(change)
    message = f"{RUN.checkpoints}: the weights do not fit: {reason}"
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        evaluate_run(_suite(), tiny_variant("l2"), RUN, "cpu")
    tally("corrupted files refused")


@pytest.mark.promise("damage")
@pytest.mark.parametrize("run", [Run("tiny", "l2", 1), Run("tiny", "binary", 0)])
def test_checkpoints_of_another_run_are_refused(run: Run, checkout: Path) -> None:
    shutil.copytree(RUN.checkpoints, run.checkpoints)
    with pytest.raises(InputError, match=r"holds the run tiny/l2/seed0, not|another config"):
        evaluate_run(_suite(), tiny_variant(run.variant), run, "cpu")
    tally("corrupted files refused")


# The baselines


def test_baselines_and_the_oracle_are_scored_on_the_same_images_and_holes(
    score_table: pd.DataFrame,
) -> None:
    scores = read_score_table(paths.baseline_scores("tiny"))
    assert {*scores["method"]} == {*BASELINES, ORACLE}
    keys = [*zip(score_table["image"], score_table["mask"], strict=True)]
    for _, rows in scores.groupby("method"):
        assert [*zip(rows["image"], rows["mask"], strict=True)] == keys
    assert metric_columns(scores) == metric_columns(score_table)
    # Baselines leave known pixels as they are.
    assert (scores["known_mae_raw"] == 0).all()
    names = {path.stem for path in paths.baseline_completed("tiny").iterdir()}
    assert names == {*BASELINES, ORACLE}


def test_oracle_is_perfect(checkout: Path) -> None:
    scores = read_score_table(paths.baseline_scores("tiny"))
    oracle = scores[scores["method"] == ORACLE]
    assert len(oracle) == TEST_IMAGES * MASKS
    perfect = {"lower": 0.0, "zero": 0.0, "one": 1.0}
    for name in _measured(scores):
        if METRICS[name].unit == "dB":
            assert (oracle[name] == math.inf).all()
        elif METRICS[name].better == "higher":
            # Ratios of equal sums of float64.
            assert (oracle[name] - 1).abs().max() < 1e-12
        else:
            assert (oracle[name] == perfect[METRICS[name].better]).all(), name
    summary = _json(paths.baseline_metrics("tiny"))["methods"][ORACLE]
    assert summary["psnr_h"]["infinite"] == TEST_IMAGES * MASKS
    # As if one channel of one pixel were off by one.
    cap = 10 * math.log10(255**2 * 3 * HOLE_PX**2)
    assert summary["psnr_h"]["mean"] == pytest.approx(cap, rel=1e-12)
    completed = np.load(paths.baseline_completed("tiny") / f"{ORACLE}.npy")
    assert np.array_equal(completed, Store(paths.prepared("tiny")).images("test")[:EXAMPLES])


def test_groups_in_which_baselines_complete_images_change_no_byte(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [paths.baseline_scores("tiny"), paths.baseline_metrics("tiny")]
    written += sorted(paths.baseline_completed("tiny").iterdir())
    before = [path.read_bytes() for path in written]
    search = Mock(wraps=baselines._nearest)
    monkeypatch.setattr(baselines, "_nearest", search)
    evaluate_baselines(_suite())
    searched = [len(call.args[0]) for call in search.call_args_list]
    assert searched == [TEST_IMAGES * MASKS], "one pass for all images, holes and baselines"
    monkeypatch.setattr("benchmark.pipeline.baselines.GROUP_BYTES", 1)
    evaluate_baselines(_suite())
    assert search.call_count == 1 + -(-TEST_IMAGES // 4), "then one a batch"
    assert [path.read_bytes() for path in written] == before


def test_baseline_that_does_not_run_on_this_size_is_a_row_less_and_a_reason_more(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _json(paths.baseline_metrics("tiny"))["refused"] == {}
    monkeypatch.setattr("models.baselines.BIHARMONIC_LIMIT_PX", IMAGE_PX - 1)
    evaluate_baselines(_suite())
    content = _json(paths.baseline_metrics("tiny"))
    assert [*content["refused"]] == ["biharmonic"]
    assert "32x32" in content["refused"]["biharmonic"]
    assert set(content["methods"]) == {*BASELINES, ORACLE} - {"biharmonic"}
