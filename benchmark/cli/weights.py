"""`python -m benchmark weights`: the weights that a metric needs."""

import argparse

SUMMARY = "fetch the backbone weights that LPIPS needs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no option."""


def run(options: argparse.Namespace) -> None:
    """Fetch what is not there and print where it lies, one path per line."""
    from benchmark.metrics import fetch_weights

    for path in fetch_weights():
        print(path)
