"""The doctor: every defect that is put into healthy data is found, and nothing else is."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from benchmark.__main__ import main
from benchmark.submissions.catalog import CATALOG, GROSS_LEVELS, Detection, Finding
from benchmark.submissions.doctor import combine, examine
from benchmark.submissions.submission import Submission
from data.procedural_faces import render_portrait

SIDE, COUNT = 64, 6
Pixels = NDArray[np.uint8]
Hole = NDArray[np.bool_]


def portraits(count: int = COUNT, first: int = 0) -> list[Pixels]:
    return [render_portrait(index, SIDE, 0) for index in range(first, first + count)]


def photographs(count: int = COUNT) -> list[Pixels]:
    """Return squares of photographs that come with scikit-image, without JPEG's grid."""
    load: Any = skimage.data
    sources = [load.astronaut(), load.coffee(), load.chelsea()]
    images = []
    for number in range(count):
        source, corner = sources[number % 3], 40 * (number // 3)
        square = Image.fromarray(source[corner : corner + 250, 100 + corner : 350 + corner])
        images.append(np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))
    return images


def grays(count: int = COUNT) -> list[Pixels]:
    return [np.repeat(image[..., 1:2], 3, axis=2) for image in photographs(count)]


def noises(count: int = COUNT) -> list[Pixels]:
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(count)]


def flats(count: int = COUNT) -> list[Pixels]:
    return [np.full((SIDE, SIDE, 3), (40 * n, 255 - 20 * n, 99), np.uint8) for n in range(count)]


def box(number: int, side: int = 26) -> Hole:
    hole = np.zeros((SIDE, SIDE), np.bool_)
    x, y = 4 + 5 * number % 17, 5 + 7 * number % 13
    hole[y : y + side, x : x + side] = True
    return hole


def tiny(number: int) -> Hole:
    return box(number, 2)


def large(number: int) -> Hole:
    return box(0, 52)


def blobs(number: int) -> Hole:
    field = np.random.default_rng(number).standard_normal((SIDE, SIDE))
    smooth = cv2.GaussianBlur(field, (0, 0), 4)
    return np.asarray(smooth > np.quantile(smooth, 0.7))


def frame(number: int) -> Hole:
    """Return a hole all around, as when an image is to be extended."""
    hole = np.ones((SIDE, SIDE), np.bool_)
    hole[12:-12, 12:-12] = False
    return hole


def blank(image: Pixels, hole: Hole) -> Pixels:
    return np.asarray(np.where(hole[..., None], 0, image), np.uint8)


