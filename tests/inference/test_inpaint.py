"""The inpaint command: which files it takes, refuses and writes, and what is in them."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmark.__main__ import main
from benchmark.core import paths
from benchmark.inference.inpaint import hole_room
from benchmark.inference.trained import load_folder
from benchmark.pipeline.split import split_suite
from benchmark.training.gan import training_digest
from benchmark.training.network_inputs import complete
from tests.support.faults import obeyed_permissions
from tests.support.promises import tally
from tests.support.tiny import (
    HOLE_PX,
    IMAGE_PX,
    files_below,
    isolate,
    tiny_suite,
    tiny_variant,
    train_tiny,
)

RUN = paths.Run("tiny", "l2", 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with a trained run, without the images that it was trained on."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        split_suite(tiny_suite())
        train_tiny("l2")
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "reports")
    return folder


@pytest.fixture(autouse=True)
def checkout(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a copy of it the present folder."""
    shutil.copytree(trained, tmp_path / "checkout")
    isolate(monkeypatch, tmp_path / "checkout")
    use_suite(monkeypatch)
    monkeypatch.setattr("benchmark.inference.trained.load_variant", tiny_variant_of_the_run)
    # Someone who edits meanwhile is no part of these tests.
    monkeypatch.setattr("benchmark.__main__.snapshot", dict)
    yield tmp_path / "checkout"
    torch.use_deterministic_algorithms(False)  # the command sets it for the whole process


def use_suite(patch: pytest.MonkeyPatch, **changes: Any) -> None:
    patch.setattr("benchmark.inference.trained.load_suite", lambda *_: tiny_suite(**changes))


