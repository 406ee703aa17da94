"""`python -m benchmark compare`: what changed between two versions of the results."""

import argparse

from benchmark.cli.arguments import add_json, path, print_json
from data.errors import InputError

SUMMARY = "say what changed between two versions of the results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "A version is a git tag, branch or commit, a folder with a checkout, or one of "
        "reports/reference/. Read is what is in git, so neither DVC nor its cache is needed. Exit "
        "code 0 whatever changed: `gate` is what refuses."
    )
    parser.add_argument("old", type=path, help="the version to compare with, e.g. v1.0 or HEAD~1")
    parser.add_argument(
        "new", type=path, nargs="?", default=".", help="the other one (default: this checkout)"
    )
    parser.add_argument("--all", action="store_true", help="all metrics, not those of tables alone")
    parser.add_argument("--markdown", action="store_true", help="for a pull request")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Compare and print."""
    if options.json and options.markdown:
        raise InputError("--json, --markdown: choose one")
    from benchmark.versions.compare import compare_versions
    from benchmark.versions.comparison_text import (
        comparison_json,
        comparison_markdown,
        comparison_text,
    )
    from benchmark.versions.snapshot import open_version

    with open_version(options.old) as old, open_version(options.new) as new:
        found = compare_versions(old, new)
    if options.json:
        print_json(comparison_json(found))
    elif options.markdown:
        print(comparison_markdown(found, options.all), end="")
    else:
        print(comparison_text(found, options.all), end="")
