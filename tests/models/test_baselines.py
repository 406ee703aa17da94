"""Baselines as canaries: they repeat, keep known pixels and cannot see the hole."""

import warnings
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.restoration import inpaint_biharmonic

from models import baselines
from models.baselines import BASELINES, BaselineRefused
from models.ppca import fit_ppca

Images = NDArray[np.uint8]
Holes = NDArray[np.bool_]


def _noise(seed: int, count: int, size: int = 24) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def _holes(count: int, size: int = 24) -> Holes:
    """Return holes of which some touch or nearly touch the border."""
    hole = np.zeros((count, size, size), dtype=bool)
    for row in range(count):
        hole[row, row : row + 9, 2 * row : 2 * row + 7] = True
    return hole


def _blank(images: Images, hole: Holes) -> Images:
    return np.where(hole[..., None], 0, images).astype(np.uint8)


def test_rows_of_the_tables_are_all_there() -> None:
    names = ["mean_color", "telea", "navier_stokes", "biharmonic", "train_mean", "nearest_train"]
    names += ["knn_mean", "ppca"]
    assert [name for name in BASELINES if name in names] == names, "in the order of tables"


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_is_a_sound_canary(name: str) -> None:
    images, hole, training = _noise(0, 5), _holes(5), _noise(1, 7)
    complete = BASELINES[name](training)
    masked = _blank(images, hole)
    given = masked.copy()
    completed = complete(masked, hole)
    assert completed.dtype == np.uint8
    assert completed.shape == images.shape
    assert np.array_equal(masked, given), "it wrote into its input"
    assert np.array_equal(completed[~hole], images[~hole]), "it changed known pixels"
    assert (completed != masked)[hole].any(), "it filled nothing"
    assert np.array_equal(complete(masked, hole), completed), "it does not repeat"
    assert np.array_equal(complete(images, hole), completed), "it saw the hole"
    alone = complete(masked[3:4], hole[3:4])
    assert np.array_equal(alone, completed[3:4]), "it depends on the batch"


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_refuses_images_without_known_pixels(name: str) -> None:
    images, hole, training = _noise(0, 2), _holes(2), _noise(1, 2)
    with pytest.raises(ValueError, match="no known pixel"):
        BASELINES[name](training)(images, np.ones_like(hole))


@pytest.mark.parametrize("name", ["telea", "navier_stokes", "biharmonic"])
def test_baseline_continues_a_flat_image(name: str) -> None:
    images = np.full((1, 24, 24, 3), 77, dtype=np.uint8)
    hole = np.zeros((1, 24, 24), dtype=bool)
    hole[0, 8:15, 8:15] = True
    completed = BASELINES[name](images)(_blank(images, hole), hole)
    # Three levels: OpenCV rounds its weighted means at each of the few steps to the middle.
    assert np.abs(completed.astype(int) - 77).max() <= 3


def test_mean_color_is_that_of_the_known_pixels() -> None:
    images = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    images[0, 0] = [[1, 2, 4], [2, 2, 5]]
    images[0, 1, 0] = [3, 2, 9]
    hole = np.zeros((1, 2, 2), dtype=bool)
    hole[0, 1, 1] = True
    completed = BASELINES["mean_color"](images)(images, hole)
    assert completed[0, 1, 1].tolist() == [2, 2, 6]


def test_biharmonic_is_that_of_scikit_image_and_refuses_large_images() -> None:
    images, hole = _noise(2, 1), _holes(1)
    masked = _blank(images, hole)
    expected = inpaint_biharmonic(masked[0], hole[0], channel_axis=-1)
    completed = BASELINES["biharmonic"](images)(masked, hole)
    # Half a level: rounding to 8 bits.
    assert np.abs(completed[0] / 255 - expected).max() <= 0.5 / 255 + 1e-12
    with pytest.raises(BaselineRefused, match="128 px a side; these are 24x130"):
        BASELINES["biharmonic"](images)(np.zeros((1, 24, 130, 3), np.uint8), _holes(1))


