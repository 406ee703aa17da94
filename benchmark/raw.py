"""Folders of a user's own images, attached to a suite."""

from pathlib import Path

from benchmark import paths
from data.errors import InputError


def attach_folder(suite: str, folder: Path) -> Path:
    """Link a folder to a suite, in the place of an earlier link.

    The link lies inside `data/raw/<suite>`, which the split stage of the pipeline depends on, so
    that a changed image is noticed.

    Raises:
        InputError: the folder does not exist, or `data/raw/<suite>` already holds images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    place = paths.raw(suite)
    place.mkdir(parents=True, exist_ok=True)
    link = place / "attached"
    if link.is_symlink():
        link.unlink()
    others = sorted(path.name for path in place.iterdir() if not path.name.startswith("."))
    if others:
        raise InputError(f"{place}: already holds {others[0]}; empty it first")
    link.symlink_to(folder.resolve(), target_is_directory=True)
    return link
