"""Statistics against SciPy and cases worked by hand; detectors that go by one thing alone."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from benchmark.evaluation.diagnosis import Resamples, diagnosis
from benchmark.evaluation.predictions import Predictions, predict
from benchmark.evaluation.probes import PROBES, make_probes, unit_noise
from models.networks import Localization, Score
from tests.support.tiny import full_variant

LOCALIZER = full_variant("localizer").discriminators["localizer"]
BINARY = full_variant("binary").discriminators["binary"]
SIZE, SIDE = 32, 16


def _auc(on_real: list[float], on_probe: list[float]) -> float:
    """Return the area under the curve by SciPy's rank test."""
    u = stats.mannwhitneyu(on_probe, on_real).statistic
    return float(u / len(on_real) / len(on_probe))


def _judged(altered: list[float], iou: list[float] | None = None) -> Predictions:
    box = None if iou is None else np.zeros((len(iou), 4))
    return Predictions(np.array(altered), box, None if iou is None else np.array(iou))


def test_resamples_draw_as_many_images_as_there_are_each_as_often() -> None:
    weights = Resamples(40).weights
    assert weights.shape == (2000, 40)
    assert (weights.sum(axis=1) == 40).all() and (weights >= 0).all()
    # 2000 draws of each: a standard error of 45 for the number of times that an image is drawn.
    assert np.abs(weights.sum(axis=0) - 2000).max() < 5 * 45
    np.testing.assert_array_equal(weights, Resamples(40).weights)


def test_interval_of_a_mean_is_that_of_normal_theory() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = Resamples(400).mean(values)
    reach = 1.96 * values.std() / math.sqrt(400)
    assert found["value"] == pytest.approx(values.mean(), rel=1e-6)  # 7 digits are kept
    assert found["low"] is not None and found["high"] is not None
    # The 2.5th percentile of 2000 replicates has a standard error of 3 % of its distance.
    assert found["value"] - found["low"] == pytest.approx(reach, rel=0.12)
    assert found["high"] - found["value"] == pytest.approx(reach, rel=0.12)


def test_auc_by_hand() -> None:
    found = Resamples(2).detection_auc(np.array([0.2, 0.6]), np.array([0.4, 0.6]))
    # Of four pairs .4 > .2 and .6 > .2 are right, .4 < .6 is wrong, .6 = .6 counts half.
    assert found["value"] == 0.625


@pytest.mark.parametrize("levels", [5, 10**9], ids=["ties", "no ties"])
def test_auc_and_its_resamples_are_those_of_scipy(levels: int) -> None:
    rng = np.random.default_rng(levels)
    real, probe = rng.integers(0, levels, 25) / levels, rng.integers(1, levels + 1, 25) / levels
    resamples = Resamples(25, replicates=40)
    found = resamples.detection_auc(real, probe)
    assert found["value"] == pytest.approx(_auc(list(real), list(probe)), rel=1e-6)
    replicates = [
        _auc(list(real.repeat(weights)), list(probe.repeat(weights)))
        for weights in resamples.weights
    ]
    expected = np.quantile(replicates, [0.025, 0.975])
    assert [found["low"], found["high"]] == pytest.approx(expected.tolist(), rel=1e-6)


def test_one_image_has_no_interval() -> None:
    found = Resamples(1).mean(np.array([0.25]))
    assert found == {"value": 0.25, "low": None, "high": None}


def test_a_discriminator_that_was_not_asked_is_untrained() -> None:
    found = diagnosis(LOCALIZER, None, Resamples(3))
    assert found == {"predicts": "localization", "input": "completed", "trained": False}


