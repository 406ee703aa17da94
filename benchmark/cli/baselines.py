"""`python -m benchmark baselines`: the scores of the classical baselines."""

import argparse

from benchmark.cli.arguments import add_suite
from benchmark.cli.warnings import warn_of_gaps

SUMMARY = "score the classical baselines on the test split"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_suite(parser)


def run(options: argparse.Namespace) -> None:
    """Score the baselines of a suite."""
    from benchmark.core.config import load_suite
    from benchmark.pipeline.baselines import evaluate_baselines

    evaluate_baselines(load_suite(options.suite))
    warn_of_gaps()
