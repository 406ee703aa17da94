"""`python -m benchmark readme`: the tables of the report in README.md."""

import argparse

SUMMARY = "copy the tables of the report into README.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option."""


def run(options: argparse.Namespace) -> None:
    """Copy the tables."""
    from benchmark.reporting.readme import update_readme

    update_readme()
