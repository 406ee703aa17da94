"""The evaluate stage and discriminators: what it writes, that it can be rebuilt, whom it asks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmark.core.config import Suite
from benchmark.core.device import open_device
from benchmark.core.paths import Run
from benchmark.evaluation.diagnostics.diagnosis import CORRELATION
from benchmark.evaluation.diagnostics.predictions import ProbedRun, predict
from benchmark.evaluation.diagnostics.probes import PROBES
from benchmark.evaluation.diagnostics.refilling import ELSEWHERE, ROUNDS, refilled
from benchmark.evaluation.test_set import load_test_set
from benchmark.inference.trained import load_trained
from benchmark.metrics import PROTOCOL
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.pipeline.split import split_suite
from benchmark.pipeline.train import train_run
from data.errors import InputError
from models.batch import Batch
from models.variant import Variant
from tests.reporting.test_discriminators import shown
from tests.support.tiny import HOLE_PX, IMAGE_PX, isolate, tiny_suite, tiny_variant

NAMES = ("localizer", "staged", "l2")


def _suite(batch_size: int = 4) -> Suite:
    settings = {"batch_size": batch_size, "masks_per_image": 2, "checkpoint": "last"}
    return tiny_suite({"epochs": 1}, evaluation=settings)


def _variant(name: str) -> Variant:
    variant = tiny_variant(name)
    if name != "staged":
        return variant
    late = variant.discriminators["localizer"].model_copy(update={"start": 1.0})
    return variant.model_copy(
        update={"discriminators": variant.discriminators | {"localizer": late}}
    )


def _run(name: str) -> Run:
    return Run("tiny", name, 0)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with runs that are trained and evaluated."""
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        split_suite(_suite())
        for name in NAMES:
            train_run(_suite(), _variant(name), _run(name), "cpu")
            evaluate_run(_suite(), _variant(name), _run(name), "cpu")
    torch.use_deterministic_algorithms(False)  # training sets it for the whole process
    return folder


@pytest.fixture(autouse=True)
def _here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, checkout)


def _diagnosis(name: str) -> Any:
    return json.loads(_run(name).diagnosis.read_text())


def _probed(name: str) -> ProbedRun:
    engine = open_device(_suite().training, "cpu")
    torch.use_deterministic_algorithms(False)
    variant = _variant(name)
    trained = load_trained(_suite(), variant, _run(name), engine)
    asked, test = variant.discriminators, load_test_set(_suite())
    return ProbedRun(trained.inpainter, trained.discriminators, asked, test, engine.device, 1.0)


def test_numbers_say_what_they_are_of() -> None:
    content = _diagnosis("localizer")
    facts = {key: content[key] for key in ("protocol", "suite", "variant", "seed", "epoch")}
    assert facts == {
        "protocol": PROTOCOL, "suite": "tiny", "variant": "localizer", "seed": 0, "epoch": 1,
    }  # fmt: skip
    assert (content["images"], content["image_px"], content["fade_px"]) == (10, IMAGE_PX, 2)
    assert content["missing"] == {}
    (found,) = content["discriminators"].values()
    assert (found["predicts"], found["input"], found["trained"]) == (
        "localization", "completed", True,
    )  # fmt: skip
    assert {*found["probes"]} == {*PROBES}


def test_means_are_those_of_the_discriminator_asked_image_by_image() -> None:
    probed = _probed("localizer")
    spec = probed.asked["localizer"]
    found = _diagnosis("localizer")["discriminators"]["localizer"]["probes"]
    asked = []
    for row in probed.test.rows:
        probes, boxes = probed.probes([row]), probed.boxes([row])
        network = probed.discriminators["localizer"]
        asked.append({name: predict(network, spec, image, boxes) for name, image in probes.items()})
    for name in PROBES:
        iou = np.mean([said[name].iou for said in asked])
        altered = np.mean([said[name].altered for said in asked])
        # float32 networks, with a batch of 1 instead of 4.
        assert found[name]["iou"]["value"] == pytest.approx(iou, rel=1e-5, abs=1e-6)
        assert found[name]["confidence"]["value"] == pytest.approx(altered, rel=1e-5)


def test_probes_are_made_with_the_generator_of_the_run() -> None:
    probed = _probed("localizer")
    rows = probed.test.rows[:3]
    probes, boxes = probed.probes(rows), probed.boxes(rows)
    image = torch.from_numpy(probed.test.images[rows]).permute(0, 3, 1, 2)
    assert torch.equal(probes["real"], image)

    def put_out(mask: Tensor) -> Tensor:
        batch = Batch(image / 127.5 - 1, mask, boxes[:, :2].long(), HOLE_PX)
        with torch.no_grad():
            raw: Tensor = probed.inpainter.network(batch.masked, mask, batch.corner)
        return ((raw.double() + 1) * 127.5).round().to(torch.uint8)

    hole = torch.zeros(3, 1, IMAGE_PX, IMAGE_PX)
    for mask, (x0, y0, x1, y1) in zip(hole, boxes.tolist(), strict=True):
        mask[:, y0:y1, x0:x1] = 1
    assert torch.equal(probes["raw"], put_out(hole))
    assert torch.equal(probes["reconstructed"], put_out(torch.zeros_like(hole)))
    assert torch.equal(probes["completed"], torch.where(hole > 0, put_out(hole), image))


