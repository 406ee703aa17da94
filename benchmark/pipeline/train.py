"""The train stage: from prepared images to the checkpoints and curves of a run."""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmark.core import paths
from benchmark.core.config import Suite
from benchmark.core.device import Engine, batch_setting, memory_for, open_device
from benchmark.core.environment import fingerprint
from benchmark.core.files import atomic_path
from benchmark.core.hashing import code_digest, file_sha256, json_digest, stage_code
from benchmark.distributed.group import any_of, check_sameness, from_first
from benchmark.metrics import missing_metrics
from benchmark.training.batches import (
    ImageFeed,
    images_seen,
    steps_per_epoch,
    training_batches,
)
from benchmark.training.checkpoints import (
    MANIFEST,
    load_initial,
    write_checkpoints,
    write_curves,
)
from benchmark.training.gan import GAN, build_gan, training_digest
from benchmark.training.progress import CRITERIA, LossMeter, Progress, TrainingDivergedError
from benchmark.training.resume import (
    ResumeState,
    TrainingInterruptedError,
    check_finite,
    remove_states,
    run_lock,
    stop_signals,
)
from benchmark.training.run_log import RunLog, open_run_log
from benchmark.training.step import training_step
from benchmark.training.tensors import save_tensors, tensors_from_bytes, tensors_to_bytes
from benchmark.training.validation import Gallery, validate
from data.errors import InputError
from data.store import Store
from models.replicas import processes, rank, together
from models.variant import Variant

SAVE_EVERY_S = 120.0
"""Time between two resume states; has no influence on the result."""
SHOW_EVERY_STEPS = 10
"""Steps between two looks at the losses: each look waits for the device."""


@dataclass(frozen=True)
class Session:
    """What the parts of one training process share."""

    engine: Engine
    suite: Suite
    run: paths.Run
    store: Store
    gan: GAN
    state: ResumeState
    gallery: Gallery


def train_run(
    suite: Suite,
    variant: Variant,
    run: paths.Run,
    device: str = "auto",
    tensorboard: Path | None = None,
    init_from: Path | None = None,
) -> None:
    """Train a variant on a suite and write its checkpoints and curves.

    An interrupted run continues where it was; the result is the same as if it had never stopped.
    Where this process is one of several, they train the run together, and the first one writes.

    Args:
        suite: data, budget and selection.
        variant: networks and losses.
        run: names of both, and the seed.
        device: `cpu`, `cuda`, or `auto`, which is CUDA where there is such a device.
        tensorboard: where to write TensorBoard events, see `open_run_log`; has no influence on the
            result.
        init_from: checkpoints of another run to start from, see `load_initial`; the manifest names
            it.

    Raises:
        InputError: the images, the weights to start from, the device or the other processes are
            missing or do not fit, another process trains the run, its saved state is damaged, there
            is not enough memory, or something cannot be written.
        TrainingInterruptedError: SIGINT or SIGTERM came.
        TrainingDivergedError: a loss or a weight is NaN or infinite.
    """
    engine = open_device(suite.training, device)
    _check_suite(suite)
    store = Store(paths.prepared(suite.name))
    store.require_settings(json_digest(suite.split_settings))
    store.verify("train", "val")
    with run_lock(run.scratch), memory_for(batch_setting(suite, "training"), engine.device):
        _note_replacement(run)
        gan = build_gan(suite, variant, run.seed, engine)
        files = stage_code("train")
        digests: dict[str, Any] = {
            "config_sha256": training_digest(suite, variant),
            "data_sha256": store.digest(),
            "code_sha256": code_digest(files),
        }
        if init_from is not None:  # before the first step, or a resumed one
            digests["init_from"] = load_initial(init_from, gan).model_dump()
        machine = fingerprint(engine.device)
        check_sameness(digests | {key: machine[key] for key in ("device", "libraries")})
        state = _state(run, suite, digests, machine)
        session = Session(engine, suite, run, store, gan, state, Gallery(suite, store))
        progress = _run(session, tensorboard)
        if rank() == 0:
            if code_digest(files) != digests["code_sha256"]:
                raise InputError(f"{run}: the code changed while it ran; the result is not kept")
            _write(session, progress, {"environment": machine, **digests})


