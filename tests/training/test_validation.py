"""Validation against NumPy, on outputs that are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.training.gan import GAN, TrainableNetwork
from benchmark.training.validation import (
    LABEL_PX,
    LAST_FRAME_MS,
    MOST_FRAMES,
    TILE_PX,
    Gallery,
    Validation,
    thinned,
    validate,
    write_animation,
)
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
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    return GAN(tiny_variant("l2"), TrainableNetwork(network, optimizer), {})


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
    names = ("mse_h", "psnr_h", "ssim_h", "stlpips_alex")
    assert set(scores) == {f"validation/{name}" for name in names}


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
    for name, value in expected.scores.items():
        # Sums in another order; float32 convolutions block differently.
        room = 1e-6 if "lpips" in name else 1e-12
        assert found.scores[name] == pytest.approx(value, rel=room)
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


# The animation


def _pictures(folder: Path, epochs: int, size: int = IMAGE_PX, seed: int = 0) -> list[Path]:
    """Write strips of 8 gray images that become brighter with every epoch."""
    folder.mkdir()
    written = []
    for epoch in range(1, epochs + 1):
        strip = np.full((size, 8 * size, 3), 255 * epoch // epochs, np.uint8)
        written.append(folder / f"epoch{epoch:04d}.png")
        Image.fromarray(strip).save(written[-1])
    return written


def _frames(path: Path) -> list[NDArray[np.uint8]]:
    found = []
    with Image.open(path) as animation:
        for place in range(getattr(animation, "n_frames", 1)):
            animation.seek(place)
            found.append(np.asarray(animation.convert("RGB")))
    return found


def _gallery() -> Gallery:
    return Gallery(tiny_suite(), Store(paths.prepared("tiny")))


def test_animation_has_a_frame_for_each_epoch(tmp_path: Path) -> None:
    gallery = _gallery()
    write_animation(tmp_path / "a.gif", _pictures(tmp_path / "p", 5), gallery)
    frames = _frames(tmp_path / "a.gif")
    assert len(frames) == 5
    expected = [gallery.masked, None, gallery.truth]
    for epoch, frame in enumerate(frames, start=1):
        images = frame[:, LABEL_PX:]
        assert images.shape == (3 * TILE_PX, 8 * TILE_PX, 3)
        for row, strip in enumerate(expected):
            found = images[row * TILE_PX : (row + 1) * TILE_PX : 4, ::4].astype(int)
            if strip is None:
                strip = np.full_like(gallery.truth, 255 * epoch // 5)
            # 255 colors cut the cube of all colors into six parts a side or so, of 40 levels
            # each, within which a value is on average 10 levels from the middle.
            assert np.abs(found - strip).mean() < 10


def test_last_frame_is_held(tmp_path: Path) -> None:
    write_animation(tmp_path / "a.gif", _pictures(tmp_path / "p", 4), _gallery())
    durations = []
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.info["loop"] == 0  # for ever
        for place in range(4):
            animation.seek(place)
            durations.append(animation.info["duration"])
    assert durations[-1] == LAST_FRAME_MS > 5 * max(durations[:-1])


def test_equal_pictures_give_equal_bytes_without_comment(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path / "p", 3)
    for name in ("a.gif", "b.gif"):
        write_animation(tmp_path / name, pictures, _gallery())
    content = (tmp_path / "a.gif").read_bytes()
    assert content == (tmp_path / "b.gif").read_bytes()
    assert b"\x21\xfe" not in content[:1000]  # a comment


def test_long_run_is_thinned_out_and_stays_small(tmp_path: Path) -> None:
    # The worst case: 8 holes of a quarter of 128 px, whose noise changes from frame to frame.
    random = np.random.default_rng(0)
    gallery = Gallery.__new__(Gallery)
    gallery.masked = np.full((128, 8 * 128, 3), 128, np.uint8)
    gallery.truth = random.integers(0, 256, (128, 8 * 128, 3), dtype=np.uint8)
    pictures = _pictures(tmp_path / "p", MOST_FRAMES + 5, 128)
    hole = np.tile(np.pad(np.ones((64, 64, 1), bool), ((32, 32), (32, 32), (0, 0))), (1, 8, 1))
    for path in thinned(pictures, MOST_FRAMES):
        noise = random.integers(0, 256, (128, 8 * 128, 3), dtype=np.uint8)
        Image.fromarray(np.where(hole, noise, gallery.truth)).save(path, compress_level=0)  # quick
    write_animation(tmp_path / "a.gif", pictures, gallery)
    with Image.open(tmp_path / "a.gif") as animation:
        assert getattr(animation, "n_frames", 1) == MOST_FRAMES
    # A code has at most 12 bits and stands for at least one pixel: all of the first frame, and
    # what changes in the others.
    pixels = 8 * 3 * 128**2 + MOST_FRAMES * 8 * 64**2
    assert (tmp_path / "a.gif").stat().st_size < 1.5 * pixels
