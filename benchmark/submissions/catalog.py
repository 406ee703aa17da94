"""The catalog of what can be wrong with a submission, and findings as JSON and text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import pandas as pd

from data.errors import printable

SHOWN_FILES = 3
"""Files that a finding names; of a mistake of a program all files are alike."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Entry:
    """A kind of mistake, and what mends it."""

    severity: Severity
    """An error makes scores wrong or worthless, a warning is something to know about them."""
    what: str
    advice: str
    gross: Severity | None = None
    """The severity where known pixels are off by `GROSS_LEVELS` or more."""


GROSS_LEVELS = 16.0
"""Mean difference of known pixels from which on it is no small change. JPEG of quality 10 is off by
some 8 levels, a network's copy by few."""
CATALOG = {
    "unpaired": Entry(
        "error",
        "images without a completed image or a mask of their name",
        "give every image one of each, named like it; suffixes may differ",
    ),
    "extra_files": Entry(
        "warning",
        "completed images or masks that belong to no image",
        "they are not scored; look whether an image is missing or misnamed",
    ),
    "duplicate_name": Entry(
        "error",
        "files whose names differ in suffix, capitals or accents alone",
        "rename or remove one of each; some systems take them for one file",
    ),
    "unreadable": Entry("error", "files that cannot be read", "write them again"),
    "levels": Entry(
        "error",
        "images whose samples do not tell which level is white",
        "save 8 bits, or the whole range of 16, or name white by --levels",
    ),
    "no_mask": Entry(
        "error",
        "masks that are none: pictures, classes, maps",
        "save masks in black and white; a map can be cut by --threshold",
    ),
    "size": Entry(
        "error",
        "files of another size than their image",
        "score at the size of the truth, and undo what resized or cropped",
    ),
    "orientation": Entry(
        "error",
        "images or completed images whose EXIF orientation was not obeyed",
        "turn images upright before they are completed (PIL.ImageOps.exif_transpose)",
    ),
    "transparent": Entry(
        "error",
        "completed images with transparent pixels where the image is opaque",
        "save without transparency; what lies under it is not what is seen",
    ),
    "misnamed": Entry(
        "error",
        "completed images whose known pixels are those of another image",
        "save each completed image under the name of its own image",
    ),
    "turned": Entry(
        "error",
        "completed images that are mirrored or turned",
        "undo what was done to the image before it was completed",
    ),
    "grayscale": Entry(
        "error",
        "completed images in gray of images in color",
        "keep the three channels: some loaders read gray",
    ),
    "empty_mask": Entry(
        "error",
        "masks without a hole, or without known pixels",
        "leave these images out, or see whether the mask is the one that was used",
    ),
    "gray_mask": Entry(
        "warning",
        "masks with values that are neither black nor white, cut at half",
        "save masks without smoothing and without lossy compression",
    ),
    "polarity": Entry(
        "error",
        "masks that mark as hole what was known",
        "mark the hole in the other color: --hole black, or --hole white",
    ),
    "mask_shifted": Entry(
        "error",
        "masks that lie some pixels beside what was filled",
        "use the very masks that the images were completed with",
    ),
    "mask_elsewhere": Entry(
        "error",
        "masks in which nothing was filled, while pixels elsewhere were",
        "use the very masks that the images were completed with, under their images' names",
    ),
    "channels": Entry(
        "error",
        "completed images with swapped channels",
        "save in the order red, green, blue; OpenCV has blue first",
    ),
    "shifted": Entry(
        "error",
        "completed images that are moved by some pixels",
        "see where padding, cropping or a stride moves the image",
    ),
    "value_range": Entry(
        "error",
        "completed images whose levels are in another range than the truth's",
        "save round(255 * y) of y in [0, 1], or round(127.5 * (y + 1)) of y in [-1, 1]",
    ),
    "lossy": Entry(
        "warning",
        "completed images that were saved with loss",
        "save as PNG; compression changes the hole too, and so the scores",
        gross="error",
    ),
    "palette": Entry(
        "warning",
        "completed images that were saved with a palette",
        "save in RGB; a palette changes the hole too, and so the scores",
        gross="error",
    ),
    "resized": Entry(
        "warning",
        "completed images that were reduced and enlarged again",
        "complete at the size of the truth; resizing changes the hole too, and so the scores",
        gross="error",
    ),
    "known_changed": Entry(
        "warning",
        "completed images in which known pixels have changed",
        "scores are those of the composite, so they tell nothing of these pixels; "
        "known_mae_raw does",
        gross="error",
    ),
    "unfilled": Entry(
        "error",
        "holes that have one and the same color in all images, as if nothing was filled",
        "see whether the masked input was saved in place of the result",
    ),
    "truth_in_hole": Entry(
        "error",
        "holes of which a part or all is the truth, where nothing around tells it",
        "blank the hole before the method sees the image, and see whether the truth was saved",
    ),
    "duplicate_completion": Entry(
        "error",
        "completed images that are the same for different images",
        "see which result was saved under several names",
    ),
    "duplicate_image": Entry(
        "warning",
        "images that are there several times",
        "images of the same pixels and mask are scored once",
    ),
    "train_overlap": Entry(
        "error",
        "images that are in the training folder, to the pixel",
        "leave them out of the training or of the test",
    ),
    "train_near": Entry(
        "warning",
        "images that look like one in the training folder",
        "look at the pairs: the same picture resized, recompressed or cropped a little is known",
    ),
}
"""By id, in the order in which findings are listed."""


