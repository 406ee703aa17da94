"""A folder that a user supplies -> the names of its files."""

import os
from pathlib import Path

from data.errors import InputError


def visible_files(root: Path) -> list[str]:
    """Return the files below a folder, hidden ones excepted, as `a/b.png`, sorted by text.

    Links are followed, but no folder is listed twice. Only links cost a look at the file itself, so
    that a million files are listed in seconds.

    Raises:
        InputError: there is no such folder, one cannot be read, or the manifest could not hold a
            file's name.
    """
    if not root.is_dir():
        raise InputError(
            f"{root}: no such folder. Put the images there, link their folder with "
            "`python -m benchmark attach`, or name it with --root"
        )
    found: list[str] = []
    seen: set[Path] = set()
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        inner = []
        for name, is_folder in _entries(folder):
            if is_folder:
                inner.append((folder / name, f"{prefix}{name}/"))
            else:
                found.append(_listable(prefix + name))
        # Sorted, so that of two links to one folder the same one counts everywhere.
        waiting += sorted(inner, reverse=True)
    return sorted(found)


def _entries(folder: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder, hidden ones excepted, and whether they are folders."""
    try:
        with os.scandir(folder) as entries:
            return [(e.name, _is_folder(e)) for e in entries if not e.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{error.filename or folder}: cannot be read ({error.strerror})") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads to itself is no folder, but an error to `DirEntry.is_dir`.
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def _listable(name: str) -> str:
    """Return a name that UTF-8 text with lines can hold."""
    try:
        name.encode()
        if "\r" not in name:
            return name
    except UnicodeEncodeError:  # bytes that are not UTF-8 have been decoded to stand-ins
        pass
    raise InputError(
        f"{name!r}: a name that is not UTF-8, or has a carriage return, cannot be listed in the "
        "manifest; rename the file"
    )
