"""`python -m benchmark evaluate`: the scores of a trained run."""

import argparse

from benchmark.cli.arguments import add_device, add_run, run_of
from benchmark.cli.warnings import only_a_warning, warn_of_gaps

SUMMARY = "score a trained run on the test split"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_run(parser)
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    """Score a run, and note the version of the code that did."""
    from benchmark.core.config import load_suite, load_variant
    from benchmark.core.git import code_version
    from benchmark.evaluation.provenance import record_evaluation
    from benchmark.pipeline.evaluate import evaluate_run

    suite, variant = load_suite(options.suite), load_variant(options.variant)
    trained, version = run_of(options), code_version()
    evaluate_run(suite, variant, trained, options.device)
    with only_a_warning():
        record_evaluation(trained, version)
    warn_of_gaps()
