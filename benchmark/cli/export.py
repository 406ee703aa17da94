"""`python -m benchmark export`: a trained generator as an ONNX file."""

import argparse
from pathlib import Path

from benchmark.cli.arguments import add_json, add_overwrite, path, print_json
from benchmark.core.exit_codes import FAILED, FINE, complain

SUMMARY = "write a trained generator as ONNX, checked for parity"

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = ONNX_EXAMPLE
    parser.add_argument(
        "--checkpoint",
        type=path,
        required=True,
        help="models/checkpoints/<suite>/<variant>/seed<n>",
    )
    parser.add_argument(
        "--out", type=path, required=True, help="the file to write, e.g. model.onnx"
    )
    parser.add_argument(
        "--criterion", help="which checkpoint, e.g. last (default: the one that is evaluated)"
    )
    add_overwrite(parser, "a file that is there")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Write the file and say how far it is from PyTorch."""
    from benchmark.inference.export import ParityError, export_run

    file = Path(options.out)
    try:
        folder = Path(options.checkpoint)
        exported = export_run(folder, file, options.criterion, options.overwrite)
    except ParityError as error:
        return complain(error, FAILED)
    trained, difference = exported.trained, f"{exported.difference:.2g}"
    if options.json:
        print_json(
            {
                "file": file.as_posix(),
                "criterion": trained.criterion,
                "epoch": trained.epoch,
                "difference": float(difference),
            }
        )
    else:
        print(
            f"{file}: {trained.criterion}, epoch {trained.epoch}; onnxruntime and PyTorch differ "
            f"by {difference} at most, in units of [-1, 1]"
        )
    return FINE