def _write(session: Session, progress: Progress, origin: dict[str, Any]) -> None:
    """Write the results of a finished run, and then remove the states that led there."""
    run = session.run
    if progress.processes:
        origin["environment"]["processes"] = progress.processes
    write_checkpoints(run, session.state.folder, progress, session.gallery, origin)
    write_curves(run, session.gan.variant, progress)
    remove_states(run.scratch)


def _state(
    run: paths.Run, suite: Suite, digests: dict[str, Any], machine: dict[str, Any]
) -> ResumeState:
    """Return the state that the run may go on from: the rest would be of one piece with it.

    With another device, library or set of pictures it would not. What several processes compute
    depends on their number and threads, but these may change: the manifest names all numbers.
    """
    same = {key: machine[key] for key in ("device", "libraries")} if together() else machine
    key = [str(run), digests, same, suite.watching.model_dump()]
    return ResumeState(run.scratch, json_digest(key)[:16])


def _note_replacement(run: paths.Run) -> None:
    if rank() == 0 and (run.checkpoints / MANIFEST).exists():
        note = f"note: {run.checkpoints}: is there already; it is trained again, then replaced"
        print(note, file=sys.stderr)


def _check_suite(suite: Suite) -> None:
    """Refuse before the training what would fail after it, or what processes cannot share."""
    column, _ = CRITERIA.get(suite.evaluation.checkpoint, ("", ""))
    reason = missing_metrics().get(column.removeprefix("validation/"))
    if reason is not None:
        raise InputError(
            f"suite {suite.name}: evaluation.checkpoint is {suite.evaluation.checkpoint}, "
            f"which cannot be computed: {reason}"
        )
    size, number = suite.training.batch_size, processes()
    if size % number:
        raise InputError(
            f"suite {suite.name}: training.batch_size, {size}, does not divide among {number} "
            "processes"
        )
    if together() and suite.training.compile is not None:
        raise InputError(
            f"suite {suite.name}: training.compile is for one process; leave it out for several"
        )


def _run(session: Session, tensorboard: Path | None) -> Progress:
    """Train to the end; where that diverges, say what is kept."""
    try:
        return _run_epochs(session, tensorboard)
    except TrainingDivergedError as error:
        kept, state = "no state was saved before", session.state
        if state.step is not None:
            kept = f"the state after step {state.step} is kept in {state.folder}"
        raise TrainingDivergedError(f"{session.run}: {error}; {kept}") from None


def _check_batches(suite: Suite, count: int) -> None:
    """Refuse batches that cannot be filled, or of which one image alone has no statistics."""
    size, name = suite.training.batch_size, f"suite {suite.name}"
    if count < size:
        raise InputError(
            f"{name}: {count} training images are fewer than training.batch_size, {size}"
        )
    if not suite.training.drop_last and count % size == 1:
        raise InputError(
            f"{name}: training.drop_last: false leaves a batch of one of {count} images, which "
            f"batch norm cannot take; choose another training.batch_size than {size}"
        )
    if not suite.training.drop_last and 0 < count % size < processes():
        raise InputError(
            f"{name}: training.drop_last: false leaves a batch of {count % size} of {count} images "
            f"for {processes()} processes"
        )


