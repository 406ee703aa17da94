"""Validation against NumPy, on outputs that are known."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.training.gan import GAN, TrainableNetwork
from benchmark.training.validation import Gallery, Validation, validate
from data.store import Store
from tests.support.tiny import HOLE_PX, IMAGE_PX, tiny_suite, tiny_variant

pytestmark = pytest.mark.usefixtures("tiny_checkout")

GRAY = 128
"""What 0 of the networks' range [-1, 1] becomes: 127.5, rounded half to even."""


class Constant(nn.Module):
    """Puts out one number, whatever it is shown."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        return self.value.expand_as(masked)


def _gan(value: float = 0.0) -> GAN:
    network = Constant(value)
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
    return GAN(tiny_variant("l2"), TrainableNetwork(network, optimiser), {})


def _validate(gan: GAN | None = None, suite: Suite | None = None) -> Validation:
    store = Store(paths.prepared("tiny"))
    return validate(suite or tiny_suite(), store, gan or _gan(), torch.device("cpu"))


def _holes() -> list[NDArray[np.uint8]]:
    store = Store(paths.prepared("tiny"))
    boxes = store.boxes("val")[:, 0].tolist()
    return [i[y0:y1, x0:x1] for i, (x0, y0, x1, y1) in zip(store.images("val"), boxes, strict=True)]


def test_scores_are_the_means_over_all_images() -> None:
    errors = [np.mean(((hole.astype(float) - GRAY) / 255) ** 2) for hole in _holes()]
    scores = _validate().scores
    # Float64 sums in another order.
    assert scores["validation/mse_h"] == pytest.approx(np.mean(errors), rel=1e-12)
    assert scores["validation/psnr_h"] == pytest.approx(np.mean(-10 * np.log10(errors)), rel=1e-12)
    assert set(scores) == {"validation/mse_h", "validation/psnr_h", "validation/ssim_h"}


def test_perfect_image_counts_with_the_cap_of_its_psnr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "verify", lambda *_: None)  # of images that were never split
    path = paths.prepared("tiny") / "val.npy"
    images = np.load(path)
    images[:] = GRAY
    np.save(path, images)
    # One level of one value of the hole would be this far away.
    cap = 10 * np.log10(255**2 * 3 * HOLE_PX**2)
    assert _validate().scores["validation/psnr_h"] == pytest.approx(cap, rel=1e-12)


@pytest.mark.promise("batch_size")
@pytest.mark.parametrize("batch_size", [1, 3, 8, 64])
def test_batch_size_changes_nothing(batch_size: int) -> None:
    suite = tiny_suite(evaluation={"batch_size": batch_size})
    expected, found = _validate(), _validate(suite=suite)
    assert found.scores == pytest.approx(expected.scores, rel=1e-12)  # sums in another order
    np.testing.assert_array_equal(found.completed, expected.completed)


@pytest.mark.parametrize(("wanted", "shown"), [(1, 1), (5, 5), (16, 8)])  # there are 8
def test_first_images_are_shown_completed(wanted: int, shown: int) -> None:
    completed = _validate(suite=tiny_suite(watching={"images": wanted})).completed
    assert completed.shape == (IMAGE_PX, shown * IMAGE_PX, 3)
    store = Store(paths.prepared("tiny"))
    for place in range(shown):
        expected = np.array(store.images("val")[place])
        x0, y0, x1, y1 = store.boxes("val")[place, 0]
        expected[y0:y1, x0:x1] = GRAY
        found = completed[:, place * IMAGE_PX : (place + 1) * IMAGE_PX]
        np.testing.assert_array_equal(found, expected)


def test_networks_are_left_in_evaluation_mode_and_unchanged() -> None:
    gan = _gan()
    gan.train(True)
    _validate(gan)
    assert not gan.generator.network.training
    parameter = next(gan.generator.network.parameters())
    assert parameter.item() == 0 and parameter.grad is None


def test_output_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        _validate(_gan(float("nan")))


def test_gallery_shows_the_same_images_masked_and_true() -> None:
    suite, store = tiny_suite(watching={"images": 3}), Store(paths.prepared("tiny"))
    gallery = Gallery(suite, store)
    truth = np.concatenate([*store.images("val")[:3]], axis=1)
    np.testing.assert_array_equal(gallery.truth, truth)
    # The constant network's completion is what the masked image looks like.
    completed = _validate(suite=suite).completed
    np.testing.assert_array_equal(gallery.masked, completed)
    rows = gallery.compare(255 - completed).reshape(3, IMAGE_PX, 3 * IMAGE_PX, 3)
    np.testing.assert_array_equal(rows[0], completed)
    np.testing.assert_array_equal(rows[1], 255 - completed)
    np.testing.assert_array_equal(rows[2], truth)


@pytest.mark.parametrize(
    "watching", [{"images": 0}, {"images": 17}, {"images_every": 0}, {"image": 8}]
)
def test_wrong_settings_are_refused(watching: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=f"watching.{next(iter(watching))}"):
        tiny_suite(watching=watching)
