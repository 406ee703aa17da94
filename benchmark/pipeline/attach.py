"""Folders of a user's own images, attached to a suite."""

from pathlib import Path

from benchmark.core import paths
from data.errors import InputError


def attach_folder(suite: str, folder: Path) -> Path:
    """Make `data/raw/<suite>` a link to a folder, in the place of an earlier link.

    The split stage of the pipeline depends on that path, so a changed image is noticed.

    Raises:
        InputError: the folder does not exist, or `data/raw/<suite>` is itself a folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    link = paths.raw(suite)
    if link.exists() and not link.is_symlink():
        raise InputError(f"{link}: is a folder of its own; move it away to attach another")
    link.parent.mkdir(parents=True, exist_ok=True)
    partial = link.with_name(f".{link.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(folder.resolve(), target_is_directory=True)
    partial.replace(link)
    return link
