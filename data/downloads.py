"""An address and a digest -> the official file, downloaded where it is missing."""

import hashlib
from pathlib import Path

from data.errors import InputError

TIMEOUT_S = 60
_NAMES = {"md5": "MD5", "sha256": "SHA-256"}


def fetch(url: str, path: Path, digest: str) -> None:
    """Make sure that a file is there and is the official one; download it where it is missing.

    Args:
        url: where it is; HTTP or HTTPS.
        path: where to put it. Until it is whole and checked it has another name.
        digest: `sha256:` or `md5:` and the hexadecimal digest.

    Raises:
        InputError: the download failed, or the file has another digest.
    """
    if path.is_file():
        if (found := _digest_of(path, digest)) != digest:
            raise InputError(
                f"{path}: {_NAMES[digest.partition(':')[0]]} is {found.partition(':')[2]}, the "
                f"official file has {digest.partition(':')[2]}"
            )
        return
    import pooch  # here, as `list` reads the sources' options and downloads nothing

    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_S)
    try:
        pooch.retrieve(url, digest, path.name, path.parent, downloader=downloader)
    except OSError as error:  # of the disk, or of requests, whose errors are such too
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: the download failed ({reason}). Run the command again, or fetch {url} on a "
            f"machine with network access and put it into {path.parent}/"
        ) from None
    except ValueError as error:  # the digest is another one; the file has been removed
        reason = str(error).partition(". Deleted")[0]
        raise InputError(f"{url}: not the official file ({reason})") from None


def has_digest(path: Path, digest: str) -> bool:
    """Tell whether a file is there and has a digest, `sha256:…` or `md5:…`."""
    return path.is_file() and _digest_of(path, digest) == digest


def _digest_of(path: Path, digest: str) -> str:
    """Return the digest of a file, of the kind of another one."""
    algorithm = digest.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
