"""The defects of submissions that are recognised: what each is, how grave, and what mends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from data.errors import printable

SHOWN_FILES = 3
"""Files that a finding names; of a mistake of a program all files are alike."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Defect:
    """A kind of defect."""

    severity: Severity
    """An error makes scores wrong or worthless, a warning is something to know about them."""
    what: str
    advice: str


DEFECTS = {
    "unpaired": Defect(
        "error",
        "images without a completed image or a mask of their name",
        "give every image one of each, named like it; suffixes may differ",
    ),
    "extra_files": Defect(
        "warning",
        "completed images or masks that belong to no image",
        "they are not scored; look whether an image is missing or misnamed",
    ),
    "duplicate_name": Defect(
        "error",
        "files whose names differ in suffix, capitals or accents alone",
        "rename or remove one of each; some systems take them for one file",
    ),
    "unreadable": Defect("error", "files that cannot be read", "write them again"),
    "size": Defect(
        "error",
        "files of another size than their image",
        "score at the size of the truth, and undo what resized or cropped",
    ),
    "empty_mask": Defect(
        "error",
        "masks without a hole, or without known pixels",
        "leave these images out, or see whether the mask is the one that was used",
    ),
    "grey_mask": Defect(
        "warning",
        "masks with values that are neither black nor white, cut at half",
        "save masks without smoothing and without lossy compression",
    ),
    "polarity": Defect(
        "error",
        "masks that mark as hole what was known",
        "mark the hole in the other colour: --hole black, or --hole white",
    ),
    "mask_shifted": Defect(
        "error",
        "masks that lie some pixels beside what was filled",
        "use the very masks that the images were completed with",
    ),
    "mask_elsewhere": Defect(
        "error",
        "masks in which nothing was filled, while pixels elsewhere were",
        "use the very masks that the images were completed with, under their images' names",
    ),
    "channels": Defect(
        "error",
        "completed images with red and blue swapped",
        "convert BGR to RGB before saving, as OpenCV has them in the other order",
    ),
    "shifted": Defect(
        "error",
        "completed images that are moved by some pixels",
        "see where padding, cropping or a stride moves the image",
    ),
    "value_range": Defect(
        "error",
        "completed images whose levels are in another range than the truth's",
        "save round(255 * y) of y in [0, 1], or round(127.5 * (y + 1)) of y in [-1, 1]",
    ),
    "lossy": Defect(
        "warning",
        "completed images that were saved with loss",
        "save as PNG; compression changes the hole too, and so the scores",
    ),
    "known_changed": Defect(
        "warning",
        "completed images in which known pixels have changed",
        "scores are those of the composite, so they tell nothing of these pixels; "
        "known_mae_raw does",
    ),
    "unfilled": Defect(
        "error",
        "holes that have one and the same colour in all images, as if nothing was filled",
        "see whether the masked input was saved in place of the result",
    ),
    "truth_in_hole": Defect(
        "error",
        "holes that hold the truth where nothing around them tells it",
        "blank the hole before the method sees the image, and see whether the truth was saved",
    ),
    "duplicate_completion": Defect(
        "error",
        "completed images that are the same for different images",
        "see which result was saved under several names",
    ),
    "duplicate_image": Defect(
        "warning",
        "images that are there several times",
        "images of the same pixels and mask are scored once",
    ),
    "train_overlap": Defect(
        "error",
        "images that are in the training folder, to the pixel",
        "leave them out of the training or of the test",
    ),
    "train_near": Defect(
        "warning",
        "images that look like one in the training folder",
        "look at the pairs: the same picture resized, recompressed or cropped a little is known",
    ),
}
"""Every defect by its id, in the order in which findings are listed."""


@dataclass(frozen=True)
class Finding:
    """A defect of some files of a submission."""

    id: str
    count: int
    files: Sequence[str]
    """The first ones."""
    evidence: Mapping[str, float]
    """Numbers of all files: their means."""
    detail: str = ""
    """What is wrong with the first file, where numbers do not say it."""

    @property
    def severity(self) -> Severity:
        """Return how grave it is."""
        return DEFECTS[self.id].severity

    def as_json(self) -> dict[str, object]:
        """Return the finding with its explanation."""
        defect = DEFECTS[self.id]
        return {
            "id": self.id,
            "severity": defect.severity,
            "what": defect.what,
            "advice": defect.advice,
            "count": self.count,
            "files": list(self.files),
            "evidence": dict(self.evidence),
            "detail": self.detail,
        }

    def as_line(self, severity: Severity | None = None) -> str:
        """Return the finding on one line; a severity that is given stands for its own."""
        defect = DEFECTS[self.id]
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.evidence.items())
        more = f" and {self.count - len(self.files)} more" if self.count > len(self.files) else ""
        reasons = "; ".join(part for part in (self.detail, numbers) if part)
        head = f"{severity or defect.severity}: {self.id}: {defect.what}"
        text = f"{head}: {', '.join(self.files)}{more}"
        return printable(f"{text}{f' ({reasons})' if reasons else ''}; {defect.advice}")


@dataclass
class Tally:
    """How many files show a defect; its size does not grow with them."""

    count: int = 0
    files: list[str] = field(default_factory=list)
    sums: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Of each number the sum, and of how many files."""
    detail: str = ""

    def add(self, file: str, evidence: Mapping[str, float] | None = None, detail: str = "") -> None:
        """Count a file."""
        self.count += 1
        self.detail = self.detail or detail
        if len(self.files) < SHOWN_FILES:
            self.files.append(file)
        for name, value in (evidence or {}).items():
            total, number = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + value, number + 1)

    def merge(self, other: "Tally") -> None:
        """Add the files of another tally; numbers are those of the files that have them."""
        self.count += other.count
        self.files = sorted(self.files + other.files)[:SHOWN_FILES]
        self.detail = self.detail or other.detail
        for name, (total, number) in other.sums.items():
            before = self.sums.get(name, (0.0, 0))
            self.sums[name] = (before[0] + total, before[1] + number)

    def finding(self, defect: str) -> Finding:
        """Return what was counted."""
        means = {name: round(total / n, 6) for name, (total, n) in self.sums.items()}
        return Finding(defect, self.count, tuple(self.files), means, self.detail)
