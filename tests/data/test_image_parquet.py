"""Parquet files with encoded images: their columns, names, damage and row groups."""

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import InputError
from data.sources import ImageSource, UnreadableImageError, image_parquet, source_class
from tests.support.layouts import encoded, picture, put_parquet, write_parquet, write_table


def parquet(**options: Any) -> ImageSource:
    return source_class("image_parquet").model_validate(options)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    image_parquet._row_group.cache_clear()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_parquet(tmp_path / "raw", monkeypatch)


def test_rows_of_all_shards_are_listed_with_split_and_label(root: Path) -> None:
    items = parquet(splits_from_names=True, label_column="label").items(root)
    found = [(item.id.rsplit("/")[-2][:11], item.id[-8:], item.split, item.label) for item in items]
    assert found == [
        *(("test-00000-", f"{row:08d}", "test", str(7 + row)) for row in range(3)),
        *(("train-00000", f"{row:08d}", None, str(row)) for row in range(5)),
        *(("train-00001", f"{row:08d}", None, str(5 + row)) for row in range(2)),
    ]
    assert {(item.split, item.label) for item in parquet().items(root)} == {(None, "")}


def test_pixels_are_those_of_the_row(root: Path) -> None:
    source = parquet(label_column="label")
    for item in source.items(root):
        assert np.array_equal(source.read(item, root, 8), picture(int(item.label)))


def test_column_may_hold_bare_bytes_and_have_another_name(tmp_path: Path) -> None:
    contents = [encoded(picture(n)) for n in range(3)]
    write_table(tmp_path / "faces.parquet", {"my.photo": contents, "kind": ["a  b", None, "ü"]})
    source = parquet(column="my.photo", label_column="kind")
    items = source.items(tmp_path)
    assert [item.label for item in items] == ["a b", "", "ü"]
    assert [item.id for item in items] == [f"faces.parquet/{row:08d}" for row in range(3)]
    for number, item in enumerate(items):
        assert np.array_equal(source.read(item, tmp_path, 8), picture(number))


def test_rows_with_a_value_in_common_are_a_group(tmp_path: Path) -> None:
    columns = {"image": [encoded(picture(n)) for n in range(4)], "person": [7, None, 8, 7]}
    write_table(tmp_path / "faces.parquet", columns)
    items = parquet(group_column="person").items(tmp_path)
    assert [item.group for item in items] == ["7", None, "8", "7"]
    with pytest.raises(InputError, match=r"no column 'who'; there are image, person"):
        parquet(group_column="who").items(tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.parquet", None),
        ("validation-00000-of-00001.parquet", "val"),
        ("default/test/0000.parquet", "test"),
        ("deep/er/valid_images.parquet", "val"),
        ("test/train-0.parquet", None),
    ],
)
def test_split_is_the_first_word_of_file_or_folder(
    tmp_path: Path, name: str, split: str | None
) -> None:
    write_parquet(tmp_path / name, range(1))
    (item,) = parquet(splits_from_names=True).items(tmp_path)
    assert item.split == split


@pytest.mark.parametrize("name", ["data.parquet", "training-0.parquet", "test/a/b.parquet"])
def test_name_without_a_split_is_refused(tmp_path: Path, name: str) -> None:
    write_parquet(tmp_path / name, range(1))
    with pytest.raises(InputError, match=rf"{name}: splits_from_names needs .* train, test, valid"):
        parquet(splits_from_names=True).items(tmp_path)


@pytest.mark.promise("configuration")
def test_missing_files_and_columns_are_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "hollow").mkdir()
    with pytest.raises(InputError, match=r"hollow: no \*\.parquet files there"):
        parquet().items(tmp_path / "hollow")
    with pytest.raises(InputError, match=r"absent: no such folder.*benchmark attach"):
        parquet().items(tmp_path / "absent")
    with pytest.raises(InputError, match=r"c3d\.parquet: no column 'img'; there are image, label"):
        parquet(column="img").items(root)
    with pytest.raises(InputError, match=r"no column 'class'; there are image, label"):
        parquet(label_column="class").items(root)
    with pytest.raises(InputError, match=r"column 'label' is int64, neither binary nor a struct"):
        parquet(column="label").items(root)
    with pytest.raises(InputError, match=r"column 'image' holds no simple values"):
        parquet(label_column="image").items(root)


@pytest.mark.parametrize("image", [{"path": "a.png"}, {"bytes": "text", "path": "a.png"}])
def test_struct_without_bytes_is_refused(tmp_path: Path, image: dict[str, str]) -> None:
    write_table(tmp_path / "links.parquet", {"image": [image]})
    with pytest.raises(InputError, match=r"column 'image' is struct<.*>, neither binary nor"):
        parquet().items(tmp_path)


@pytest.mark.promise("images")
@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = write_parquet(tmp_path / "cut.parquet", range(4))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut\.parquet: damaged \(.+\)$"):
        parquet().items(tmp_path)


@pytest.mark.promise("images")
def test_damaged_row_group_is_named_and_others_are_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "scratched.parquet", range(4))
    module = importlib.import_module("pyarrow.parquet")
    start = module.read_metadata(path).row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    source, items = parquet(), parquet().items(tmp_path)
    assert np.array_equal(source.read(items[1], tmp_path, 8), picture(1))
    with pytest.raises(UnreadableImageError, match=r"scratched\.parquet: row group 1 is damaged"):
        source.read(items[2], tmp_path, 8)


@pytest.mark.promise("images")
def test_row_without_an_image_is_named(tmp_path: Path) -> None:
    contents = [{"bytes": None}, None, {"bytes": b"no image"}, {"bytes": b""}]
    write_table(tmp_path / "gaps.parquet", {"image": contents})
    items = parquet().items(tmp_path)
    for row, reason in enumerate(["has no bytes"] * 2 + ["not a readable image"] * 2):
        with pytest.raises(UnreadableImageError, match=rf"gaps\.parquet, row {row}: {reason}"):
            parquet().read(items[row], tmp_path, 8)


def test_row_groups_are_read_once_in_order_and_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = importlib.import_module("pyarrow.parquet")
    groups, rows = 12, 8
    large = encoded(np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8))
    contents = [large] * (groups * rows)
    write_table(tmp_path / "many.parquet", {"image": contents}, rows_per_group=rows)
    original, reads = module.ParquetFile.read_row_group, Counter[int]()

    def counted(self: Any, group: int, **options: Any) -> Any:
        reads[group] += 1
        return original(self, group, **options)

    monkeypatch.setattr(module.ParquetFile, "read_row_group", counted)
    source, arrow = parquet(), importlib.import_module("pyarrow")
    items = source.items(tmp_path)
    before, most = arrow.total_allocated_bytes(), 0
    for item in items:
        source.read(item, tmp_path, 8)
        most = max(most, arrow.total_allocated_bytes() - before)
    assert reads == {group: 1 for group in range(groups)}
    # A group is a twelfth; Arrow's buffers are rounded up to powers of two.
    assert 0 < most < len(large) * len(contents) / 4


def test_row_group_that_would_fill_the_memory_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = 2 * len(encoded(picture(0)))  # pages also hold their least and largest value
    monkeypatch.setattr(image_parquet, "LARGEST_GROUP_BYTES", content * 4)
    parquet().items(root)
    monkeypatch.setattr(image_parquet, "LARGEST_GROUP_BYTES", content // 2)
    with pytest.raises(InputError, match=r"row group 0 has .* write the file with fewer rows"):
        parquet().items(root)


def test_missing_package_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"image_parquet needs .* `pip install pyarrow`"):
        parquet().items(root)
