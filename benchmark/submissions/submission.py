"""Three folders of files → completed images, each with its truth and its mask."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from unicodedata import normalize

from benchmark.inference.holes import NOTHING_KNOWN, Hole, Pixels, read_mask
from benchmark.inference.pairing import matching, names_by_stem, no_partner
from benchmark.inference.photographs import size_text
from data.errors import InputError
from data.images import decode, open_image
from data.store import pixel_sha256


@dataclass(frozen=True)
class Submission:
    """Three folders in which files of one name belong together, whatever their suffix."""

    images: Path
    """The truth."""
    completed: Path
    masks: Path
    hole: Literal["white", "black"] = "white"
    """The color that marks the hole in a mask."""

    def folders(self) -> dict[str, Path]:
        """Return the folders by what lies in them."""
        return {"images": self.images, "completed": self.completed, "masks": self.masks}


@dataclass(frozen=True)
class Triple:
    """The files of one image."""

    name: str
    image: Path
    completed: Path
    mask: Path


@dataclass(frozen=True)
class Pairing:
    """Which files belong together, and which to nothing."""

    triples: list[Triple]
    """In the order of the images' names."""
    missing: Mapping[str, list[str]]
    """For `completed` and `masks` the images that have none there."""
    extra: Mapping[str, list[str]]
    """For `completed` and `masks` the files that belong to no image."""
    ambiguous: list[str]
    """Pairs of files of one folder whose names differ in the suffix, or in capitals, alone."""


@dataclass(frozen=True)
class Sample:
    """One image as it was handed in."""

    name: str
    target: Pixels
    """`[H, W, 3]`."""
    completed: Pixels
    """`[h, w, 3]`; of another size where somebody resized."""
    hole: Hole
    """`[h, w]`, likewise."""
    gray_share: float
    """Share of the mask's pixels that are neither black nor white."""
    file_format: str
    """Pillow's name of what the completed image was saved as."""
    image_sha256: str
    """Of the target's pixels."""


def pair_files(submission: Submission) -> Pairing:
    """Find the files that belong together; of two that differ in the suffix the first one counts.

    Raises:
        InputError: a folder is missing or has no images.
    """
    names = {kind: names_by_stem(folder) for kind, folder in submission.folders().items()}
    stems = names["images"]
    partner = {kind: matching(stems, names[kind]) for kind in ("completed", "masks")}
    triples = [
        Triple(
            stem,
            submission.images / first,
            submission.completed / names["completed"][partner["completed"][stem]][0],
            submission.masks / names["masks"][partner["masks"][stem]][0],
        )
        for stem, (first, *_) in stems.items()
        if all(stem in found for found in partner.values())
    ]
    return Pairing(
        triples,
        missing={
            kind: [stems[s][0] for s in stems if s not in found] for kind, found in partner.items()
        },
        extra={
            kind: [names[kind][s][0] for s in sorted(names[kind].keys() - set(found.values()))]
            for kind, found in partner.items()
        },
        ambiguous=[
            f"{submission.folders()[kind] / pair}" for kind in names for pair in _alike(names[kind])
        ],
    )


def _alike(names: Mapping[str, list[str]]) -> list[str]:
    """Return the pairs of names that differ in the suffix, in capitals or in accents alone."""
    seen: dict[str, str] = {}
    pairs = []
    for stem, files in names.items():
        for file in files:
            key = normalize("NFC", stem).casefold()
            first = seen.setdefault(key, file)
            if first != file:
                pairs.append(f"{first} and {file}")
    return pairs


def require_whole(pairing: Pairing, submission: Submission) -> None:
    """Refuse a submission in which an image lacks something or has two of it.

    Raises:
        InputError: names what is missing.
    """
    wanted = {"completed": "completed image", "masks": "mask"}
    for kind, images in pairing.missing.items():
        if images:
            stems = [Path(image).with_suffix("").as_posix() for image in images]
            raise no_partner(submission.folders()[kind], wanted[kind], stems, images)
    if pairing.ambiguous:
        raise InputError(f"{pairing.ambiguous[0]} have one name but for suffix or capitals")


def read_sample(triple: Triple, marks: Literal["white", "black"]) -> Sample:
    """Decode the files of one image.

    Raises:
        UnreadableImageError: a file is no image.
        InputError: the mask does not say clearly what it marks.
    """
    target = decode(triple.image)
    hole, gray_share = read_mask(triple.mask, marks)
    with open_image(triple.completed, str(triple.completed)) as image:
        file_format = str(image.format)
    return Sample(
        name=triple.name,
        target=target,
        completed=decode(triple.completed),
        hole=hole,
        gray_share=gray_share,
        file_format=file_format,
        image_sha256=pixel_sha256(target),
    )


def wrong_size(sample: Sample) -> str | None:
    """Say which file has another size than its image, or return None."""
    shape = sample.target.shape[:2]
    for kind, other in (("completed image", sample.completed.shape), ("mask", sample.hole.shape)):
        if other[:2] != shape:
            return f"the {kind} is {size_text(other)}, the image {size_text(shape)}"
    return None


def wrong_hole(sample: Sample) -> str | None:
    """Say why nothing can be scored in the hole, or return None."""
    if sample.hole.all():
        return f"the mask {NOTHING_KNOWN}"
    return None if sample.hole.any() else "the mask marks nothing as hole"
