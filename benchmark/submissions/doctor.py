"""A submission → findings: which entries of the catalog its files show.

Each image is looked at once; what is kept of it are digests, a thumbnail and its detections.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mode

import cv2
from tqdm import tqdm

from benchmark.inference.holes import MOST_GRAY, NoMaskError
from benchmark.inference.pairing import Pairing, image_names
from benchmark.submissions.catalog import CATALOG, Detection, Finding, findings_of
from benchmark.submissions.causes import (
    ANOTHER_LEVELS,
    HALVED,
    find_cause,
    is_inverse,
    swapped_in_hole,
)
from benchmark.submissions.leaks import find_leak, find_unfilled, share
from benchmark.submissions.overlap import (
    Fingerprint,
    Thumbnail,
    compare_with_training,
    most_alike,
    thumbnail,
)
from benchmark.submissions.submission import Sample, Submission, misfit, read_sample
from data.errors import InputError
from data.images import LevelsError, decode
from data.store import pixel_sha256

MASK_CAUSES = ("polarity", "mask_shifted", "mask_elsewhere")
"""Under a wrong mask the hole holds the truth, by right."""
CAUSES = (
    *MASK_CAUSES, "orientation", "transparent", "misnamed", "turned", "grayscale", "channels",
    "value_range", "shifted", "lossy", "palette", "resized",
)  # fmt: skip
"""Causes why known pixels are other ones."""
MOST_UNFILLED = 0.75
"""Share of the images in which nothing was filled; in some the blank color may be the truth's."""
FEW = 4
"""Fewer images than this do not make a rule that is read from many holes."""

Groups = defaultdict[str, list[Detection]]


def examine(submission: Submission, training: Path | None = None) -> list[Finding]:
    """Return what is wrong with a submission, in the order of the catalog.

    Args:
        submission: the folders.
        training: a folder of training images, in which the images should not be.

    Raises:
        InputError: a folder is missing or has no images.
    """
    pairing = submission.pair()
    examination = Examination(submission, pairing, training)
    for name, files in tqdm(pairing.sets.items(), desc="doctor", unit="image"):
        try:
            sample = read_sample(name, files, submission)
        except InputError as error:
            kinds = {LevelsError: "levels", NoMaskError: "no_mask"}
            examination.note(kinds.get(type(error), "unreadable"), name, str(error))
            continue
        examination.look_at(sample)
    return examination.findings()


class Examination:
    """Looks at samples one by one and remembers what is odd."""

    def __init__(
        self, submission: Submission, pairing: Pairing, training: Path | None = None
    ) -> None:
        self._submission, self._pairing = submission, pairing
        # Listed before the work, as a folder that is not there would cost all of it.
        self._training = None if training is None else (training, image_names(training))
        self._detections: list[Detection] = []
        self._fingerprints: dict[str, Fingerprint] = {}
        self._first_image: dict[str, tuple[Path, str]] = {}
        self._first_completion: dict[str, tuple[str, str]] = {}
        self._unexplained: dict[str, Thumbnail] = {}
        """Completed images whose known pixels nothing explains yet."""
        for image, lacking in pairing.missing:
            self.note("unpaired", image, lacking)
        for name in pairing.extra:
            self.note("extra_files", name)
        for pair in pairing.ambiguous:
            self.note("duplicate_name", pair)

    def note(self, entry: str, file: str, detail: str = "") -> None:
        """Note what was found in a file without looking at its pixels."""
        self._detections.append(Detection(entry, file, detail=detail))

    def look_at(self, sample: Sample) -> None:
        """Look at the pixels of an image."""
        if problem := misfit(sample):
            self.note(problem[0], sample.name, problem[1])
            return
        if sample.mask.gray_share > MOST_GRAY:
            evidence = {"gray_share": sample.mask.gray_share}
            self._detections.append(Detection("gray_mask", sample.name, evidence))
        found = detect(sample)
        self._detections += found
        self._look_for_copies(sample)
        small = thumbnail(sample.target)
        self._fingerprints[sample.name] = Fingerprint(sample.image_sha256, small)
        if sample.known_mae >= ANOTHER_LEVELS and not _is_explained(found):
            self._unexplained[sample.name] = thumbnail(sample.completed)

    def _look_for_copies(self, sample: Sample) -> None:
        image, file = sample.image_sha256, self._pairing.sets[sample.name]["images"]
        first_file, first = self._first_image.setdefault(image, (file, sample.name))
        if first_file != file:
            self.note("duplicate_image", sample.name, f"{sample.name} is {first}")
        elif sample.completed.min() < sample.completed.max():  # else another mistake, and no copy
            completed = pixel_sha256(sample.completed)
            first, of = self._first_completion.setdefault(completed, (sample.name, image))
            if of != image:
                self.note("duplicate_completion", sample.name, f"{sample.name} is {first}")

    def findings(self) -> list[Finding]:
        """Return what was found so far, and in a comparison with training images if there are."""
        self._detections += self._whose()
        groups = combine(self._detections, len(self._fingerprints))
        if self._training is not None:
            levels = self._submission.levels
            for detection in compare_with_training(self._fingerprints, *self._training, levels):
                groups[detection.id].append(detection)
        return [found for name in CATALOG for found in findings_of(groups[name])]

    def _whose(self) -> Iterator[Detection]:
        """Yield which other image a completed image is of, where it is one of this submission."""
        truths = {name: known.thumbnail for name, known in self._fingerprints.items()}
        likely = most_alike(self._unexplained, truths)
        for name in tqdm(likely, desc="whose", unit="image", disable=None if likely else True):
            for other in likely[name]:
                if evidence := self._is_of(name, other):
                    detail = f"{name} shows {other}"
                    yield Detection("misnamed", name, evidence, detail)
                    break

    def _is_of(self, name: str, other: str) -> dict[str, float] | None:
        """Return evidence that a completed image is of another image; None if it is not."""
        try:
            ours = read_sample(name, self._pairing.sets[name], self._submission)
            target = decode(self._pairing.sets[other]["images"], self._submission.levels)
        except InputError:  # it could be read a moment ago
            return None
        if target.shape != ours.completed.shape:
            return None
        off = cv2.absdiff(ours.completed, target)[~ours.hole].mean()
        if off > HALVED * ours.known_mae:
            return None
        return {"known_mae": ours.known_mae, "known_mae_of_other": float(off)}


