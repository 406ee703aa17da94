"""Procedural portraits: integer rendering, anatomy, and the pinned bytes."""

import ast
import hashlib
from dataclasses import replace
from math import pi
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from data import ellipses as layers
from data import procedural_faces as portraits
from data.ellipses import FINE, Blob, Frame, Integers, Layer, average, paint
from data.procedural_faces import HAIRSTYLES, Draws, portrait_layers, render_portrait

INDICES = (0, 1, 2, 5, 9, 13, 1000, 123_456)
PINNED = {
    16: "56a9024fb3746dce940e5795b78428983c81e5d77d16d5f7b3516525e99e7ccd",
    32: "1d4559c01921eb04aff3068d4208ba1781684dae4114416b0a9a621ff8a0bd01",
    64: "64a570c18f43e97fb6e3662a72c95445d2779e01cd6f2c681afa2f6511e81d0f",
    128: "d4942b2cb949b7d8979a96984ff46f83936cd1e6b77f3129cc7539d96ebf6c79",
}


def steps(low: int, high: int, stride: int = 10) -> tuple[Integers, Integers]:
    """Return a grid of coordinates, in steps of `1 / FINE` unit."""
    axis = FINE * np.arange(low, high, stride, dtype=np.int64)
    v, u = np.meshgrid(axis, axis, indexing="ij")
    return u, v


def covered_by(shown: list[Layer], colors: set[str]) -> NDArray[np.bool_]:
    u, v = steps(-1300, 1301)
    shapes = [layer.blob.covers(u, v) for layer in shown if layer.color in colors]
    return np.asarray(np.any(shapes, axis=0))


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_bytes_are_pinned(size: int) -> None:
    faces = b"".join(render_portrait(index, size, seed=7).tobytes() for index in INDICES)
    assert hashlib.sha256(faces).hexdigest() == PINNED[size]


@pytest.mark.promise("everywhere")
@pytest.mark.parametrize("module", [layers, portraits], ids=lambda module: module.__name__)
def test_source_has_no_floating_point(module: ModuleType) -> None:
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not (isinstance(node, ast.Attribute) and node.attr.startswith("float"))


def test_face_depends_on_index_and_seed_alone() -> None:
    first = render_portrait(3, 32, seed=0)
    others = [render_portrait(4, 32, seed=0), render_portrait(3, 32, seed=1)]
    assert first.shape == (32, 32, 3) and first.dtype == np.uint8
    assert np.array_equal(render_portrait(3, 32, seed=0), first)
    assert all(np.abs(other.astype(int) - first).mean() > 5 for other in others)


def test_two_sizes_show_the_same_face() -> None:
    for index in range(12):
        small = render_portrait(index, 64, seed=0).astype(float)
        large = render_portrait(index, 128, seed=0).astype(float)
        difference = np.abs(large.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3)) - small)
        # Flat areas differ by rounding, up to one level. A pixel on an edge averages 16 samples
        # against 64, so that its coverage moves by about 1/32, some 5 levels at a contrast of 150;
        # about a tenth of the pixels lie on an edge. Largest mean seen: .5.
        assert difference.mean() < 1
        # A face shifted by one small pixel would differ by much more.
        shifted = np.abs(np.roll(small, 1, axis=1) - small)
        assert difference.mean() < shifted.mean() / 4


@pytest.mark.parametrize("size", [17, 45, 100])
def test_any_size_renders(size: int) -> None:
    assert render_portrait(2, size, seed=0).shape == (size, size, 3)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="size 15"):
        render_portrait(0, 15, seed=0)
    with pytest.raises(ValueError, match="index -1"):
        render_portrait(-1, 64, seed=0)


def test_blob_is_the_ellipse_of_its_equation() -> None:
    u, v = steps(-500, 501)
    blob = Blob(30, -40, 300, 120, slope=60, bend=-90)
    x = (u / FINE - 30) / 300
    y = (v / FINE + 40 - 60 * x + 90 * x**2) / 120
    distance = x**2 + y**2
    # Flooring slope and bend moves the edge by at most 2 steps of 1/16 unit, 2 * 2/16/120 = .002.
    decided = np.abs(distance - 1) > 0.003
    assert np.array_equal(blob.covers(u, v)[decided], (distance <= 1)[decided])


@pytest.mark.parametrize("sine", [-500, 0, 500])
def test_painted_blob_has_its_area_and_center(sine: int) -> None:
    samples, frame = 1024, Frame(x=30_000, y=36_000, scale=20_000, sine=sine)
    painted = np.zeros((samples, samples), dtype=np.uint8)
    blob = Blob(200, -300, 400, 150, slope=80, bend=60)  # shear keeps an ellipse's area
    paint(painted, frame, frame.coordinates(samples), Layer("skin", blob), 9)
    samples_per_unit = 20_000 / 65_536 * samples / 1000
    # The error of counting lattice points is below the square root of the perimeter's samples,
    # 24 of 18,400; slope and bend are floored.
    assert np.isclose((painted == 9).sum(), pi * 400 * 150 * samples_per_unit**2, rtol=0.002)
    v, u = (np.mean(where) + 0.5 for where in np.nonzero(painted))
    # Over an ellipse, slope leaves the mean of v and bend moves it by a quarter of itself.
    center_u, center_v = 200, -300 + 60 / 4
    sin, cos = sine / 4096, np.sqrt(1 - (sine / 4096) ** 2)
    expected_u = 30_000 / 64 + (cos * center_u - sin * center_v) * samples_per_unit
    expected_v = 36_000 / 64 + (sin * center_u + cos * center_v) * samples_per_unit
    # Coordinates are floored to 1/16 unit, .02 samples; the rest is for the lattice.
    assert np.allclose([u, v], [expected_u, expected_v], atol=0.1)


