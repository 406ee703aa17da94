"""A trained generator -> an ONNX file, which other runtimes can run without this project.

The graph takes images and masks, both float32, and does all the rest by itself: it blanks the hole
as the variant was trained to see it, finds the hole's corner, runs the generator and composites.
`python -m benchmark export --help` shows how to use it; the file's metadata says the rest.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.core.config import Suite
from benchmark.core.files import atomic_path
from benchmark.inference.trained import Trained, load_folder
from benchmark.training.batches import make_batch
from benchmark.training.network_inputs import Inpainter
from data.draws import random_bits
from data.errors import InputError
from data.masks import MaskSpec
from data.procedural_faces import render_portrait
from models.batch import Batch
from models.variant import Variant

OPSET = 20
"""Version of the ONNX operators; a number of our own, so that a new PyTorch does not change it."""
BATCHES = (1, 3)
"""Sizes of the batches that are compared; none is the size with which the graph was traced."""
TRACED_BATCH = 2
MAX_DIFFERENCE = 1e-4
"""In units of [-1, 1]. Sums of some 10**4 float32 products in another order differ by 1e-5 or less;
a graph that computes something else is off by a step of 8-bit color, 8e-3, at least somewhere."""


class ParityError(Exception):
    """The exported graph does not compute what the generator computes."""


class Completer(nn.Module):
    """What the file holds: from images with masks to completed images and raw outputs."""

    def __init__(self, inpainter: Inpainter, hole_size: int) -> None:
        super().__init__()
        self.network = inpainter.network
        self._inpainter = inpainter
        self._hole_size = hole_size

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Fill holes.

        Args:
            image: `[N, 3, H, W]` in [-1, 1]; what is in the hole is not looked at.
            mask: `[N, 1, H, W]`, 1 in the hole, a square of the size that was trained.

        Returns:
            The completed images, whose known pixels are those of `image`, and the raw output.
        """
        hole = mask > 0.5
        # The first column and the first row that meet the hole.
        corner = [hole.any(axis).flatten(1).int().argmax(1) for axis in (2, 3)]
        blank = torch.where(hole, 0.0, image)
        batch = Batch(blank, hole.to(image.dtype), torch.stack(corner, dim=1), self._hole_size)
        raw = self._inpainter(batch)
        return torch.where(hole, raw, image), raw


def export_run(
    folder: Path, path: Path, criterion: str | None = None, overwrite: bool = False
) -> tuple[Trained, float]:
    """Write the generator of a trained run as ONNX, once it is seen to compute the same.

    Args:
        folder: the checkpoints of the run.
        path: the file to write.
        criterion: what chose the checkpoint, e.g. `last`; the suite's rule where it is None.
        overwrite: whether to replace a file that is there.

    Returns:
        What was exported, and the greatest absolute difference of an output, in units of [-1, 1].

    Raises:
        InputError: the file is there, or there is no such checkpoint, or it belongs to other
            settings.
        ParityError: the graph does not compute what the generator computes; nothing is written.
    """
    if not overwrite and os.path.lexists(path):
        raise InputError(f"{path}: is there already; --overwrite replaces it")
    suite, variant, trained = load_folder(folder, "cpu", criterion, full_precision=True)
    completer = Completer(trained.inpainter, suite.mask.size).eval()
    content = onnx_bytes(completer, suite, metadata(suite, variant, trained))
    difference = largest_difference(content, completer, suite)
    if not difference <= MAX_DIFFERENCE:  # NaN is no parity either
        raise ParityError(
            f"{path}: not written, since onnxruntime and PyTorch differ by {difference:.2g}, more "
            f"than {MAX_DIFFERENCE:g}"
        )
    with atomic_path(path) as partial:
        partial.write_bytes(content)
    return trained, difference


def onnx_bytes(completer: Completer, suite: Suite, properties: Mapping[str, str]) -> bytes:
    """Return the graph as the content of an ONNX file; the batch may have any size.

    Equal networks and properties give equal bytes: where the exporter notes what a node was made
    from, which includes paths of this machine, nothing is left.
    """
    import onnx  # here, as only the extra `export` of pyproject.toml brings it

    example = _scene(suite, TRACED_BATCH)
    batch = {0: "batch"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            completer,
            (example.image, example.mask),
            input_names=["image", "mask"],
            output_names=["completed", "raw"],
            dynamic_shapes={"image": batch, "mask": batch},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is None without dynamo alone
    model: Any = program.model_proto
    _strip(model)
    onnx.helper.set_model_props(model, dict(sorted(properties.items())))
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _strip(message: Any) -> None:
    """Clear all comments and metadata of a protocol buffer, at any depth."""
    for name in ("doc_string", "metadata_props"):
        if name in message.DESCRIPTOR.fields_by_name:
            message.ClearField(name)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)


def metadata(suite: Suite, variant: Variant, trained: Trained) -> dict[str, str]:
    """Return what a user of the file has to know, and what it was made from."""
    size, hole, run = suite.image_size, suite.mask.size, trained.manifest.run
    return {
        "inputs": (
            f"image: float32 [N, 3, {size}, {size}]; mask: float32 [N, 1, {size}, {size}], "
            f"one square of {hole} px in each"
        ),
        "outputs": (
            f"completed: float32 [N, 3, {size}, {size}], known pixels as in image; "
            f"raw: float32 [N, 3, {size}, {size}], as the generator put it out"
        ),
        "mask_polarity": "1 = hole",
        "value_range": "[-1, 1], RGB",
        "image_size": str(size),
        "hole_size": str(hole),
        "opset": str(OPSET),
        "suite": run.suite,
        "variant": run.variant,
        "seed": str(run.seed),
        "title": variant.title,
        "criterion": trained.criterion,
        "epoch": str(trained.epoch),
        "checkpoint_sha256": trained.manifest.checkpoints[trained.criterion].sha256,
        "config_sha256": trained.manifest.config_sha256,
        "project": "InpaintBench",
    }


def largest_difference(content: bytes, completer: Completer, suite: Suite) -> float:
    """Run the graph in onnxruntime and the network in PyTorch, and compare all their outputs."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors
    settings.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    differences = []
    for count in BATCHES:
        batch = _scene(suite, count)
        inputs = {"image": batch.image.numpy(), "mask": batch.mask.numpy()}
        outputs = session.run(["completed", "raw"], inputs)
        with torch.no_grad():
            expected = completer(batch.image, batch.mask)
        for ours, theirs in zip(expected, outputs, strict=True):
            differences.append((ours - torch.from_numpy(theirs)).abs().max())
    return float(torch.stack(differences).max())


def _scene(suite: Suite, count: int) -> Batch:
    """Return drawn faces with holes anywhere, whatever the suite's images and mask law are."""
    size, hole = suite.image_size, suite.mask.size
    images = np.stack([render_portrait(index, size, seed=0) for index in range(count)])
    law = MaskSpec(kind="random_square", size=hole)
    boxes = law.boxes(random_bits(["export", count], count), size)
    return make_batch(torch.from_numpy(images), torch.from_numpy(boxes), hole)
