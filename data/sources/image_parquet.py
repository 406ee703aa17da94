"""Parquet files with a column of encoded images, as hubs of data sets store them."""

import importlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool

from data.errors import InputError
from data.folders import visible_files
from data.images import decode_bytes
from data.sources import ImageSource, Item, UnreadableImageError

LARGEST_GROUP_BYTES = 1 << 30
SPLIT_OF = {
    **{"train": None, "test": "test"},
    **{"validation": "val", "valid": "val", "val": "val", "dev": "val"},
}
"""Splits by the first word of a file's name; what is in the training set may be cut further."""


class Source(ImageSource):
    """One image a row of all `*.parquet` files below the folder.

    The column holds encoded files (JPEG, PNG, …), as bytes or as a struct with a field `bytes`. A
    process keeps the images of one row group in memory. With `splits_from_names` the name of a file
    or of its folder begins with its split, as in `test-00000-of-00003.parquet`. Rows with the same
    value in `group_column` are a group; those without one are on their own.
    """

    column: str = "image"
    label_column: str | None = None
    group_column: str | None = None
    splits_from_names: StrictBool = False
    levels: float | None = Field(default=None, gt=0)
    """The level that is white where samples are no bytes; see `decode`."""

    def items(self, root: Path) -> Sequence[Item]:
        """Return one item a row, sorted by file and row.

        Raises:
            InputError: there is no Parquet file, or one is damaged, has no such column or no name
                of a split.
        """
        names = [name for name in visible_files(root) if name.endswith(".parquet")]
        if not names:
            raise InputError(f"{root}: no *.parquet files there")
        found = [item for name in names for item in self._items_of(root, name)]
        return sorted(found, key=lambda item: item.id)

    def _items_of(self, root: Path, name: str) -> Iterator[Item]:
        split = _split_of(name) if self.splits_from_names else None
        parquet = _parquet()
        try:
            with parquet.ParquetFile(root / name) as file:
                self._check(root / name, file)
                sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
                labels = _texts(file, self.label_column, sum(sizes))
                groups = _texts(file, self.group_column, sum(sizes))
        except _arrow_errors() as error:
            raise InputError(f"{root / name}: damaged ({_one_line(error)})") from None
        places = ((chunk, row) for chunk, size in enumerate(sizes) for row in range(size))
        for row, (place, label, group) in enumerate(zip(places, labels, groups, strict=True)):
            key = (name, row, *place)
            yield Item(f"{name}/{row:08d}", key, split, group=group or None, label=label)

    def _check(self, path: Path, file: Any) -> None:
        """Refuse columns of other types, and row groups that would fill the memory."""
        schema, types = file.schema_arrow, importlib.import_module("pyarrow.types")
        texts = [column for column in (self.label_column, self.group_column) if column]
        for column in (self.column, *texts):
            if column not in schema.names:
                raise InputError(
                    f"{path}: no column {column!r}; there are {', '.join(schema.names)}"
                )
        kind = schema.field(self.column).type
        if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (types.is_binary(kind) or types.is_large_binary(kind)):
            raise InputError(
                f"{path}: column {self.column!r} is {schema.field(self.column).type}, neither "
                "binary nor a struct with a binary field bytes"
            )
        for column in texts:
            if types.is_nested(schema.field(column).type):
                raise InputError(f"{path}: column {column!r} holds no simple values")
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group)
            chunks = [rows.column(i) for i in range(rows.num_columns)]
            size = sum(
                chunk.total_uncompressed_size
                for chunk in chunks
                if f"{chunk.path_in_schema}.".startswith(f"{self.column}.")
            )
            if size > LARGEST_GROUP_BYTES:
                raise InputError(
                    f"{path}: row group {group} has {size >> 20} MiB, more than "
                    f"{LARGEST_GROUP_BYTES >> 20}; write the file with fewer rows a group"
                )

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Decode the image of a row."""
        name, row, group, row_of_group = item.key
        value = _row_group(root / name, self.column, group)[row_of_group].as_py()
        content = value["bytes"] if isinstance(value, dict) else value
        if content is None:
            raise UnreadableImageError(f"{root / name}, row {row}: has no bytes of an image")
        return decode_bytes(content, f"{root / name}, row {row}", self.levels)


def _texts(file: Any, column: str | None, count: int) -> list[str]:
    """Return the values of a column as text; empty ones where it is not asked for."""
    if column is None:
        return [""] * count
    values = file.read(columns=[column]).column(0).to_pylist()
    return ["" if value is None else " ".join(str(value).split()) for value in values]


@lru_cache(maxsize=1)
def _row_group(path: Path, column: str, group: int) -> Any:
    """Return the column of a row group, which the next item needs too as a rule."""
    parquet = _parquet()
    try:
        with parquet.ParquetFile(path) as file:
            return file.read_row_group(group, columns=[column]).column(column)
    except _arrow_errors() as error:
        raise UnreadableImageError(
            f"{path}: row group {group} is damaged ({_one_line(error)})"
        ) from None


def _split_of(name: str) -> str | None:
    for part in name.split("/")[:-3:-1]:  # the file, then its folder
        word = re.match("[a-z]*", part)
        if word and word[0] in SPLIT_OF:
            return SPLIT_OF[word[0]]
    raise InputError(
        f"{name}: splits_from_names needs a name that begins with {', '.join(SPLIT_OF)}"
    )


def _parquet() -> Any:  # pyarrow has no type annotations
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise InputError(
            "the source image_parquet needs a package that is not installed: `pip install pyarrow`"
        ) from None


def _arrow_errors() -> tuple[type[Exception], ...]:
    return OSError, importlib.import_module("pyarrow").ArrowException


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
