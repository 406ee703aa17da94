"""The contract of every source, and what each source promises besides."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import InputError
from data.procedural_faces import render_portrait
from data.sources import (
    ImageSource,
    Item,
    UnreadableImageError,
    cifar10,
    image_parquet,
    photos,
    source_class,
    source_names,
    tiny_imagenet,
)
from data.splits import SPLITS
from tests.support.faults import obeyed_permissions
from tests.support.layouts import (
    PICTURE,
    put_celeba,
    put_cifar10,
    put_folder,
    put_images,
    put_nothing,
    put_parquet,
    put_stl10,
    put_tiny_imagenet,
)
from tests.support.promises import tally


@dataclass(frozen=True)
class Example:
    """A small case of a source: its options, and what puts its files."""

    options: dict[str, Any]
    put: Callable[[Path, pytest.MonkeyPatch], Path]


EXAMPLES = {
    "celeba": Example({"count": 5, "official_partition": True}, put_celeba),
    "cifar10": Example({}, put_cifar10),
    "image_folder": Example({}, put_folder),
    "image_parquet": Example({"splits_from_names": True, "label_column": "label"}, put_parquet),
    "photos": Example({"block": 64, "scales": (1, 2), "max_blocks": 9}, put_nothing),
    "portraits": Example({"count": 12, "seed": 3}, put_nothing),
    "stl10": Example({"unlabelled": True}, put_stl10),
    "tiny_imagenet": Example({}, put_tiny_imagenet),
}


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Some sources keep arrays or open files by path; tests must not see each other's."""
    yield
    for kept in (cifar10._load, image_parquet._row_group, tiny_imagenet._archive):
        kept.cache_clear()


@pytest.fixture(params=source_names())
def prepared(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ImageSource, Path]:
    """Each source with files or options for a few images."""
    if request.param not in EXAMPLES:
        pytest.fail(f"source {request.param} has no entry in EXAMPLES, so nothing tests it")
    example = EXAMPLES[request.param]
    source = source_class(request.param).model_validate(example.options)
    return source, example.put(tmp_path / "root", monkeypatch)


def read(source: ImageSource, item: Item, root: Path) -> NDArray[np.uint8]:
    return source.read(item, root, 32)


def test_ids_are_sorted_and_unique(prepared: tuple[ImageSource, Path]) -> None:
    source, root = prepared
    ids = [item.id for item in source.items(root)]
    assert len(ids) >= 4
    assert ids == sorted(set(ids))


def test_listing_twice_gives_the_same_items(prepared: tuple[ImageSource, Path]) -> None:
    source, root = prepared
    assert list(source.items(root)) == list(source.items(root))


def test_fields_of_items_are_what_the_split_stage_expects(
    prepared: tuple[ImageSource, Path],
) -> None:
    source, root = prepared
    for item in source.items(root):
        assert isinstance(item.id, str) and isinstance(item.label, str)
        assert item.split in (None, *SPLITS)
        assert item.group is None or isinstance(item.group, str)


