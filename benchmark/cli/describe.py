"""`python -m benchmark describe`: a variant, its networks and how it is trained."""

import argparse

from benchmark.cli.arguments import add_json, print_json

SUMMARY = "show what a variant is made of and trained with"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("variant", help="a file of models/variants/")
    parser.add_argument(
        "--suite", help="a file of benchmark/suites/, for its sizes (default: 128 px, hole 64 px)"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Describe a variant."""
    from benchmark.core.config import load_suite, load_variant
    from benchmark.training.describe import describe_variant, description_text

    variant, sizes = load_variant(options.variant), {}
    if options.suite:
        suite = load_suite(options.suite)
        sizes = {"image_size": suite.image_size, "hole_size": suite.mask.size}
    content = describe_variant(variant, suite=options.suite, **sizes)
    if options.json:
        print_json(content)
    else:
        print(description_text(content), end="")