def tiny_variant_of_the_run(name: str, root: Path) -> Any:
    assert name == "l2"
    return tiny_variant(name)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: str, pixels: NDArray[Any], **options: Any) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def mask(height: int, width: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return a mask whose hole is a box `(x0, y0, x1, y1)`."""
    values = np.zeros((height, width), np.uint8)
    values[box[1] : box[3], box[0] : box[2]] = 255
    return values


def load(path: str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def inpaint(*options: str, masks: str = "masks") -> int:
    folders = ["--images", "images", "--masks", masks, "--out", "out", "--device", "cpu"]
    return main(["inpaint", "--checkpoint", str(RUN.checkpoints), *folders, *options])


def complaint(capsys: pytest.CaptureFixture[str], *options: str, masks: str = "masks") -> str:
    """Inpaint images of which none can be filled, and return what is said."""
    before = files_below(Path())
    capsys.readouterr()
    assert inpaint(*options, masks=masks) == 1 and files_below(Path()) == before
    return capsys.readouterr().err


def refusal(capsys: pytest.CaptureFixture[str], *options: str, masks: str = "masks") -> str:
    """Inpaint what must be refused before anything is written, and return the message."""
    before = files_below(Path())
    capsys.readouterr()
    assert inpaint(*options, masks=masks) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and files_below(Path()) == before
    return lines[0]


def test_network_that_is_shown_a_part_of_the_hole_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variant = tiny_variant("l2")
    generator = variant.generator.model_copy(update={"shown_border_px": 4})
    shown = variant.model_copy(update={"generator": generator})
    monkeypatch.setattr("benchmark.inference.trained.load_variant", lambda *_: shown)
    save("images/a.png", noise(40, 50))
    assert "l2 is shown 4 px of what is in the hole" in refusal(capsys, masks="center")


# What is filled


def test_holes_are_filled_and_nothing_else_changes(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"a": (37, 211), "deep/b": (90, 64), "deep/er/c": (20, 24)}
    for number, (name, (height, width)) in enumerate(sizes.items()):
        save(f"images/{name}.bmp", noise(height, width, number))
        save(f"masks/{name}.png", mask(height, width, (5, 3, 20, 19)))
    before = files_below(checkout)
    assert inpaint() == 0
    assert re.fullmatch(r"3 images -> out/; [\d.]+ images/s\n", capsys.readouterr().out)
    assert inpaint("--overwrite", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said.pop("images_per_s") > 0
    assert said == {"folder": "out", "written": 3, "failed": 0, "skipped": 0}
    after = files_below(checkout)
    assert after.keys() - before.keys() == {f"out/{name}.png" for name in sizes}
    assert {name: after[name] for name in before} == before
    for number, (name, (height, width)) in enumerate(sizes.items()):
        filled, original = load(f"out/{name}.png"), noise(height, width, number)
        hole = mask(height, width, (5, 3, 20, 19)) > 0
        assert np.array_equal(filled[~hole], original[~hole])
        assert (filled[hole] != original[hole]).any(-1).mean() > 0.9


def test_what_fills_a_hole_is_what_the_evaluation_scores() -> None:
    pixels, box = noise(IMAGE_PX, IMAGE_PX), (3, 10, 3 + HOLE_PX, 10 + HOLE_PX)
    save("images/a.png", pixels)
    save("masks/a.png", mask(IMAGE_PX, IMAGE_PX, box))
    assert inpaint() == 0
    trained = load_folder(RUN.checkpoints, "cpu")[2]
    blank = np.where(mask(IMAGE_PX, IMAGE_PX, box)[..., None] > 0, 0, pixels)
    images, boxes = torch.from_numpy(blank[None]), torch.tensor([box])
    done = complete(trained.inpainter, images, boxes, HOLE_PX)
    assert np.array_equal(load("out/a.png"), done.completed[0].permute(1, 2, 0).numpy())


def test_suite_says_how_images_of_another_size_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    save("images/a.png", noise(100, 80))
    assert inpaint(masks="center") == 0
    tiled = load("out/a.png")
    use_suite(monkeypatch, inpainting="resize")
    assert inpaint("--overwrite", masks="center") == 0
    resized = load("out/a.png")
    hole = (resized != noise(100, 80)).any(-1)
    assert (resized != tiled).any() and hole[30:70, 20:60].mean() > 0.9
    hole[30:70, 20:60] = False
    assert not hole.any()
    assert training_digest(tiny_suite(inpainting="resize"), tiny_variant("l2")) == training_digest(
        tiny_suite(), tiny_variant("l2")
    )


def test_center_is_a_square_with_the_share_of_training() -> None:
    save("images/a.png", noise(51, 140))
    assert inpaint(masks="center") == 0
    hole = (load("out/a.png") != noise(51, 140)).any(-1)
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    side = round(51 * HOLE_PX / IMAGE_PX)
    assert (rows[0], rows[-1] + 1) == ((51 - side) // 2, (51 - side) // 2 + side)
    assert (columns[0], columns[-1] + 1) == ((140 - side) // 2, (140 - side) // 2 + side)


def random_corner(seed: int, name: str = "a") -> tuple[int, int]:
    assert inpaint("--overwrite", "--seed", str(seed), masks="random") == 0
    hole = (load(f"out/{name}.png") != load(f"images/{name}.png")).any(-1)
    return int(np.flatnonzero(hole.any(1))[0]), int(np.flatnonzero(hole.any(0))[0])


def test_random_holes_depend_on_pixels_and_seed_alone() -> None:
    save("images/a.png", noise(60, 90))
    corners = [random_corner(seed) for seed in range(3)]
    assert len(set(corners)) == 3
    Path("images/a.png").rename("images/z.png")
    save("images/a.png", noise(60, 90, 1))
    assert random_corner(2, "z") == corners[2]
    assert random_corner(2) != corners[2]


def test_bytes_repeat_and_results_are_replaced_only_on_demand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in "abc":
        save(f"images/{name}.png", noise(50, 70))
    assert inpaint(masks="center") == 0
    first = files_below(Path("out"))
    message = refusal(capsys, masks="center")
    assert "already there: out/a.png and 2 more; --overwrite" in message
    assert inpaint("--overwrite", masks="center") == 0
    assert files_below(Path("out")) == first


@pytest.mark.promise("images")
def test_gray_transparent_and_turned_images() -> None:
    gray = noise(40, 50)[..., 0]
    save("images/gray.png", gray)
    clear = np.random.default_rng(0).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    save("images/clear.png", clear)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    save("images/turned.png", noise(50, 40), exif=exif)
    for name in ("gray", "clear", "turned"):
        save(f"masks/{name}.png", mask(40, 50, (30, 5, 45, 20)))
    assert inpaint() == 0
    known = mask(40, 50, (30, 5, 45, 20)) == 0
    assert np.array_equal(load("out/gray.png")[known], gray[known])
    assert (load("out/clear.png")[~known, 3] == 255).all()  # what fills the hole is to be seen
    assert np.array_equal(load("out/clear.png")[known], clear[known])
    assert np.array_equal(load("out/turned.png")[known], np.rot90(noise(50, 40), -1)[known])


# Masks


def test_mask_that_marks_nothing_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(40, 50))
    save("masks/a.png", np.zeros((40, 50), np.uint8))
    assert "masks/a.png: marks nothing as hole; its values are 0" in complaint(capsys)
    save("images/b.png", noise(40, 50))
    save("masks/b.png", mask(40, 50, (5, 3, 20, 19)))
    assert inpaint() == 1 and [*files_below(Path("out"))] == ["b.png"]


def test_what_is_there_is_left_out_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "deep/b", "c"):
        save(f"images/{name}.png", noise(40, 50))
    assert inpaint(masks="center") == 0
    before = files_below(Path("out"))
    Path("out/c.png").write_bytes(b"kept as it is")
    Path("out/deep/b.png").unlink()
    capsys.readouterr()
    assert inpaint("--skip-existing", masks="center") == 0
    assert capsys.readouterr().out.startswith("1 images -> out/, 2 were there already; ")
    assert files_below(Path("out")) == before | {"c.png": b"kept as it is"}
    assert "contradict" in refusal(capsys, "--skip-existing", "--overwrite", masks="center")
    assert "already there" in refusal(capsys, masks="center")


def test_single_files_and_one_mask_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        save(f"images/{name}.png", noise(40, 50))
    save("hole.png", mask(40, 50, (5, 3, 20, 19)))
    assert inpaint(masks="hole.png") == 0
    both = files_below(Path("out"))
    assert [*both] == ["a.png", "b.png"]
    words = ["inpaint", "--checkpoint", str(RUN.checkpoints), "--out", "one"]
    assert main([*words, "--images", "images/a.png", "--masks", "hole.png"]) == 0
    assert files_below(Path("one")) == {"a.png": both["a.png"]}


def test_several_masks_of_an_image_have_a_result_each() -> None:
    save("images/deep/a.png", noise(40, 50))
    for number, box in enumerate([(5, 3, 20, 19), (25, 13, 40, 39)]):
        save(f"masks/deep/a_mask{number:03}.png", mask(40, 50, box))
    assert inpaint("--mask-name", "{stem}_mask{mask}.png") == 0
    assert sorted(files_below(Path("out"))) == ["deep/a_mask000.png", "deep/a_mask001.png"]
    for number, box in enumerate([(5, 3, 20, 19), (25, 13, 40, 39)]):
        known = mask(40, 50, box) == 0
        filled = load(f"out/deep/a_mask{number:03}.png")
        assert np.array_equal(filled[known], noise(40, 50)[known])
        assert not np.array_equal(filled, noise(40, 50))


def test_one_mask_is_for_all_whatever_the_pattern_of_several() -> None:
    for name in ("a", "b"):
        save(f"images/{name}.png", noise(40, 50))
    save("m.png", mask(40, 50, (5, 3, 20, 19)))
    assert inpaint("--mask-name", "{stem}_{mask}", masks="m.png") == 0
    assert sorted(files_below(Path("out"))) == ["a.png", "b.png"]


def test_masks_are_found_by_the_image_and_those_of_none_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    save("images/cat.png", noise(40, 50))
    for name in ("cat_nose", "cat_left_eye", "dog_nose", "dog_tail"):
        save(f"masks/{name}.png", mask(40, 50, (5, 3, 20, 19)))
    assert inpaint("--mask-name", "{stem}_{mask}") == 0
    assert sorted(files_below(Path("out"))) == ["cat_left_eye.png", "cat_nose.png"]
    said = "note: masks: left out, as they belong to no image: dog_nose.png and 1 more\n"
    assert capsys.readouterr().err.count(said) == 1


def test_levels_of_a_photograph_have_to_be_clear(capsys: pytest.CaptureFixture[str]) -> None:
    gray = noise(40, 50)[..., 0].astype(np.uint16) * 16  # 12 bits in a type of 16
    save("images/a.png", gray)
    assert "images/a.png: has 16-bit samples up to 40" in complaint(capsys, masks="center")
    assert inpaint("--levels", "4095", masks="center") == 0
    expected = np.rint(gray * (255 / 4095)).astype(np.uint8)
    corner = np.asarray(Image.open("out/a.png"))[:5, :5]
    assert np.array_equal(corner, expected[:5, :5])
    assert "white is a level above 0" in refusal(capsys, "--levels", "0", masks="center")


def test_another_device_does_what_the_network_does_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save("images/a.png", noise(40, 50))
    assert "--device mps: PyTorch finds no GPU" in refusal(
        capsys, "--device", "mps", masks="center"
    )
    assert inpaint(masks="center") == 0
    expected = files_below(Path("out"))
    # A stand-in: the CPU by that name, on which double precision is refused.
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    asked = []

    def stand_in(name: str, *number: int) -> torch.device:
        asked.append(name)
        return plain("cpu" if name == "mps" else name, *number)

    plain = torch.device
    monkeypatch.setattr("benchmark.core.device.torch.device", stand_in)
    assert inpaint("--device", "mps", "--overwrite", masks="center") == 0
    assert "mps" in asked and files_below(Path("out")) == expected


def test_polarity_is_questioned(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(50, 50))
    save("masks/a.png", 255 - mask(50, 50, (10, 10, 30, 35)))  # 500 of 2500 are known
    message = complaint(capsys)
    assert "masks/a.png: marks 80% of the image as hole" in message
    assert "--hole black" in message and "--large-holes" in message
    assert inpaint("--large-holes") == 0
    marked = mask(50, 50, (10, 10, 30, 35)) > 0
    assert np.array_equal(load("out/a.png")[marked], noise(50, 50)[marked])
    assert inpaint("--hole", "black", "--overwrite") == 0
    assert np.array_equal(load("out/a.png")[~marked], noise(50, 50)[~marked])
    save("masks/a.png", np.full((50, 50), 255, np.uint8))
    assert "marks the whole image" in complaint(capsys, "--large-holes", "--overwrite")


def test_gray_masks_are_cut_at_the_middle_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = mask(30, 40, (10, 10, 20, 20))
    values[0, :15] = [100, 127, 128, 150, 200] * 3
    for name in "ab":
        save(f"images/{name}.png", noise(30, 40))
    save("masks/a.png", values[:, ::-1])
    save("masks/b.png", mask(30, 40, (10, 10, 20, 20)) // 17 * 16)  # nearly white
    assert inpaint() == 0
    message = capsys.readouterr().err
    assert "warning: masks/a.png: 1% gray; it is white from 128 on" in message
    assert "masks/b.png" not in message
    changed = (load("out/a.png") != noise(30, 40)).any(-1)[0, ::-1]
    assert not changed[[0, 1, 5, 6, 10, 11]].any() and not changed[15:].any()
    assert changed[[2, 3, 4, 7, 8, 9]].sum() >= 4


def test_holes_in_transparency_are_questioned(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/b.png", noise(40, 50))
    erased = np.dstack([noise(40, 50), 255 - mask(40, 50, (5, 3, 20, 19))])
    save("masks/b.png", erased)
    message = complaint(capsys)
    assert "masks/b.png: has transparent pixels" in message and "white where the hole is" in message


def test_masks_must_be_there_and_as_large_as_their_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a", "b", "deep/c"):
        save(f"images/{name}.png", noise(30, 40))
    save("masks/a.png", mask(30, 40, (0, 0, 9, 9)))
    message = refusal(capsys)
    assert "images/b.png has none in masks and 1 more; a file belongs to" in message
    save("masks/b.tif", mask(50, 40, (0, 0, 9, 9)))
    save("masks/deep/c.png", mask(30, 40, (0, 0, 9, 9)))
    assert inpaint() == 1
    message = capsys.readouterr().err
    assert "masks/b.tif: is 40x50 px, its image images/b.png 40x30 px" in message
    assert [*files_below(Path("out"))] == ["a.png", "deep/c.png"]


# Files


@pytest.mark.promise("images")
def test_broken_files_are_named_and_cost_the_others_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in "abcd":
        save(f"images/{name}.png", noise(90, 80))
        save(f"masks/{name}.png", mask(90, 80, (0, 0, 9, 9)))
    content = Path("images/b.png").read_bytes()
    Path("images/b.png").write_bytes(content[: len(content) // 2])  # its head is sound
    Path("images/c.png").write_bytes(b"")
    Path("masks/d.png").write_bytes(b"")
    assert inpaint() == 1
    output = capsys.readouterr()
    assert output.out.startswith("1 images -> out/; ")
    for path in ("images/b.png", "images/c.png", "masks/d.png"):
        assert f"error: {path}: not a readable image" in output.err
    assert "error: 3 images could not be filled, see above" in output.err
    assert [*files_below(Path("out"))] == ["a.png"]


ODD_NAMES = [
    *("a b", "line\nbreak", "tab\tname", "-rf", "--out", "100%s %(x)d", "'\"`$(touch x)", "a.b..c"),
    *("漢字", "\u202eright to left", normalize("NFD", "é"), "<b>&amp;</b>"),
    *("n" * 251, "é" * 125, "deep/er/" + "d" * 200),
]


@pytest.mark.promise("file_names")
def test_results_keep_the_names_of_their_images(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ODD_NAMES:
        save(f"images/{name}.bmp", noise(20, 24))
        save(f"masks/{name}.png", mask(20, 24, (5, 3, 12, 9)))
        tally("awkward file names")
    assert inpaint() == 0
    assert sorted(files_below(Path("out"))) == sorted(f"{name}.png" for name in ODD_NAMES)
    assert capsys.readouterr().out.startswith(f"{len(ODD_NAMES)} images -> out/; ")
    assert len(files_below(Path())) > 3 * len(ODD_NAMES) and not Path("x").exists()


@pytest.mark.promise("file_names")
def test_messages_about_odd_names_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("line\nerror: break", "\u202eevil", "fine"):
        save(f"images/{name}.png", noise(20, 24))
    for name in ("line\nerror: break", "\u202eevil"):
        Path(f"images/{name}.png").write_bytes(b"no image")
    assert inpaint(masks="center") == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "not a readable" in line]
    assert [line.split(":")[1] for line in said] == [
        " images/line\\nerror",
        " images/\\u202eevil.png",
    ]


@pytest.mark.promise("file_names")
def test_masks_are_found_however_their_accents_are_written() -> None:
    composed, decomposed = normalize("NFC", "é"), normalize("NFD", "é")
    save(f"images/{composed}.png", noise(20, 24))
    save(f"images/{decomposed}2.png", noise(20, 24))
    save(f"masks/{decomposed}.png", mask(20, 24, (5, 3, 12, 9)))
    save(f"masks/{composed}2.png", mask(20, 24, (5, 3, 12, 9)))
    assert inpaint() == 0
    assert sorted(files_below(Path("out"))) == [f"{decomposed}2.png", f"{composed}.png"]


@pytest.mark.promise("file_names")
def test_links_that_lead_round_or_nowhere_do_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(20, 24))
    Path("images/round").symlink_to(Path("images").absolute(), target_is_directory=True)
    Path("images/b.png").symlink_to("b.png")
    Path("images/c.png").symlink_to("nowhere")
    assert inpaint(masks="center") == 1
    said = capsys.readouterr().err
    assert "error: images/b.png: not a readable image (Too many levels" in said
    assert "error: images/c.png: not a readable image (No such file" in said
    assert [*files_below(Path("out"))] == ["a.png"]
    shutil.rmtree("images")
    Path("images").symlink_to("images")
    assert "images: no such folder" in refusal(capsys, masks="center")
    save("other/a.png", noise(20, 24))
    options = ("--images", "other", "--out", "images", "--overwrite")
    assert "images: a link that leads to itself" in refusal(capsys, *options, masks="center")


@pytest.mark.promise("file_names")
def test_folder_that_may_not_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(20, 24))
    save("images/locked/b.png", noise(20, 24))
    Path("images/locked").chmod(0)
    with obeyed_permissions():
        assert inpaint(masks="center") == 2
    Path("images/locked").chmod(0o700)
    assert "error: images/locked: cannot be read (Permission denied)" in capsys.readouterr().err


def test_image_too_small_for_a_hole_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(1, 1))
    save("images/b.png", noise(1, 2))
    assert inpaint(masks="random") == 1
    assert "images/a.png: marks the whole image as hole" in capsys.readouterr().err
    assert [*files_below(Path("out"))] == ["b.png"]


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_two_files_of_one_name_are_refused(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    save("images/x/a.png", noise(40, 50))
    save("masks/x/a.png", mask(40, 50, (0, 0, 9, 9)))
    save(f"{folder}/x/a.jpg", noise(40, 50))
    message = refusal(capsys)
    assert f"{folder}/x/a.jpg and x/a.png have one name but for suffix or capitals" in message


def test_folders_must_have_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert "images: no such folder" in refusal(capsys, masks="center")
    Path("images").mkdir()
    assert "images: no image files (of .avif, .bmp" in refusal(capsys, masks="center")
    save("images/a.png", noise(40, 50))
    assert "--masks nowhere: no such folder or file, nor `center`" in refusal(
        capsys, masks="nowhere"
    )
    Path("images/notes.txt").write_text("no image")
    Path("images/.hidden.png").write_text("no image")
    assert inpaint(masks="center") == 0
    assert "images: left out, as they are no images: notes.txt\n" in capsys.readouterr().err
    assert [*files_below(Path("out"))] == ["a.png"]


@pytest.mark.parametrize("out", ["images", "images/filled", ".", "masks", "masks/a", "link"])
def test_results_do_not_go_where_is_read(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(40, 50))
    save("masks/a.png", mask(40, 50, (0, 0, 9, 9)))
    Path("link").symlink_to("images", target_is_directory=True)
    assert f"--out {out}: must lie neither in nor around" in refusal(capsys, "--out", out)


@pytest.mark.promise("writing")
def test_place_that_cannot_be_written_to_ends_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(40, 50))
    save("images/b.png", noise(40, 50))
    Path("out").write_text("a file")
    assert "out/a.png: cannot be written" in refusal(capsys, masks="center")


# Checkpoints


@pytest.mark.parametrize(
    ("mask_law", "room"),
    [
        ({"kind": "center", "size": 16}, (8, 8)),
        ({"kind": "random_square", "size": 16}, (0, 16)),
        ({"kind": "random_square", "size": 16, "margin": 3}, (3, 13)),
    ],
)
def test_squares_are_where_they_were_in_training(
    mask_law: dict[str, Any], room: tuple[int, int]
) -> None:
    assert hole_room(tiny_suite(mask=mask_law)) == room


@pytest.mark.promise("damage")
def test_checkpoint_is_verified(capsys: pytest.CaptureFixture[str]) -> None:
    save("images/a.png", noise(40, 50))
    assert "no checkpoint 'best'" in refusal(capsys, "--criterion", "best", masks="center")
    message = refusal(capsys, "--checkpoint", "elsewhere", masks="center")
    assert "elsewhere/manifest.json: missing; `python -m benchmark train` makes it" in message
    message = refusal(capsys, "--checkpoint", str(RUN.checkpoints.parent), masks="center")
    assert "manifest.json: missing" in message
    for weights in RUN.checkpoints.glob("*.safetensors"):
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    assert "damaged or foreign" in refusal(capsys, masks="center")


def test_checkpoint_may_lie_anywhere_and_any_criterion_be_asked_for() -> None:
    save("images/a.png", noise(40, 50))
    shutil.move(RUN.checkpoints, "elsewhere")
    assert inpaint("--checkpoint", "elsewhere", "--criterion", "last", masks="center") == 0
    assert inpaint("--checkpoint", "elsewhere", "--overwrite", masks="center") == 0


def test_checkpoint_of_other_settings_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save("images/a.png", noise(40, 50))
    use_suite(monkeypatch, mask={"kind": "center", "size": HOLE_PX})
    message = refusal(capsys, masks="center")
    assert "was trained with another config than the present one of tiny/l2/seed0" in message
    use_suite(monkeypatch)
    manifest = RUN.checkpoints / "manifest.json"
    content = json.loads(manifest.read_text())
    for run in ({}, {"run": "l2"}, {"run": {"suite": "tiny"}}):
        manifest.write_text(json.dumps({**content, "run": None} | run))
        assert "manifest.json: run" in refusal(capsys, masks="center")
    manifest.write_text("[]")
    assert "manifest.json: " in refusal(capsys, masks="center")


def test_run_of_a_suite_that_is_not_there_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.core.config import load_suite

    save("images/a.png", noise(40, 50))
    monkeypatch.setattr("benchmark.inference.trained.load_suite", load_suite)
    assert "no suite 'tiny'" in refusal(capsys, masks="center")