def detect(sample: Sample) -> list[Detection]:
    """Return what the pixels of an image point to.

    Where known pixels have changed, `known_changed` is among it, beside the likely cause.

    Args:
        sample: an image with a hole and known pixels, and a completed image of its size.
    """
    changes = find_cause(sample)
    found = [find_unfilled(sample), *changes]
    if not changes:
        found.append(swapped_in_hole(sample))
    causes = {detection.id for detection in changes}
    # In a hole that is none the truth is there by right.
    if "mask_elsewhere" not in causes:
        found.append(find_leak(sample))
    shares = {
        "known_changed": share(sample.changed, ~sample.hole),
        "hole_changed": share(sample.changed, sample.hole),
    }
    if is_inverse(sample, **shares) and "lossy" not in causes:
        # Flat images show too little to be sure.
        evidence = shares | {"known_mae": sample.known_mae, "hole_mae": sample.hole_mae}
        found.append(Detection("polarity", sample.name, evidence, sure=False))
    return [detection for detection in found if detection is not None]


def _is_explained(found: Iterable[Detection]) -> bool:
    """Return whether there is a cause of which one image is enough."""
    return any(detection.id in CAUSES and detection.sure for detection in found)


def combine(detections: Iterable[Detection], num_images: int) -> Groups:
    """Return the detections that count, by entry: those that are sure, or that most images show."""
    groups: Groups = defaultdict(list)
    for detection in detections:
        groups[detection.id].append(detection)
    for name, found in groups.items():
        groups[name] = _counting(name, found, num_images)
    # Inverted masks make images show other things too.
    inverted = {detection.file for detection in groups["polarity"]}
    for name in {*CAUSES, "known_changed", "truth_in_hole"} - {"polarity"}:
        groups[name] = [found for found in groups[name] if found.file not in inverted]
    if any(len(groups[name]) >= len(groups["truth_in_hole"]) for name in MASK_CAUSES):
        groups["truth_in_hole"] = []
    explained = {found.file for cause in CAUSES for found in groups[cause]}
    changed = [found for found in groups["known_changed"] if found.file not in explained]
    # Flat or gray images show less of a cause than others, so that it stands for these.
    cause = max(CAUSES, key=lambda name: len(groups[name]))
    if len(groups[cause]) >= len(changed):
        groups[cause] += [replace(found, id=cause, evidence={}) for found in changed]
        changed = []
    groups["known_changed"] = changed
    return groups


def _counting(name: str, found: list[Detection], num_images: int) -> list[Detection]:
    """Leave out signs that are not sure and that too few images show."""
    if name == "unfilled":
        color = mode(detection.detail for detection in found)
        found = [detection for detection in found if detection.detail == color]
    most = (MOST_UNFILLED if name == "unfilled" else 0.5) * num_images
    enough = 1 if name in MASK_CAUSES else FEW
    if len(found) > most and len(found) >= enough:
        return found
    return [detection for detection in found if detection.sure]
