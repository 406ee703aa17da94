"""Effects of seam and content: by hand, against SciPy, and on detectors of one thing alone."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from benchmark.evaluation.diagnostics.diagnosis import Resamples, diagnosis
from benchmark.evaluation.diagnostics.effects import (
    Effects,
    auc_of_images,
    cell_values,
    effects_of,
    join_seeds,
)
from benchmark.evaluation.diagnostics.predictions import Predictions, predict
from benchmark.evaluation.diagnostics.probes import PROBES, make_probes, unit_noise
from models.networks import Localization, Score
from models.variant import DiscriminatorSpec
from tests.support.tiny import full_variant

LOCALIZER = full_variant("localizer").discriminators["localizer"]
HOLE_ALONE = full_variant("binary").discriminators["binary"]
WHOLE = HOLE_ALONE.model_copy(update={"input": "completed"})
SIZE, SIDE = 32, 16


def _numbers(predicts: str, seen: str, *cells: list[float]) -> dict[str, Any]:
    names = ("real", "seam_only", "seam_free", "completed")
    return {"predicts": predicts, "input": seen, "per_image": dict(zip(names, cells, strict=True))}


def test_effects_on_a_localizer_by_hand() -> None:
    numbers = _numbers("localization", "completed", [0.1, 0.2], [0.3, 0.2], [0.5, 0.3], [0.9, 0.5])
    effects = effects_of(numbers)
    assert effects.seam is not None and effects.threshold == 0.05
    # (.3 - .1 + .9 - .5) / 2 and (.2 - .2 + .5 - .3) / 2
    assert effects.seam.tolist() == [pytest.approx([0.3, 0.1])]
    # (.5 - .1 + .9 - .3) / 2 and (.3 - .2 + .5 - .2) / 2
    assert effects.content.tolist() == [pytest.approx([0.5, 0.2])]


def test_intervals_are_those_of_paired_t_tests() -> None:
    rng = np.random.default_rng(0)
    cells = [rng.uniform(0, 1, 30) for _ in range(4)]
    effects = effects_of(_numbers("localization", "raw", *(c.tolist() for c in cells)))
    real, seam, content, both = cells
    with_and_without = {
        "seam": (seam + both, real + content),
        "content": (content + both, real + seam),
        "difference": (seam, content),
    }
    for name, (there, away) in with_and_without.items():
        scale = 1 if name == "difference" else 2
        expected = stats.ttest_rel(there / scale, away / scale).confidence_interval(0.95)
        found = effects.intervals[name]
        assert (found.low, found.high) == pytest.approx(expected, rel=1e-12), name


def test_effects_on_another_one_are_areas_under_the_curve() -> None:
    rng = np.random.default_rng(1)
    cells = [rng.normal(mean, 1, 25) for mean in (0, 1, 0.5, 2)]
    numbers = _numbers("score", "completed", *(cell.tolist() for cell in cells))
    effects, (real, seam, content, both) = effects_of(numbers), cells

    def auc(first: Any, second: Any) -> float:
        return float(stats.mannwhitneyu(first, second).statistic / 25**2)

    assert effects.seam is not None and effects.threshold == 0.5
    of_seam, of_content = auc(seam, real) + auc(both, content), auc(content, real) + auc(both, seam)
    assert effects.seam.mean() == pytest.approx(of_seam / 2, rel=1e-12)
    assert effects.content.mean() == pytest.approx(of_content / 2, rel=1e-12)
    alone = effects_of(numbers | {"input": "hole"})
    assert alone.seam is None
    assert alone.content.mean() == pytest.approx(auc(both, real), rel=1e-12)


def test_the_interval_of_an_area_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    # Two versions of an image, one brighter by 1 than the other, each with its own noise.
    true, covered, trials = stats.norm.cdf(1 / np.sqrt(2 * (1 + 0.5**2))), 0, 1000
    for _ in range(trials):
        image = rng.normal(size=60)
        first, second = (image + 0.5 * rng.normal(size=60) + shift for shift in (1, 0))
        found = Effects("auc", None, auc_of_images(first, second)[None]).intervals["content"]
        covered += found.low <= true <= found.high
    # A standard error of .7 %.
    assert covered / trials == pytest.approx(0.95, abs=0.025)


def test_ties_count_half() -> None:
    assert auc_of_images(np.array([0.4, 0.6]), np.array([0.2, 0.6])).mean() == 0.625
    assert auc_of_images(np.zeros(3), np.zeros(3)).tolist() == [0.5] * 3


def test_several_seeds_are_averaged_image_by_image() -> None:
    rng = np.random.default_rng(3)
    found = [
        effects_of(_numbers("localization", "completed", *rng.uniform(0, 1, (4, 20)).tolist()))
        for _ in range(2)
    ]
    joined = join_seeds(found)
    assert joined.seam is not None and found[1].seam is not None
    assert joined.seam.shape == (2, 20) and joined.seam[1].tolist() == found[1].seam[0].tolist()
    differences = joined.seam - joined.content
    interval = joined.intervals["difference"]
    assert interval.mean == pytest.approx(differences.mean())
    # Of two seeds: half their difference, squared; what images add to that beyond their noise.
    of_seeds = np.diff(differences.mean(axis=1))[0] ** 2 / 4
    of_images = np.cov(differences)[0, 1] / 20
    reach = np.sqrt(
        stats.t.ppf(0.975, 1) ** 2 * of_seeds + stats.t.ppf(0.975, 19) ** 2 * max(0, of_images)
    )
    assert interval.reach(0.05) == pytest.approx(reach, rel=1e-9)


def test_values_keep_the_order_of_what_is_almost_sure() -> None:
    altered = np.array([0.0, 1e-9, 0.5, 1 - 1e-9, 1 - 1e-12, 1.0])
    odds = cell_values(Predictions(altered, None, None))
    assert odds == sorted(set(odds)) and np.isfinite(odds).all() and odds[2] == 0
    assert odds[3] == pytest.approx(9 * np.log(10), rel=1e-4)  # 5 digits are kept
    found = Predictions(altered, np.zeros((6, 4)), np.array([1 / 3] * 6))
    assert cell_values(found) == [0.3333] * 6


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ((0.2, 0.9, 0.2, 0.9), "boundary"),
        ((0.2, 0.2, 0.9, 0.9), "content"),
        ((0.2, 0.5, 0.5, 0.8), "inconclusive"),  # both alike
        ((0.2, 0.24, 0.2, 0.24), "inconclusive"),  # less than the margin
        ((0.2, 0.26, 0.2, 0.26), "boundary"),
        ((0.2, 0.2, 0.24, 0.24), "inconclusive"),
        # Content that hides what else is found makes no boundary, and the reverse.
        ((0.5, 0.5, 0.2, 0.2), "inconclusive"),
        ((0.5, 0.2, 0.5, 0.2), "inconclusive"),
    ],
)
def test_the_verdict_is_on_what_counts_and_on_what_is_more(
    cells: tuple[float, ...], verdict: str
) -> None:
    values = [[cell - 0.001, cell, cell + 0.001] for cell in cells]
    assert effects_of(_numbers("localization", "completed", *values)).goes_by == verdict


def test_what_differs_from_image_to_image_is_inconclusive() -> None:
    seam = [0.9, 0.1, 0.9, 0.1]
    numbers = _numbers("localization", "completed", [0.2] * 4, seam, [0.2] * 4, seam)
    assert effects_of(numbers).intervals["seam"].mean == pytest.approx(0.3)
    assert effects_of(numbers).goes_by == "inconclusive"


def test_one_image_has_no_verdict() -> None:
    for seen in ("completed", "hole"):
        assert effects_of(_numbers("score", seen, [0], [9], [0], [9])).goes_by == "inconclusive"


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


class _Blind(_Box):
    """Says the same of every image."""

    def marks(self, images: Tensor) -> Tensor:
        marks = torch.zeros(len(images), SIZE, SIZE, dtype=torch.bool)
        marks[:, 4:20, 4:20] = True
        return marks


class _Brightness(nn.Module):
    """Scores the mean color of all that it sees."""

    def forward(self, images: Tensor) -> Score:
        return Score(images.mean((1, 2, 3)))


class _Jumps(nn.Module):
    """Scores the largest difference of neighbors."""

    def forward(self, images: Tensor) -> Score:
        return Score(-images.diff(dim=3).abs().amax((1, 2, 3)))


BOXES = torch.tensor([[2, 3, 18, 19], [8, 8, 24, 24], [13, 4, 29, 20], [5, 15, 21, 31]])


def _asked(
    network: nn.Module, spec: DiscriminatorSpec, target: Tensor, generated: Tensor
) -> dict[str, Any]:
    noise = torch.from_numpy(unit_noise(["a", "b", "c", "d"], SIZE))
    probes = make_probes(target, BOXES, generated, generated, noise, target.roll(2, 0))
    said = {name: predict(network, spec, images, BOXES) for name, images in probes.items()}
    assert [*said] == [*PROBES]
    return diagnosis(spec, said, np.zeros(4), Resamples(4))


def _texture() -> Tensor:
    board = (torch.arange(SIZE)[:, None] + torch.arange(SIZE)) % 2 * 255
    return board.to(torch.uint8).expand(4, 3, -1, -1)


def _flat(*values: int) -> Tensor:
    shade = torch.tensor(values * (4 // len(values)), dtype=torch.uint8)
    return shade[:, None, None, None].expand(4, 3, SIZE, SIZE).contiguous()


def test_an_edge_detector_goes_by_the_boundary() -> None:
    found = _asked(_Edges(), LOCALIZER, _flat(255), _flat(0))
    probes = found["probes"]
    for name, iou, auc in (
        ("completed", 1, 1), ("seam_only", 1, 1), ("seam_free", 0, 0.5),
        ("offset", 1, 1), ("low_frequencies", 0, 0.5), ("foreign", 0, 0.5),
    ):  # fmt: skip
        assert (probes[name]["iou"]["value"], probes[name]["auc"]["value"]) == (iou, auc), name
    effects = found["effects"]
    assert [effects[name]["value"] for name in ("seam", "content", "difference")] == [1, 0, 1]
    assert (effects["seam"]["low"], effects["verdict"]) == (1, "boundary")


def test_a_blur_detector_goes_by_the_content() -> None:
    found = _asked(_Smoothness(), LOCALIZER, _texture(), _flat(128))
    # The texture goes on inside for the 2 px over which the generated pixels fade in: 12 px of 16.
    inner, probes = 12**2 / SIDE**2, found["probes"]
    for name, iou, auc in (
        ("completed", 1, 1), ("seam_only", 0, 0.5), ("seam_free", inner, 1),
        ("blur_10", inner, 1), ("hard_blur_10", 1, 1), ("mean_color", inner, 1),
        ("hard_mean_color", 1, 1), ("noise_0.5", 0, 0.5), ("hard_noise_0.5", 0, 0.5),
        ("foreign", 0, 0.5), ("hard_foreign", 0, 0.5), ("low_frequencies", 0, 0.5),
    ):  # fmt: skip
        assert (probes[name]["iou"]["value"], probes[name]["auc"]["value"]) == (iou, auc), name
    effects = found["effects"]
    # A seam makes all of the square smooth, instead of its inner part.
    assert effects["seam"]["value"] == (1 - inner) / 2
    assert effects["content"]["value"] == (1 + inner) / 2
    assert (effects["difference"]["high"], effects["verdict"]) == (-inner, "content")


@pytest.mark.parametrize("target", [_texture(), _flat(255)], ids=["texture", "flat"])
def test_one_that_sees_nothing_goes_by_nothing(target: Tensor) -> None:
    effects = _asked(_Blind(), LOCALIZER, target, _flat(0))["effects"]
    for name in ("seam", "content", "difference"):
        assert effects[name] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert effects["verdict"] == "inconclusive"


def test_one_of_jumps_goes_by_the_boundary_of_all_images() -> None:
    # The content makes a jump of 100 to 103 levels at the seam, and jumps of a third where it fades
    # in, which are more than the none of a true image.
    found = _asked(_Jumps(), WHOLE, _flat(100, 101, 102, 103), _flat(0))
    effects = found["effects"]
    assert effects["seam"]["value"] == 1
    assert effects["content"]["value"] == (1 + 0.5) / 2  # completed has the jump of `seam_only`
    assert (effects["measure"], effects["verdict"]) == ("auc", "boundary")


def test_one_that_sees_the_hole_alone_is_asked_about_the_content_alone() -> None:
    # Squares of these brightnesses, the generator's own all 100: three real ones are brighter and
    # look more real, one is darker.
    found = _asked(_Brightness(), HOLE_ALONE, _flat(50, 150, 200, 250), _flat(100))
    assert found["probes"]["completed"]["auc"]["value"] == 0.75
    assert found["probes"]["mean_color"]["auc"]["value"] == 0.5
    assert found["effects"].keys() == {"measure", "content", "verdict"}
    assert found["effects"]["content"]["value"] == 0.75
    score = 1 / (1 + np.exp(-(100 / 127.5 - 1)))
    # The mean of float32 pixels.
    assert found["probes"]["completed"]["score"]["value"] == pytest.approx(score, rel=1e-5)
    sure = _asked(_Brightness(), HOLE_ALONE, _flat(150, 250), _flat(100))["effects"]
    assert (sure["content"]["low"], sure["verdict"]) == (1, "content")
