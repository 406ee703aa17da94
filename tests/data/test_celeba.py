"""CelebA in the layouts in which it is handed out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import InputError
from data.sources import ImageSource, source_class
from tests.support.layouts import picture, put_celeba, put_images

NAMES = [f"{number:06d}.jpg" for number in range(1, 7)]


def celeba(**options: Any) -> ImageSource:
    return source_class("celeba").model_validate(options)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_celeba(tmp_path / "celeba", monkeypatch)


@pytest.mark.parametrize(
    "folder",
    ["img_align_celeba", "img_align_celeba/img_align_celeba", "Img/img_align_celeba", "."],
)
def test_every_layout_gives_the_same_items_and_pixels(tmp_path: Path, folder: str) -> None:
    put_images(tmp_path / folder, *NAMES)
    put_images(tmp_path, "README.png", "img_align_celeba_png/000009.png", "list_attr_celeba.txt")
    source = celeba()
    items = source.items(tmp_path)
    assert [item.id for item in items] == NAMES
    assert {item.split for item in items} == {None}
    for number, item in enumerate(items):
        assert np.array_equal(source.read(item, tmp_path, 8), picture(number))


@pytest.mark.parametrize(
    ("name", "header", "separator"),
    [
        ("list_eval_partition.txt", "", " "),
        ("list_eval_partition.csv", "image_id,partition\r\n", ","),
        ("Eval/list_eval_partition.txt", "", " "),
    ],
)
def test_official_partition_is_kept(root: Path, name: str, header: str, separator: str) -> None:
    (root / "list_eval_partition.txt").unlink()
    (root / name).parent.mkdir(exist_ok=True)
    lines = [f"{n}{separator}{p}\n" for n, p in zip(NAMES, "200110", strict=True)]
    (root / name).write_text(header + "".join(lines))
    items = celeba(official_partition=True).items(root)
    # What is trained on may be cut further.
    assert [item.split for item in items] == ["test", None, None, "val", "val", None]
    assert {item.split for item in celeba().items(root)} == {None}


def test_count_takes_the_first_by_number(root: Path) -> None:
    assert [item.id for item in celeba(count=4).items(root)] == NAMES[:4]
    items = celeba(count=4, official_partition=True).items(root)
    assert [item.split for item in items] == [None, None, None, "val"]
    (root / "img_align_celeba" / NAMES[2]).unlink()
    with pytest.raises(InputError, match=r"has 3 of the photographs 1 to 4 that source\.count"):
        celeba(count=4).items(root)


PEOPLE = ["2880", "2937", "2880", "8", "8", "2937"]


@pytest.mark.parametrize("name", ["identity_CelebA.txt", "Anno/identity_CelebA.txt"])
def test_photographs_of_a_person_are_a_group(root: Path, name: str) -> None:
    assert {item.group for item in celeba().items(root)} == {None}
    (root / name).parent.mkdir(exist_ok=True)
    lines = [f"{n} {person}\n" for n, person in zip(NAMES, PEOPLE, strict=True)]
    (root / name).write_text("".join(lines))
    for options in ({}, {"official_partition": True}):
        assert [item.group for item in celeba(**options).items(root)] == PEOPLE
    assert [item.group for item in celeba(count=3).items(root)] == PEOPLE[:3]
    (root / name).write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match=r"identity_CelebA\.txt: does not list 000006\.jpg"):
        celeba().items(root)


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("line", ["000003.jpg", "000003.jpg Ann", "000003.jpg 1 2", "\x00\xff"])
def test_broken_line_of_the_identities_is_named(root: Path, line: str) -> None:
    text = f"000001.jpg 7\n000002.jpg 7\n{line}\n"
    (root / "identity_CelebA.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"CelebA\.txt, line 3: .* is not a name and the number"):
        celeba().items(root)


@pytest.mark.promise("configuration")
def test_missing_and_other_folders_show_the_layout(tmp_path: Path) -> None:
    put_images(tmp_path / "other", "faces/1.jpg", "img_align_celeba/1.jpg")
    layout = r"by hand.*img_align_celeba/000001\.jpg.*list_eval_partition\.txt.*benchmark attach"
    for name, reason in (("absent", "no such folder"), ("other", r"no photographs 000001\.jpg")):
        with pytest.raises(InputError, match=rf"{name}: {reason}.*{layout}") as caught:
            celeba().items(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_partition_is_only_needed_where_it_is_asked_for(root: Path) -> None:
    (root / "list_eval_partition.txt").unlink()
    assert len(celeba().items(root)) == 6
    with pytest.raises(InputError, match=r"official_partition needs list_eval_partition\.txt"):
        celeba(official_partition=True).items(root)


@pytest.mark.promise("configuration")
@pytest.mark.parametrize("line", ["000003.jpg", "000003.jpg 3", "000003.jpg 0 1", "\x00\xff"])
def test_broken_line_of_the_partition_is_named(root: Path, line: str) -> None:
    text = f"000001.jpg 0\n000002.jpg 0\n{line}\n"
    (root / "list_eval_partition.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"partition\.txt, line 3: .* is not a name and 0"):
        celeba(official_partition=True).items(root)


def test_photographs_and_partition_have_to_agree(root: Path) -> None:
    (root / "img_align_celeba" / NAMES[1]).unlink()
    with pytest.raises(InputError, match=r"lacks 1 photographs that .* lists, 000002\.jpg first"):
        celeba(official_partition=True).items(root)
    put_images(root / "img_align_celeba", *NAMES, "000007.jpg")
    with pytest.raises(InputError, match=r"partition\.txt: does not list 000007\.jpg"):
        celeba(official_partition=True).items(root)
