"""A submission → findings: which entries of the catalogue its files show.

Each image is looked at once; what is kept of it are digests, a fingerprint and its detections.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from benchmark.inference.holes import MOST_GRAY
from benchmark.submissions.catalogue import CATALOGUE, Detection, Finding, finding_of
from benchmark.submissions.detectors import detect
from benchmark.submissions.overlap import Fingerprints, compare_with_training
from benchmark.submissions.submission import (
    Pairing,
    Sample,
    Submission,
    pair_files,
    read_sample,
    wrong_hole,
    wrong_size,
)
from data.errors import InputError
from data.store import pixel_sha256

MASK_CAUSES = ("polarity", "mask_shifted", "mask_elsewhere")
"""Under a wrong mask the hole holds the truth, by right."""
CAUSES = (*MASK_CAUSES, "channels", "shifted", "value_range", "lossy")
"""Causes why known pixels are other ones. Flat or gray images show less of a cause than others, so
that it also stands for weaker signs, once most images show it."""
MOST = {"unfilled": 0.75}
"""Shares of the images that must show what one of them cannot prove, if not half of them; in some
the blank color may be that of the truth."""
FEW = 4
"""Fewer images than this do not make a rule that is read from many holes."""

Groups = defaultdict[str, list[Detection]]


def examine(submission: Submission, training: Path | None = None) -> list[Finding]:
    """Return what is wrong with a submission, in the order of the catalogue.

    Args:
        submission: the folders.
        training: a folder of training images, in which the images should not be.

    Raises:
        InputError: a folder is missing or has no images.
    """
    pairing = pair_files(submission)
    examination = Examination(pairing)
    for triple in tqdm(pairing.triples, desc="doctor", unit="image"):
        try:
            sample = read_sample(triple, submission.hole)
        except InputError as error:
            examination.note("unreadable", triple.name, str(error))
            continue
        examination.look_at(sample)
    return examination.findings(training)


class Examination:
    """Looks at samples one by one and remembers what is odd."""

    def __init__(self, pairing: Pairing) -> None:
        self._detections: list[Detection] = []
        self._num_images = 0
        self._fingerprints = Fingerprints()
        self._first_image: dict[str, str] = {}
        self._first_completion: dict[str, tuple[str, str]] = {}
        for kind, images in pairing.missing.items():
            for image in images:
                self.note("unpaired", image, f"{image} has none in {kind}")
        for names in pairing.extra.values():
            for name in names:
                self.note("extra_files", name)
        for pair in pairing.ambiguous:
            self.note("duplicate_name", pair)

    def note(self, entry: str, file: str, detail: str = "") -> None:
        """Note what was found in a file without looking at its pixels."""
        self._detections.append(Detection(entry, file, detail=detail))

    def look_at(self, sample: Sample) -> None:
        """Look at the pixels of an image."""
        for entry, reason in (("size", wrong_size(sample)), ("empty_mask", wrong_hole(sample))):
            if reason is not None:
                self.note(entry, sample.name, reason)
                return
        self._num_images += 1
        if sample.gray_share > MOST_GRAY:
            evidence = {"grey_share": sample.gray_share}
            self._detections.append(Detection("grey_mask", sample.name, evidence))
        self._detections += detect(sample)
        self._look_for_copies(sample)
        self._fingerprints.add(sample.name, sample.image_sha256, sample.target)

    def _look_for_copies(self, sample: Sample) -> None:
        image = sample.image_sha256
        first = self._first_image.setdefault(image, sample.name)
        if first != sample.name:
            self.note("duplicate_image", sample.name, f"{sample.name} is {first}")
        elif sample.completed.min() < sample.completed.max():  # else another mistake, and no copy
            completed = pixel_sha256(sample.completed)
            first, of = self._first_completion.setdefault(completed, (sample.name, image))
            if of != image:
                self.note("duplicate_completion", sample.name, f"{sample.name} is {first}")

    def findings(self, training: Path | None = None) -> list[Finding]:
        """Return what was found so far and, if wanted, in a comparison with training images."""
        groups = combine(self._detections, self._num_images)
        if training is not None:
            groups |= _grouped(compare_with_training(self._fingerprints, training))
        return [finding_of(groups[name]) for name in CATALOGUE if groups.get(name)]


def combine(detections: Iterable[Detection], num_images: int) -> Groups:
    """Return the detections that count, by entry: those that are sure, or that most images show."""
    detections = _without_inverted(list(detections), num_images)
    groups = _grouped(detection for detection in detections if detection.sure)
    unsure = _grouped(
        (detection for detection in detections if not detection.sure),
        lambda detection: f"{detection.id} {detection.otherwise}",
    )
    for weak in unsure.values():
        name, otherwise = weak[0].id, weak[0].otherwise
        if name == "unfilled":
            ((color, _),) = Counter(detection.detail for detection in weak).most_common(1)
            weak = [detection for detection in weak if detection.detail == color]
        count = len(weak) + len(groups[name])
        few = count < FEW and not otherwise and name != "polarity"
        if not few and count > MOST.get(name, 0.5) * num_images:
            groups[name] += weak
        elif otherwise:
            groups[otherwise] += [_counted_as(otherwise, detection) for detection in weak]
    for cause in CAUSES:
        _absorb_weaker(groups, cause)
    return groups


def _grouped(
    detections: Iterable[Detection], key: Callable[[Detection], str] = lambda found: found.id
) -> Groups:
    groups: Groups = defaultdict(list)
    for detection in detections:
        groups[key(detection)].append(detection)
    return groups


def _counted_as(entry: str, detection: Detection) -> Detection:
    return replace(detection, id=entry, evidence={}, detail="")


def _without_inverted(detections: list[Detection], num_images: int) -> list[Detection]:
    """If most masks are inverted, leave out what else these masks make images show."""
    inverted = {detection.file for detection in detections if detection.id == "polarity"}
    if 2 * len(inverted) <= num_images:
        return [detection for detection in detections if detection.id != "polarity"]
    others = {*CAUSES, "known_changed", "truth_in_hole"} - {"polarity"}
    return [d for d in detections if d.file not in inverted or d.id not in others]


def _absorb_weaker(groups: Groups, cause: str) -> None:
    """Let a cause that most changed images show stand for what others show of it."""
    for name in ("known_changed", "lossy"):
        if name != cause and len(groups[cause]) >= len(groups[name]) > 0:
            groups[cause] += [_counted_as(cause, weak) for weak in groups.pop(name)]
    if cause in MASK_CAUSES and len(groups[cause]) >= len(groups["truth_in_hole"]):
        groups["truth_in_hole"] = []  # images that are counted already, or show nothing else
