"""The command line: `python -m benchmark <command>`."""

import argparse
import os
import sys
from pathlib import Path

from benchmark import paths
from benchmark.code import changed_code, snapshot
from data.errors import InputError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: a check or a run failed; the input cannot be used; stopped by a signal."""


# By default GNU's OpenMP lets PyTorch's threads wait for each other spinning, so that a step of
# training takes five to ten times as long as soon as another process wants one of their cores.
# After this many turns they sleep, which costs a step up to an eighth (measured with two cores). It
# is read when PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        before = snapshot()
        code: int = options.run(options) or 0
        # DVC records the state of the code after a stage, so it would take the result for the new
        # code's.
        if changed := changed_code(before):
            return _complain(f"{changed[0]} changed while this ran; run it again", MISUSED)
        return code
    except InputError as error:
        return _complain(error, MISUSED)
    except OSError as error:
        return _complain(
            f"{error.filename}: {error.strerror}" if error.filename else error, MISUSED
        )
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)


def _warn_of_gaps() -> None:
    """Say which metrics cannot be computed here, and what would mend it."""
    from benchmark.metrics import missing_metrics

    for name, reason in missing_metrics().items():
        print(f"warning: {name} is missing: {reason}", file=sys.stderr)


def _complain(message: object, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def _split(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite
    from benchmark.split import split_suite, usable_cpus

    root = Path(options.root) if options.root else None
    summary = split_suite(load_suite(options.suite), root, options.workers or usable_cpus())
    counts = ", ".join(f"{n} {split}" for split, n in summary["counts"].items())
    print(f"{paths.prepared(options.suite)}: {counts}; digest {summary['digest']}")
    for name in summary["unreadable"]:
        print(f"skipped, not a readable image: {name}", file=sys.stderr)


def _run_of(options: argparse.Namespace) -> paths.Run:
    return paths.Run(options.suite, options.variant, options.seed)


def _train(options: argparse.Namespace) -> int:
    from benchmark.config import load_suite, load_variant
    from benchmark.progress import TrainingDivergedError
    from benchmark.train import TrainingInterruptedError, train_run

    suite, variant = load_suite(options.suite), load_variant(options.variant)
    try:
        train_run(suite, variant, _run_of(options), options.device)
    except TrainingInterruptedError as interruption:
        return _complain(interruption, INTERRUPTED)
    except TrainingDivergedError as error:
        return _complain(error, FAILED)
    return 0


def _evaluate(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite, load_variant
    from benchmark.evaluate import evaluate_run

    suite, variant = load_suite(options.suite), load_variant(options.variant)
    evaluate_run(suite, variant, _run_of(options), options.device)
    _warn_of_gaps()


def _baselines(options: argparse.Namespace) -> None:
    from benchmark.baselines import evaluate_baselines
    from benchmark.config import load_suite

    suite = load_suite(options.suite)
    evaluate_baselines(suite)
    _warn_of_gaps()


def _report(options: argparse.Namespace) -> None:
    from benchmark.config import load_params
    from benchmark.report import write_report

    write_report(load_params())


def _readme(options: argparse.Namespace) -> None:
    from benchmark.readme import update_readme

    update_readme()


def _attach(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite
    from benchmark.raw import attach_folder

    link = attach_folder(load_suite(options.suite).name, Path(options.folder))
    print(f"{link} -> {options.folder}; `dvc repro` now notices when these images change")


def _weights(options: argparse.Namespace) -> None:
    from benchmark.metrics import fetch_weights

    for path in fetch_weights():
        print(path)


def _list(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite, load_variant, names_in

    print("suites")
    for name in names_in(paths.SUITES):
        print(f"  {name:20} {load_suite(name).title}")
    print("variants")
    for name in names_in(paths.VARIANTS):
        print(f"  {name:20} {load_variant(name).title}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description="InpaintBench: train, score and compare image inpainting systems.",
        epilog="`dvc repro` runs split, train, baselines, evaluate and report, in this order, for "
        "what params.yaml names, and skips what is up to date. Each also runs by itself. "
        "Exit codes: 0 fine, 1 a run failed, 2 wrong input, 130 interrupted.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: object, summary: str, *needs: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:]
        )
        added.set_defaults(run=run)
        if "suite" in needs:
            added.add_argument("--suite", required=True, help="a file of benchmark/suites/")
        if "variant" in needs:
            added.add_argument("--variant", required=True, help="a file of models/variants/")
            added.add_argument("--seed", type=_seed, default=0, help="seed of the run (default: 0)")
            added.add_argument(
                "--device",
                choices=("auto", "cpu", "cuda"),
                default="auto",
                help="auto (default) takes a CUDA device where there is one",
            )
        if "workers" in needs:
            added.add_argument(
                "--workers", type=_positive, help="processes (default: one per usable CPU)"
            )
        return added

    split = command(
        "split", _split, "decode, resize and split the images of a suite", "suite", "workers"
    )
    split.add_argument(
        "--root", help="folder of the images (default: data/raw/<suite>); see also `attach`"
    )
    command(
        "train", _train, "train one variant; continues where it was stopped", "suite", "variant"
    )
    command("evaluate", _evaluate, "score a trained run on the test split", "suite", "variant")
    command("baselines", _baselines, "score the classical baselines on the test split", "suite")
    command("report", _report, "write reports/ from the scores of what params.yaml names")
    command("readme", _readme, "copy the tables of the report into README.md")
    attach = command("attach", _attach, "link a folder of your images to a suite", "suite")
    attach.add_argument("folder", help="the folder; its images stay where they are")
    command("weights", _weights, "fetch the backbone weights that LPIPS needs")
    command("list", _list, "list the suites and variants that there are")
    return parser


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{value} is not in [0, 2**31)")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main())
