"""Sources of images: one module each, all with a class `Source`.

`Source` is its own configuration: the fields of the class are the options of the suite's `source`
entry.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from data.errors import InputError


class UnreadableImageError(InputError):
    """A file that cannot be decoded to an image."""


@dataclass(frozen=True, slots=True)  # slots: a source may have a million items
class Item:
    """One image of a source, before it is decoded."""

    id: str
    """Unique within the source: the path of a file, or a name that tells where it is from."""
    key: Any = None
    """What `read` needs to find the image; picklable."""
    split: str | None = None
    """`train`, `val` or `test` where the dataset has official splits."""
    group: str | None = None
    """Items of one group are one statistical unit and share a split: blocks of one photograph, say,
    or photographs of one person. Without a group an item is one of its own."""
    label: str = ""
    """Class name, where the dataset has classes."""


class ImageSource(BaseModel, ABC):
    """A dataset, or a procedure that makes images."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    needs_folder: ClassVar[bool] = True
    """Whether it reads, or downloads to, the folder of the suite's images."""
    group_noun: ClassVar[str] = "groups"
    """What its groups are, in the plural."""

    @abstractmethod
    def items(self, root: Path) -> Sequence[Item]:
        """Return all items in sorted order.

        Args:
            root: folder of the suite's images; sources that make their images ignore it.

        Raises:
            InputError: the folder is missing or does not have the layout that the source expects.
        """

    @abstractmethod
    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Return the pixels of an item, `[h, w, 3]` uint8.

        The caller resizes; `image_size` tells sources that draw their images what size to draw.

        Raises:
            UnreadableImageError: the item cannot be decoded.
        """


def source_names() -> list[str]:
    """Return the names of all sources, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def source_class(name: str) -> type[ImageSource]:
    """Return the class `Source` of the module of that name.

    Raises:
        ValueError: there is no such source.
    """
    if name not in source_names():
        raise ValueError(f"no source {name!r}; there are {', '.join(source_names())}")
    found: type[ImageSource] = importlib.import_module(f"data.sources.{name}").Source
    return found