def test_window_cuts_nothing_off() -> None:
    samples = 80
    for index in range(12):
        behind, body, head = portrait_layers(Draws(index, 0), lit=1)
        frame = Frame(x=30_000, y=29_000, scale=20_000, sine=(-500, 0, 500)[index % 3])
        grid = frame.coordinates(samples)
        for layer in behind + body + head:
            painted = np.zeros((samples, samples), dtype=np.uint8)
            paint(painted, frame, grid, Layer("skin", layer.blob), 1)
            assert np.array_equal(painted == 1, layer.blob.covers(*grid))


def test_layer_is_clipped_by_its_other_blobs() -> None:
    frame = Frame(x=32_768, y=32_768, scale=32_768)
    painted = np.zeros((200, 200), dtype=np.uint8)  # 10 units per sample
    disc, left, hole = Blob(0, 0, 500, 500), Blob(-500, 0, 500, 900), Blob(-250, 0, 100, 100)
    paint(painted, frame, frame.coordinates(200), Layer("skin", disc, left, hole), 1)
    assert painted[100, 60] == 1  # u = -400
    assert painted[100, 130] == 0  # u = 300, outside `within`
    assert painted[100, 75] == 0  # u = -250, inside `without`


def test_average_mixes_lit_color_and_background_by_share() -> None:
    painted = np.zeros((4, 8), dtype=np.uint8)
    painted[:, 4:] = 1
    painted[0, :4] = 1  # a quarter of the left pixel
    square = np.vstack([painted, painted])
    light = np.full((8, 8), 128, dtype=np.int32)
    color = np.array([200, 100, 255], dtype=np.int64)
    pixels = average(square, light, [color], np.full((2, 2, 3), 60, dtype=np.int64))
    assert pixels[0, 1].tolist() == [100, 50, 127]
    assert pixels[0, 0].tolist() == [70, 58, 77]  # (255 * 128 >> 8 = 127; 76.75 rounds to 77)
    bright = average(square, np.full((8, 8), 350, np.int32), [color], np.zeros((2, 2, 3), int))
    assert bright[0, 1].tolist() == [255, 136, 255]


def test_features_stay_inside_the_head() -> None:
    for index in range(60):
        _, _, head = portrait_layers(Draws(index, 0), lit=1)
        skin = covered_by(head, {"skin"})
        features = covered_by(head, {"lash", "white", "brow", "lips", "cheek"})
        assert not (features & ~skin).any(), index


def test_neck_joins_head_and_shirt() -> None:
    for index in range(60):
        _, body, head = portrait_layers(Draws(index, 0), lit=1)
        column = np.zeros(300, dtype=np.int64), FINE * np.arange(0, 2400, 8, dtype=np.int64)
        assert np.any([layer.blob.covers(*column) for layer in body + head], axis=0).all(), index


def test_both_halves_of_a_face_mirror_each_other() -> None:
    def mirrored(layer: Layer) -> Layer:
        blob = replace(layer.blob, u=-layer.blob.u, slope=-layer.blob.slope)
        return replace(layer, blob=blob, within=None, without=None)

    paired = {"lash", "brow", "cheek", "lips", "mouth", "glasses"}
    for index in range(20):
        _, _, head = portrait_layers(Draws(index, 0), lit=1)
        shapes = [layer for layer in head if layer.color in paired]
        images = [mirrored(layer) for layer in shapes]
        assert set(images) == {mirrored(image) for image in images}


def test_light_falls_from_one_side() -> None:
    contrasts = []
    for index in range(80):
        pose = Draws(index, 0).integers("pose", (270, 340), (440, 560), (410, 480), (-500, 500))
        face = render_portrait(index, 64, seed=0).astype(float).mean(axis=2)
        scale, x, y, _ = (value * 64 / 1000 for value in pose)
        row = int(y + 0.35 * scale)  # across the cheeks
        left, right = face[row, int(x - 0.4 * scale)], face[row, int(x + 0.4 * scale)]
        contrasts.append((left - right) / (left + right))
    assert min(contrasts) < -0.08 and max(contrasts) > 0.08


def test_every_hairstyle_occurs_and_a_quarter_wears_glasses() -> None:
    drawn = [Draws(i, 0).integers("style", (0, len(HAIRSTYLES) - 1), (0, 3)) for i in range(300)]
    assert {style for style, _ in drawn} == set(range(len(HAIRSTYLES)))
    glasses = sum(choice == 0 for _, choice in drawn)
    assert 45 <= glasses <= 105  # binomial(300, 1/4): mean 75, four standard deviations of 7.5
