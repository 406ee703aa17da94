"""The test images of a suite, with their holes → files that anybody's method can complete."""

from pathlib import Path

from PIL import Image
from tqdm import tqdm

from benchmark.core.config import Suite
from benchmark.core.files import atomic_folder
from benchmark.evaluation.test_set import load_test_set
from benchmark.inference.pairing import check_output

MASK_NAME = "{stem}_mask{mask}"


def export_test_set(suite: Suite, out: Path, overwrite: bool) -> tuple[int, int]:
    """Write `images/` and `masks/` as PNG, a mask white where the hole is.

    An image is named by the beginning of its digest, as in score tables, and its masks likewise:
    `{stem}.png` where there is one each, else `{stem}_mask{mask}.png`. What else is in the folder
    stays as it is.

    Returns:
        How many images and masks there are.

    Raises:
        InputError: `images/` or `masks/` is there already, or the split stage has not run.
    """
    folders = [out / "images", out / "masks"]
    check_output((), out, folders, overwrite)
    test = load_test_set(suite)
    per_image = test.boxes.shape[1]
    with atomic_folder(folders[0]) as images, atomic_folder(folders[1]) as masks:
        for row in tqdm(test.rows, desc="export", unit="image"):
            stem = test.records[row].sha256[:16]
            Image.fromarray(test.images[row]).save(images / f"{stem}.png")
            for number in range(per_image):
                named = MASK_NAME.format(stem=stem, mask=f"{number:03}") if per_image > 1 else stem
                hole = test.masks([row], number)[0, 0].numpy()
                Image.fromarray(hole).save(masks / f"{named}.png")
    return len(test.rows), len(test.rows) * per_image
