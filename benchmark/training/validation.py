"""From the present weights of a run to validation scores, completed images and an animation."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from benchmark.core.config import Suite
from benchmark.core.files import atomic_path
from benchmark.metrics import missing_metrics, quantize, score_images
from benchmark.metrics.error import psnr_cap_db
from benchmark.training.batches import make_batch
from benchmark.training.gan import GAN
from benchmark.training.network_inputs import complete
from data.store import Store

MOST_FRAMES = 60
"""An animation of more epochs leaves some out, so that it stays small and short."""
FRAME_MS, LAST_FRAME_MS = 200, 2000
TILE_PX = 128
"""Side of an image in the animation, or somewhat less: small ones grow by an integer factor."""
LABEL_PX, FONT_PX = 84, 14
INK = (34, 34, 34)
VALIDATION_METRICS = ("mse_h", "psnr_h", "ssim_h", "stlpips_alex", "lpips_alex")
Strip = NDArray[np.uint8]
"""Images of equal size side by side, `[H, n·W, 3]`."""


class Validation(NamedTuple):
    """What the validation images say about the weights."""

    scores: dict[str, float]
    """Mean metrics over all images, named `validation/<metric>`."""
    completed: Strip
    """The first images, as many as the suite wants to watch."""


def validate(suite: Suite, store: Store, gan: GAN, device: torch.device) -> Validation:
    """Complete the validation images; leaves the networks in evaluation mode.

    Raises:
        ValueError: a network puts out NaN.
    """
    gan.train(False)
    images, boxes = store.images("val"), store.boxes("val")[:, 0]
    names = [name for name in VALIDATION_METRICS if name not in missing_metrics()]
    scores: dict[str, list[Tensor]] = {name: [] for name in names}
    pictures = []
    batch_size, count = suite.evaluation.batch_size, suite.watching.images
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        done = complete(
            gan.inpainter,
            torch.from_numpy(np.array(images[part])).to(device),
            torch.from_numpy(boxes[part]).to(device),
            suite.mask.size,
        )
        for name, values in score_images(done.completed, done.target, done.mask, names).items():
            scores[name].append(values)
        if start < count:
            pictures.append(done.completed[: count - start])
    cap = psnr_cap_db(suite.mask.size**2)
    means = {
        # Only a PSNR can be infinite, and no other metric comes near its cap.
        f"validation/{name}": float(torch.cat(values).clamp(max=cap).mean())
        for name, values in scores.items()
    }
    return Validation(means, _side_by_side(torch.cat(pictures)))


class Gallery:
    """The first validation images, as the networks are given them and as they are."""

    def __init__(self, suite: Suite, store: Store) -> None:
        count = suite.watching.images
        images = torch.from_numpy(np.array(store.images("val")[:count]))
        boxes = torch.from_numpy(store.boxes("val")[:count, 0])
        batch = make_batch(images, boxes, suite.mask.size)
        self.masked = _side_by_side(quantize(batch.masked))
        """Mid-gray in the hole."""
        self.truth = _side_by_side(images.permute(0, 3, 1, 2))

    def compare(self, completed: Strip) -> NDArray[np.uint8]:
        """Put completions below the masked images and above the truth, `[3·H, n·W, 3]`."""
        return np.concatenate([self.masked, completed, self.truth])


def _side_by_side(images: Tensor) -> Strip:
    """Turn `[n, 3, H, W]` uint8 into a strip."""
    strip: Strip = images.permute(2, 0, 3, 1).flatten(1, 2).cpu().numpy()
    return strip


def write_animation(path: Path, pictures: Sequence[Path], gallery: Gallery) -> None:
    """Write how the completions change from epoch to epoch, as a GIF.

    Each frame shows the masked images, the completions and the true images.

    Args:
        path: the file to write.
        pictures: strips of completions, `epoch<number>.png`, in the order of the epochs; at least
            one. At most `MOST_FRAMES` of them are shown, the first and the last among them.
        gallery: the images that were completed.
    """
    shown = thinned(pictures, MOST_FRAMES)
    # One palette, so that what does not change between two frames takes no bytes and no flicker.
    ends = [_frame(shown[place], gallery) for place in sorted({0, len(shown) // 2, len(shown) - 1})]
    palette = Image.fromarray(np.concatenate(ends)).quantize(255, Image.Quantize.MEDIANCUT)
    frames = (
        Image.fromarray(_frame(picture, gallery)).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for picture in shown
    )
    with atomic_path(path) as partial:
        next(frames).save(
            partial,
            format="GIF",
            save_all=True,
            append_images=frames,
            duration=[FRAME_MS] * (len(shown) - 1) + [LAST_FRAME_MS],
            loop=0,
        )


def thinned(items: Sequence[Path], most: int) -> list[Path]:
    """Return all items, or `most` of them at even distances with the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[place * (len(items) - 1) // (most - 1)] for place in range(most)]


def _frame(picture: Path, gallery: Gallery) -> NDArray[np.uint8]:
    """Draw one epoch: names of the rows, then the images."""
    with Image.open(picture) as file:
        completed: Strip = np.asarray(file)
    height = completed.shape[0]
    side = height * (TILE_PX // height) or TILE_PX
    size = completed.shape[1] * side // height, 3 * side
    # For an integer factor it repeats pixels, and to shrink it averages them.
    images = Image.fromarray(gallery.compare(completed)).resize(size, Image.Resampling.BOX)
    canvas = Image.new("RGB", (LABEL_PX + images.width, images.height), "white")
    canvas.paste(images, (LABEL_PX, 0))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(FONT_PX)
    epoch = int(picture.stem.removeprefix("epoch"))
    for row, name in enumerate(("masked", f"epoch {epoch}", "truth")):
        draw.text((8, row * side + side // 2), name, fill=INK, font=font, anchor="lm")
    return np.asarray(canvas)
