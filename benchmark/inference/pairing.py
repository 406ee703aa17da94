"""Folders of images → the files that belong together: those of one name, whatever their suffix."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from tqdm import tqdm

from benchmark.inference.photographs import SUFFIXES
from data.errors import InputError, printable
from data.folders import visible_files


@dataclass(frozen=True)
class Pairing:
    """Which files of some folders belong together, and which to nothing."""

    sets: dict[str, dict[str, Path]]
    """For each image that has one file of every kind, by its path without the suffix, its files."""
    missing: list[tuple[str, str]]
    """Images that lack a file, and what they lack."""
    extra: list[str]
    """Files that belong to no image."""
    ambiguous: list[str]
    """Pairs of files of one folder whose names differ in suffix, capitals or accents alone."""

    def require_whole(self) -> None:
        """Refuse folders in which an image lacks a file or has two of it.

        Raises:
            InputError: names what is missing.
        """
        if self.missing:
            raise InputError(
                f"{listed([lacking for _, lacking in self.missing])}; a file belongs to the image "
                "of its name, whatever the suffix of both"
            )
        if self.ambiguous:
            raise InputError(f"{self.ambiguous[0]} have one name but for suffix or capitals")


def pair_files(folders: Mapping[str, Path]) -> Pairing:
    """Find the files that belong to each image; of two that differ in the suffix the first counts.

    Args:
        folders: by what lies in them; the first has the images.

    Raises:
        InputError: a folder is missing or has no images.
    """
    names = {kind: _names_by_stem(folder) for kind, folder in folders.items()}
    images, *others = names
    sets, missing = {}, []
    for stem, (image, *_) in names[images].items():
        missing += [
            (image, f"{folders[images] / image} has none in {folders[kind]}")
            for kind in others
            if stem not in names[kind]
        ]
        if all(stem in names[kind] for kind in others):
            name = Path(image).with_suffix("").as_posix()
            sets[name] = {kind: folders[kind] / names[kind][stem][0] for kind in names}
    extra = [
        names[kind][stem][0]
        for kind in others
        for stem in sorted(names[kind].keys() - names[images].keys())
    ]
    pairs = [f"{folders[kind] / pair}" for kind in names for pair in _alike(names[kind])]
    return Pairing(sets, missing, extra, pairs)


def image_names(folder: Path) -> list[str]:
    """Return the relative paths of the image files below a folder, sorted.

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
    return images


def _names_by_stem(folder: Path) -> dict[str, list[str]]:
    """Group the images of a folder by their paths without suffix.

    By the system on which a file was named, an accented letter is one sign or two; here it is one.
    """
    stems: dict[str, list[str]] = defaultdict(list)
    for name in image_names(folder):
        stems[normalize("NFC", Path(name).with_suffix("").as_posix())].append(name)
    return dict(stems)


def _alike(names: Mapping[str, list[str]]) -> list[str]:
    """Return the pairs of names that differ in the suffix, in capitals or in accents alone."""
    alike: dict[str, list[str]] = defaultdict(list)
    for stem, files in names.items():
        alike[stem.casefold()] += files
    return [f"{first} and {other}" for first, *others in alike.values() for other in others]


def check_output(read: Iterable[Path], out: Path, results: Iterable[Path], overwrite: bool) -> None:
    """Refuse results that would replace others unasked, or be taken for images next time.

    Args:
        read: the folders that are read.
        out: the folder of the results.
        results: the files that are to be written.
        overwrite: whether they may replace what is there.

    Raises:
        InputError: one folder lies in the other, or a result exists.
    """
    for folder in read:
        try:
            source, target = folder.resolve(), out.resolve()
        except (OSError, RuntimeError):  # the latter before Python 3.13
            raise InputError(f"{folder} or {out}: a link that leads to itself") from None
        if source == target or source in target.parents or target in source.parents:
            raise InputError(f"--out {out}: must lie neither in nor around {folder}, which is read")
    if not overwrite and (there := [path for path in results if path.exists()]):
        raise InputError(f"already there: {listed(there)}; --overwrite replaces what is there")


def listed(names: Sequence[object]) -> str:
    """Return the first of some names, and how many more there are."""
    return f"{names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def say(message: str) -> None:
    """Print one line to stderr, beside the progress bars."""
    tqdm.write(printable(message), file=sys.stderr)