def test_images_are_8_bit_rgb_and_readable_in_another_process(
    prepared: tuple[ImageSource, Path],
) -> None:
    source, root = prepared
    items = source.items(root)
    for item in (items[0], items[len(items) // 2], items[-1]):
        pixels = read(source, item, root)
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        sent_source, sent_item = pickle.loads(pickle.dumps((source, item)))
        assert np.array_equal(read(sent_source, sent_item, root), pixels)


def test_unknown_option_is_refused(prepared: tuple[ImageSource, Path]) -> None:
    source, _ = prepared
    with pytest.raises(ValueError, match="colour_space"):
        type(source).model_validate({**source.model_dump(), "colour_space": "lab"})


def test_unknown_source_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=f"no source 'imagenet'; .*{', '.join(source_names())}"):
        source_class("imagenet")


# Portraits


def test_portraits_are_the_faces_of_their_seed_at_the_size_asked_for() -> None:
    source = source_class("portraits").model_validate({"count": 3, "seed": 5})
    items = source.items(Path("nowhere"))
    assert [item.key for item in items] == [0, 1, 2]
    for item in items:
        expected = render_portrait(item.key, 24, 5)
        assert np.array_equal(source.read(item, Path("nowhere"), 24), expected)


# Photos


def area(item: Item) -> tuple[str, int, int, int, int]:
    name, y, x, side = item.key
    return name, y, x, y + side, x + side


def blocks(**options: Any) -> ImageSource:
    return source_class("photos").model_validate({"max_blocks": 10_000, **options})


def test_groups_are_the_photographs_and_blocks_of_a_scale_do_not_overlap() -> None:
    items = blocks(block=32, scales=[1, 2]).items(Path())
    assert {item.group for item in items} == {Path(name).stem for name in photos.PHOTOGRAPHS}
    painted: dict[tuple[str, int], NDArray[np.bool_]] = {}
    for item in items:
        name, top, left, bottom, right = area(item)
        shape = photos._photograph(name).shape[:2]
        assert item.group == Path(name).stem and bottom <= shape[0] and right <= shape[1]
        here = painted.setdefault((name, bottom - top), np.zeros(shape, bool))
        assert not here[top:bottom, left:right].any(), item.id
        here[top:bottom, left:right] = True
    assert {side for _, side in painted} == {32, 64}


def test_of_a_photograph_with_many_blocks_some_are_kept_evenly() -> None:
    every, kept = (
        blocks(block=64, scales=[1, 2], max_blocks=most).items(Path()) for most in (10_000, 100)
    )
    counts = Counter(item.group for item in every)
    assert Counter(i.group for i in kept) == {name: min(n, 100) for name, n in counts.items()}
    assert counts["retina"] > 500
    order = sorted((i.key[3], i.key[1], i.key[2]) for i in every if i.group == "retina")
    places = [order.index((i.key[3], i.key[1], i.key[2])) for i in kept if i.group == "retina"]
    steps = np.diff([*sorted(places), len(order)])
    assert min(places) == 0 and steps.max() - steps.min() <= 1


def test_block_is_the_mean_of_its_pixels() -> None:
    source = blocks(block=32, scales=[1, 4])
    items = source.items(Path())
    for item in (items[0], items[1], items[-1]):
        name, top, left, bottom, right = area(item)
        scale = (bottom - top) // 32
        cut = photos._photograph(name)[top:bottom, left:right]
        means = cut.reshape(32, scale, 32, scale, 3).mean(axis=(1, 3))
        # Pillow rounds after each axis, by up to a half.
        assert np.abs(source.read(item, Path(), 64) - means).max() <= 1


def test_nearly_constant_blocks_are_dropped() -> None:
    kept = {item.id for item in blocks(block=64, min_contrast=8).items(Path())}
    everything = blocks(block=64, min_contrast=0).items(Path())
    assert 0 < len(kept) < len(everything)
    for item in everything:
        name, top, left, bottom, right = area(item)
        contrast = photos._photograph(name)[top:bottom, left:right].std()
        assert (item.id in kept) == (contrast >= 8)


# Folders


def folder(**options: Any) -> ImageSource:
    return source_class("image_folder").model_validate(options)


@pytest.mark.promise("file_names")
def test_folder_takes_any_name_and_leaves_hidden_files(tmp_path: Path) -> None:
    names = ["a b.png", "line\nbreak.png", 'quote".png', "sub,dir/ß漢.JPG", "no_suffix"]
    put_images(tmp_path, *names, ".hidden.png", ".cache/1.png", "sub,dir/.DS_Store")
    items = folder().items(tmp_path)
    assert [item.id for item in items] == sorted(names)
    tally("awkward file names", len(names))
    assert all(folder().read(item, tmp_path, 8).shape == PICTURE.shape for item in items)


@pytest.mark.promise("file_names")
def test_folder_takes_names_as_long_as_there_are_and_keeps_their_letters(tmp_path: Path) -> None:
    accents = [normalize(form, "é") for form in ("NFC", "NFD")]
    names = [f"{accents[0]}.png", f"{accents[1]}.png", "n" * 251 + ".png", "-rf.png", "100%s.png"]
    names += ["\u202etxt.png", f"{'d' * 255}/{'漢' * 83}.png"]
    put_images(tmp_path, *names)
    items = folder().items(tmp_path)
    assert [item.id for item in items] == sorted(names) and len({i.id for i in items}) == 7
    assert all(read(folder(), item, tmp_path).shape == PICTURE.shape for item in items)
    tally("awkward file names", len(names))


@pytest.mark.promise("file_names")
def test_folders_and_files_that_may_not_be_read_are_named(tmp_path: Path) -> None:
    put_images(tmp_path, "a.png", "locked/b.png", "unseen/c.png")
    (tmp_path / "a.png").chmod(0)
    (tmp_path / "unseen").chmod(0o444)  # its names may be read, but nothing of its files
    (tmp_path / "link").symlink_to("unseen/c.png")
    with obeyed_permissions():
        with pytest.raises(InputError, match=r"link: cannot be read \(Permission denied\)$"):
            folder().items(tmp_path)
        (tmp_path / "link").unlink()
        items = folder().items(tmp_path)
        for item in (items[0], items[2]):
            with pytest.raises(UnreadableImageError, match=rf"{item.id}: .*\(Permission denied\)$"):
                folder().read(item, tmp_path, 8)
        (tmp_path / "locked").chmod(0)
        with pytest.raises(InputError, match=r"locked: cannot be read \(Permission denied\)$"):
            folder().items(tmp_path)
    for name in ("locked", "unseen"):
        (tmp_path / name).chmod(0o700)


@pytest.mark.promise("file_names")
@pytest.mark.parametrize("name", [b"\xe9t\xe9.png", b"carriage\rreturn.png"])
def test_name_that_a_manifest_cannot_hold_is_refused(tmp_path: Path, name: bytes) -> None:
    (tmp_path / name.decode("utf-8", "surrogateescape")).write_bytes(b"")
    with pytest.raises(InputError, match=r"(t\\udce9|carriage\\rreturn)\.png.*rename"):
        folder().items(tmp_path)


@pytest.mark.promise("names")
def test_order_is_that_of_the_text_not_of_the_folders(tmp_path: Path) -> None:
    put_images(tmp_path, "a/1.png", "a-b/1.png", "a.png", "B.png")
    found = [item.id for item in folder().items(tmp_path)]
    assert found == ["B.png", "a-b/1.png", "a.png", "a/1.png"]


@pytest.mark.promise("file_names")
def test_loops_and_second_ways_through_links_end(tmp_path: Path) -> None:
    put_images(tmp_path, "x/1.png", "x/deep/2.png")
    (tmp_path / "x/deep/loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "z").symlink_to(tmp_path / "x", target_is_directory=True)
    assert [item.id for item in folder().items(tmp_path)] == ["x/1.png", "x/deep/2.png"]


@pytest.mark.promise("file_names")
def test_linked_folder_is_followed(tmp_path: Path) -> None:
    put_images(tmp_path / "elsewhere", "1.png")
    (tmp_path / "root").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (item,) = folder().items(tmp_path / "root")
    assert item.id == "1.png"


@pytest.mark.promise("file_names")
def test_dangling_link_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "absent")
    (item,) = folder().items(tmp_path)
    with pytest.raises(UnreadableImageError, match=r"gone\.png"):
        folder().read(item, tmp_path, 8)


def test_official_splits_are_the_top_folders(tmp_path: Path) -> None:
    put_images(tmp_path, "train/1.png", "val/2.png", "test/cats/3.png")
    items = folder(official_splits=True, labels=True).items(tmp_path)
    found = {item.id: (item.split, item.label) for item in items}
    assert found == {
        "train/1.png": (None, "train"),
        "val/2.png": ("val", "val"),
        "test/cats/3.png": ("test", "cats"),
    }


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/1.png"], "needs a folder test/"),
        (["test/1.png", "dev/1.png"], r"dev/1\.png: .* only train, val, test/"),
        (["test/1.png", "train"], r"train: .* only train, val, test/"),
    ],
)
def test_other_layouts_than_official_splits_are_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        folder(official_splits=True).items(put_images(tmp_path, *names))


