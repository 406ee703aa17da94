"""The train stage: one loop for all variants."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import numpy as np
import pandas as pd
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from benchmark import paths
from benchmark.checkpoints import MANIFEST, ResumeState, run_lock, save_tensors
from benchmark.code import code_digest, json_digest, loaded_code
from benchmark.config import Suite
from benchmark.device import open_device
from benchmark.environment import fingerprint
from benchmark.files import atomic_folder, write_json, write_text
from benchmark.ledger import psnr_cap_db
from benchmark.metrics import missing_metrics, score_images
from benchmark.players import (
    Players,
    build_players,
    loss_names,
    training_digest,
    training_step,
)
from benchmark.progress import CRITERIA, LossMeter, Progress, TrainingDivergedError, check_finite
from benchmark.randomness import (
    pin_global_states,
    training_boxes,
    training_flips,
    training_order,
)
from benchmark.scenes import ImageFeed, complete, make_scene
from data.errors import InputError
from data.store import Store
from models.scene import Scene
from models.variant import Variant

VALIDATION_METRICS = ("mse_h", "psnr_h", "ssim_h", "lpips_alex")
FIXED_IMAGES = 8
"""Validation images whose completion is kept after every epoch."""
SAVE_EVERY_S = 120.0
"""Time between two resume states; has no influence on the result."""
SHOW_EVERY_STEPS = 10
"""Steps between two looks at the losses: each look waits for the device."""


class TrainingInterruptedError(Exception):
    """The run was asked to stop; its state is saved and the same command goes on from there."""


@dataclass(frozen=True)
class Session:
    """What the parts of one training process share."""

    fabric: Fabric
    suite: Suite
    run: paths.Run
    store: Store
    players: Players
    state: ResumeState


def train_run(suite: Suite, variant: Variant, run: paths.Run, device: str = "auto") -> None:
    """Train a variant on a suite and write its checkpoints and curves.

    An interrupted run continues where it was; the result is the same as if it had never stopped.

    Args:
        suite: data, budget and selection.
        variant: networks and losses.
        run: names of both, and the seed.
        device: `cpu`, `cuda`, or `auto`, which is CUDA where there is such a device.

    Raises:
        InputError: the prepared images are missing or do not fit, there is no such device, or
            another process trains the run.
        TrainingInterruptedError: SIGINT or SIGTERM came.
        TrainingDivergedError: a loss is NaN or infinite.
    """
    pin_global_states(run.seed)
    fabric = open_device(suite.training, device)
    _check_selection(suite)
    store = Store(paths.prepared(suite.name))
    store.verify("train", "val")
    with run_lock(run.scratch):
        players = build_players(suite, variant, run.seed, fabric)
        files = loaded_code()
        digests = {
            "config_sha256": training_digest(suite, variant),
            "data_sha256": store.digest(),
            "code_sha256": code_digest(files),
        }
        # With another device or library the rest of the run would not be of one piece.
        key = json_digest([str(run), digests, fingerprint(fabric.device)])[:16]
        session = Session(fabric, suite, run, store, players, ResumeState(run.scratch, key))
        progress = _run_epochs(session)
        if code_digest(files) != digests["code_sha256"]:
            raise InputError(f"{run}: the code changed while it ran; the result is not kept")
        _write_results(session, progress, digests)
        _clear(run.scratch)


def _check_selection(suite: Suite) -> None:
    """Refuse before the training what would fail after it."""
    column, _ = CRITERIA.get(suite.evaluation.checkpoint, ("", ""))
    reason = missing_metrics().get(column.removeprefix("validation/"))
    if reason is not None:
        raise InputError(
            f"suite {suite.name}: evaluation.checkpoint is {suite.evaluation.checkpoint}, "
            f"which cannot be computed: {reason}"
        )


def _run_epochs(session: Session) -> Progress:
    """Train from the saved state, or from the start, to the end of the budget."""
    suite, run, state = session.suite, session.run, session.state
    device = session.fabric.device
    images = session.store.images("train")
    batch_size = suite.training.batch_size
    steps_per_epoch = len(images) // batch_size
    if steps_per_epoch == 0:
        raise InputError(
            f"suite {suite.name}: {len(images)} training images are fewer than "
            f"training.batch_size, {batch_size}"
        )
    total_steps = suite.training.epochs * steps_per_epoch
    progress = Progress()
    if (saved := state.load()) is not None:
        session.players.restore(saved[0])
        progress = Progress(**saved[1])
    feed = ImageFeed(images, device)
    saved_at = time.monotonic()
    with _progress_bar(run, total_steps, progress.step, batch_size) as bar, _signals() as stopped:
        while progress.step < total_steps:
            epoch, first_step = divmod(progress.step, steps_per_epoch)
            meter = LossMeter(progress.sums, progress.counts, device)
            session.players.train(True)
            for scene in _scenes(suite, run.seed, epoch, first_step, feed, len(images), device):
                losses = training_step(
                    session.fabric, session.players, scene, progress.step, total_steps
                )
                meter.add(losses)
                progress.step += 1
                bar.update(batch_size)
                if progress.step % SHOW_EVERY_STEPS == 0:
                    check_finite(run, progress.step, meter.last())
                    bar.set_postfix(_shown(meter.last()), refresh=False)
                at_end, stop = progress.step % steps_per_epoch == 0, stopped()
                save = stop or time.monotonic() - saved_at > SAVE_EVERY_S
                if at_end or save:
                    progress.sums, progress.counts = meter.sums(), meter.counts()
                    check_finite(run, progress.step, progress.sums)
                if at_end:  # before the state is saved: a resumed run begins with the next epoch
                    _finish_epoch(session, progress, epoch + 1, progress.step == total_steps)
                if save:
                    state.save(progress.step, session.players.tensors(), progress.as_json())
                    _remove_outdone(state, progress)
                    saved_at = time.monotonic()
                if stop:
                    raise TrainingInterruptedError(
                        f"{run}: stopped after step {progress.step} of {total_steps}; "
                        "the same command continues"
                    )
    return progress


def _scenes(
    suite: Suite,
    seed: int,
    epoch: int,
    first_step: int,
    feed: ImageFeed,
    count: int,
    device: torch.device,
) -> Iterator[Scene]:
    """Yield the batches of an epoch, from a step of it on."""
    law, batch_size = suite.mask, suite.training.batch_size
    order = training_order(seed, epoch, count)
    order_there = torch.from_numpy(order).to(device)
    boxes = torch.from_numpy(training_boxes(seed, epoch, count, law, suite.image_size)).to(device)
    flips = torch.from_numpy(training_flips(seed, epoch, count)).to(device)
    for step in range(first_step, count // batch_size):
        part = slice(step * batch_size, (step + 1) * batch_size)
        rows = order_there[part]
        images = feed(order[part], rows)
        if suite.training.flip:
            images = torch.where(flips[rows][:, None, None, None], images.flip(2), images)
        yield make_scene(images, boxes[rows], law.size)


def _finish_epoch(session: Session, progress: Progress, epoch: int, is_last: bool) -> None:
    """Validate, extend the curves, and keep the weights if a criterion asks for them."""
    losses = progress.losses()
    try:
        scores, pictures = _validate(session)
    except ValueError as error:  # NaN in the output: the last update broke the weights
        raise TrainingDivergedError(
            f"{session.run}: validation after epoch {epoch}: {error}"
        ) from None
    images_seen = progress.step * session.suite.training.batch_size
    row = {"epoch": float(epoch), "images_seen": float(images_seen), **losses, **scores}
    criteria = progress.finish_epoch(row) + ["last"] * is_last
    Image.fromarray(pictures).save(session.state.folder / f"epoch{epoch:04d}.png")
    if criteria:
        file = f"epoch{epoch:04d}.safetensors"
        sha256 = save_tensors(session.state.folder / file, session.players.weights())
        progress.keep(criteria, epoch, file, sha256)


def _remove_outdone(state: ResumeState, progress: Progress) -> None:
    """Remove checkpoints that no criterion keeps any more; the saved state does not name them."""
    kept = {entry["file"] for entry in progress.kept.values()}
    for path in state.folder.glob("epoch*.safetensors"):
        if path.name not in kept:
            path.unlink()


def _validate(session: Session) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """Complete the validation images.

    Returns:
        Mean metrics over the images, and the first completions side by side, `[H, n·W, 3]`.
    """
    session.players.train(False)
    images, boxes = session.store.images("val"), session.store.boxes("val")[:, 0]
    names = [name for name in VALIDATION_METRICS if name not in missing_metrics()]
    scores: dict[str, list[Tensor]] = {name: [] for name in names}
    pictures = []
    batch_size, device = session.suite.evaluation.batch_size, session.fabric.device
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        done = complete(
            session.players.generator.network,
            torch.from_numpy(np.array(images[part])).to(device),
            torch.from_numpy(boxes[part]).to(device),
            session.suite.mask.size,
        )
        for name, values in score_images(done.completed, done.target, done.mask, names).items():
            scores[name].append(values)
        if start < FIXED_IMAGES:
            pictures.append(done.completed[: FIXED_IMAGES - start])
    cap = psnr_cap_db(session.suite.mask.size**2)
    means = {
        # Only a PSNR can be infinite, and no other metric comes near its cap.
        f"validation/{name}": float(torch.cat(values).clamp(max=cap).mean())
        for name, values in scores.items()
    }
    return means, torch.cat(pictures).permute(2, 0, 3, 1).flatten(1, 2).cpu().numpy()


def _progress_bar(
    run: paths.Run, total_steps: int, done_steps: int, batch_size: int
) -> "tqdm[NoReturn]":
    return tqdm(
        total=total_steps * batch_size,
        initial=done_steps * batch_size,
        desc=str(run),
        unit="image",
        mininterval=1.0,
    )


def _shown(losses: dict[str, float]) -> dict[str, str]:
    """Return the losses for the progress bar, under short names."""
    short = {
        name.replace("generator/", "g/").replace("discriminator/", "d/"): value
        for name, value in losses.items()
        if name not in ("generator/total", "generator/reconstruction")
    }
    return {name: f"{value:.3g}" for name, value in short.items()}


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a flag that is read between two steps."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in numbers]
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _write_results(session: Session, progress: Progress, digests: dict[str, str]) -> None:
    run, state = session.run, session.state
    with atomic_folder(run.checkpoints) as folder:
        # Copied, not moved: a run that crashes from here on resumes from what is in the state.
        for file in sorted({entry["file"] for entry in progress.kept.values()}):
            shutil.copy(state.folder / file, folder / file)
        (folder / "validation").mkdir()
        for picture in sorted(state.folder.glob("epoch*.png")):
            shutil.copy(picture, folder / "validation" / picture.name)
        manifest = {
            "run": {"suite": run.suite, "variant": run.variant, "seed": run.seed},
            "steps": progress.step,
            "checkpoints": progress.kept,
            "environment": fingerprint(session.fabric.device),
            **digests,
        }
        write_json(folder / MANIFEST, manifest)
    columns = ["epoch", "images_seen", *loss_names(session.players.variant)]
    columns += [f"validation/{name}" for name in VALIDATION_METRICS]
    frame = pd.DataFrame(progress.curves).reindex(columns=columns)
    write_text(run.curves, frame.to_csv(index=False, float_format="%.7g", lineterminator="\n"))


def _clear(scratch: Path) -> None:
    """Remove the resume states of a run that has succeeded, those of other configurations too."""
    for folder in scratch.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
