"""`python -m benchmark list`: the suites and variants that there are."""

import argparse

from benchmark.cli.arguments import add_json, print_json
from benchmark.core import paths
from benchmark.core.exit_codes import FINE, MISUSED, complain
from data.errors import InputError, printable

SUMMARY = "list the suites and variants that there are"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print names and titles; of a file that cannot be used, say why, and go on."""
    from benchmark.core.config import load_suite, load_variant, names_in

    code, titles = FINE, dict[str, dict[str, str]]()
    for kind, folder, load in (
        ("suites", paths.SUITES, load_suite),
        ("variants", paths.VARIANTS, load_variant),
    ):
        titles[kind] = {}
        if not options.json:
            print(kind)
        for name in names_in(folder):
            try:
                titles[kind][name] = load(name).title
            except InputError as error:  # the others are there all the same
                code = complain(error, MISUSED)
                continue
            if not options.json:
                print(f"  {name:28} {printable(titles[kind][name])}")
    if options.json:
        print_json(titles)
    return code
