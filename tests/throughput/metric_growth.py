"""Time of every metric as images and holes grow -> `docs/metric_growth.md`.

`python -m tests.throughput.metric_growth` takes about a minute on two idle cores.
"""

import time
from pathlib import Path

import torch
from torch import Tensor

from benchmark.core.environment import fingerprint
from benchmark.core.files import write_text
from benchmark.metrics import METRICS, missing_metrics, score_images
from benchmark.reporting.blocks import Block, Text, simple_table
from benchmark.reporting.markdown import markdown_page

PAGE = Path("docs/metric_growth.md")
FIXED = ((64, 64), (256, 256), (1000, 1000), (3000, 4000))
"""Height and width of images with a hole of 32 px."""
GROWING = ((64, 32), (256, 128), (1000, 500), (2000, 1000))
"""Sides of images, and of their holes."""
ROUNDS = 3


def main() -> None:
    """Measure and write the page."""
    missing = missing_metrics()
    names = [n for n, m in METRICS.items() if m.pixels == "completed" and n not in missing]
    fixed = [_times(names, size, (32, 32)) for size in FIXED]
    growing = [_times(names, (side, side), (hole, hole)) for side, hole in GROWING]
    photograph = [_times(names, (3000, 4000), (400, 500))]
    machine = fingerprint(torch.device("cpu"))
    columns = [f"{h}x{w}" for h, w in FIXED]
    columns += [f"{s}, hole {hole}" for s, hole in GROWING] + ["3000x4000, hole 400x500"]
    rows = [
        [name, *(f"{1000 * found[name]:,.1f}" for found in (*fixed, *growing, *photograph))]
        for name in (*names, "all")
    ]
    blocks: list[Block] = [
        Text(
            f"Milliseconds for one image, the least of {ROUNDS}, on {machine['cpu']}, "
            f"{machine['threads']} threads. Made by `python -m tests.throughput.metric_growth`. "
            "The first columns have a hole of 32 px; `all` computes what metrics share once."
        ),
        Text(
            "Above a megapixel the surroundings of the hole alone are looked at, so that the time "
            "follows the hole, and not the image; below, the image is taken as a whole."
        ),
        simple_table("Milliseconds", ["metric", *columns], rows),
        Text(f"Not measured, as weights are missing: {', '.join(missing) or 'none'}."),
    ]
    write_text(PAGE, markdown_page("Growth of the metrics", blocks))


def _times(names: list[str], size: tuple[int, int], hole: tuple[int, int]) -> dict[str, float]:
    """Return the seconds of each metric, and of all together."""
    images = _images(size, hole)
    found = {name: _least([name], images) for name in names}
    return found | {"all": _least(names, images)}


def _images(size: tuple[int, int], hole: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return noise with a hole in its middle, which another noise fills."""
    numbers = torch.Generator().manual_seed(0)
    target, other = (
        torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=numbers) for _ in range(2)
    )
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    top, left = ((whole - part) // 2 for whole, part in zip(size, hole, strict=True))
    mask[..., top : top + hole[0], left : left + hole[1]] = True
    return torch.where(mask, other, target), target, mask


def _least(names: list[str], images: tuple[Tensor, Tensor, Tensor]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        score_images(*images, names)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
