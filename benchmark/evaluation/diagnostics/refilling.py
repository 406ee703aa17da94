"""A generator and a localizer in turns: the square that it finds in a filled image is filled again.

LocPaint proposes it: each round is to make the image more real.
"""

import torch
from torch import Tensor, nn

from benchmark.evaluation.test_set import TestSet
from benchmark.metrics import METRICS
from benchmark.metrics.shift_tolerant import SMALLEST_PX
from benchmark.training.network_inputs import Completed, Inpainter, complete
from data.draws import integers_below, random_bits

METRIC = "stlpips_alex"
ROUNDS = 4
DIGITS = 5
"""Significant digits that are kept of a value."""


def refilled(rounds: int) -> str:
    """Return the name of the scores after so many rounds."""
    return f"refilled_{rounds}"


ELSEWHERE = f"elsewhere_{ROUNDS}"
"""The name of the scores after as many rounds in squares that are drawn, and not found."""


@torch.no_grad()
def refill(
    inpainter: Inpainter,
    localizer: nn.Module,
    test: TestSet,
    device: torch.device,
    batch_size: int,
) -> dict[str, list[float]]:
    """Fill the first hole of every test image, then what the localizer finds, again and again.

    What is filled has the size of the hole, and lies around the middle of the localizer's box.

    Returns:
        `METRIC` of the whole image, image by image, after each number of rounds, and `ELSEWHERE`;
        nothing where images are too small for it.
    """
    size, found = test.hole_size, dict[str, list[float]]()
    if min(test.images.shape[1:3]) < SMALLEST_PX:
        return found
    for start in range(0, len(test.rows), batch_size):
        rows = test.rows[start : start + batch_size]
        images = torch.from_numpy(test.images[rows]).to(device)
        boxes = torch.from_numpy(test.boxes[rows, 0]).to(device)
        first = complete(inpainter, images, boxes, size)
        px = images.shape[1]

        def fill(filled: Tensor, corners: Tensor) -> Tensor:
            there = torch.cat([corners, corners + size], dim=1)
            return complete(inpainter, filled.permute(0, 2, 3, 1), there, size).completed

        def note(name: str, filled: Tensor, first: Completed = first) -> None:
            scores = METRICS[METRIC].function(filled, first.target, first.mask).tolist()
            found.setdefault(name, []).extend(float(f"{score:.{DIGITS}g}") for score in scores)

        inside = elsewhere = first.completed
        note(refilled(0), inside)
        for number in range(1, ROUNDS + 1):
            box = localizer(inside.float() / 127.5 - 1).box
            middle = (box[:, :2] + box[:, 2:]) / 2 * px
            corners = (middle - size / 2).round().clamp(0, px - size)
            inside = fill(inside, corners.to(boxes.dtype))
            note(refilled(number), inside)
            bits = random_bits(["refilled elsewhere", number], len(rows), start)
            drawn = torch.from_numpy(integers_below(bits[:, :2], px - size + 1))
            elsewhere = fill(elsewhere, drawn.to(device, boxes.dtype))
        note(ELSEWHERE, elsewhere)
    return found