def test_values_of_images_are_those_that_effects_are_of() -> None:
    probed = _probed("localizer")
    (found,) = _diagnosis("localizer")["discriminators"].values()
    values = found["per_image"]
    again = {*map(refilled, range(ROUNDS + 1)), ELSEWHERE}
    assert {*values} == {*PROBES, CORRELATION, *again}  # a localizer's claims are about all
    said = probed.predict_all(4)["localizer"]["seam_only"].iou
    assert said is not None
    assert values["seam_only"] == pytest.approx(said.tolist(), abs=1e-4)  # 4 decimals are kept
    cells = [np.array(values[name]) for name in ("real", "seam_only", "seam_free", "completed")]
    seam = (cells[1] - cells[0] + cells[3] - cells[2]) / 2
    assert found["effects"]["seam"]["value"] == pytest.approx(seam.mean(), rel=1e-6)
    pulls = probed.gradient_errors(7)["localizer"]
    assert values[CORRELATION] == pytest.approx(pulls.tolist(), abs=1e-4)
    assert found[CORRELATION]["value"] == pytest.approx(pulls.mean(), abs=1e-4)


def test_a_foreign_square_is_of_another_test_image() -> None:
    probed = _probed("localizer")
    rows, boxes = probed.test.rows, probed.boxes(probed.test.rows)
    foreign = probed.probes(rows)["hard_foreign"]
    # One at a time comes out the same: it does not depend on the batch.
    alone = torch.cat([probed.probes([row])["hard_foreign"] for row in rows])
    assert torch.equal(foreign, alone)
    for i, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        other = probed.test.images[rows[(i + 5) % 10], y0:y1, x0:x1]
        np.testing.assert_array_equal(foreign[i, :, y0:y1, x0:x1].permute(1, 2, 0), other)


def test_one_that_never_started_is_not_asked() -> None:
    found = _diagnosis("staged")["discriminators"]
    assert found["binary"]["trained"] and found["binary"]["predicts"] == "score"
    assert found["localizer"] == {
        "predicts": "localization", "input": "completed", "trained": False,
    }  # fmt: skip


def test_without_a_discriminator_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(*arguments: object) -> None:
        raise AssertionError("a variant without discriminators is asked")

    monkeypatch.setattr("benchmark.pipeline.evaluate._diagnose", asks)
    evaluate_run(_suite(), _variant("l2"), _run("l2"), "cpu")
    torch.use_deterministic_algorithms(False)
    content = _diagnosis("l2")
    assert content["discriminators"] == {} and "bootstrap" not in content


def test_without_a_discriminator_there_is_no_picture() -> None:
    assert _diagnosis("l2")["discriminators"] == {}
    assert [path.name for path in _run("l2").diagnosis.parent.iterdir()] == ["predictions.json"]


def test_picture_shows_the_probes_and_carries_nothing_else() -> None:
    with Image.open(_run("localizer").probes) as picture:
        assert picture.size[0] > 10 * 128 and picture.size[1] > 3 * 3 * 128
        assert not picture.info


def test_the_same_run_gives_the_same_bytes_and_the_batch_size_the_same_numbers() -> None:
    run = _run("staged")
    before = run.diagnosis.read_bytes(), run.probes.read_bytes()
    evaluate_run(_suite(), _variant("staged"), run, "cpu")
    assert (run.diagnosis.read_bytes(), run.probes.read_bytes()) == before
    evaluate_run(_suite(batch_size=7), _variant("staged"), run, "cpu")
    torch.use_deterministic_algorithms(False)
    probes = _diagnosis("staged")["discriminators"]["binary"]["probes"]
    expected = json.loads(before[0])["discriminators"]["binary"]["probes"]
    for name in PROBES:
        score = expected[name]["score"]["value"]
        assert probes[name]["score"]["value"] == pytest.approx(score, rel=1e-5)
    run.diagnosis.write_bytes(before[0])


def test_another_seed_is_not_trained() -> None:
    with pytest.raises(InputError, match="train --suite tiny --variant l2 --seed 5"):
        evaluate_run(_suite(), _variant("l2"), Run("tiny", "l2", 5), "cpu")


def test_the_report_reads_what_the_stage_writes() -> None:
    text = shown(*(_diagnosis(name) for name in NAMES))
    assert "localizer: localizer" in text and "staged: binary" in text
    for words in ("effect of the seam", "gradient and error", "hard\\_foreign"):
        assert words in text
    assert "(diagnostics/tiny/localizer/seed0/probes.png)" in text
