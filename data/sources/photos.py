"""The photographs that come with scikit-image, cut into blocks; nothing to download."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.errors import InputError
from data.images import Resize, decode
from data.sources import ImageSource, Item

# Left out: drawings (logo, phantom, horse, chessboards), a chart (color), and the right view of the
# motorcycle, which shows what the left one shows.
PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)


class Source(ImageSource):
    """Square blocks at several scales.

    A photograph is tiled with cells of `cell` px. At scale `s` a cell is cut into blocks of `block
    * s` px that are reduced to `block`. Cells do not overlap and are the groups of the split, so a
    block and everything that overlaps it are in one split.
    """

    needs_folder: ClassVar[bool] = False

    cell: int = Field(ge=16)
    block: int = Field(ge=16)
    scales: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1,), min_length=1)
    min_contrast: float = Field(default=4.0, ge=0)
    """Blocks whose pixels have a smaller standard deviation (of 255) are dropped."""

    def items(self, root: Path) -> Sequence[Item]:
        """Return one item a block that is not nearly constant; the folder is not used.

        Raises:
            InputError: a block is larger than a cell.
        """
        if self.block * max(self.scales) > self.cell:
            raise InputError(
                f"source.block {self.block} at scale {max(self.scales)} is larger than "
                f"source.cell {self.cell}"
            )
        found = []
        for name in PHOTOGRAPHS:
            height, width = _photograph(name).shape[:2]
            for top in range(0, height - self.cell + 1, self.cell):
                for left in range(0, width - self.cell + 1, self.cell):
                    found += self._blocks_of_cell(name, top, left)
        return sorted(found, key=lambda item: item.id)

    def _blocks_of_cell(self, name: str, top: int, left: int) -> list[Item]:
        found = []
        for scale in self.scales:
            side = self.block * scale
            for y in range(top, top + self.cell - side + 1, side):
                for x in range(left, left + self.cell - side + 1, side):
                    if _photograph(name)[y : y + side, x : x + side].std() < self.min_contrast:
                        continue
                    place = f"{Path(name).stem}_y{y:04d}_x{x:04d}_s{scale}"
                    group = f"{name}:{top}:{left}"
                    found.append(Item(id=place, key=(name, y, x, side), group=group))
        return found

    def read(self, item: Item, root: Path, image_size: int) -> NDArray[np.uint8]:
        """Cut the block out and average it down to `block` px."""
        name, y, x, side = item.key
        block = _photograph(name)[y : y + side, x : x + side]
        return Resize(filter="box").apply(block, self.block)


@lru_cache(maxsize=len(PHOTOGRAPHS))
def _photograph(name: str) -> NDArray[np.uint8]:
    import skimage.data

    return decode(Path(skimage.data.__file__).parent / name)
