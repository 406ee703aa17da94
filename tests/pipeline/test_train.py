"""The train stage: what it writes, and when it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from benchmark.core import paths
from benchmark.core.hashing import file_sha256
from benchmark.core.paths import Run
from benchmark.evaluation.test_set import load_test_set
from benchmark.metrics import score_images
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from benchmark.training.checkpoints import load_checkpoint, read_manifest
from benchmark.training.gan import GAN, build_networks, training_digest
from benchmark.training.network_inputs import Inpainter, complete
from benchmark.training.resume import run_lock
from benchmark.training.step import loss_names, training_step
from benchmark.training.tensors import without_prefix
from benchmark.training.validation import Validation
from data.errors import InputError
from data.store import Store
from tests.support.promises import tally
from tests.support.tiny import (
    STEPS_PER_EPOCH,
    TRAINING_IMAGES,
    files_below,
    isolate,
    tiny_suite,
    tiny_variant,
    train_tiny,
)

pytestmark = pytest.mark.usefixtures("tiny_checkout")


# What is written


def test_curves_are_the_means_of_the_losses_and_of_the_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[str, float]] = []

    def record(*arguments: Any) -> dict[str, Tensor]:
        losses = training_step(*arguments)
        seen.append({name: float(value) for name, value in losses.items()})
        return losses

    monkeypatch.setattr("benchmark.pipeline.train.training_step", record)
    run = train_tiny("staged")
    curves = pd.read_csv(run.curves)
    variant = tiny_variant("staged")
    validation = ["mse_h", "psnr_h", "ssim_h", "stlpips_alex", "lpips_alex"]
    expected = [
        "epoch",
        "images_seen",
        *loss_names(variant),
        *[f"validation/{v}" for v in validation],
    ]
    assert [*curves.columns] == expected
    assert [*curves["epoch"]] == [1, 2, 3]
    assert [*curves["images_seen"]] == [TRAINING_IMAGES * epoch for epoch in (1, 2, 3)]
    for epoch, row in curves.iterrows():
        first = int(str(epoch)) * STEPS_PER_EPOCH
        for name in loss_names(variant):
            values = [s[name] for s in seen[first : first + STEPS_PER_EPOCH] if name in s]
            # A term of a discriminator that has not started has no value, not zero.
            assert values or np.isnan(row[name])
            # Seven digits are written.
            assert not values or row[name] == pytest.approx(np.mean(values), rel=1e-6)
    started = curves["discriminator/localizer/confidence"].notna()
    assert [*started] == [False, False, True]
    assert curves["validation/lpips_alex"].isna().all()  # there are no weights
    assert curves["validation/psnr_h"].notna().all()


def test_kept_checkpoints_are_the_best_of_the_curves() -> None:
    run = train_tiny("localizer", epochs=5)
    curves = pd.read_csv(run.curves).set_index("epoch")
    kept = json.loads((run.checkpoints / "manifest.json").read_text())["checkpoints"]
    assert {name: entry["epoch"] for name, entry in kept.items()} == {
        "last": 5,
        "best_train_loss": curves["generator/reconstruction"].idxmin(),
        "best_val_psnr": curves["validation/psnr_h"].idxmax(),
        "best_val_ssim": curves["validation/ssim_h"].idxmax(),
        "best_val_stlpips": curves["validation/stlpips_alex"].idxmin(),
    }
    files = {entry["file"] for entry in kept.values()}
    assert {path.name for path in run.checkpoints.glob("*.safetensors")} == files
    for name, entry in kept.items():
        assert entry["file"] == f"epoch{entry['epoch']:04d}.safetensors"
        tensors = load_checkpoint(run.checkpoints, read_manifest(run.checkpoints), name)
        assert {key.split("/")[0] for key in tensors} == {"generator", "discriminator"}
        found = _validation_psnr_db(tensors)
        # Seven digits are written.
        expected = curves["validation/psnr_h"][entry["epoch"]]
        assert found == pytest.approx(expected, rel=1e-6)


def _validation_psnr_db(tensors: dict[str, Tensor]) -> float:
    suite = tiny_suite()
    variant = tiny_variant("l2")
    network = build_networks(suite, variant)["generator"]
    network.load_state_dict(without_prefix("generator", tensors))
    store = Store(paths.prepared("tiny"))
    images = torch.from_numpy(np.array(store.images("val")))
    boxes = torch.from_numpy(store.boxes("val")[:, 0])
    inpainter = Inpainter(network.eval(), variant.generator)
    done = complete(inpainter, images, boxes, suite.mask.size)
    return float(score_images(done.completed, done.target, done.mask, ["psnr_h"])["psnr_h"].mean())


def test_first_of_equal_epochs_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.zeros((32, 8 * 32, 3), np.uint8)
    values = iter([10.0, 12.0, 12.0])

    def step(*arguments: Any) -> dict[str, Tensor]:
        return training_step(*arguments) | {"generator/reconstruction": torch.tensor(0.5)}

    monkeypatch.setattr("benchmark.pipeline.train.training_step", step)
    monkeypatch.setattr(
        "benchmark.pipeline.train.validate",
        lambda *_: Validation({"validation/psnr_h": next(values)}, picture),
    )
    run = train_tiny("l2")
    kept = json.loads((run.checkpoints / "manifest.json").read_text())["checkpoints"]
    assert kept["best_val_psnr"]["epoch"] == 2
    assert kept["best_train_loss"]["epoch"] == 1
    assert "best_val_ssim" not in kept


def test_pictures_show_the_known_pixels_of_the_validation_images() -> None:
    run = train_tiny("l2", epochs=1)
    (path,) = (run.checkpoints / "validation").glob("*.png")
    picture = np.asarray(Image.open(path))
    store = Store(paths.prepared("tiny"))
    images = store.images("val")
    assert picture.shape == (32, 8 * 32, 3)
    for place, (image, (x0, y0, x1, y1)) in enumerate(
        zip(images, store.boxes("val")[:, 0], strict=True)
    ):
        shown = picture[:, place * 32 : (place + 1) * 32].copy()
        assert not np.array_equal(shown, image)
        shown[y0:y1, x0:x1] = image[y0:y1, x0:x1]
        assert np.array_equal(shown, image)


@pytest.mark.parametrize(
    ("every", "kept"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (9, [5])]
)
def test_pictures_are_kept_at_an_interval_and_at_the_end(every: int, kept: list[int]) -> None:
    suite = tiny_suite({"epochs": 5}, watching={"images": 3, "images_every": every})
    run = Run("tiny", "l2", 0)
    train_run(suite, tiny_variant("l2"), run, "cpu")
    torch.use_deterministic_algorithms(False)  # training sets it for the whole process
    pictures = sorted((run.checkpoints / "validation").glob("*.png"))
    assert [path.name for path in pictures] == [f"epoch{epoch:04d}.png" for epoch in kept]
    assert {np.asarray(Image.open(path)).shape for path in pictures} == {(32, 3 * 32, 3)}


@pytest.mark.promise("watching")
def test_watching_is_no_part_of_what_weights_depend_on() -> None:
    first = train_tiny("l2", epochs=1)
    weights = (first.checkpoints / "epoch0001.safetensors").read_bytes()
    digest = json.loads((first.checkpoints / "manifest.json").read_text())["config_sha256"]
    suite = tiny_suite({"epochs": 1}, watching={"images": 1, "images_every": 7})
    assert training_digest(suite, tiny_variant("l2")) == digest
    train_run(suite, tiny_variant("l2"), first, "cpu")
    torch.use_deterministic_algorithms(False)
    assert (first.checkpoints / "epoch0001.safetensors").read_bytes() == weights


@pytest.mark.promise("workers")
def test_number_of_processes_that_decode_changes_no_byte_of_what_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers in (1, 2, 4):
        isolate(monkeypatch, tmp_path / f"{workers} workers")
        split_suite(tiny_suite(), workers=workers)
        run = train_tiny("l2", epochs=1)
        found.append(files_below(run.checkpoints) | {"curves": run.curves.read_bytes()})
        tally("trainings compared")
    assert found[1] == found[0] and found[2] == found[0]


def test_results_that_are_there_are_mentioned_and_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = train_tiny("l2", epochs=1)
    before = files_below(run.checkpoints)
    assert "note: " not in capsys.readouterr().err
    (run.checkpoints / "epoch0001.safetensors").write_bytes(b"damaged")
    train_tiny("l2", epochs=1)
    assert f"note: {run.checkpoints}: is there already; it is trained" in capsys.readouterr().err
    assert files_below(run.checkpoints) == before


def test_checkpoints_are_kept_at_an_interval_beside_the_chosen_ones() -> None:
    suite = tiny_suite({"epochs": 5}, watching={"checkpoints_every": 2})
    run = Run("tiny", "l2", 0)
    train_run(suite, tiny_variant("l2"), run, "cpu")
    torch.use_deterministic_algorithms(False)  # training sets it for the whole process
    kept = read_manifest(run.checkpoints).checkpoints
    named = {name: entry.epoch for name, entry in kept.items() if name.startswith("epoch")}
    assert named == {"epoch0002": 2, "epoch0004": 4}
    for name, epoch in named.items():
        weights = load_checkpoint(run.checkpoints, read_manifest(run.checkpoints), name)
        assert weights.keys() == load_file(run.checkpoints / f"epoch{epoch:04d}.safetensors").keys()


def test_smaller_last_batch_is_trained_on_where_the_suite_says_so() -> None:
    run = train_tiny("l2", batch_size=20, epochs=2, drop_last=False)
    assert [*pd.read_csv(run.curves)["images_seen"]] == [48, 96]
    assert json.loads((run.checkpoints / "manifest.json").read_text())["steps"] == 2 * 3


def test_run_starts_from_the_weights_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    first = train_tiny("binary", seed=3, epochs=1)
    began: list[dict[str, Tensor]] = []

    def record(gan: GAN, *arguments: Any) -> dict[str, Tensor]:
        began.append({name: value.clone() for name, value in gan.weights().items()})
        return training_step(gan, *arguments)

    monkeypatch.setattr("benchmark.pipeline.train.training_step", record)
    run = Run("tiny", "staged", 0)
    suite, variant = tiny_suite({"epochs": 1}), tiny_variant("staged")
    train_run(suite, variant, run, "cpu", init_from=first.checkpoints)
    torch.use_deterministic_algorithms(False)
    weights = load_file(first.checkpoints / "epoch0001.safetensors")
    assert {name.split("/")[0] for name in weights} == {"generator", "discriminator"}
    for name, value in weights.items():
        assert torch.equal(began[0][name], value), name
    # The localizer, which `binary` has not, starts from draws.
    assert any("localizer" in name for name in began[0].keys() - weights.keys())
    found = json.loads((run.checkpoints / "manifest.json").read_text())["init_from"]
    sha256 = file_sha256(first.checkpoints / "epoch0001.safetensors")
    assert found == {"run": "tiny/binary/seed3", "criterion": "last", "weights_sha256": sha256}


# Refusals


def test_weights_of_another_network_are_no_start() -> None:
    first = train_tiny("localizer", epochs=1)
    with pytest.raises(InputError, match=r"the weights do not fit: .* is torch"):
        train_run(
            tiny_suite(), tiny_variant("staged"), Run("tiny", "staged", 0), "cpu",
            init_from=first.checkpoints,
        )  # fmt: skip
    torch.use_deterministic_algorithms(False)


def test_last_batch_of_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="leaves a batch of one of 48 images"):
        train_tiny("l2", batch_size=47, drop_last=False)


@pytest.mark.promise("lock")
def test_run_that_another_process_trains_is_refused() -> None:
    with (
        run_lock(Run("tiny", "l2", 0).scratch),
        pytest.raises(InputError, match="the run is being trained by process"),
    ):
        train_tiny("l2")


def test_missing_images_name_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolate(monkeypatch, tmp_path / "empty")
    with pytest.raises(InputError, match="python -m benchmark split --suite tiny"):
        train_tiny("l2")


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    "change",
    [
        {"mask": {"kind": "random_square", "size": 8}},
        {"evaluation": {"mask_seed": 5}},
        {"splits": {"seed": 2, "train": TRAINING_IMAGES, "val": 8, "test": 10}},
        {"source": {"name": "portraits", "count": 70}},
        {"resize": {"filter": "bilinear"}},
    ],
)
def test_images_that_were_split_with_other_settings_are_refused(change: dict[str, Any]) -> None:
    suite, run = tiny_suite(**change), Run("tiny", "l2", 0)
    message = "split.json: the images were split with other settings of the suite; run the split"
    with pytest.raises(InputError, match=re.escape(message)):
        train_run(suite, tiny_variant("l2"), run, "cpu")
    with pytest.raises(InputError, match=re.escape(message)):
        load_test_set(suite)
    summary = paths.prepared("tiny") / "split.json"
    summary.write_text(summary.read_text().replace("settings_sha256", "of_an_earlier_version"))
    with pytest.raises(InputError, match=re.escape(message)):
        load_test_set(tiny_suite())


def test_settings_that_change_neither_images_nor_holes_need_no_new_split() -> None:
    load_test_set(tiny_suite({"epochs": 5}, title="Other", inpainting="resize"))


def test_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"48 training images are fewer.*batch_size, 64"):
        train_tiny("l2", batch_size=64)


def test_incomplete_last_batch_is_left_out() -> None:
    run = train_tiny("l2", batch_size=20, epochs=1)
    assert [*pd.read_csv(run.curves)["images_seen"]] == [40]
