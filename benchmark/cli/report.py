"""`python -m benchmark report`: tables, figures and the page about all results."""

import argparse

SUMMARY = "write reports/ from the scores of what params.yaml names"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option: params.yaml says what is reported."""


def run(options: argparse.Namespace) -> None:
    """Write the report."""
    from benchmark.core.config import load_params
    from benchmark.pipeline.report import write_report

    write_report(load_params())
