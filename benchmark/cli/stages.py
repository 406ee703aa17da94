"""Suites and variants → images, weights, scores and the report: the stages of the pipeline."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from benchmark.cli.app import PIPELINE, app
from benchmark.cli.options import (
    Device,
    Json,
    Seed,
    Suite,
    Variant,
    answer,
    name_option,
    only_a_warning,
    path_option,
)
from benchmark.core import paths
from benchmark.core.exit_codes import FAILED, FINE, INTERRUPTED, complain
from benchmark.core.portable import cap_networks, is_one_of_several, usable_cpus
from data.errors import InputError, printable

if TYPE_CHECKING:
    from benchmark.core import config

Split = Literal["train", "val", "test"]

_TENSORBOARD = path_option(
    "also write TensorBoard events to FOLDER/<suite>/<variant>/seed<seed>; does not change the "
    "result; the variable works for `dvc repro` too",
    envvar="INPAINTBENCH_TENSORBOARD",
)
_INIT_FROM = path_option(
    "start from the last weights of another run, models/checkpoints/<suite>/<variant>/seed<seed>; "
    "the provenance names it"
)
_DEVICES = Option(
    min=1,
    metavar="N",
    help="processes that share each batch, one a device; the result is that of one process up to "
    "rounding, which grows; the variable works for `dvc repro` too",
    envvar="INPAINTBENCH_DEVICES",
)
_NODES = Option(min=1, metavar="M", help="machines, on each of which the same command is given")
_MEET_AT = name_option("where they meet, one of them; Slurm says it itself", "HOST:PORT")


@app.command(rich_help_panel=PIPELINE, short_help="prepare a suite's images")
def split(
    suite: Suite,
    workers: Annotated[
        int | None, Option(min=1, help="processes; one per usable CPU if not given")
    ] = None,
    root: Annotated[
        Path | None, path_option("folder of the images, if not data/raw/<suite>; see also `attach`")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decode, resize and split the images of a suite."""
    from benchmark.core.config import load_suite
    from benchmark.pipeline.split import split_suite

    settings = load_suite(suite)
    if root is not None and not settings.source.needs_folder:
        raise InputError(f"--root: suite {suite} makes its images itself and reads no folder")
    summary = split_suite(settings, root, workers or usable_cpus())
    folder = paths.prepared(suite)
    noun, groups = settings.source.group_noun, summary.get("groups", {})
    counts = ", ".join(
        f"{count} {name}" + (f" (of {groups[name]} {noun})" if groups else "")
        for name, count in summary["counts"].items()
    )
    text = f"{folder}: {counts}; digest {summary['digest']}"
    answer(as_json, {"folder": folder.as_posix(), **summary}, text)
    for name in summary["unreadable"]:
        print(f"skipped, not a readable image: {printable(name)}", file=sys.stderr)


@app.command(rich_help_panel=PIPELINE, short_help="train a variant")
def train(
    suite: Suite,
    variant: Variant,
    seed: Seed = 0,
    device: Device = "auto",
    tensorboard: Annotated[Path | None, _TENSORBOARD] = None,
    init_from: Annotated[Path | None, _INIT_FROM] = None,
    devices: Annotated[int, _DEVICES] = 1,
    nodes: Annotated[int, _NODES] = 1,
    meet_at: Annotated[str | None, _MEET_AT] = None,
) -> int:
    """Train one variant, or the rest of a run that was stopped."""
    if devices * nodes > 1 and not is_one_of_several():
        from benchmark.distributed.launch import launch

        return launch(sys.argv[1:], device, devices, nodes, meet_at)
    settings = _open_suite(suite)
    from benchmark.core.config import load_variant
    from benchmark.core.git import code_version
    from benchmark.distributed.group import is_loss_of_a_process, note_loss, process_group
    from benchmark.evaluation.provenance import record_training
    from benchmark.pipeline.train import train_run
    from benchmark.training.progress import TrainingDivergedError
    from benchmark.training.resume import TrainingInterruptedError
    from models.replicas import rank

    network = load_variant(variant)
    run, version = paths.Run(suite, variant, seed), code_version()
    try:
        with process_group():
            train_run(settings, network, run, device, tensorboard, init_from)
            if rank() == 0:
                with only_a_warning():
                    record_training(run, settings.evaluation.checkpoint, version)
    except TrainingInterruptedError as interruption:
        return complain(interruption, INTERRUPTED)
    except KeyboardInterrupt:  # before the first step, or after the last one
        return complain("interrupted; the same command continues", INTERRUPTED)
    except TrainingDivergedError as error:
        return complain(error, FAILED)
    except RuntimeError as error:
        if not is_loss_of_a_process(error):
            raise
        return note_loss()
    return FINE


@app.command(rich_help_panel=PIPELINE, short_help="score classical methods")
def baselines(suite: Suite) -> None:
    """Score the classical baselines on the test split of a suite."""
    settings = _open_suite(suite)
    from benchmark.pipeline.baselines import evaluate_baselines

    evaluate_baselines(settings)
    _warn_of_gaps()


@app.command(rich_help_panel=PIPELINE, short_help="score a trained run")
def evaluate(
    suite: Suite,
    variant: Variant,
    seed: Seed = 0,
    device: Device = "auto",
    split: Annotated[
        Split, Option(help="val and train write to reports/splits/ alone, apart from test results")
    ] = "test",
) -> None:
    """Score a trained run on the test split, and ask its discriminators about probes."""
    settings = _open_suite(suite)
    from benchmark.core.config import load_variant
    from benchmark.core.git import code_version
    from benchmark.evaluation.provenance import record_evaluation
    from benchmark.pipeline.evaluate import evaluate_run, evaluate_split

    network = load_variant(variant)
    run, version = paths.Run(suite, variant, seed), code_version()
    if split == "test":
        evaluate_run(settings, network, run, device)
        with only_a_warning():
            record_evaluation(run, version)
    else:
        print(evaluate_split(settings, network, run, device, split))
    _warn_of_gaps()


@app.command(rich_help_panel=PIPELINE, short_help="write tables and figures")
def report() -> None:
    """Write reports/ from the scores of what params.yaml selects."""
    from benchmark.core.config import load_params
    from benchmark.evaluation.provenance import restore_records
    from benchmark.pipeline.report import write_report

    params = load_params()
    with only_a_warning():
        restore_records(params.all_runs)
    write_report(params)


def _open_suite(name: str) -> "config.Suite":
    """Load a suite, and cap PyTorch, which is not loaded yet, where the suite is portable."""
    from benchmark.core.config import load_suite

    suite = load_suite(name)
    if suite.training.portable:
        cap_networks()
    return suite


def _warn_of_gaps() -> None:
    """Say in a line which metrics cannot be computed here, and what would mend it."""
    from benchmark.metrics import missing_metrics

    if missing := missing_metrics():
        reason = printable(next(iter(missing.values())))
        print(f"note: without {', '.join(missing)}: {reason}", file=sys.stderr)
