"""The command line: `python -m benchmark <command>`."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from benchmark import paths
from benchmark.code import changed_code, snapshot
from data.errors import InputError, printable

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: a check or a run failed; the input cannot be used; stopped by a signal."""
SQUARES = ("center", "centre", "random")
"""Masks that are made, and not read from a folder."""

ONNX_EXAMPLE = """\
To use the file (a mask has one square of the trained size, which the metadata name):

  import numpy as np, onnxruntime
  from PIL import Image
  session = onnxruntime.InferenceSession("model.onnx")
  side = session.get_inputs()[0].shape[-1]
  picture = Image.open("picture.png").convert("RGB").resize((side, side))
  image = (np.asarray(picture, np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
  mask = np.zeros((1, 1, side, side), np.float32)
  hole = int(session.get_modelmeta().custom_metadata_map["hole_size"])
  mask[..., :hole, :hole] = 1  # 1 = hole
  completed, raw = session.run(None, {"image": image, "mask": mask})  # both in [-1, 1]
"""

# By default GNU's OpenMP lets PyTorch's threads wait for each other spinning, so that a step of
# training takes five to ten times as long as soon as another process wants one of their cores.
# After this many turns they sleep, which costs a step up to an eighth (measured with two cores). It
# is read when PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
# onnxruntime collects facts about its use unless it is told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(arguments)
    # So that what `kill` ends is cleaned up as what Ctrl-C ends; training has its own way.
    before_us = signal.signal(signal.SIGTERM, _interrupt)
    try:
        before = snapshot()
        code: int = options.run(options) or 0
        sys.stdout.flush()  # here, where a reader that has gone is no error
        # DVC records the state of the code after a stage, so it would take the result for the new
        # code's.
        if changed := changed_code(before):
            return _complain(f"{changed[0]} changed while this ran; run it again", MISUSED)
        return code
    except InputError as error:
        return _complain(error, MISUSED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(
            f"{error.filename}: {error.strerror}" if error.filename else error, MISUSED
        )
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except MemoryError:
        return _complain("not enough memory", FAILED)
    finally:
        signal.signal(signal.SIGTERM, before_us)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _warn_of_gaps() -> None:
    """Say which metrics cannot be computed here, and what would mend it."""
    from benchmark.metrics import missing_metrics

    for name, reason in missing_metrics().items():
        print(f"warning: {name} is missing: {printable(reason)}", file=sys.stderr)


@contextmanager
def _only_a_warning() -> Iterator[None]:
    """Do not give up a finished result for what cannot be noted beside it."""
    try:
        yield
    except InputError as error:
        print(f"warning: {printable(str(error))}", file=sys.stderr)


def _complain(message: object, code: int) -> int:
    print(f"error: {printable(str(message))}", file=sys.stderr)
    return code


def _split(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite
    from benchmark.split import split_suite, usable_cpus

    suite, root = load_suite(options.suite), Path(options.root) if options.root else None
    if root is not None and not suite.source.needs_folder:
        raise InputError(f"--root: suite {suite.name} makes its images itself and reads no folder")
    summary = split_suite(suite, root, options.workers or usable_cpus())
    counts = ", ".join(f"{n} {split}" for split, n in summary["counts"].items())
    print(f"{paths.prepared(options.suite)}: {counts}; digest {summary['digest']}")
    for name in summary["unreadable"]:
        print(f"skipped, not a readable image: {printable(name)}", file=sys.stderr)


def _run_of(options: argparse.Namespace) -> paths.Run:
    return paths.Run(options.suite, options.variant, options.seed)


def _train(options: argparse.Namespace) -> int:
    from benchmark.config import load_suite, load_variant
    from benchmark.interruption import TrainingInterruptedError
    from benchmark.progress import TrainingDivergedError
    from benchmark.train import train_run
    from benchmark.versions import code_version, record_training

    suite, variant = load_suite(options.suite), load_variant(options.variant)
    tensorboard = Path(options.tensorboard) if options.tensorboard else None
    run, version = _run_of(options), code_version()
    try:
        train_run(suite, variant, run, options.device, tensorboard)
        with _only_a_warning():
            record_training(run, suite.evaluation.checkpoint, version)
    except TrainingInterruptedError as interruption:
        return _complain(interruption, INTERRUPTED)
    except KeyboardInterrupt:  # before the first step, or after the last one
        return _complain("interrupted; the same command continues", INTERRUPTED)
    except TrainingDivergedError as error:
        return _complain(error, FAILED)
    return 0


def _evaluate(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite, load_variant
    from benchmark.evaluate import evaluate_run
    from benchmark.versions import code_version, record_evaluation

    suite, variant, run = load_suite(options.suite), load_variant(options.variant), _run_of(options)
    version = code_version()
    evaluate_run(suite, variant, run, options.device)
    with _only_a_warning():
        record_evaluation(run, version)
    _warn_of_gaps()


def _diagnose(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite, load_variant
    from benchmark.diagnose import diagnose_run

    suite, variant = load_suite(options.suite), load_variant(options.variant)
    diagnose_run(suite, variant, _run_of(options), options.device)


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


def _reference(options: argparse.Namespace) -> None:
    from benchmark.reference import write_reference

    facts = write_reference(options.suite, options.note, options.overwrite, options.pictures)
    count = sum(len(seeds) for seeds in facts.runs.values())
    print(f"{paths.reference(options.suite)}: {count} runs of {len(facts.runs)} variants")
    for run, reason in facts.left_out.items():
        print(f"left out: {run}: {printable(reason)}", file=sys.stderr)


def _verify(options: argparse.Namespace) -> int:
    from benchmark.pinned import pinned_checkout, pinned_reference
    from benchmark.rebuild import RebuildFailedError
    from benchmark.verify import verify

    find = pinned_reference if options.reference else pinned_checkout
    pinned = find(options.suite, options.variant, options.seed)
    keep = Path(options.keep) if options.keep else None
    try:
        found = verify(pinned, options.device, keep)
    except RebuildFailedError as error:
        return _complain(error, FAILED)
    if options.json:
        print(json.dumps(found.as_json(), indent=1, sort_keys=True))
    else:
        print(found.as_text(), end="")
    return FAILED if found.verdict == "different" else 0


def _bands(options: argparse.Namespace) -> int:
    from benchmark.band_measurement import CopyBuilder, Measuring, settings_here
    from benchmark.bands import BANDS, bands_table
    from benchmark.config import load_params, load_suite, load_variant
    from benchmark.rebuild import RebuildFailedError, checkout_copy

    params = load_params()
    suites, variants = options.suite or params.suites, options.variant or params.variants
    for name in suites:
        load_suite(name)
    for name in variants:
        load_variant(name)
    settings = settings_here(options.setting or [])
    try:
        with checkout_copy() as folder:
            measuring = Measuring(CopyBuilder(folder), options.seeds or params.seeds, settings)
            bands = measuring.measure(suites, variants)
    except RebuildFailedError as error:
        return _complain(error, FAILED)
    print(bands_table(bands) + f"-> {BANDS}")
    return 0


def _readme(options: argparse.Namespace) -> None:
    from benchmark.readme import update_readme

    update_readme()


def _inpaint(options: argparse.Namespace) -> int:
    from benchmark.inpaint import Request, inpaint_images

    ignored = {
        "--seed": options.seed is not None and options.masks != "random",
        "--hole": options.hole is not None and options.masks in SQUARES,
        "--large-holes": options.large_holes and options.masks in SQUARES,
    }
    if names := [name for name, is_ignored in ignored.items() if is_ignored]:
        raise InputError(f"{names[0]}: has no effect with --masks {options.masks}; leave it out")
    request = Request(
        checkpoint=Path(options.checkpoint),
        images=Path(options.images),
        masks=options.masks,
        out=Path(options.out),
        criterion=options.criterion,
        hole=options.hole or "white",
        large_holes=options.large_holes,
        overwrite=options.overwrite,
        seed=options.seed or 0,
        device=options.device,
        batch_size=options.batch_size,
    )
    outcome = inpaint_images(request)
    print(f"{outcome.written} images -> {request.out.as_posix()}/")
    if outcome.failed:
        return _complain(f"{outcome.failed} images could not be filled, see above", FAILED)
    return 0


def _attach(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite
    from benchmark.raw import attach_folder

    suite = load_suite(options.suite)
    link = attach_folder(suite.name, Path(options.folder))
    folder = printable(options.folder)
    print(f"{link} -> {folder}; `dvc repro` now notices when these images change")
    if not suite.source.needs_folder:
        print(f"warning: suite {suite.name} reads no folder of images", file=sys.stderr)


def _weights(options: argparse.Namespace) -> None:
    from benchmark.metrics import fetch_weights

    for path in fetch_weights():
        print(path)


def _describe(options: argparse.Namespace) -> None:
    from benchmark.config import load_suite, load_variant
    from benchmark.describe import describe_variant, description_text

    variant, sizes = load_variant(options.variant), {}
    if options.suite:
        suite = load_suite(options.suite)
        sizes = {"image_size": suite.image_size, "hole_size": suite.mask.size}
    content = describe_variant(variant, suite=options.suite, **sizes)
    if options.json:
        print(json.dumps(content, indent=1, sort_keys=True))
    else:
        print(description_text(content), end="")


def _export(options: argparse.Namespace) -> int:
    from benchmark.export import ParityError, export_run

    path = Path(options.out)
    try:
        folder = Path(options.checkpoint)
        exported = export_run(folder, path, options.criterion, options.overwrite)
    except ParityError as error:
        return _complain(error, FAILED)
    trained = exported.trained
    print(
        f"{path}: {trained.criterion}, epoch {trained.epoch}; onnxruntime and PyTorch differ by "
        f"{exported.difference:.2g} at most, in units of [-1, 1]"
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    from benchmark.config import load_suite, load_variant, names_in

    code = 0
    for kind, folder, load in (
        ("suites", paths.SUITES, load_suite),
        ("variants", paths.VARIANTS, load_variant),
    ):
        print(kind)
        for name in names_in(folder):
            try:
                print(f"  {name:28} {printable(load(name).title)}")
            except InputError as error:  # the others are there all the same
                code = _complain(error, MISUSED)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others, and that guesses no option."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit."""
        sys.exit(_complain(f"{message}; see `{self.prog} --help`", MISUSED))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m benchmark",
        description="InpaintBench: train, score and compare image inpainting systems.",
        epilog="`dvc repro` runs split, train, baselines, evaluate, diagnose and report, in this "
        "order, for what params.yaml names, and skips what is up to date. Each also runs by "
        "itself. Exit codes: 0 fine, 1 a run failed, 2 wrong input, 130 interrupted.",
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
        if "variant" in needs or "device" in needs:
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
        "--root",
        type=_path,
        help="folder of the images (default: data/raw/<suite>); see also `attach`",
    )
    train = command(
        "train", _train, "train one variant; continues where it was stopped", "suite", "variant"
    )
    train.add_argument(
        "--tensorboard",
        metavar="DIR",
        default=os.environ.get("INPAINTBENCH_TENSORBOARD"),
        help="also write TensorBoard events to DIR/<suite>/<variant>/seed<seed>; does not change "
        "the result (default: what the environment variable INPAINTBENCH_TENSORBOARD says, which "
        "works for `dvc repro` too)",
    )
    command("evaluate", _evaluate, "score a trained run on the test split", "suite", "variant")
    command("diagnose", _diagnose, "ask a run's discriminators about probes", "suite", "variant")
    command("baselines", _baselines, "score the classical baselines on the test split", "suite")
    command("report", _report, "write reports/ from the scores of what params.yaml names")
    reference = command(
        "reference", _reference, "keep a suite's results in reports/reference/", "suite"
    )
    reference.add_argument("--note", default="", help="what to say of the budget, in one line")
    reference.add_argument(
        "--overwrite", action="store_true", help="replace the results that are kept already"
    )
    reference.add_argument(
        "--pictures",
        action="store_true",
        help="also keep a picture of completed images; the dataset's licence has to allow it",
    )
    command("readme", _readme, "copy the tables of the report into README.md")
    _add_verify_options(
        command("verify", _verify, "build results again and compare with those kept")
    )
    _add_bands_options(command("bands", _bands, "measure how far metrics differ elsewhere"))
    _add_inpaint_options(
        command("inpaint", _inpaint, "fill holes of your photographs with a trained run", "device")
    )
    attach = command("attach", _attach, "link a folder of your images to a suite", "suite")
    attach.add_argument("folder", type=_path, help="the folder; its images stay where they are")
    command("weights", _weights, "fetch the backbone weights that LPIPS needs")
    describe = command("describe", _describe, "show what a variant is made of and trained with")
    describe.add_argument("variant", help="a file of models/variants/")
    describe.add_argument(
        "--suite", help="a file of benchmark/suites/, for its sizes (default: 128 px, hole 64 px)"
    )
    describe.add_argument("--json", action="store_true", help="plain JSON instead of tables")
    export = command("export", _export, "write a trained generator as ONNX, checked for parity")
    export.formatter_class = argparse.RawDescriptionHelpFormatter
    export.epilog = ONNX_EXAMPLE
    export.add_argument(
        "--checkpoint",
        type=_path,
        required=True,
        help="models/checkpoints/<suite>/<variant>/seed<n>",
    )
    export.add_argument(
        "--out", type=_path, required=True, help="the file to write, e.g. model.onnx"
    )
    export.add_argument(
        "--criterion", help="which checkpoint, e.g. last (default: the one that is evaluated)"
    )
    export.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    command("list", _list, "list the suites and variants that there are")
    return parser


def _add_verify_options(verify: argparse.ArgumentParser) -> None:
    verify.epilog = (
        "Everything is built in a temporary copy of the checkout (TMPDIR says where; the weights "
        "of one run at a time lie in it), in the time that `dvc repro` takes for it. Exit codes: 0 "
        "as promised: identical, or on another machine the same data and metrics within their "
        "bands; 1 different; 2 nothing to compare with."
    )
    verify.add_argument("--suite", help="this suite alone (default: all of params.yaml)")
    verify.add_argument("--variant", help="this variant alone, without baselines and report")
    verify.add_argument("--seed", type=_seed, help="this seed alone, likewise")
    verify.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto (default) takes what the pinned results were made on, if it is there",
    )
    verify.add_argument(
        "--reference",
        action="store_true",
        help="compare with the runs in reports/reference/<suite>/, with their settings",
    )
    verify.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    verify.add_argument(
        "--keep", type=_path, metavar="FOLDER", help="make the copy there, and keep it"
    )


def _add_bands_options(bands: argparse.ArgumentParser) -> None:
    bands.epilog = (
        "Trains every variant with every seed, and with the first seed once more for each setting, "
        "in a temporary copy of the checkout. What benchmark/bands.json has already is not "
        "measured again, so an interrupted measurement continues with the same command."
    )
    for name in ("suite", "variant"):
        bands.add_argument(
            f"--{name}", action="append", help=f"a {name}; may be repeated (default: params.yaml)"
        )
    bands.add_argument(
        "--seeds",
        type=_seed,
        nargs="+",
        help="the first one is that of the settings (default: params.yaml)",
    )
    bands.add_argument(
        "--setting",
        action="append",
        help="one_thread, two_threads, without_avx512, without_onednn or cuda; may be repeated "
        "(default: all that change something on this machine)",
    )


def _add_inpaint_options(inpaint: argparse.ArgumentParser) -> None:
    inpaint.add_argument(
        "--checkpoint",
        type=_path,
        required=True,
        metavar="FOLDER",
        help="weights of a run: models/checkpoints/<suite>/<variant>/seed<seed>",
    )
    inpaint.add_argument(
        "--images",
        type=_path,
        required=True,
        metavar="FOLDER",
        help="images of any size, in sub-folders too; of images in 8-bit RGB or grey, known pixels "
        "stay as they are, to the bit",
    )
    inpaint.add_argument(
        "--masks",
        type=_path,
        required=True,
        metavar="FOLDER|center|random",
        help="masks, named like the images and as large; or a square hole in the middle or at a "
        "random place, with the share of the image that it had in training",
    )
    inpaint.add_argument(
        "--out",
        type=_path,
        required=True,
        metavar="FOLDER",
        help="for the results, PNG files named like the images",
    )
    inpaint.add_argument(
        "--hole",
        choices=("white", "black"),
        help="the colour of what is to be filled in the masks (default: white)",
    )
    inpaint.add_argument(
        "--large-holes", action="store_true", help="masks may mark more than half of an image"
    )
    inpaint.add_argument("--overwrite", action="store_true", help="replace results that are there")
    inpaint.add_argument(
        "--criterion",
        metavar="NAME",
        help="which weights: last, best_val_psnr, … (default: as the suite says)",
    )
    inpaint.add_argument("--seed", type=_seed, help="of random masks (default: 0)")
    inpaint.add_argument(
        "--batch-size",
        type=_positive,
        metavar="N",
        default=16,
        help="squares to fill at a time; fewer take less memory (default: 16)",
    )


def _path(text: str) -> str:
    # An unset variable of a shell, which would mean the present folder.
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a file or a folder")
    return text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _seed(text: str) -> int:
    value = _whole(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{value} is not in [0, 2**31)")
    return value


def _positive(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main())