def test_biharmonic_continues_a_plane() -> None:
    rows, columns = np.mgrid[:24, :24]
    plane = np.repeat((3 * rows + 2 * columns)[None, ..., None], 3, 3).astype(np.uint8)
    hole = np.zeros((1, 24, 24), dtype=bool)
    hole[0, 8:15, 6:16] = True
    # A plane is biharmonic, so the solution is exact.
    completed = BASELINES["biharmonic"](plane)(_blank(plane, hole), hole)
    assert np.array_equal(completed, plane)


@pytest.mark.parametrize(("name", "flag"), [("telea", 1), ("navier_stokes", 0)])
def test_opencv_baselines_are_those_of_opencv(name: str, flag: int) -> None:
    images, hole = _noise(3, 1), np.zeros((1, 24, 24), dtype=bool)
    hole[0, 8:15, 6:16] = True
    masked = _blank(images, hole)
    expected = cv2.inpaint(masked[0], hole[0].astype(np.uint8), 3, flag)
    assert np.array_equal(BASELINES[name](images)(masked, hole)[0], expected)


def test_nearest_train_is_the_brute_force_search(monkeypatch: pytest.MonkeyPatch) -> None:
    images, hole, training = _noise(4, 6), _holes(6), _noise(5, 11)
    known = ~hole[..., None]
    squares = (images[:, None].astype(np.int64) - training[None]) ** 2
    nearest = (squares * known[:, None]).sum((2, 3, 4)).argmin(1)
    expected = np.where(known, images, training[nearest])
    for chunk_bytes in (2**26, 4 * 8 * images[0].size, 1):
        monkeypatch.setattr("models.baselines.CHUNK_BYTES", chunk_bytes)
        completed = BASELINES["nearest_train"](training)(_blank(images, hole), hole)
        assert np.array_equal(completed, expected)