IMAGENET = {"split_folders": {"train": "train", "test": "val"}, "labels": True}


def test_split_folders_say_which_folder_is_which_split(tmp_path: Path) -> None:
    put_images(tmp_path, "train/n2/b.png", "train/n1/a.png", "val/n1/1.png")
    put_images(tmp_path, "test/3.png", "notes.txt")  # ImageNet's own has no labels, and is left
    found = [(i.id, i.split, i.label) for i in folder(**IMAGENET).items(tmp_path)]
    assert found == [
        ("train/n1/a.png", None, "n1"),
        ("train/n2/b.png", None, "n2"),
        ("val/n1/1.png", "test", "n1"),
    ]


def test_split_folders_may_lie_deeper(tmp_path: Path) -> None:
    put_images(tmp_path, "original/1.JPG", "eval/corrupted/1.png", "eval/truth/1.png")
    paris = folder(split_folders={"train": "original", "test": "eval/truth"})
    items = paris.items(tmp_path)
    assert {i.id: i.split for i in items} == {"eval/truth/1.png": "test", "original/1.JPG": None}
    assert np.array_equal(read(paris, items[1], tmp_path), PICTURE)


@pytest.mark.promise("configuration")
def test_missing_split_folder_shows_the_layout(tmp_path: Path) -> None:
    put_images(tmp_path, "train/n1/a.png")
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=r"no folder \w+/\. .*there train/, val/: link"):
            folder(**IMAGENET).items(root)
    (tmp_path / "val").mkdir()
    with pytest.raises(InputError, match="val: the folder has no files"):
        folder(**IMAGENET).items(tmp_path)


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("options", [{}, {"official_splits": True}, IMAGENET])
def test_every_wrong_layout_shows_the_right_one(tmp_path: Path, options: dict[str, Any]) -> None:
    example = r"cats/1\.jpg" if options is not IMAGENET else "train/, val/.*folders of classes"
    for names in ([], ["notes.txt"] if options else []):
        put_images(tmp_path, *names)
        with pytest.raises(InputError, match=example) as caught:
            folder(**options).items(tmp_path)
        assert "\n" not in str(caught.value)
        tally("invalid configurations refused")


