"""`python -m benchmark inpaint`: the holes of photographs, filled with a trained run."""

import argparse
from pathlib import Path

from benchmark.cli.arguments import (
    add_device,
    add_json,
    add_overwrite,
    path,
    positive,
    print_json,
    seed,
)
from benchmark.core.exit_codes import FAILED, FINE, complain
from data.errors import InputError

SUMMARY = "fill holes of your photographs with a trained run"
SQUARES = ("center", "centre", "random")
"""Masks that are made, and not read from a folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    _add_folders(parser)
    add_device(parser)
    parser.add_argument(
        "--hole",
        choices=("white", "black"),
        help="the colour of what is to be filled in the masks (default: white)",
    )
    parser.add_argument(
        "--large-holes", action="store_true", help="masks may mark more than half of an image"
    )
    add_overwrite(parser, "results that are there")
    parser.add_argument(
        "--criterion",
        metavar="NAME",
        help="which weights: last, best_val_psnr, … (default: as the suite says)",
    )
    parser.add_argument("--seed", type=seed, help="of random masks (default: 0)")
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        default=16,
        help="squares to fill at a time; fewer take less memory (default: 16)",
    )
    add_json(parser)


def _add_folders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        type=path,
        required=True,
        metavar="FOLDER",
        help="weights of a run: models/checkpoints/<suite>/<variant>/seed<seed>",
    )
    parser.add_argument(
        "--images",
        type=path,
        required=True,
        metavar="FOLDER",
        help="images of any size, in sub-folders too; of images in 8-bit RGB or grey, known pixels "
        "stay as they are, to the bit",
    )
    parser.add_argument(
        "--masks",
        type=path,
        required=True,
        metavar="FOLDER|center|random",
        help="masks, named like the images and as large; or a square hole in the middle or at a "
        "random place, with the share of the image that it had in training",
    )
    parser.add_argument(
        "--out",
        type=path,
        required=True,
        metavar="FOLDER",
        help="for the results, PNG files named like the images",
    )


def run(options: argparse.Namespace) -> int:
    """Fill the holes and say of how many images."""
    from benchmark.inference.inpaint import Request, inpaint_images

    _refuse_ignored(options)
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
    folder = request.out.as_posix()
    if options.json:
        print_json({"folder": folder, "written": outcome.written, "failed": outcome.failed})
    else:
        print(f"{outcome.written} images -> {folder}/")
    if outcome.failed:
        return complain(f"{outcome.failed} images could not be filled, see above", FAILED)
    return FINE


def _refuse_ignored(options: argparse.Namespace) -> None:
    """Raise `InputError` if an option has no effect with the kind of masks."""
    ignored = {
        "--seed": options.seed is not None and options.masks != "random",
        "--hole": options.hole is not None and options.masks in SQUARES,
        "--large-holes": options.large_holes and options.masks in SQUARES,
    }
    if names := [name for name, is_ignored in ignored.items() if is_ignored]:
        raise InputError(f"{names[0]}: has no effect with --masks {options.masks}; leave it out")