@pytest.mark.parametrize("chunk_bytes", [2**26, 1])
def test_nearest_train_finds_an_image_again_and_takes_the_first_of_equals(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.baselines.CHUNK_BYTES", chunk_bytes)
    training, hole = _noise(6, 8), _holes(3)
    copy = training[2].copy()
    copy[hole[0]] = 255 - copy[hole[0]]
    training[5] = copy  # equal to 2 wherever image 0 is known
    images = np.stack([training[5], training[7], training[4]])
    completed = BASELINES["nearest_train"](training)(_blank(images, hole), hole)
    assert np.array_equal(completed, training[[2, 7, 4]])


@pytest.mark.parametrize("chunk_bytes", [2**26, 1])
def test_search_is_exact_where_images_differ_by_a_level_in_a_billion(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.baselines.CHUNK_BYTES", chunk_bytes)
    rng, side = np.random.default_rng(9), 64
    # Black against nearly white has the largest sums; distances differ by a few levels squared.
    training = np.full((60, side, side, 3), 255, dtype=np.uint8)
    for image, changed in zip(training, rng.integers(0, 40, 60), strict=True):
        image.reshape(-1)[rng.choice(image.size, changed, replace=False)] = 254
    images, hole = np.zeros((3, side, side, 3), dtype=np.uint8), _holes(3, side)
    known = (~hole[..., None]).astype(np.int64)
    squares = (images[:, None].astype(np.int64) - training) ** 2
    order = (squares * known[:, None]).sum((2, 3, 4)).argsort(1, kind="stable")
    found = np.stack(baselines._search(images, hole, training))
    assert np.array_equal(found, order[:, :20])


def test_baselines_share_a_search_of_arrays_that_do_not_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training, hole = _noise(7, 25), _holes(2)
    masked = _blank(_noise(8, 2), hole)
    search = Mock(wraps=baselines._nearest)
    monkeypatch.setattr(baselines, "_nearest", search)
    complete = [BASELINES[name](training) for name in ("nearest_train", "knn_mean")]
    expected = [completion(masked, hole) for completion in complete]
    assert search.call_count == 2
    for array in (training, hole, masked):
        array.setflags(write=False)
    found = [completion(masked, hole) for completion in complete]
    assert search.call_count == 3
    assert np.array_equal(found, expected)
    complete[0](masked[:1], hole[:1])
    assert search.call_count == 4, "other images are searched for"


def test_nearest_train_reads_a_memory_map(tmp_path: Path) -> None:
    training, hole = _noise(7, 5), _holes(2)
    np.save(tmp_path / "t.npy", training)
    mapped = np.load(tmp_path / "t.npy", mmap_mode="r")
    completed = BASELINES["nearest_train"](mapped)(_blank(training[1:3], hole), hole)
    assert np.array_equal(completed, training[1:3])


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fit in BASELINES.values():
            fit(_noise(1, 1))(_noise(0, 1), _holes(1))


def test_mean_of_the_nearest_images_is_that_of_twenty() -> None:
    training = np.zeros((40, 6, 6, 3), dtype=np.uint8)
    training[:, :3] = np.arange(40, dtype=np.uint8)[:, None, None, None]
    training[:, 3:] = 2 * np.arange(40, dtype=np.uint8)[:, None, None, None]
    hole = np.zeros((1, 6, 6), dtype=bool)
    hole[0, 3:] = True
    completed = BASELINES["knn_mean"](training)(training[:1], hole)
    # The nearest to level 0 have levels 0 to 19, and twice that in the hole.
    assert (completed[0, 3:] == 19).all()


def test_mean_image_is_shifted_to_the_known_pixels() -> None:
    training = np.full((2, 4, 4, 3), 10, dtype=np.uint8)
    training[:, 2:] = 50
    training[1] += 20
    masked = np.full((1, 4, 4, 3), 25, dtype=np.uint8)
    masked[..., 2] = 15
    hole = np.zeros((1, 4, 4), dtype=bool)
    hole[0, 3] = True
    # The mean image has 20 and 60; over the known pixels, (2 * 20 + 60) / 3.
    shift = np.array([25, 25, 15]) - 100 / 3
    completed = BASELINES["train_mean"](training)(masked, hole)
    assert np.array_equal(completed[0, 3, 0], np.rint(60 + shift))


def _normal_images(count: int) -> tuple[Images, NDArray[np.float64], NDArray[np.float64]]:
    """Return images of 2 x 2 pixels, normal with two factors, and their mean and covariance."""
    rng = np.random.default_rng(0)
    factors = 12 * rng.standard_normal((12, 2))
    mean = np.linspace(100, 150, 12)
    drawn = (
        mean + rng.standard_normal((count, 2)) @ factors.T + 2 * rng.standard_normal((count, 12))
    )
    images = np.rint(drawn).clip(0, 255).astype(np.uint8).reshape(count, 2, 2, 3)
    return images, mean, factors @ factors.T + 4 * np.eye(12)


def test_ppca_gives_the_conditional_mean_of_the_distribution_it_is_fitted_to() -> None:
    images, mean, covariance = _normal_images(20_000)
    test, hole = images[:50], np.zeros((50, 2, 2), dtype=bool)
    hole[:25, 0, 1] = hole[25:, 1] = True
    completed = fit_ppca(images, components=2).complete(_blank(test, hole), hole)
    for image, where, found in zip(test, hole, completed, strict=True):
        hidden = np.repeat(where.reshape(-1), 3)
        gain = covariance[np.ix_(hidden, ~hidden)] @ np.linalg.inv(
            covariance[np.ix_(~hidden, ~hidden)]
        )
        expected = mean[hidden] + gain @ (image.reshape(-1)[~hidden] - mean[~hidden])
        # Half a level by rounding, and half a level by what 20,000 images leave open.
        assert np.abs(found.reshape(-1)[hidden] - expected).max() < 1


def test_ppca_finds_the_factors_of_an_eigendecomposition() -> None:
    images = _noise(4, 60, size=8)
    model = fit_ppca(images, components=5)
    flat = images.reshape(60, -1).astype(float)
    values = np.linalg.eigvalsh(np.cov(flat.T, bias=True))[::-1]
    noise = values[5:].sum() / (len(values) - 5)
    # Noise has no gap after the fifth value, so the iteration is not at its end.
    assert model.noise == pytest.approx(noise, rel=0.01)
    lengths = np.sort((model.factors**2).sum(0))[::-1]
    np.testing.assert_allclose(lengths, values[:5] - noise, rtol=0.05)
