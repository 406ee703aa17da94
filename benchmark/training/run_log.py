"""Losses and scores of a run -> a progress bar and, where they are wanted, TensorBoard events.

Nothing here gives the loop anything back, so that watching a run does not change it.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmark.core import paths
from data.errors import InputError

UNSHOWN = (
    *("total", "reconstruction", "gradient_reconstruction", "gradient_adversarial"),
    *("real", "fake", "mean_iou"),
)
"""Values of a step that the progress bar has no room for."""


@dataclass(frozen=True)
class RunLog:
    """The progress bar of a run and, where they are wanted, its TensorBoard events."""

    bar: "tqdm[NoReturn]"
    events: Any = None
    """TensorBoard's `SummaryWriter`; its methods have no types."""

    def show_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Show the losses of single steps."""
        short = {
            name.replace("generator/", "g/").replace("discriminator/", "d/"): f"{value:.3g}"
            for name, value in losses.items()
            if name.split("/")[-1] not in UNSHOWN
        }
        self.bar.set_postfix(short, refresh=False)
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
    run: paths.Run,
    done_steps: int,
    images: tuple[int, int],
    tensorboard: Path | None,
    shown: bool = True,
) -> Iterator[RunLog]:
    """Show a run that begins or goes on after a number of steps.

    Args:
        run: suite, variant and seed.
        done_steps: steps that the run has behind it.
        images: how many images these had, and those of the whole run have.
        tensorboard: where to write event files, below `<suite>/<variant>/seed<seed>`; without it
            none are written.
        shown: whether to show and write anything, which of several processes the first one does.

    Raises:
        InputError: the folder lies where DVC removes files, or TensorBoard is not installed.
    """
    with ExitStack() as stack:
        events = None
        if tensorboard is not None and shown:
            for top in ("benchmark", "data", "models", "reports"):  # DVC removes outputs there
                if tensorboard.resolve().is_relative_to(Path(top).resolve()):
                    lies = f"--tensorboard {tensorboard}: lies in {top}/; choose a folder outside"
                    raise InputError(lies)
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise InputError("--tensorboard needs `pip install tensorboard`") from None
            # Readers drop what earlier files have from this step on.
            purge_step = done_steps + 1 if done_steps else 0
            writer: Any = SummaryWriter(str(tensorboard / str(run)), purge_step=purge_step)
            events = stack.enter_context(writer)
        done, total = images
        bar = tqdm(
            total=total,
            initial=done,
            desc=str(run),
            unit="image",
            mininterval=1.0,
            disable=not shown,
        )
        yield RunLog(stack.enter_context(bar), events)
