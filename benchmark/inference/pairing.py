"""Folders of images → the files that belong together: those of one name, whatever their suffix."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from unicodedata import normalize

from tqdm import tqdm

from benchmark.inference.photographs import SUFFIXES
from data.errors import InputError, printable
from data.folders import visible_files


def names_by_stem(folder: Path) -> dict[str, list[str]]:
    """Return the image files below a folder, sorted, by their relative path without its suffix.

    Files that are no images are left out with a note.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    names = visible_files(folder)
    images = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not images:
        raise InputError(f"{folder}: no image files (of {', '.join(sorted(SUFFIXES))})")
    if others := sorted(set(names) - set(images)):
        say(f"note: {folder}: left out, as they are no images: {listed(others)}")
    stems: dict[str, list[str]] = defaultdict(list)
    for name in images:
        stems[Path(name).with_suffix("").as_posix()].append(name)
    return dict(stems)


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files below a folder by their relative path without its suffix, sorted.

    Raises:
        InputError: see `names_by_stem`; or two files differ in their suffix alone.
    """
    stems = names_by_stem(folder)
    if twice := [names for names in stems.values() if len(names) > 1]:
        first, second, *_ = twice[0]
        raise InputError(f"{folder}: {first} and {second} have one name but for the suffix")
    return {stem: folder / names[0] for stem, names in stems.items()}


def partners(images: Mapping[str, Path], folder: Path, what: str) -> dict[str, Path]:
    """Return the file of a folder that belongs to each image, both by the stem of the image.

    Raises:
        InputError: see `images_by_stem`; or an image has none.
    """
    files = images_by_stem(folder)
    names = matching(images, files)
    if missing := sorted(images.keys() - names.keys()):
        raise no_partner(folder, what, missing, [images[stem] for stem in missing])
    return {stem: files[name] for stem, name in names.items()}


def no_partner(
    folder: Path, what: str, stems: Sequence[str], images: Sequence[object]
) -> InputError:
    """Return the error that images lack a file in a folder, with the name that is expected."""
    return InputError(
        f"{folder}: no {what} for {listed(images)}; "
        f"expected {stems[0]} with the suffix of any image type"
    )


def matching(stems: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return the name that belongs to each stem, which may write accents in the other way.

    An accented letter is one sign or two, by the system on which a file was named.
    """
    exact = set(names)
    composed = {normalize("NFC", name): name for name in sorted(exact)}
    found = {s: s if s in exact else composed.get(normalize("NFC", s)) for s in stems}
    return {stem: name for stem, name in found.items() if name is not None}


def check_apart(folder: Path, out: Path) -> None:
    """Refuse to write among what is read: the next time, results would be taken for images.

    Raises:
        InputError: one folder lies in the other.
    """
    read, written = _resolved(folder), _resolved(out)
    if read == written or read in written.parents or written in read.parents:
        raise InputError(f"--out {out}: must lie neither in nor around {folder}, which is read")


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # the latter before Python 3.13
        raise InputError(f"{path}: a link that leads to itself") from None


def listed(names: Sequence[object]) -> str:
    """Return the first of some names, and how many more there are."""
    return f"{names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def say(message: str) -> None:
    """Print one line to stderr, beside the progress bars."""
    tqdm.write(printable(message), file=sys.stderr)
