"""Known pixels that do not fit their truth: each cause is named, and an error where it is gross."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.__main__ import main
from benchmark.submissions.causes import TURNS
from benchmark.submissions.doctor import examine
from tests.submissions.test_doctor import (
    COUNT,
    Hole,
    Pixels,
    box,
    flats,
    hand_in,
    ids,
    levels,
    noises,
    photographs,
    portraits,
    save,
    telea,
)

Spoil = Callable[[Pixels, Hole, Pixels], tuple[Pixels, Hole]]


def _wide(images: list[Pixels]) -> list[Pixels]:
    """Return oblong pictures."""
    return [image[:48] for image in images]


def _wide_box(number: int) -> Hole:
    return box(number, 20)[:48]


@pytest.mark.parametrize("images", [portraits, photographs])
@pytest.mark.parametrize("turn", TURNS)
def test_a_picture_that_is_mirrored_or_turned_is_an_error(
    turn: str, images: Callable[[], list[Pixels]], tmp_path: Path
) -> None:
    submission = hand_in(tmp_path, images(), spoil=lambda x, m, c: (TURNS[turn](c), m))
    (finding,) = examine(submission)
    assert (finding.id, finding.severity, finding.count) == ("turned", "error", COUNT)
    undone = {"clockwise": "counterclockwise", "counterclockwise": "clockwise"}
    head, _, last = turn.rpartition(" ")
    # The truth that is turned as it is said is what is shown.
    assert finding.detail == f"0 is {turn}", (head, undone.get(last))


def test_an_oblong_picture_that_is_mirrored_is_found(tmp_path: Path) -> None:
    submission = hand_in(
        tmp_path, _wide(photographs()), _wide_box, spoil=lambda x, m, c: (c[:, ::-1], m)
    )
    assert ids(examine(submission)) == [("turned", COUNT)]


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("of", ["images", "completed"])
def test_an_exif_orientation_that_was_not_obeyed_is_named(
    of: str, orientation: int, tmp_path: Path
) -> None:
    submission = hand_in(tmp_path, photographs())
    exif = Image.Exif()
    exif[0x0112] = orientation
    for path in (tmp_path / of).iterdir():
        with Image.open(path) as image:
            image.load()
            image.save(path, exif=exif)
    (finding,) = examine(submission)
    assert (finding.id, finding.severity, finding.count) == ("orientation", "error", COUNT)
    assert finding.detail == f"EXIF orientation {orientation}"


@pytest.mark.parametrize("of", ["images", "completed"])
def test_swapped_sides_with_an_exif_orientation_are_named(of: str, tmp_path: Path) -> None:
    submission = hand_in(tmp_path, _wide(photographs()), _wide_box)
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (tmp_path / of).iterdir():
        with Image.open(path) as image:
            image.load()
            image.save(path, exif=exif)
    (finding,) = examine(submission)
    assert finding.id == "orientation" and "EXIF orientation 6" in finding.detail


def test_pictures_under_the_names_of_others_are_told_whose_they_are(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs())
    files = sorted((tmp_path / "completed").iterdir())
    contents = [path.read_bytes() for path in files]
    for path, content in zip(files, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)
    (finding,) = examine(submission)
    assert (finding.id, finding.severity, finding.count) == ("misnamed", "error", COUNT)
    assert finding.detail == "0 shows 1"


def test_two_pictures_of_many_that_are_exchanged_are_found(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs() + portraits())
    first, second = tmp_path / "completed/3.png", tmp_path / "completed/8.png"
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    (finding,) = examine(submission)
    assert (finding.id, finding.files) == ("misnamed", ("3", "8"))


def test_a_picture_of_nobody_is_an_error_without_a_name(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs())
    stranger = photographs(12)[11][::-1]
    save(tmp_path / "completed/2.png", np.roll(stranger, 20, axis=1))
    (finding,) = examine(submission)
    assert (finding.id, finding.severity) == ("known_changed", "error")


SPOILED: dict[str, Spoil] = {
    "grayscale": lambda x, m, c: (
        np.repeat(np.asarray(Image.fromarray(c).convert("L"))[..., None], 3, 2), m,
    ),
    "channels, GBR": lambda x, m, c: (c[..., (1, 2, 0)], m),
    "channels, RBG": lambda x, m, c: (c[..., (0, 2, 1)], m),
    "value_range, each channel by itself": lambda x, m, c: (
        levels((c - np.array([124, 116, 104])) / np.array([58, 57, 57]) * 40 + 128), m,
    ),
    "value_range, gamma": lambda x, m, c: (levels(255 * (c / 255) ** 2.2), m),
    "shifted, 2 right": lambda x, m, c: (np.pad(c, ((0, 0), (2, 0), (0, 0)), "edge")[:, :-2], m),
}  # fmt: skip


@pytest.mark.parametrize("defect", SPOILED)
def test_what_was_done_to_the_colors_is_named(defect: str, tmp_path: Path) -> None:
    (finding,) = examine(hand_in(tmp_path, photographs(), spoil=SPOILED[defect]))
    assert (finding.id, finding.count) == (defect.partition(",")[0], COUNT)
    assert finding.severity == "error"


@pytest.mark.parametrize("part", [0.75, 0.5, 0.25])
@pytest.mark.parametrize("kind", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_a_picture_that_was_reduced_and_enlarged_is_a_change_of_known_pixels(
    part: float, kind: Image.Resampling, tmp_path: Path
) -> None:
    def resized(image: Pixels) -> Pixels:
        small = Image.fromarray(image).resize((round(64 * part),) * 2, kind)
        return np.asarray(small.resize((64, 64), kind))

    findings = examine(hand_in(tmp_path, photographs(), spoil=lambda x, m, c: (resized(c), m)))
    assert {finding.id for finding in findings} <= {"resized", "known_changed"}
    assert sum(finding.count for finding in findings) == COUNT


def test_nearest_neighbors_of_half_the_size_are_named(tmp_path: Path) -> None:
    def resized(x: Pixels, m: Hole, c: Pixels) -> tuple[Pixels, Hole]:
        small = c.reshape(32, 2, 32, 2, 3).mean((1, 3)).round().astype(np.uint8)
        return small.repeat(2, 0).repeat(2, 1), m

    findings = examine(hand_in(tmp_path, photographs(), spoil=resized))
    assert {finding.id for finding in findings} == {"resized"}
    assert findings[0].detail == "by way of 32x32 px"


@pytest.mark.parametrize("quality", [95, 85, 60, 30])
def test_jpeg_that_was_saved_as_png_is_named_with_its_quality(quality: int, tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs())
    for path in (tmp_path / "completed").iterdir():
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"), quality=quality)
        with Image.open(path.with_suffix(".jpg")) as image:
            image.save(path)
        path.with_suffix(".jpg").unlink()
    findings = examine(submission)
    assert {finding.id for finding in findings} == {"lossy"}
    assert all(finding.severity == "warning" for finding in findings)


def test_a_palette_is_named_and_is_an_error_where_it_is_gross(tmp_path: Path) -> None:
    for colors, severity in ((64, "warning"), (2, "error")):
        root = tmp_path / str(colors)
        submission = hand_in(root, photographs())
        for path in (root / "completed").iterdir():
            with Image.open(path) as image:
                image.quantize(colors).save(path)
        findings = examine(submission)
        assert {finding.id for finding in findings} == {"palette"}
        assert severity in {finding.severity for finding in findings}


@pytest.mark.parametrize("share", [0.2, 0.6])
def test_transparent_known_pixels_are_named(share: float, tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs())
    for path in (tmp_path / "completed").iterdir():
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGBA"))
        rows = slice(0, round(64 * share))
        pixels[rows] = 0  # as programs save what is transparent
        Image.fromarray(pixels).save(path)
    (finding,) = examine(submission)
    assert (finding.id, finding.severity, finding.count) == ("transparent", "error", COUNT)


def test_a_gross_change_of_one_image_is_not_hidden_by_small_ones_of_others(tmp_path: Path) -> None:
    def changed(x: Pixels, m: Hole, c: Pixels) -> tuple[Pixels, Hole]:
        return levels(np.where(m[..., None], c, c + 2.0)), m

    submission = hand_in(tmp_path, photographs(), spoil=changed)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(tmp_path / "completed/4.png", noise)
    found = {finding.severity: finding for finding in examine(submission)}
    assert found["error"].files == ("4",) and found["warning"].count == COUNT - 1


def test_a_large_picture_is_examined_by_the_part_around_its_hole(tmp_path: Path) -> None:
    large = np.asarray(
        Image.fromarray(photographs()[0]).resize((1400, 1200), Image.Resampling.BICUBIC)
    )
    hole = np.zeros((1200, 1400), np.bool_)
    hole[900:1100, 1000:1300] = True
    spoiled: dict[str, Pixels] = {
        "channels": large[..., ::-1],
        "turned": large[:, ::-1],
        "shifted": np.roll(large, 2, axis=0),
    }
    for name, picked in spoiled.items():
        submission = hand_in(tmp_path / name, [large], lambda number: hole)
        save(tmp_path / name / "completed/0.png", telea(picked, hole))
        assert [finding.id for finding in examine(submission)] == [name]
    assert examine(hand_in(tmp_path / "fine", [large], lambda number: hole)) == []


def test_holes_at_both_ends_of_a_wide_picture_raise_no_alarm(tmp_path: Path) -> None:
    wide = [
        np.asarray(Image.fromarray(image).resize((2400, 60), Image.Resampling.BICUBIC))
        for image in photographs(5)
    ]
    hole = np.zeros((60, 2400), np.bool_)
    hole[20:40, 20:60] = hole[20:40, 2340:2380] = True
    assert examine(hand_in(tmp_path / "fine", wide, lambda number: hole)) == []

    def swapped(x: Pixels, m: Hole, c: Pixels) -> tuple[Pixels, Hole]:
        return np.where(m[..., None], c[..., ::-1], x), m

    spoiled = hand_in(tmp_path / "spoiled", wide, lambda number: hole, spoil=swapped)
    assert [finding.id for finding in examine(spoiled)] == ["channels"]


def test_an_edit_far_from_the_mask_of_a_wide_picture_is_told_in_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = np.tile(noises(1)[0][:60], (1, 38, 1))[:, :2400]
    hole = np.zeros((60, 2400), np.bool_)
    hole[20:40, 20:60] = True
    edited = np.roll(hole, 2300, axis=1)
    hand_in(tmp_path, [wide], lambda number: edited, spoil=lambda x, m, c: (c, hole))
    places = [f"--{kind}={tmp_path / kind}" for kind in ("images", "completed", "masks")]
    assert main(["doctor", *places, "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["findings"]
    assert finding["id"] == "mask_elsewhere"
    assert finding["evidence"]["known_px_mean_change"] > 8
    assert main(["score", *places, f"--out={tmp_path / 'out'}"]) == 1
    assert (tmp_path / "out/metrics.json").is_file()


def test_flat_pictures_are_no_copies_of_each_other(tmp_path: Path) -> None:
    assert examine(hand_in(tmp_path, flats())) == []