def telea(image: Pixels, hole: Hole) -> Pixels:
    filled = cv2.inpaint(blank(image, hole), hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return np.asarray(np.where(hole[..., None], filled, image), np.uint8)


def navier_stokes(image: Pixels, hole: Hole) -> Pixels:
    filled = cv2.inpaint(blank(image, hole), hole.astype(np.uint8), 3, cv2.INPAINT_NS)
    return np.asarray(np.where(hole[..., None], filled, image), np.uint8)


def mean_color(image: Pixels, hole: Hole) -> Pixels:
    color = image[~hole].mean(0).astype(np.uint8)
    return np.asarray(np.where(hole[..., None], color, image), np.uint8)


def blurred(image: Pixels, sigma: float = 0.8) -> Pixels:
    """Return what a network gives back of an image: a little less sharp."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def moved(image: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return an image moved by up to 4 pixels, its edge repeated."""
    margins = [(4, 4), (4, 4)] + [(0, 0)] * (image.ndim - 2)
    height, width = image.shape[:2]
    return np.pad(image, margins, mode="edge")[4 - down :, 4 - right :][:height, :width]


def levels(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def save(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def hand_in(
    root: Path,
    images: list[Pixels],
    hole: Callable[[int], Hole] = box,
    fill: Callable[[Pixels, Hole], Pixels] = telea,
    spoil: Callable[[Pixels, Hole, Pixels], tuple[Pixels, Hole]] | None = None,
    suffix: str = "png",
) -> Submission:
    """Write a submission; `spoil` gives the completed image and the mask that are written."""
    for number, image in enumerate(images):
        mask = hole(number)
        completed = fill(image, mask)
        if spoil is not None:
            completed, mask = spoil(image, mask, completed)
        save(root / f"images/{number}.png", image)
        save(root / f"completed/{number}.{suffix}", np.ascontiguousarray(completed))
        save(root / f"masks/{number}.png", mask)
    return Submission(root / "images", root / "completed", root / "masks")


def ids(findings: list[Finding]) -> list[tuple[str, int]]:
    return [(finding.id, finding.count) for finding in findings]


# Healthy data


@pytest.mark.parametrize("hole", [box, tiny, large, blobs, frame])
@pytest.mark.parametrize("images", [portraits, photographs, grays, noises, flats])
def test_healthy_data_raises_no_alarm(
    tmp_path: Path, images: Callable[[], list[Pixels]], hole: Callable[[int], Hole]
) -> None:
    for fill in (telea, navier_stokes, mean_color):
        submission = hand_in(tmp_path / fill.__name__, images(), hole, fill)
        assert examine(submission) == []


@pytest.mark.parametrize("images", [portraits, photographs, grays, noises])
def test_networks_copy_of_known_pixels_is_a_warning_and_nothing_worse(
    tmp_path: Path, images: Callable[[], list[Pixels]]
) -> None:
    def copies(image: Pixels, hole: Hole, filled: Pixels) -> tuple[Pixels, Hole]:
        return blurred(filled), hole

    for hole in (box, tiny, blobs, frame):
        submission = hand_in(tmp_path / hole.__name__, images(), hole, spoil=copies)
        findings = examine(submission)
        assert ids(findings) == [("known_changed", COUNT)]
        # A blur of noise is no copy of it.
        expected = "error" if images is noises else "warning"
        assert findings[0].severity == expected
        assert (findings[0].evidence["known_mae"] >= GROSS_LEVELS) == (images is noises)


def test_one_healthy_image_is_enough_to_be_silent(tmp_path: Path) -> None:
    for name, images in (("a", portraits(1)), ("b", photographs(1)), ("c", flats(1))):
        assert examine(hand_in(tmp_path / name, images)) == []


# Defects of all images


def _jpeg(image: Pixels, quality: int) -> Pixels:
    _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def _noisy_truth(image: Pixels, hole: Hole, filled: Pixels) -> tuple[Pixels, Hole]:
    noise = np.random.default_rng(1).integers(-1, 2, image.shape)
    return np.where(hole[..., None], levels(image + noise), image), hole


SPOILED: dict[str, Callable[[Pixels, Hole, Pixels], tuple[Pixels, Hole]]] = {
    "polarity": lambda x, m, c: (c, ~m),
    "polarity, raw output": lambda x, m, c: (levels(c + 1.0), ~m),
    "known_changed": lambda x, m, c: (levels(np.where(m[..., None], c, c + 3.0)), m),
    "channels": lambda x, m, c: (c[..., ::-1], m),
    "channels, raw output": lambda x, m, c: (blurred(c, 0.5)[..., ::-1], m),
    "lossy, saved as PNG": lambda x, m, c: (_jpeg(c, 60), m),
    "truth_in_hole": lambda x, m, c: (x, m),
    "truth_in_hole, rounded": _noisy_truth,
    "shifted, 1 down": lambda x, m, c: (moved(c, 1, 0), m),
    "shifted, diagonally": lambda x, m, c: (moved(c, -1, 2), m),
    "mask_shifted, 1 down": lambda x, m, c: (c, moved(m, 1, 0)),
    "mask_shifted, 3 left": lambda x, m, c: (c, moved(m, 0, -3)),
    "mask_elsewhere": lambda x, m, c: (c, np.roll(m, (32, 32), (0, 1))),
    "value_range, all black": lambda x, m, c: (np.zeros_like(c), m),
    "value_range, [0, 1] as bytes": lambda x, m, c: (levels(np.rint(c / 255)), m),
    "value_range, 0 to 127": lambda x, m, c: (levels(c / 255 * 127), m),
    "value_range, [-1, 1] cut at 0": lambda x, m, c: (levels(2.0 * c - 255), m),
    "value_range, [0, 1] as if it were [-1, 1]": lambda x, m, c: (levels(c / 2 + 127.5), m),
    "value_range, negative": lambda x, m, c: (255 - c, m),
    "unfilled": lambda x, m, c: (blank(x, m), m),
    "unfilled, white": lambda x, m, c: (np.where(m[..., None], 255, x).astype(np.uint8), m),
}


@pytest.mark.parametrize("images", [portraits, photographs])
@pytest.mark.parametrize("defect", SPOILED)
def test_defect_is_found_in_all_images_and_nothing_else_is(
    tmp_path: Path, defect: str, images: Callable[[], list[Pixels]]
) -> None:
    submission = hand_in(tmp_path, images(), spoil=SPOILED[defect])
    findings = examine(submission)
    assert ids(findings) == [(defect.partition(",")[0], COUNT)]
    assert findings[0].files == ("0", "1", "2") and findings[0].evidence


@pytest.mark.parametrize(
    "defect", ["channels", "shifted, 1 down", "value_range, 0 to 127", "truth_in_hole"]
)
def test_defect_of_one_image_is_found_in_it(tmp_path: Path, defect: str) -> None:
    submission = hand_in(tmp_path, photographs())
    spoiled = hand_in(tmp_path / "spoiled", photographs(), spoil=SPOILED[defect])
    shutil.copy(spoiled.completed / "4.png", submission.completed / "4.png")
    findings = examine(submission)
    assert ids(findings) == [(defect.partition(",")[0], 1)] and findings[0].files == ("4",)


def test_numbers_of_a_shift_are_its_pixels(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs(), spoil=lambda x, m, c: (moved(c, -2, 1), m))
    (finding,) = examine(submission)
    assert (finding.evidence["down"], finding.evidence["right"]) == (-2, 1)


def test_swapped_channels_of_the_hole_alone_are_found(tmp_path: Path) -> None:
    # Composited by another program, so that known pixels say nothing.
    submission = hand_in(
        tmp_path,
        photographs(),
        lambda number: box(number, 12),
        spoil=lambda x, m, c: (np.where(m[..., None], c[..., ::-1], x), m),
    )
    (finding,) = examine(submission)
    assert finding.id == "channels" and finding.count >= COUNT / 2


def test_lossy_files_are_found_by_their_kind(tmp_path: Path) -> None:
    for suffix in ("jpg", "webp"):
        submission = hand_in(tmp_path / suffix, photographs(), suffix=suffix)
        assert ids(examine(submission)) == [("lossy", COUNT)]


def test_files_that_show_two_things_are_counted_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        images = portraits(1) + noises(1) if name == "a" else flats(3) + photographs(4)
        findings = examine(hand_in(tmp_path / name, images, spoil=SPOILED["polarity"]))
        assert [finding.id for finding in findings] == ["polarity"]
        assert findings[0].count <= len(images)


def test_weak_signs_count_once_most_images_show_them() -> None:
    def counts(detections: list[Detection], num_images: int) -> dict[str, int]:
        groups = combine(detections, num_images)
        return {name: len(found) for name, found in groups.items() if found}

    weak = [Detection("shifted", str(n), sure=False) for n in range(4)]
    weak += [Detection("known_changed", str(n)) for n in range(4)]
    assert counts(weak, 7) == {"shifted": 4}
    assert counts(weak, 8) == {"known_changed": 4}
    blank = [Detection("unfilled", str(n), detail="black", sure=False) for n in range(4)]
    assert counts(blank, 5) == {"unfilled": 4}
    assert counts(blank, 6) == {} and counts(blank[:3], 3) == {}
    white = [Detection("unfilled", "4", detail="white", sure=False)]
    assert counts(blank + white, 5) == {"unfilled": 4}
    inverted = [Detection("polarity", str(n), sure=False) for n in range(4)]
    assert counts(inverted + weak, 7) == {"polarity": 4}
    assert counts(inverted + weak, 8) == {"known_changed": 4}


# Files


def change(root: Path) -> tuple[Submission, Path]:
    return hand_in(root, photographs()), root


def test_missing_and_superfluous_files(tmp_path: Path) -> None:
    submission, root = change(tmp_path)
    (root / "completed/2.png").rename(root / "completed/other.png")
    findings = examine(submission)
    assert ids(findings) == [("unpaired", 1), ("extra_files", 1)]
    assert [finding.files for finding in findings] == [("2.png",), ("other.png",)]


def test_wrong_sizes_name_both_sizes(tmp_path: Path) -> None:
    submission, root = change(tmp_path)
    save(root / "completed/1.png", photographs()[1][:-1])
    save(root / "masks/3.png", np.zeros((SIDE, SIDE + 2), np.uint8))
    (finding,) = examine(submission)
    assert (finding.id, finding.count, finding.files) == ("size", 2, ("1", "3"))
    assert finding.detail == "the completed image is 64x63 px, the image 64x64 px"


def test_names_that_differ_in_suffix_or_capitals(tmp_path: Path) -> None:
    submission, root = change(tmp_path)
    shutil.copy(root / "completed/1.png", root / "completed/1.bmp")
    assert ids(examine(submission)) == [("duplicate_name", 1)]
    (root / "completed/1.bmp").unlink()
    for folder in ("images", "completed", "masks"):
        (root / folder / "1.png").rename(root / folder / "a.png")
        (root / folder / "2.png").rename(root / folder / "A.png")
    assert ids(examine(submission)) == [("duplicate_name", 3)]


def test_broken_files(tmp_path: Path) -> None:
    submission, root = change(tmp_path)
    (root / "completed/0.png").write_bytes(b"no image")
    (finding,) = examine(submission)
    assert (finding.id, finding.files) == ("unreadable", ("0",)) and "0.png" in finding.detail


def test_masks_that_mark_nothing_or_all_or_unclearly(tmp_path: Path) -> None:
    submission, root = change(tmp_path)
    save(root / "masks/0.png", np.zeros((SIDE, SIDE), np.uint8))
    save(root / "masks/1.png", np.full((SIDE, SIDE), 255, np.uint8))
    soft = cv2.GaussianBlur(box(2).astype(np.uint8) * 255, (0, 0), 2)
    save(root / "masks/2.png", np.where(box(2), np.maximum(soft, 128), np.minimum(soft, 127)))
    assert ids(examine(submission)) == [("empty_mask", 2), ("gray_mask", 1)]


def test_one_result_under_two_names(tmp_path: Path) -> None:
    submission, root = change(tmp_path)
    shutil.copy(root / "completed/1.png", root / "completed/4.png")
    found = {finding.id: finding for finding in examine(submission)}
    assert found["duplicate_completion"].files == ("4",)
    assert found["duplicate_completion"].detail == "4 is 1"


def test_one_image_under_two_names_is_a_warning(tmp_path: Path) -> None:
    submission, root = change(tmp_path)
    for folder in ("images", "completed", "masks"):
        shutil.copy(root / folder / "1.png", root / folder / "again.png")
    (finding,) = examine(submission)
    assert (finding.id, finding.severity) == ("duplicate_image", "warning")
    assert finding.files == ("again",)


# Training images


def test_training_images_that_are_other_ones_raise_no_alarm(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, portraits())
    for number, image in enumerate(
        [*portraits(30, first=100), *photographs(), *flats(), *noises()]
    ):
        save(tmp_path / f"train/{number}.png", image)
    assert examine(submission, tmp_path / "train") == []


def test_flat_images_look_alike_without_being_copies(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, flats())
    for number, image in enumerate(flats()):
        save(tmp_path / f"train/{number}.png", image + np.uint8(1))
    assert examine(submission, tmp_path / "train") == []


def test_images_of_the_training_folder_are_found_to_the_pixel(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs())
    save(tmp_path / "train/deep/copy.bmp", photographs()[2])
    (finding,) = examine(submission, tmp_path / "train")
    assert (finding.id, finding.files, finding.severity) == ("train_overlap", ("2",), "error")
    assert finding.detail == "2 is deep/copy.bmp"


def test_exact_copy_is_an_error_beside_a_similar_one(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs())
    save(tmp_path / "train/a.jpg", photographs()[2], quality=90)  # read first
    save(tmp_path / "train/b.png", photographs()[2])
    (finding,) = examine(submission, tmp_path / "train")
    assert (finding.id, finding.files, finding.severity) == ("train_overlap", ("2",), "error")


def test_resized_and_compressed_training_images_are_found(tmp_path: Path) -> None:
    submission = hand_in(tmp_path, photographs())
    larger = Image.fromarray(photographs()[1]).resize((150, 150), Image.Resampling.BICUBIC)
    save(tmp_path / "train/larger.jpg", np.asarray(larger), quality=80)
    save(tmp_path / "train/brighter.png", levels(photographs()[3] * 1.02 + 2))
    (finding,) = examine(submission, tmp_path / "train")
    assert (finding.id, finding.count, finding.severity) == ("train_near", 2, "warning")
    assert set(finding.files) == {"1", "3"}


def test_samples_of_12_bits_are_compared_with_training_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submission = hand_in(tmp_path, photographs())
    for path in (*submission.images.iterdir(), *submission.completed.iterdir()):
        pixels: Any = cv2.imread(str(path))
        cv2.imwrite(str(path), np.rint(pixels * (4095 / 255)).astype(np.uint16))
    (tmp_path / "train").mkdir()
    shutil.copy(submission.images / "2.png", tmp_path / "train/copy.png")
    (tmp_path / "train/broken.png").write_bytes(b"no image")
    (finding,) = examine(replace(submission, levels=4095), tmp_path / "train")
    assert (finding.id, finding.files) == ("train_overlap", ("2",))
    (note,) = (line for line in capsys.readouterr().err.splitlines() if "note: " in line)
    assert f"note: {tmp_path / 'train'}: 1 of 2 files not compared: " in note
    assert "broken.png" in note


@pytest.mark.parametrize("command", ["doctor", "score"])
def test_a_training_folder_that_is_not_there_is_named_before_the_work(
    command: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hand_in(tmp_path, photographs())
    monkeypatch.setattr(f"benchmark.submissions.{command}.read_sample", pytest.fail)
    folders = [f"--{name}={tmp_path / name}" for name in ("images", "completed", "masks")]
    assert main([command, *folders, f"--train={tmp_path / 'trian'}"]) == 2
    assert f"{tmp_path / 'trian'}: no such folder" in capsys.readouterr().err


# The command


def doctor(root: Path, *options: str) -> int:
    folders = [f"--{name}={root / name}" for name in ("images", "completed", "masks")]
    return main(["doctor", *folders, *options])


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand_in(tmp_path / "fine", photographs())
    assert doctor(tmp_path / "fine") == 0
    assert capsys.readouterr().out.startswith("nothing found")
    hand_in(tmp_path / "raw", photographs(), spoil=SPOILED["known_changed"])
    assert doctor(tmp_path / "raw") == 0
    assert capsys.readouterr().out.startswith("warning: known_changed: ")
    hand_in(tmp_path / "swapped", photographs(), spoil=SPOILED["channels"])
    assert doctor(tmp_path / "swapped") == 1
    assert capsys.readouterr().out.startswith("error: channels: ")
    assert doctor(tmp_path / "nowhere") == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'nowhere/images'}: no such")


def test_other_polarity_is_told_by_an_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_in(tmp_path, photographs(), spoil=SPOILED["polarity"])
    assert doctor(tmp_path) == 1 and "--hole black" in capsys.readouterr().out
    assert doctor(tmp_path, "--hole", "black") == 0


def test_answer_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand_in(tmp_path, photographs(), spoil=SPOILED["shifted, 1 down"])
    assert doctor(tmp_path, "--json") == 1
    content = json.loads(capsys.readouterr().out)
    (finding,) = content["findings"]
    assert finding["id"] == "shifted" and finding["severity"] == "error"
    assert finding["count"] == COUNT and finding["files"] == ["0", "1", "2"]
    assert finding["advice"] == CATALOG["shifted"].advice


def test_every_defect_is_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs/scoring.md").read_text(encoding="utf-8")
    for name, entry in CATALOG.items():
        assert f"| `{name}` | {entry.severity} |" in guide
