"""`python -m benchmark train`: one training run, or the rest of it."""

import argparse
import os
from pathlib import Path

from benchmark.cli.arguments import add_device, add_run, run_of
from benchmark.cli.warnings import only_a_warning
from benchmark.core.exit_codes import FAILED, FINE, INTERRUPTED, complain

SUMMARY = "train one variant; continues where it was stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_run(parser)
    add_device(parser)
    parser.add_argument(
        "--tensorboard",
        metavar="DIR",
        default=os.environ.get("INPAINTBENCH_TENSORBOARD"),
        help="also write TensorBoard events to DIR/<suite>/<variant>/seed<seed>; does not change "
        "the result (default: what the environment variable INPAINTBENCH_TENSORBOARD says, which "
        "works for `dvc repro` too)",
    )


def run(options: argparse.Namespace) -> int:
    """Train a run, and note the version of the code that did."""
    from benchmark.core.config import load_suite, load_variant
    from benchmark.core.git import code_version
    from benchmark.evaluation.provenance import record_training
    from benchmark.pipeline.train import train_run
    from benchmark.training.progress import TrainingDivergedError
    from benchmark.training.resume import TrainingInterruptedError

    suite, variant = load_suite(options.suite), load_variant(options.variant)
    tensorboard = Path(options.tensorboard) if options.tensorboard else None
    trained, version = run_of(options), code_version()
    try:
        train_run(suite, variant, trained, options.device, tensorboard)
        with only_a_warning():
            record_training(trained, suite.evaluation.checkpoint, version)
    except TrainingInterruptedError as interruption:
        return complain(interruption, INTERRUPTED)
    except KeyboardInterrupt:  # before the first step, or after the last one
        return complain("interrupted; the same command continues", INTERRUPTED)
    except TrainingDivergedError as error:
        return complain(error, FAILED)
    return FINE
