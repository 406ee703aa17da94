"""Evaluation and diagnosis on a device that is not the CPU, without one: nothing stays behind.

Values are brought to the host there, so waiting is allowed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.core.device import Engine
from benchmark.core.paths import Run
from benchmark.evaluation.diagnostics.interventions import intervene
from benchmark.evaluation.diagnostics.predictions import ProbedRun
from benchmark.evaluation.diagnostics.probes import PROBES, make_probes
from benchmark.evaluation.test_set import TestSet
from benchmark.metrics import METRICS, missing_metrics, score_images
from benchmark.pipeline.evaluate import evaluate_run
from benchmark.training.gan import build_gan
from benchmark.training.network_inputs import Inpainter, complete
from data.store import Record
from tests.support.meta import META, zeros_on_the_host
from tests.support.tiny import (
    HOLE_PX,
    full_variant,
    one_of_each_kind,
    only_operations,
    tiny_suite,
    tiny_variant,
    train_tiny,
)

pytestmark = pytest.mark.promise("gpu")
IMAGE_PX, SIDE = 64, 32
SUITE = tiny_suite(image_size=IMAGE_PX, mask={"kind": "random_square", "size": SIDE})
BOXES = np.array([[[0, 32, 32, 64]], [[7, 9, 39, 41]]], np.int32)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, IMAGE_PX, IMAGE_PX, 3), np.uint8)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    only_operations(monkeypatch)


@pytest.fixture
def _copies_allowed() -> Iterator[None]:
    with zeros_on_the_host(SIDE):
        yield


def _test_set() -> TestSet:
    records = [Record("test", n, str(n), f"{n:064x}", "") for n in range(2)]
    return TestSet(IMAGES, BOXES, records, [0, 1])


def _networks(name: str) -> tuple[Inpainter, dict[str, Any]]:
    gan = build_gan(SUITE, full_variant(name), 0, Engine(META))
    gan.train(False)
    return gan.inpainter, {role: trained.network for role, trained in gan.discriminators.items()}


@pytest.mark.usefixtures("_copies_allowed")
@pytest.mark.parametrize("name", one_of_each_kind())
def test_diagnosis_of_every_variant_stays_on_the_device(name: str) -> None:
    inpainter, discriminators = _networks(name)
    spec = full_variant(name)
    probed = ProbedRun(inpainter, discriminators, spec.discriminators, _test_set(), META, 1.0)
    found, correlations = probed.predict_all(2), probed.gradient_errors(2)
    assert found.keys() == correlations.keys() == spec.discriminators.keys()
    assert all(of.keys() == {*PROBES} for of in found.values())
    assert {len(each.altered) for of in found.values() for each in of.values()} <= {2}
    assert len(intervene(inpainter, _test_set(), META, 2)["context"]["filling"]) == 2


@pytest.mark.usefixtures("_copies_allowed")
def test_every_metric_is_computed_on_the_device() -> None:
    inpainter, _ = _networks("l2")
    images, boxes = torch.from_numpy(IMAGES).to(META), torch.from_numpy(BOXES[:, 0]).to(META)
    done = complete(inpainter, images, boxes, SIDE)
    names = METRICS.keys() - missing_metrics().keys()
    scores = score_images(done.completed, done.target, done.mask, names)
    assert {values.device for values in scores.values()} == {META}


def test_tensor_of_the_host_among_the_probes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    inpainter, _ = _networks("l2")
    probed = ProbedRun(inpainter, {}, {}, _test_set(), META, 1.0)

    def noise_left_behind(*arguments: Tensor) -> dict[str, Tensor]:
        target, boxes, quantized, reconstructed, noise, other = arguments
        noise = torch.zeros(noise.shape, dtype=noise.dtype)
        return make_probes(target, boxes, quantized, reconstructed, noise, other)

    monkeypatch.setattr(
        "benchmark.evaluation.diagnostics.predictions.make_probes", noise_left_behind
    )
    with zeros_on_the_host(SIDE), pytest.raises(RuntimeError, match="device"):
        probed.probes([0, 1])


@pytest.mark.parametrize("name", ["staged", "attention_unet"])
@pytest.mark.usefixtures("tiny_checkout")
def test_evaluate_stage_runs_on_the_device(name: str) -> None:
    run = train_tiny(name, epochs=1)
    try:
        with zeros_on_the_host(HOLE_PX):
            evaluate_run(
                tiny_suite({"epochs": 1}), tiny_variant(name), Run("tiny", name, 0), "meta"
            )
    finally:
        torch.use_deterministic_algorithms(False)
    assert run.scores.is_file()
    assert run.diagnosis.is_file()
