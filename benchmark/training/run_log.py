"""From losses and scores to a progress bar, TensorBoard events and an animated picture.

Nothing here gives the loop anything back, so that a run has the same result whether it is watched
or not.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.files import atomic_path
from benchmark.training.validation import Gallery, Strip
from data.errors import InputError
from models.variant import Variant

MOST_FRAMES = 60
"""An animation of more epochs leaves some out, so that it stays small and short."""
FRAME_MS, LAST_FRAME_MS = 200, 2000
TILE_PX = 128
"""Side of an image in the animation, or somewhat less: small ones grow by an integer factor."""
LABEL_PX, FONT_PX = 84, 14
INK = (34, 34, 34)


@dataclass(frozen=True)
class RunLog:
    """The progress bar of a run and, where they are wanted, its TensorBoard events."""

    bar: "tqdm[NoReturn]"
    events: Any = None
    """TensorBoard's `SummaryWriter`; its methods have no types."""

    def show_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Show the losses of single steps."""
        self.bar.set_postfix(_short(losses), refresh=False)
        self._write({f"step/{name}": value for name, value in losses.items()}, step)

    def show_epoch(
        self, step: int, losses: Mapping[str, float], scores: Mapping[str, float]
    ) -> None:
        """Show the mean losses of an epoch and the scores of its validation."""
        self._write({f"epoch/{name}": value for name, value in losses.items()} | {**scores}, step)

    def show_picture(self, step: int, picture: NDArray[np.uint8]) -> None:
        """Show fixed images, `[H, W, 3]`."""
        if self.events is not None:
            self.events.add_image("validation/images", picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Bring to the disk what was shown so far."""
        if self.events is not None:
            self.events.flush()

    def _write(self, values: Mapping[str, float], step: int) -> None:
        if self.events is not None:
            for name, value in values.items():
                self.events.add_scalar(name, value, step)


@contextmanager
def open_run_log(
    suite: Suite,
    variant: Variant,
    run: paths.Run,
    done_steps: int,
    total_steps: int,
    tensorboard: Path | None = None,
) -> Iterator[RunLog]:
    """Show a run that begins or goes on after a number of steps.

    Args:
        suite: the suite of the run.
        variant: the variant of the run.
        run: names of both, and the seed.
        done_steps: steps that the run has behind it.
        total_steps: steps of the whole run.
        tensorboard: where to write event files, below `<suite>/<variant>/seed<seed>`; without it
            none are written.

    Raises:
        InputError: the folder lies where DVC removes files, or TensorBoard is not installed.
    """
    batch_size = suite.training.batch_size
    with ExitStack() as stack:
        events = None
        if tensorboard is not None:
            settings = {"suite": suite.model_dump(mode="json"), "seed": run.seed}
            settings |= {"variant": variant.model_dump(mode="json")}
            events = stack.enter_context(_open_events(tensorboard, run, done_steps, settings))
        bar = tqdm(
            total=total_steps * batch_size,
            initial=done_steps * batch_size,
            desc=str(run),
            unit="image",
            mininterval=1.0,
        )
        yield RunLog(stack.enter_context(bar), events)


def _open_events(root: Path, run: paths.Run, done_steps: int, settings: Mapping[str, Any]) -> Any:
    """Begin an event file that goes on where the earlier ones of a run are still right."""
    for top in ("benchmark", "data", "models", "reports"):
        if root.resolve().is_relative_to(Path(top).resolve()):
            raise InputError(f"--tensorboard {root}: lies in {top}/; choose a folder outside")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "--tensorboard: TensorBoard is not installed; `pip install tensorboard`"
        ) from None
    folder = root / str(run)
    is_new = done_steps == 0 or not any(folder.glob("events.out.tfevents.*"))
    # Readers drop what earlier files have from this step on.
    writer: Any = SummaryWriter(str(folder), purge_step=done_steps + 1 if done_steps else 0)
    if is_new:
        text = json.dumps(settings, indent=1, sort_keys=True)
        writer.add_text("settings", textwrap.indent(text, "    "), done_steps)  # Markdown: as it is
    return writer


def _short(losses: Mapping[str, float]) -> dict[str, str]:
    """Return the losses for the progress bar, under short names."""
    short = {
        name.replace("generator/", "g/").replace("discriminator/", "d/"): value
        for name, value in losses.items()
        if name not in ("generator/total", "generator/reconstruction")
    }
    return {name: f"{value:.3g}" for name, value in short.items()}


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