@dataclass(frozen=True)
class Detection:
    """An entry of the catalog that a detector sees in one file."""

    id: str
    file: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""
    """What is wrong, where numbers do not say it."""
    sure: bool = True
    """Whether one image is enough. A program makes the same mistake in most images, so that others
    count only together."""


@dataclass(frozen=True)
class Finding:
    """An entry of the catalog that some files of a submission show."""

    id: str
    severity: Severity
    """How grave it is."""
    count: int
    files: Sequence[str]
    """The first ones."""
    evidence: Mapping[str, float]
    """Means over the files that have the number."""
    detail: str
    """What is wrong with the first file, where numbers do not say it."""

    def as_json(self) -> dict[str, object]:
        """Return the finding with its explanation."""
        entry = CATALOG[self.id]
        return asdict(self) | {"what": entry.what, "advice": entry.advice}

    def as_line(self) -> str:
        """Return the finding on one line, without its severity."""
        entry = CATALOG[self.id]
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.evidence.items())
        more = f" and {self.count - len(self.files)} more" if self.count > len(self.files) else ""
        reasons = "; ".join(part for part in (self.detail, numbers) if part)
        text = f"{self.id}: {entry.what}: {', '.join(self.files)}{more}"
        return printable(f"{text}{f' ({reasons})' if reasons else ''}; {entry.advice}")


def findings_of(detections: Iterable[Detection]) -> list[Finding]:
    """Sum up the detections of one entry of the catalog, each severity by itself."""
    groups: dict[Severity, list[Detection]] = {}
    for detection in sorted(detections, key=lambda detection: detection.file):
        groups.setdefault(severity_of(detection), []).append(detection)
    return [_finding(severity, found) for severity, found in sorted(groups.items())]


def severity_of(detection: Detection) -> Severity:
    """Return how grave it is."""
    entry = CATALOG[detection.id]
    is_gross = detection.evidence.get("known_mae", 0) >= GROSS_LEVELS
    return entry.gross if entry.gross and is_gross else entry.severity


def _finding(severity: Severity, found: Sequence[Detection]) -> Finding:
    means = pd.DataFrame([dict(detection.evidence) for detection in found]).mean().round(6)
    return Finding(
        id=found[0].id,
        severity=severity,
        count=len(found),
        files=tuple(detection.file for detection in found[:SHOWN_FILES]),
        evidence={str(name): float(value) for name, value in means.items()},
        detail=next((detection.detail for detection in found if detection.detail), ""),
    )
