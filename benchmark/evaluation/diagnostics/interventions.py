"""A generator and the test images → what its fillings change by, if something is taken from it.

One intervention exchanges the context: the hole of an image is filled within another image. The
other switches off the blocks that add to the generator with a learned gain.
"""

from typing import Any

import torch
from torch import Tensor

from benchmark.evaluation.test_set import TestSet
from benchmark.metrics.error import mse
from benchmark.metrics.ssim import ssim_h
from benchmark.training.network_inputs import Completed, Inpainter, complete
from models.layers import Gain

DIGITS = 5
"""Significant digits that are kept of a value."""


@torch.no_grad()
def intervene(
    inpainter: Inpainter, test: TestSet, device: torch.device, batch_size: int
) -> dict[str, Any]:
    """Return what interventions change in the first hole of every test image.

    Returns:
        `context` with the mean squared difference, on [0, 1], between the fillings in the image's
        own and in another image's context (`filling`), and between the two images there (`truth`),
        by image. Where a generator has gains, `gains` by module, and `ssim_h` by image with and
        `without` them.
    """
    gains = {n: m for n, m in inpainter.network.named_modules() if isinstance(m, Gain)}
    found: dict[str, list[float]] = {"filling": [], "truth": [], "ssim_h": [], "without": []}
    for start in range(0, len(test.rows), batch_size):
        rows = test.rows[start : start + batch_size]
        boxes = torch.from_numpy(test.boxes[rows, 0]).to(device)

        def fill(chosen: list[int], boxes: Tensor = boxes) -> Completed:
            images = torch.from_numpy(test.images[chosen]).to(device)
            return complete(inpainter, images, boxes, test.hole_size)

        own, other = fill(rows), fill([test.other(row) for row in rows])
        mask = own.mask
        found["filling"] += mse(own.quantized, other.quantized, mask, region="h").tolist()
        found["truth"] += mse(own.target, other.target, mask, region="h").tolist()
        if gains:
            found["ssim_h"] += ssim_h(own.completed, own.target, mask).tolist()
            kept = {name: gain.factor.clone() for name, gain in gains.items()}
            for gain in gains.values():
                gain.factor.zero_()
            off = fill(rows)
            for name, gain in gains.items():
                gain.factor.copy_(kept[name])
            found["without"] += ssim_h(off.completed, off.target, mask).tolist()
    values = {name: [_rounded(value) for value in of] for name, of in found.items()}
    content: dict[str, Any] = {"context": {name: values[name] for name in ("filling", "truth")}}
    if gains:
        content["gains"] = {name: _rounded(gain.factor.item()) for name, gain in gains.items()}
        content |= {name: values[name] for name in ("ssim_h", "without")}
    return content


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
