"""The photographs that come with scikit-image, cut into blocks; nothing to download."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

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

    At scale `s` a photograph is tiled with blocks of `block * s` px that are reduced to `block`.
    All blocks of a photograph are one group, so none of two splits show the same things.
    """

    needs_folder: ClassVar[bool] = False
    group_noun: ClassVar[str] = "photographs"

    block: int = Field(ge=16)
    scales: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1,), min_length=1)
    min_contrast: float = Field(default=4.0, ge=0)
    """Blocks whose pixels have a smaller standard deviation (of 255) are dropped."""
    max_blocks: int = Field(ge=1)
    """Of a photograph with more blocks so many are kept, evenly spread over it and the scales."""

    def items(self, root: Path) -> Sequence[Item]:
        """Return one item a block that is kept; the folder is not used."""
        found = []
        for name in PHOTOGRAPHS:
            blocks = self._blocks_of(name)
            kept = min(self.max_blocks, len(blocks))
            found += [blocks[number * len(blocks) // kept] for number in range(kept)]
        return sorted(found, key=lambda item: item.id)

    def _blocks_of(self, name: str) -> list[Item]:
        """Return the blocks that are not nearly constant by scale, row and column."""
        found, (height, width) = [], _photograph(name).shape[:2]
        for scale in self.scales:
            side = self.block * scale
            for y in range(0, height - side + 1, side):
                for x in range(0, width - side + 1, side):
                    if _photograph(name)[y : y + side, x : x + side].std() < self.min_contrast:
                        continue
                    photograph = Path(name).stem
                    place = f"{photograph}_y{y:04d}_x{x:04d}_s{scale}"
                    found.append(Item(id=place, key=(name, y, x, side), group=photograph))
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
