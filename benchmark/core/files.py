"""Files that are either there whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.errors import InputError

LONGEST_SHOWN_BYTES = 100
"""Longer names are not shown in those of temporary files, which would be too long themselves."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there once it is written.

    Raises:
        InputError: the place cannot be written to.
    """
    partial = _beside(path, "partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, and let it take the place of `path` once it is filled.

    A process that is killed between two renames leaves `path` absent and the former folder beside
    it; the next call puts that back before anything else, and sweeps what it does not need.

    Raises:
        InputError: the place cannot be written to, or something else than a folder is there.
    """
    partial, former = _beside(path, "partial"), _beside(path, "former")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if former.exists() and not path.exists():
            former.replace(path)
        shutil.rmtree(former, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise FileExistsError(errno.EEXIST, "there is a file or a link in its place")
        partial.mkdir()
        try:
            yield partial
            for written in [*partial.rglob("*"), partial]:
                _sync(written)
            _put(partial, path, former)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _put(partial: Path, path: Path, former: Path) -> None:
    """Move a filled folder to its place; a failure leaves the former one there."""
    try:
        if path.exists():
            path.replace(former)
        partial.replace(path)
    except BaseException:
        if former.exists() and not path.exists():
            former.replace(path)
        raise
    try:
        _sync(path.parent)
    finally:
        shutil.rmtree(former, ignore_errors=True)


def _beside(path: Path, ending: str) -> Path:
    """Return a hidden place beside a path; the same for every process, which finds what one left.

    Files have names of up to 255 bytes, which leave no room for an ending.

    Raises:
        InputError: the path ends without a name.
    """
    name = path.name
    if not name:
        raise InputError(f"{path}: cannot be written; it needs the name of a file or folder")
    if len(os.fsencode(name)) > LONGEST_SHOWN_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}.{ending}")


def _sync(path: Path) -> None:
    """Have a file, or the names within a folder, written to the disk, whatever happens then."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems know no such thing for folders.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, with line feeds alone as line ends."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically: sorted keys, and no NaN or infinity, which JSON does not have."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def require(path: Path, made_by: str) -> None:
    """Raise `InputError` if a file is missing, naming the command that makes it."""
    if not path.is_file():
        raise InputError(f"{path}: missing; `{made_by}` makes it")


def read_json(path: Path, made_by: str) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        made_by: the command that makes it, for the error.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: missing; `{made_by}` makes it") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
