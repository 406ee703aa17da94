"""Downloads that go on where they stopped and are checked, and archives that are read in place."""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib import request
from urllib.error import HTTPError

from tqdm import tqdm

from data.errors import InputError

PIECE_BYTES = 1 << 20
TIMEOUT_S = 60
_NAMES = {"md5": "MD5", "sha256": "SHA-256"}


def fetch(url: str, path: Path, digest: str) -> None:
    """Make sure that a file is there and is the one meant; download it where it is missing.

    Args:
        url: where it is.
        path: where to put it. Until it is whole and checked it has another name.
        digest: `sha256:` or `md5:` and the hexadecimal digest.

    Raises:
        InputError: the download failed, or the file has another digest.
    """
    if path.is_file():
        _check(path, path, digest)
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, partial)
    except (OSError, HTTPException) as error:
        raise InputError(
            f"{path}: the download failed ({error}). Run the command again to go on with it, or "
            f"fetch {url} on a machine with network access and put it into {path.parent}/"
        ) from None
    try:
        _check(partial, url, digest)
    except InputError:
        partial.unlink()
        raise
    partial.replace(path)


def has_digest(path: Path, digest: str) -> bool:
    """Tell whether a file is there and has a digest, `sha256:…` or `md5:…`."""
    return path.is_file() and _digest(path, digest) == digest


def _check(path: Path, name: Path | str, digest: str) -> None:
    found = _digest(path, digest)
    if found != digest:
        algorithm, _, expected = digest.partition(":")
        raise InputError(
            f"{name}: {_NAMES[algorithm]} is {found.partition(':')[2]}, the official file has "
            f"{expected}"
        )


def _digest(path: Path, digest: str) -> str:
    """Return the digest of a file, of the kind of another one."""
    algorithm = digest.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _download(url: str, partial: Path) -> None:
    """Append what is missing to a file, or write it anew where the server cannot send a part."""
    done = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "inpaintbench"} | ({"Range": f"bytes={done}-"} if done else {})
    try:
        response = _web().open(request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # there is nothing after what is here; the digest tells whether it is right
        raise
    with response:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        bar = tqdm(desc=partial.name, initial=done, total=total, unit="B", unit_scale=True)
        with bar, partial.open("ab" if done else "wb") as file:
            while piece := response.read(PIECE_BYTES):
                file.write(piece)
                bar.update(len(piece))
    size = partial.stat().st_size
    if total is not None and size < total:
        raise OSError(f"the connection ended after {size} of {total} bytes")


def _web() -> request.OpenerDirector:
    """Return what opens addresses of the web alone: no redirection leads to a file or to FTP."""
    opener = request.OpenerDirector()
    handlers: list[type[Any]] = [
        *(request.ProxyHandler, request.UnknownHandler, request.HTTPHandler, request.HTTPSHandler),
        *(request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler),
        request.HTTPErrorProcessor,
    ]
    for handler in handlers:
        opener.add_handler(handler())
    return opener


def read_members(
    archive: Path, sizes: Mapping[str, int], total: int, keep: Callable[[str, IO[bytes]], None]
) -> None:
    """Go through a tar.gz archive once and hand out some of its files.

    Nothing is extracted, so it does not matter where paths and links of the archive lead.

    Args:
        archive: the file.
        sizes: the files that are wanted, and how many bytes each has at most.
        total: bytes of the whole archive, decompressed, at most.
        keep: is called with the name and the content of each, which it has to read at once.

    Raises:
        InputError: the archive is damaged, or larger, or a wanted file is no plain file.
    """
    try:
        with (
            _BoundedGzip(archive, total) as unzipped,
            tarfile.open(fileobj=unzipped, mode="r|") as members,
        ):
            for member in members:
                if member.name not in sizes:
                    continue
                if not member.isreg():
                    raise InputError(f"{archive}: {member.name} is a link or a device, no file")
                if member.size > sizes[member.name]:
                    raise InputError(
                        f"{archive}: {member.name} has {member.size} bytes, the official one "
                        f"{sizes[member.name]}"
                    )
                content = members.extractfile(member)
                assert content is not None  # as it is for folders
                keep(member.name, content)
    except _TooLargeError:
        raise InputError(f"{archive}: unpacks to more than {total} bytes") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{archive}: damaged ({error})") from None


class _TooLargeError(Exception):
    """More was read than there should be."""


class _BoundedGzip(gzip.GzipFile):
    """A compressed file that is not read beyond a number of bytes, decompressed."""

    def __init__(self, path: Path, total: int) -> None:
        super().__init__(path)
        self._left = total

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most `size`."""
        content = super().read(size)
        self._left -= len(content)
        if self._left < 0:
            raise _TooLargeError
        return content
