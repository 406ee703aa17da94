"""Small trees of files in the layouts that the sources read."""

import hashlib
import importlib
import io
import pickle
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from data.sources import cifar10, tiny_imagenet

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def picture(number: int) -> NDArray[np.uint8]:
    return np.roll(PICTURE, number)


def encoded(pixels: NDArray[np.uint8], form: str = "png") -> bytes:
    """Return the content of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=form)
    return file.getvalue()


def put_images(root: Path, *names: str) -> Path:
    """Write a picture of its own to each path; PNG, whatever the name, so that pixels are kept."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(picture(number)))
    return root


def put_folder(root: Path, patch: pytest.MonkeyPatch) -> Path:
    return put_images(root, "a-b/1.png", "a/2.png", "b.png", "a b/ü.png")


def put_nothing(root: Path, patch: pytest.MonkeyPatch) -> Path:
    return root


def put_celeba(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write six photographs, of which the fourth validates and the last two test."""
    names = [f"{number:06d}.jpg" for number in range(1, 7)]
    put_images(root / "img_align_celeba", *names)
    lines = [f"{name} {number}\n" for name, number in zip(names, "000122", strict=True)]
    (root / "list_eval_partition.txt").write_text("".join(lines))
    return root


def put_cifar10(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write an archive in CIFAR-10's layout, ten images a batch, and make it the official one."""
    batches = root / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for number, name in enumerate(names):
        rows = np.random.default_rng(number).integers(0, 256, (10, 3072), dtype=np.uint8)
        content: dict[str, Any] = {"data": rows, "labels": [9 - i for i in range(10)]}
        (batches / name).write_bytes(pickle.dumps(content))
    classes = [f"class{i}" for i in range(10)]
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": classes}))
    archive = pack(batches, root / cifar10.ARCHIVE)
    patch.setattr(cifar10, "ARCHIVE_SHA256", digest(archive, "sha256"))
    return root


def put_stl10(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write an archive in STL-10's layout and make it the official one.

    It has 12 training images, 7 to test with and 5 without a class.
    """
    from torchvision.datasets import STL10

    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for seed, (name, count) in enumerate({"train": 12, "test": 7, "unlabeled": 5}.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 3, 96, 96), dtype=np.uint8)
        (folder / f"{name}_X.bin").write_bytes(pixels.tobytes())
        (folder / f"{name}_y.bin").write_bytes(bytes(1 + i % 10 for i in range(count)))
    (folder / "unlabeled_y.bin").unlink()
    (folder / "class_names.txt").write_text("a\nb\n")
    md5 = {path.name: digest(path, "md5") for path in folder.iterdir()}
    for part in ("train_list", "test_list"):
        patch.setattr(STL10, part, [[name, md5[name]] for name, _ in getattr(STL10, part)])
    patch.setattr(STL10, "tgz_md5", digest(pack(folder, root / STL10.filename), "md5"))
    return root


def put_tiny_imagenet(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write an archive in Tiny ImageNet's layout and make it the official one.

    It has two training images of each of two classes, one of them gray, and three to test with.
    """
    root.mkdir(parents=True)
    wnids = ["n01443537", "n02123045"]
    with ZipFile(root / tiny_imagenet.ARCHIVE, "w") as archive:

        def write(path: str, content: bytes | str) -> None:
            archive.writestr(f"tiny-imagenet-200/{path}", content)

        archive.mkdir("tiny-imagenet-200/")
        write("words.txt", "n01443537\tgoldfish, Carassius auratus\nn02123045\ttabby\n")
        for wnid in wnids:
            write(f"train/{wnid}/{wnid}_boxes.txt", f"{wnid}_0.JPEG\t0\t0\t9\t9\n")
            for index in range(2):
                pixels = picture(index) if index else picture(index)[:, :, 0]
                write(f"train/{wnid}/images/{wnid}_{index}.JPEG", encoded(pixels, "jpeg"))
        rows = [f"val_{i}.JPEG\t{wnids[i % 2]}\t0\t32\t44\t62\n" for i in range(3)]
        write("val/val_annotations.txt", "".join(rows))
        for index in range(3):
            write(f"val/images/val_{index}.JPEG", encoded(picture(10 + index), "jpeg"))
        write("test/images/test_0.JPEG", encoded(picture(20), "jpeg"))
    sha256 = digest(root / tiny_imagenet.ARCHIVE, "sha256")
    patch.setattr(tiny_imagenet, "ARCHIVE_SHA256", sha256)
    return root


def put_parquet(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write shards as hubs have them, two rows a group: 5 and 2 images to train on, 3 to test."""
    write_parquet(root / "data/train-00000-of-00002-0a1b.parquet", range(5))
    write_parquet(root / "data/train-00001-of-00002-0a1b.parquet", range(5, 7))
    write_parquet(root / "data/test-00000-of-00001-2c3d.parquet", range(7, 10))
    return root


def write_parquet(path: Path, numbers: Sequence[int], rows_per_group: int = 2) -> Path:
    """Write pictures with their numbers as labels."""
    images = [{"bytes": encoded(picture(n)), "path": f"{n}.png"} for n in numbers]
    return write_table(path, {"image": images, "label": list(numbers)}, rows_per_group)


def write_table(path: Path, columns: dict[str, Any], rows_per_group: int = 2) -> Path:
    """Write columns of plain values."""
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(columns), path, row_group_size=rows_per_group)
    return path


def pack(folder: Path, archive: Path) -> Path:
    """Move a folder into an archive beside it."""
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, folder.name)
    shutil.rmtree(folder)
    return archive


def digest(path: Path, algorithm: str) -> str:
    return hashlib.new(algorithm, path.read_bytes()).hexdigest()


def lose_network(patch: pytest.MonkeyPatch) -> None:
    """Let every download fail."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    patch.setattr("requests.sessions.Session.request", unreachable)
