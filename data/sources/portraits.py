"""Procedural faces, any number at any size; nothing to download."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.procedural_faces import render_portrait
from data.sources import ImageSource, Item


class Source(ImageSource):
    """Faces number 0 to `count - 1` of a seed."""

    needs_folder: ClassVar[bool] = False

    count: int = Field(ge=1)
    seed: int = Field(default=0, ge=0)

    def items(self, root: Path) -> Sequence[Item]:
        """Return one item a face; the folder is not used."""
        return [Item(id=f"face{index:08d}", key=index) for index in range(self.count)]

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Draw the face at the size that the suite asks for."""
        return render_portrait(item.key, image_size, self.seed)
