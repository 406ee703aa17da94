"""What is wrong with a submission, from one look at each of its images.

Memory does not grow with the images but for some digests of each.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmark.inference.holes import MOST_GREY
from benchmark.submissions.catalogue import DEFECTS, Finding, Tally
from benchmark.submissions.detectors import PLAIN_LEVELS, Look, find_symptoms
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

CAUSES = (
    "polarity",
    "channels",
    "shifted",
    "value_range",
    "mask_shifted",
    "mask_elsewhere",
    "lossy",
)
"""Causes why known pixels are other ones. Flat or grey images show less of a cause than others, so
that it also stands for weaker signs, once most images show it."""
MASK_CAUSES = ("polarity", "mask_shifted", "mask_elsewhere")
"""Under a wrong mask the hole holds the truth, by right."""
UNFILLED_SHARE = 0.75
"""Of the images; in some the blank colour may be that of the truth."""
CHANNELS_LEFT = 0.7
"""Share of the hole's error that is left when red and blue are swapped back. Errors of a filling
that is right are twice as large with swapped channels, and equal on grey images."""
FEW = 4
"""Fewer images than this do not make a rule that is read from many."""


class Examination:
    """Looks at samples one by one and remembers what is odd."""

    def __init__(self) -> None:
        self.fingerprints = Fingerprints()
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._likely: defaultdict[str, Tally] = defaultdict(Tally)
        """What counts if most images show it."""
        self._inverse: defaultdict[str, Tally] = defaultdict(Tally)
        """What images show whose mask looks like the inverse one."""
        self._looked_at = 0
        self._completions: dict[str, tuple[str, str]] = {}
        self._images: dict[str, str] = {}
        self._blank: defaultdict[bytes, Tally] = defaultdict(Tally)
        self._swapped = Tally()
        self._hole_errors = np.zeros(2)

    def note(self, defect: str, file: str, detail: str = "") -> None:
        """Count a file with a defect that another one has found."""
        self._tallies[defect].add(file, detail=detail)

    def look_at(self, sample: Sample) -> bool:
        """Look at an image, and return whether it can be scored."""
        for defect, reason in (("size", wrong_size(sample)), ("empty_mask", wrong_hole(sample))):
            if reason is not None:
                self.note(defect, sample.name, reason)
                return False
        if sample.grey_share > MOST_GREY:
            self._tallies["grey_mask"].add(sample.name, {"grey_share": sample.grey_share})
        self._looked_at += 1
        look = Look(sample.target, sample.completed, sample.hole, sample.file_format)
        symptoms, inverse = find_symptoms(look)
        if inverse is not None:
            self._inverse[inverse.id].add(sample.name, inverse.evidence)
        for symptom in symptoms:
            if inverse is not None:
                name = symptom.id if symptom.sure else "known_changed"
                self._inverse[name].add(sample.name, symptom.evidence)
            else:
                tallies = self._tallies if symptom.sure else self._likely
                tallies[symptom.id].add(sample.name, symptom.evidence)
        self._look_into_hole(sample)
        self._look_for_copies(sample)
        self.fingerprints.add(sample.name, sample.image_sha256, sample.target)
        return True

    def _look_into_hole(self, sample: Sample) -> None:
        inside, truth = sample.completed[sample.hole], sample.target[sample.hole]
        error = np.abs(inside.astype(np.int16) - truth)
        known = sample.target[~sample.hole]
        one_colour = (inside == inside[0]).all()
        # The mean colour, with which the simplest of baselines fills, is one colour too.
        if one_colour and np.abs(known.mean(0) - inside[0]).max() > 2 * PLAIN_LEVELS:
            if error.mean() >= 2 * PLAIN_LEVELS and (sample.completed != inside[0]).any():
                colour = inside[0].tobytes()
                self._blank[colour].add(sample.name, {"level": float(inside[0].mean())})
        if (sample.completed == sample.target)[~sample.hole].all():
            swapped = np.abs(inside[:, ::-1].astype(np.int16) - truth)
            errors = np.array([error.mean(), swapped.mean()])
            self._hole_errors += errors
            if errors[1] < CHANNELS_LEFT * errors[0]:
                numbers = {"hole_mae": float(errors[0]), "hole_mae_swapped": float(errors[1])}
                self._swapped.add(sample.name, numbers)

    def _look_for_copies(self, sample: Sample) -> None:
        image = sample.image_sha256
        first_image = self._images.setdefault(image, sample.name)
        if first_image != sample.name:
            self.note("duplicate_image", sample.name, f"{sample.name} is {first_image}")
            return
        if sample.completed.min() == sample.completed.max():
            return  # one colour: another defect, and no copy of something
        completed = pixel_sha256(sample.completed)
        name, first_image = self._completions.setdefault(completed, (sample.name, image))
        if first_image != image:
            self.note("duplicate_completion", sample.name, f"{sample.name} is {name}")

    def findings(self) -> list[Finding]:
        """Return what was found so far, in the order of `DEFECTS`."""
        tallies = {name: _copy(tally) for name, tally in self._tallies.items()}
        self._judge_polarity(tallies)
        self._judge_likely(tallies)
        self._judge_holes(tallies)
        for cause in CAUSES:
            _absorb_weak(tallies, cause)
        return [tallies[name].finding(name) for name in DEFECTS if name in tallies]

    def _judge_polarity(self, tallies: dict[str, Tally]) -> None:
        """Believe that masks are inverted if most of them look like it."""
        votes = self._inverse.get("polarity", Tally())
        if votes.count and 2 * votes.count > self._looked_at:
            tallies["polarity"] = _copy(votes)
            return
        for name, tally in self._inverse.items():
            if name != "polarity":
                tallies.setdefault(name, Tally()).merge(tally)

    def _judge_likely(self, tallies: dict[str, Tally]) -> None:
        """Believe what few numbers say if most images say it; else known pixels have changed."""
        for name, tally in self._likely.items():
            number = tally.count + (tallies[name].count if name in tallies else 0)
            believed = name if 2 * number > self._looked_at else "known_changed"
            numbers = tally if believed == name else Tally(tally.count, tally.files)
            tallies.setdefault(believed, Tally()).merge(numbers)

    def _judge_holes(self, tallies: dict[str, Tally]) -> None:
        blank = max(self._blank.values(), key=lambda tally: tally.count, default=Tally())
        if blank.count >= FEW and blank.count >= UNFILLED_SHARE * self._looked_at:
            tallies["unfilled"] = _copy(blank)
        plain, swapped = self._hole_errors
        many = self._swapped.count >= FEW and 2 * self._swapped.count > self._looked_at
        if many and swapped < CHANNELS_LEFT * plain and "channels" not in tallies:
            tallies["channels"] = _copy(self._swapped)


def _copy(tally: Tally) -> Tally:
    return Tally(tally.count, list(tally.files), dict(tally.sums), tally.detail)


def _absorb_weak(tallies: dict[str, Tally], cause: str) -> None:
    """Let a cause that most changed images show stand for what others show of it."""
    for name in ("known_changed", "lossy", "truth_in_hole"):
        if cause not in tallies or name not in tallies or name == cause:
            continue
        if tallies[cause].count < tallies[name].count:
            continue
        if name != "truth_in_hole":
            weak = tallies.pop(name)
            tallies[cause].merge(Tally(weak.count, weak.files))
        elif cause in MASK_CAUSES:
            del tallies[name]  # images that are counted already, or show nothing else


def examine(submission: Submission, training: Path | None = None) -> list[Finding]:
    """Return the defects of a submission.

    Args:
        submission: the folders.
        training: a folder of training images, in which the images should not be.

    Raises:
        InputError: a folder is missing or has no images.
    """
    pairing, examination = pair_files(submission), Examination()
    note_pairing(examination, pairing)
    for triple in tqdm(pairing.triples, desc="doctor", unit="image"):
        try:
            sample = read_sample(triple, submission.hole)
        except InputError as error:
            examination.note("unreadable", triple.name, str(error))
            continue
        examination.look_at(sample)
    return all_findings(examination, training)


def all_findings(examination: Examination, training: Path | None) -> list[Finding]:
    """Return what an examination has found, and what a comparison with training images finds."""
    found = examination.findings()
    if training is None:
        return found
    return found + compare_with_training(examination.fingerprints, training)


def note_pairing(examination: Examination, pairing: Pairing) -> None:
    """Note the files that belong to nothing, or of which there are two."""
    for kind, images in pairing.missing.items():
        for image in images:
            examination.note("unpaired", image, f"{image} has none in {kind}")
    for names in pairing.extra.values():
        for name in names:
            examination.note("extra_files", name)
    for pair in pairing.ambiguous:
        examination.note("duplicate_name", pair)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Tell whether one of the defects makes scores wrong."""
    return any(finding.severity == "error" for finding in findings)