def _run_epochs(session: Session, tensorboard: Path | None) -> Progress:
    """Train from the saved state, or from the start, to the end of the budget."""
    suite, run, gan, state = session.suite, session.run, session.gan, session.state
    feed = ImageFeed(session.store.images("train"), session.engine.device)
    _check_batches(suite, len(feed))
    epoch_steps = steps_per_epoch(suite.training, len(feed))
    total_steps = suite.training.epochs * epoch_steps
    progress = _load(session)
    leads = rank() == 0
    done, total = (images_seen(suite.training, len(feed), s) for s in (progress.step, total_steps))
    meter, latest = LossMeter(progress), dict[str, float]()
    saved_at = time.monotonic()
    with (
        open_run_log(run, progress.step, (done, total), tensorboard, leads) as log,
        stop_signals() as stopped,
    ):
        while progress.step < total_steps:
            epoch, first_step = divmod(progress.step, epoch_steps)
            gan.train(True)
            for batch in training_batches(suite, run.seed, epoch, first_step, feed):
                losses = training_step(gan, batch, progress.step, total_steps)
                progress.step += 1
                meter.add(progress.step, losses)
                log.bar.update(batch.images)
                show = progress.step % SHOW_EVERY_STEPS == 0
                at_end = progress.step % epoch_steps == 0
                # Several processes stop after the same step, and do not ask each other in each.
                stop = (not together() or show or at_end) and any_of(stopped())
                save = stop or time.monotonic() - saved_at > SAVE_EVERY_S
                if show or at_end or save:
                    # Of a network that is not updated at every step, a loss is an earlier one.
                    latest |= meter.look()
                if show:
                    log.show_losses(progress.step, latest)
                if (
                    at_end and leads
                ):  # before the state is saved: a resumed run begins with the next epoch
                    _finish_epoch(session, log, progress, epoch + 1)
                if save and leads:
                    log.flush()  # what the state has behind it is not shown again
                    state.save(gan, progress)
                    saved_at = time.monotonic()
                if stop:
                    raise TrainingInterruptedError(
                        f"{run}: stopped after step {progress.step} of {total_steps}; "
                        "the same command continues"
                    )
    return progress


def _load(session: Session) -> Progress:
    """Set the networks as they were saved, in all processes, and return how far the run was."""
    gan, progress = session.gan, Progress()
    if rank() == 0:
        progress = session.state.load(gan)
    if not together():
        return progress
    if progress.processes[-1:] != [processes()]:
        progress.processes.append(processes())
    state = from_first(tensors_to_bytes(gan.tensors()) if rank() == 0 else None)
    progress = Progress(**json.loads(from_first(json.dumps(asdict(progress)).encode())))
    gan.restore(tensors_from_bytes(state))
    return progress


def _finish_epoch(session: Session, log: RunLog, progress: Progress, epoch: int) -> None:
    """Validate, extend the curves, and keep pictures and weights that are wanted."""
    suite, losses, device = session.suite, progress.losses(), session.engine.device
    weights = session.gan.weights()
    check_finite(weights, progress.step)
    try:
        with memory_for(batch_setting(suite, "evaluation"), device):
            validation = validate(suite, session.store, session.gan, device)
    except InputError:
        raise
    except ValueError as error:  # NaN in the output
        raise TrainingDivergedError(f"validation after step {progress.step}: {error}") from None
    count = images_seen(suite.training, len(session.store.images("train")), progress.step)
    row = {"epoch": float(epoch), "images_seen": float(count), **losses, **validation.scores}
    log.show_epoch(progress.step, losses, validation.scores)
    is_last = epoch == suite.training.epochs
    criteria = progress.finish_epoch(row) + ["last"] * is_last
    if (every := suite.watching.checkpoints_every) and epoch % every == 0:
        criteria.append(f"epoch{epoch:04d}")
    if is_last or epoch % suite.watching.images_every == 0:
        picture = session.state.folder / f"epoch{epoch:04d}.png"
        with atomic_path(picture) as partial:
            Image.fromarray(validation.completed).save(partial, format="PNG")
        progress.pictures[picture.name] = file_sha256(picture)
        log.show_picture(progress.step, session.gallery.compare(validation.completed))
    if criteria:
        file = f"epoch{epoch:04d}.safetensors"
        sha256 = save_tensors(session.state.folder / file, weights)
        progress.keep(criteria, epoch, file, sha256)
