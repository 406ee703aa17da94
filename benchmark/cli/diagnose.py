"""`python -m benchmark diagnose`: what a run's discriminators have learnt."""

import argparse

from benchmark.cli.arguments import add_device, add_run, run_of

SUMMARY = "ask a run's discriminators about probes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_run(parser)
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    """Diagnose a run."""
    from benchmark.core.config import load_suite, load_variant
    from benchmark.pipeline.diagnose import diagnose_run

    suite, variant = load_suite(options.suite), load_variant(options.variant)
    diagnose_run(suite, variant, run_of(options), options.device)