def test_wrong_layout_says_what_is_there_instead(tmp_path: Path) -> None:
    put_images(tmp_path, *(f"{letter}/1.png" for letter in "fedcba"), "readme.txt")
    with pytest.raises(InputError, match=r"a folder test/, found a/, b/, c/, d/, e/, …\. Expected"):
        folder(official_splits=True).items(tmp_path)


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("name", ["/etc", "../other", "a/../b", "", ".hidden"])
def test_split_folders_lie_below_the_root(name: str) -> None:
    with pytest.raises(ValueError, match="split_folders"):
        folder(split_folders={"train": name})


NAMES = ["p1_a.png", "p1_b.png", "p2/p3_c.png", "p2/d.png"]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (None, [None, None, None, None]),
        ("folder", [None, None, "p2", "p2"]),
        (r"(p\d)_|/d", None),
        (r"(p\d)", ["p1", "p1", "p2", "p2"]),
        (r"(p\d_|d)", ["p1_", "p1_", "d", "p3_"]),
    ],
)
def test_groups_come_from_folders_or_names(
    tmp_path: Path, groups: str | None, expected: list[str | None] | None
) -> None:
    source = folder(groups=groups)
    put_images(tmp_path, *NAMES)
    if expected is None:  # what is searched for is there, and its group is not
        with pytest.raises(InputError, match=r"^p2/d\.png: source\.groups .* finds no group in"):
            source.items(tmp_path)
    else:
        assert [item.group for item in source.items(tmp_path)] == expected


def test_folder_of_a_split_is_no_group(tmp_path: Path) -> None:
    put_images(tmp_path, "train/1.png", "train/x/2.png", "test/3.png", "test/x/4.png")
    expected = {"train/1.png": None, "train/x/2.png": "train/x"}
    expected |= {"test/3.png": None, "test/x/4.png": "test/x"}
    for options in (
        {"official_splits": True},
        {"split_folders": {"train": "train", "test": "test"}},
    ):
        items = folder(groups="folder", **options).items(tmp_path)
        assert {item.id: item.group for item in items} == expected


@pytest.mark.promise("configuration")
@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("", "not exactly one group"),
        ("folders", "not exactly one group"),
        (r"(a)_(b)", "not exactly one group"),
        (r"(?:a)", "not exactly one group"),
        ("(a", "missing \\)"),
        ("*(a)", "nothing to repeat"),
        ("(a){99999999999}", "too large"),
    ],
)
def test_pattern_that_names_no_group_is_refused(pattern: str, fault: str) -> None:
    expected = rf"groups\n.*neither folder nor a regular expression with one group, .*: .*{fault}"
    with pytest.raises(ValueError, match=expected):
        folder(groups=pattern)
    tally("invalid configurations refused")


def test_splits_are_named_in_one_way_only() -> None:
    with pytest.raises(ValueError, match="official_splits or split_folders, not both"):
        folder(official_splits=True, split_folders={"train": "a"})


@pytest.mark.promise("file_names")
def test_link_to_itself_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "round.png").symlink_to(tmp_path / "round.png")
    (item,) = folder().items(tmp_path)
    with pytest.raises(UnreadableImageError, match=r"round\.png"):
        folder().read(item, tmp_path, 8)


def test_labels_are_the_last_folder(tmp_path: Path) -> None:
    put_images(tmp_path, "cats/1.png", "big/dogs/2.png", "3.png")
    items = {item.id: item.label for item in folder(labels=True).items(tmp_path)}
    assert items == {"cats/1.png": "cats", "big/dogs/2.png": "dogs", "3.png": ""}
    assert {item.label for item in folder().items(tmp_path)} == {""}


@pytest.mark.promise("configuration")
def test_missing_and_empty_folders_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent: no such folder\. Put the images there"):
        folder().items(tmp_path / "absent")
    (tmp_path / "hollow").mkdir()
    with pytest.raises(InputError, match="hollow: the folder has no files"):
        folder().items(tmp_path / "hollow")


# CIFAR-10


def test_cifar10_has_its_official_test_split_and_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, source = put_cifar10(tmp_path / "raw", monkeypatch), source_class("cifar10")()
    items = source.items(root)
    assert [item.id for item in items if item.split == "test"] == [
        f"test/{i:05d}" for i in range(10)
    ]
    assert sum(item.split is None for item in items) == 50
    assert [item.label for item in items[:3]] == ["class9", "class8", "class7"]
    # Rows are red, green, blue planes: batch 2 holds the training images from 10 on.
    row = np.random.default_rng(1).integers(0, 256, (10, 3072), dtype=np.uint8)[4]
    item = next(item for item in items if item.id == "train/00014")
    assert np.array_equal(read(source, item, root), row.reshape(3, 32, 32).transpose(1, 2, 0))
