"""Folders of images → the files that belong together, by their names, whatever their suffix."""

import re
import sys
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from tqdm import tqdm

from benchmark.inference.photographs import SUFFIXES
from data.errors import InputError, printable
from data.folders import visible_files

STEM = "{stem}"
"""The pattern of a file that is named as its image."""
MANY = ("{mask}", "{sample}")
"""What tells several masks of an image, or several completions of it, apart."""


@dataclass(frozen=True)
class Pairing:
    """Which files of some folders belong together, and which to nothing."""

    sets: dict[str, dict[str, Path]]
    """For each image that has one file of every kind, by its path without the suffix, its files.
    Of an image with several masks or completions, by the path of the file that tells them apart."""
    missing: list[tuple[str, str]]
    """Images that lack a file, and what they lack."""
    extra: list[str]
    """Files that belong to no image."""
    samples: dict[str, str]
    """Which of several completions of an image and mask a set has, by its name."""
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
                "of its name, whatever the suffix of both, or as --mask-name and --completed-name "
                "say"
            )
        if self.ambiguous:
            raise InputError(f"{self.ambiguous[0]} have one name but for suffix or capitals")


def pair_files(places: Mapping[str, Path], patterns: Mapping[str, str] | None = None) -> Pairing:
    """Find the files that belong to each image; of two that differ in the suffix the first counts.

    Args:
        places: by what lies there, folders or single files; the first has the images. One file
            of another kind belongs to every image.
        patterns: by what lies there, how files are named after their image, whose name without the
            suffix is `{stem}`. `{mask}` and `{sample}` stand for any text that tells several masks
            of an image apart, or several completions of it. A single file needs no pattern.

    Raises:
        InputError: a folder is missing or has no images, or a pattern cannot be used.
    """
    names = {kind: _names_by_stem(place) for kind, place in places.items()}
    kinds = {
        kind: _pattern(kind, STEM if place.is_file() else (patterns or {}).get(kind, STEM))
        for kind, place in places.items()
    }
    images, *others = names
    if len({"{mask}" in kinds[kind].fields for kind in others}) > 1:
        raise InputError(
            "patterns of completed images and of masks need {mask} both, and folders: a completed "
            "image belongs to one mask"
        )
    # A name with more fields tells more files apart; without any, the image's is enough.
    apart = max(names, key=lambda kind: len(kinds[kind].fields))
    found = {
        kind: _files_of_images(names[kind], kinds[kind], names[images], places[kind].is_file())
        for kind in others
    }
    sets: dict[str, dict[str, Path]] = {}
    samples, missing = {}, []
    for stem, (image, *_) in names[images].items():
        of_image = {kind: found[kind][0].get(stem, {}) for kind in others}
        combinations = _combinations(of_image)
        missing += [(image, lacking) for lacking in _lacking(image, of_image, combinations, places)]
        for sample, partners in combinations:
            chosen = {images: image, **partners}
            name = Path(chosen[apart]).with_suffix("").as_posix()
            sets[name] = {kind: _path(places[kind], file) for kind, file in chosen.items()}
            if sample:
                samples[name] = sample
    extra = [name for kind in others for name in found[kind][1]]
    pairs = [f"{places[kind] / pair}" for kind in names for pair in _alike(names[kind])]
    return Pairing(sets, missing, extra, samples, pairs)


class _Pattern(NamedTuple):
    """How the names of files, without suffix, are made from those of their images."""

    before: re.Pattern[str]
    """What stands before the image's name."""
    after: re.Pattern[str]
    fields: frozenset[str]
    """Those of `MANY` that it has."""


def _pattern(kind: str, text: str) -> _Pattern:
    """Return a pattern of names as regular expressions.

    Raises:
        InputError: it has no `{stem}`, or what it has in braces is nothing that is known.
    """
    stem = text.removesuffix(Path(text).suffix) if is_image_name(text) else text
    found = re.findall(r"\{[^{}]*\}", stem)
    if found.count(STEM) != 1 or {*found} - {STEM, *MANY} or len({*found}) < len(found):
        raise InputError(
            f"pattern of {kind}: {text!r} needs {STEM} once, and may have {' and '.join(MANY)}"
        )
    before, after = (
        # A name may have line ends.
        re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(part)), re.DOTALL)
        for part in normalize("NFC", stem).split(STEM)
    )
    return _Pattern(before, after, frozenset(found) - {STEM})