def test_numbers_of_a_localizer_by_hand() -> None:
    said = {name: _judged([0.5, 0.5], [0.0, 0.5]) for name in PROBES}
    said["completed"] = _judged([0.9, 0.7], [1.0, 0.5])
    found = diagnosis(LOCALIZER, said, Resamples(2))
    completed = found["probes"]["completed"]
    assert completed["confidence"]["value"] == 0.8 and completed["iou"]["value"] == 0.75
    assert completed["auc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["probes"]["raw"]["auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert "auc" not in found["probes"]["real"]
    reliance = found["seam_reliance"]
    assert (reliance["value"], reliance["verdict"]) == (0, "inconclusive")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_score_is_the_opposite_of_altered() -> None:
    said = {name: _judged([0.25, 0.5]) for name in PROBES}
    found = diagnosis(BINARY, said, Resamples(2))
    assert (found["predicts"], found["input"]) == ("score", "hole")
    assert found["probes"]["real"].keys() == {"score"}
    assert found["probes"]["raw"]["score"]["value"] == 0.625
    assert found["seam_reliance"]["measure"] == "1 - score"


@pytest.mark.parametrize(
    ("real", "seam", "content", "verdict"),
    [
        (0.2, 0.9, 0.5, "boundary"),
        (0.2, 0.5, 0.9, "content"),
        (0.2, 0.5, 0.5, "inconclusive"),
        # What looks more real than the truth makes no boundary of a seam that is not seen.
        (0.5, 0.5, 0.2, "inconclusive"),
        (0.5, 0.2, 0.5, "inconclusive"),
    ],
)
def test_the_verdict_is_on_what_is_found_at_all(
    real: float, seam: float, content: float, verdict: str
) -> None:
    values = {"real": real, "seam_only": seam, "seam_free": content}
    said = {name: _judged([values.get(name, 0.5)] * 3) for name in PROBES}
    found = diagnosis(BINARY, said, Resamples(3))["seam_reliance"]
    assert found["verdict"] == verdict
    assert found["value"] == pytest.approx(seam - content, abs=1e-7)


# Detectors that go by one thing alone


class _Box(nn.Module):
    """Says where the pixels are that `marks` marks, and is sure if there are any."""

    def marks(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, images: Tensor) -> Localization:
        marks = self.marks(images)
        edges = []
        for along in (marks.any(1), marks.any(2)):  # columns, rows
            first = along.float().argmax(1)
            last = along.shape[1] - along.flip(1).float().argmax(1)
            edges.append(torch.stack([first, last], 1) * along.any(1, keepdim=True))
        box = torch.stack([edges[0], edges[1]], 2).flatten(1) / images.shape[-1]
        return Localization(torch.where(marks.any(2).any(1), 4.0, -4.0), box)


class _Edges(_Box):
    """Marks dark pixels with a neighbor that is brighter by more than half the range."""

    def marks(self, images: Tensor) -> Tensor:
        gray = images.mean(1)
        right = gray.diff(dim=2, append=gray[:, :, -1:])
        left = -gray.diff(dim=2, prepend=gray[:, :, :1])
        below = gray.diff(dim=1, append=gray[:, -1:])
        above = -gray.diff(dim=1, prepend=gray[:, :1])
        return torch.stack([right, left, below, above]).amax(0) > 1


class _Smoothness(_Box):
    """Marks blocks of 3 x 3 pixels without texture."""

    def marks(self, images: Tensor) -> Tensor:
        gray = images.mean(1, keepdim=True)
        highest = nn.functional.max_pool2d(gray, 3, 1)
        lowest = -nn.functional.max_pool2d(-gray, 3, 1)
        smooth = nn.functional.pad(((highest - lowest) < 0.1).float(), (2, 2, 2, 2))
        return nn.functional.max_pool2d(smooth, 3, 1).squeeze(1) > 0


class _Brightness(nn.Module):
    """Scores the mean color of all that it sees."""

    def forward(self, images: Tensor) -> Score:
        return Score(images.mean((1, 2, 3)))


BOXES = torch.tensor([[2, 3, 18, 19], [8, 8, 24, 24], [13, 4, 29, 20], [5, 15, 21, 31]])


def _asked(network: nn.Module, target: Tensor, generated: Tensor) -> dict[str, Predictions]:
    noise = torch.from_numpy(unit_noise(["a", "b", "c", "d"], SIZE))
    probes = make_probes(target, BOXES, generated, generated, noise)
    spec = LOCALIZER if isinstance(network, _Box) else BINARY
    return {name: predict(network, spec, images, BOXES) for name, images in probes.items()}


def _texture() -> Tensor:
    board = (torch.arange(SIZE)[:, None] + torch.arange(SIZE)) % 2 * 255
    return board.to(torch.uint8).expand(4, 3, -1, -1)


def _flat(value: int) -> Tensor:
    return torch.full((4, 3, SIZE, SIZE), value, dtype=torch.uint8)


def test_an_edge_detector_goes_by_the_boundary() -> None:
    said = _asked(_Edges(), _flat(255), _flat(0))
    found = diagnosis(LOCALIZER, said, Resamples(4))
    probes = found["probes"]
    for name, iou, auc in (("completed", 1, 1), ("seam_only", 1, 1), ("seam_free", 0, 0.5)):
        assert (probes[name]["iou"]["value"], probes[name]["auc"]["value"]) == (iou, auc), name
    reliance = found["seam_reliance"]
    assert (reliance["value"], reliance["low"], reliance["verdict"]) == (1, 1, "boundary")


def test_a_blur_detector_goes_by_the_content() -> None:
    said = _asked(_Smoothness(), _texture(), _flat(128))
    found = diagnosis(LOCALIZER, said, Resamples(4))
    probes = found["probes"]
    # The texture goes on inside for the 2 px over which the generated pixels fade in: 12 px of 16.
    inner = 12**2 / SIDE**2
    for name, iou, auc in (
        ("completed", 1, 1), ("seam_only", 0, 0.5), ("seam_free", inner, 1),
        ("blur_10", inner, 1), ("mean_color", inner, 1), ("noise_0.5", 0, 0.5),
    ):  # fmt: skip
        assert (probes[name]["iou"]["value"], probes[name]["auc"]["value"]) == (iou, auc), name
    reliance = found["seam_reliance"]
    assert (reliance["value"], reliance["high"], reliance["verdict"]) == (-inner, -inner, "content")


def test_detection_by_brightness_is_what_one_counts() -> None:
    # Squares of these brightnesses, the generator's own all 100: three real ones are brighter and
    # look more real, one is darker.
    target = torch.stack([torch.full((3, SIZE, SIZE), v, dtype=torch.uint8)
                          for v in (50, 150, 200, 250)])  # fmt: skip
    found = diagnosis(BINARY, _asked(_Brightness(), target, _flat(100)), Resamples(4))
    assert found["probes"]["completed"]["auc"]["value"] == 0.75
    assert found["probes"]["mean_color"]["auc"]["value"] == 0.5
    score = 1 / (1 + math.exp(-(100 / 127.5 - 1)))
    # The mean of float32 pixels.
    assert found["probes"]["completed"]["score"]["value"] == pytest.approx(score, rel=1e-5)
