"""`python -m benchmark plan`: how many images and seeds a comparison needs."""

import argparse

from benchmark.cli.arguments import add_json, add_suite, print_json

SUMMARY = "say how many images and seeds it takes to see a difference"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Taken from the score tables of this checkout: how differences vary between images and, "
        "with two training seeds or more, between seeds (else as benchmark/versions/tolerances.yaml has it)."
    )
    add_suite(parser)
    parser.add_argument("--variant", required=True, help="a file of models/variants/")
    parser.add_argument("--than", required=True, help="another variant, or a baseline")
    parser.add_argument("--metric", default="mse_h", help="default: mse_h")
    parser.add_argument(
        "--difference",
        type=float,
        help="to be seen, in the metric's unit (default: .1 dB, .002 of SSIM and LPIPS, else a "
        "tenth of the mean)",
    )
    parser.add_argument("--power", type=float, default=0.8, help="its probability (default: .8)")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Plan and print."""
    from benchmark.versions.power import make_plan, plan_json, plan_text
    from benchmark.versions.snapshot import open_version

    with open_version(".") as results:
        plan = make_plan(
            results,
            options.suite,
            options.variant,
            options.than,
            options.metric,
            options.difference,
            options.power,
        )
    if options.json:
        print_json(plan_json(plan))
    else:
        print(plan_text(plan), end="")