def _files_of_images(
    names: Mapping[str, list[str]],
    pattern: _Pattern,
    images: Mapping[str, list[str]],
    is_one: bool,
) -> tuple[dict[str, dict[tuple[str, str], str]], list[str]]:
    """Return the files of each image, by mask and sample, and those that belong to no image."""
    if is_one:
        ((file, *_),) = names.values()
        return {stem: {("", ""): file} for stem in images}, []
    found: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    extra = []
    for stem, (file, *_) in sorted(names.items()):
        if split := _split(stem, pattern, images):
            image, parts = split
            found[image][parts.get("mask", ""), parts.get("sample", "")] = file
        else:
            extra.append(file)
    return found, extra


def _split(
    name: str, pattern: _Pattern, images: Container[str]
) -> tuple[str, dict[str, str]] | None:
    """Return the image that a file is named after, and the other fields of the file's name.

    A name may be read in several ways; the longest image counts, and None is where there is none.
    """
    first, end = name.rfind("/") + 1, len(name)
    heads = [pattern.before.fullmatch(name, first, at) for at in range(first, end)]
    tails = [pattern.after.fullmatch(name, at) for at in range(first, end + 1)]
    splits = [
        (name[:first] + name[head.end() : tail.start()], head.groupdict() | tail.groupdict())
        for head, tail in product(filter(None, heads), filter(None, tails))
    ]
    known = (split for split in splits if split[0] in images)
    return max(known, key=lambda split: len(split[0]), default=None)


def _combinations(
    files: Mapping[str, Mapping[tuple[str, str], str]],
) -> list[tuple[str, dict[str, str]]]:
    """Return which files of an image go together: one of each kind, of one mask and one sample.

    A file that says nothing of a mask or a sample goes with those of all. Each comes with its
    sample.
    """
    chosen: list[tuple[tuple[str, str], dict[str, str]]] = [(("", ""), {})]
    for kind, by_key in files.items():
        chosen = [
            ((mask or other_mask, sample or other_sample), {**so_far, kind: file})
            for (mask, sample), so_far in chosen
            for (other_mask, other_sample), file in by_key.items()
            if (not mask or not other_mask or mask == other_mask)
            and (not sample or not other_sample or sample == other_sample)
        ]
    return [(sample, files_of) for (_, sample), files_of in chosen]


def _lacking(
    image: str,
    files: Mapping[str, Mapping[tuple[str, str], str]],
    combinations: Sequence[tuple[str, dict[str, str]]],
    places: Mapping[str, Path],
) -> list[str]:
    """Say what an image lacks: all files of a kind, or the partners of some."""
    whole = _path(next(iter(places.values())), image)
    if without := [kind for kind, found in files.items() if not found]:
        return [f"{whole} has none in {places[kind]}" for kind in without]
    paired = {name for _, chosen in combinations for name in chosen.values()}
    return [
        f"{_path(places[kind], name)} has no partner of its mask and sample"
        for kind, found in files.items()
        for name in found.values()
        if name not in paired
    ]


def _path(place: Path, name: str) -> Path:
    return place if place.is_file() else place / name


def is_image_name(name: str) -> bool:
    """Return whether a file's name ends as that of an image."""
    return Path(name).suffix.lower() in SUFFIXES


def image_names(folder: Path) -> list[str]:
    """Return the relative paths of the image files below a folder, sorted.

    Files that are no images are left out with a note.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    names = visible_files(folder)
    images = [name for name in names if is_image_name(name)]
    if not images:
        raise InputError(f"{folder}: no image files (of {', '.join(sorted(SUFFIXES))})")
    if others := sorted(set(names) - set(images)):
        say(f"note: {folder}: left out, as they are no images: {listed(others)}")
    return images


def _names_by_stem(place: Path) -> dict[str, list[str]]:
    """Group the images of a folder, or the one file, by their paths without suffix.

    By the system on which a file was named, an accented letter is one sign or two; here it is one.
    """
    stems: dict[str, list[str]] = defaultdict(list)
    for name in [place.name] if place.is_file() else image_names(place):
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
