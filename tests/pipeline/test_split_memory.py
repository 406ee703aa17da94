"""The split stage takes no more memory for more images."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SIDE_PX = 512
# In a process of its own. Pages of mapped files count in its peak, which getrusage would mix up
# with that of the process from which it was forked.
SPLIT = """
import sys
from pathlib import Path
from benchmark.core.config import Suite
from benchmark.pipeline.split import split_suite
third = int(sys.argv[2]) // 3
split_suite(Suite.model_validate({
    "name": "many", "title": "", "description": "", "image_size": int(sys.argv[3]),
    "source": {"name": "image_folder"}, "mask": {"kind": "center", "size": 8},
    "splits": {"seed": 0, "train": third, "val": third, "test": third},
    "training": {"epochs": 1, "batch_size": 2},
}), Path(sys.argv[1]))
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def peak_bytes(folder: Path, count: int) -> int:
    images = folder / "images"
    images.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.Generator(np.random.Philox(index)).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{index}.png")
    done = subprocess.run(
        [sys.executable, "-c", SPLIT, str(images), str(count), str(SIDE_PX)],
        cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout.split()[-1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    few, many = peak_bytes(tmp_path / "few", 12), peak_bytes(tmp_path / "many", 192)
    added = (192 - 12) * SIDE_PX * SIDE_PX * 3
    # A fifth: what grows is an item and a hash for each image, and the allocator's own slack.
    assert many - few < added / 5
