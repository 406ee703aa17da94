"""`python -m benchmark bands`: how far the metrics of a run differ on other machines."""

import argparse

from benchmark.cli.arguments import seed
from benchmark.core.exit_codes import FAILED, FINE, complain

SUMMARY = "measure how far metrics differ elsewhere"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Trains every variant with every seed, and with the first seed once more for each setting, "
        "in a temporary copy of the checkout. What benchmark/versions/bands.json has already is not "
        "measured again, so an interrupted measurement continues with the same command."
    )
    for name in ("suite", "variant"):
        parser.add_argument(
            f"--{name}", action="append", help=f"a {name}; may be repeated (default: params.yaml)"
        )
    parser.add_argument(
        "--seeds",
        type=seed,
        nargs="+",
        help="the first one is that of the settings (default: params.yaml)",
    )
    parser.add_argument(
        "--setting",
        action="append",
        help="one_thread, two_threads, without_avx512, without_onednn or cuda; may be repeated "
        "(default: all that change something on this machine)",
    )


def run(options: argparse.Namespace) -> int:
    """Measure the bands and print them."""
    from benchmark.core.config import load_params, load_suite, load_variant
    from benchmark.versions.rebuild import RebuildFailedError, checkout_copy
    from benchmark.versions.tolerance_measurement import CopyBuilder, Measuring, settings_here
    from benchmark.versions.tolerances import BANDS, bands_table

    params = load_params()
    suites, variants = options.suite or params.suites, options.variant or params.variants
    for name in suites:
        load_suite(name)
    for name in variants:
        load_variant(name)
    settings = settings_here(options.setting or [])
    try:
        with checkout_copy() as folder:
            measuring = Measuring(
                CopyBuilder(folder),
                options.seeds or sorted({run.seed for run in params.all_runs}),
                settings,
            )
            bands = measuring.measure(suites, variants)
    except RebuildFailedError as error:
        return complain(error, FAILED)
    print(bands_table(bands) + f"-> {BANDS}")
    return FINE
