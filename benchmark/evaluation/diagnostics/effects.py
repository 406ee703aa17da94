"""What a discriminator finds with and without a seam and generated content → the effect of each.

The four cells are `real` (neither), `seam_only`, `seam_free` (the content alone) and `completed`
(both). The main effect of the seam is what it adds to what is found, over true and generated
content; that of the content what it adds, without and with a seam. Each is a mean of one value an
image, so that its interval is one over images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from benchmark.evaluation.diagnostics.predictions import Predictions
from benchmark.evaluation.diagnostics.probes import COMPLETED, REAL, SEAM_FREE, SEAM_ONLY
from benchmark.stats.intervals import Interval, Sample, interval_of_mean

Values = NDArray[np.float64]
GoesBy = Literal["boundary", "content", "inconclusive"]

CELLS = (REAL, SEAM_ONLY, SEAM_FREE, COMPLETED)
IOU_MARGIN = 0.05
"""A localizer goes by what adds more than this to its mean IoU."""
GUESSING = 0.5
"""Another one goes by what it tells from its absence with more than this AUC."""
IOU_DIGITS, LOG_ODDS_DIGITS = 4, 5
"""Decimals of an IoU, and significant digits of log-odds, in a diagnosis."""
LEAST, MOST = np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg
"""Probabilities beyond count as these, so that their log-odds are finite."""


def cell_values(found: Predictions) -> list[float]:
    """Return for each image how well a discriminator finds the square, rounded to be stored.

    It is the IoU of a localizer, and else the log-odds that something is altered, which keep the
    order of probabilities near 1. Effects are computed from these rounded values.
    """
    if found.iou is not None:
        return [round(value, IOU_DIGITS) for value in found.iou.tolist()]
    odds = logit(found.altered.clip(LEAST, MOST)).tolist()
    return [float(f"{value:.{LOG_ODDS_DIGITS}g}") for value in odds]


@dataclass(frozen=True)
class Effects:
    """The main effects of seam and content on what a discriminator finds."""

    measure: Literal["iou", "auc"]
    """IoU that is added, or the AUC of telling what has something from what has it not."""
    seam: Values | None
    """`[seeds, images]`; None for a discriminator that sees the hole alone, which has no seam."""
    content: Values
    """`[seeds, images]`."""
    groups: NDArray[np.int64] | None = None
    """Number of each image's group, where images are not one each."""

    @property
    def threshold(self) -> float:
        """Above which an effect counts."""
        return IOU_MARGIN if self.measure == "iou" else GUESSING

    @property
    def intervals(self) -> dict[str, Interval]:
        """The means with 95 % intervals: `content`, and `seam` and `difference` where they are."""
        effects = {"content": self.content}
        if self.seam is not None:
            effects |= {"seam": self.seam, "difference": self.seam - self.content}
        return {n: interval_of_mean(Sample(values, self.groups)) for n, values in effects.items()}

    @property
    def goes_by(self) -> GoesBy:
        """By which of both the discriminator goes: the one that counts, and for more.

        What it does not find at all it does not go by, whatever the difference: content that looks
        more real than real images makes no seam count. Without a seam, content has to count.
        """
        found = self.intervals
        difference = found.get("difference")
        if difference and found["seam"].low > self.threshold and difference.low > 0:
            return "boundary"
        is_more = difference is None or difference.high < 0
        return "content" if is_more and found["content"].low > self.threshold else "inconclusive"


def effects_of(numbers: Mapping[str, Any], groups: NDArray[np.int64] | None = None) -> Effects:
    """Return the effects on one discriminator, from its part of a diagnosis."""
    cells = {name: np.array(numbers["per_image"][name], np.float64) for name in CELLS}
    real, seam, content, both = (cells[name] for name in CELLS)
    added = np.subtract if numbers["predicts"] == "localization" else auc_of_images
    measure: Literal["iou", "auc"] = "iou" if numbers["predicts"] == "localization" else "auc"
    if numbers["input"] == "hole":  # in which the frame of `seam_only` is content, too
        return Effects(measure, None, added(both, real)[None], groups)
    of_seam = (added(seam, real) + added(both, content)) / 2
    of_content = (added(content, real) + added(both, seam)) / 2
    return Effects(measure, of_seam[None], of_content[None], groups)


def join_seeds(found: Sequence[Effects]) -> Effects:
    """Put the effects on the same discriminator of several training seeds together.

    Raises:
        ValueError: they are of different images.
    """
    seams = [each.seam for each in found if each.seam is not None]
    content = np.concatenate([each.content for each in found])
    return Effects(found[0].measure, np.concatenate(seams) if seams else None, content)


def auc_of_images(first: Values, second: Values) -> Values:
    """Return each image's part in the AUC of telling one version of the images from another.

    Their mean is the area under the ROC curve: the probability that a `first` value is above a
    `second` one, ties counted by half. Their variance over the number of images is that of the
    AUC, both versions of an image drawn together.

    Args:
        first: `[images]`, of the versions that are to be above.
        second: `[images]`, of the other versions of the same images.

    Source: DeLong, DeLong and Clarke-Pearson (1988); Obuchowski, Nonparametric analysis of
    clustered ROC curve data (1997), for clusters of one value of each kind.
    """
    above, not_below = _share_below(first, second), 1 - _share_below(second, first)
    return np.asarray(above + not_below - above.mean())


def _share_below(values: Values, others: Values) -> Values:
    """Return which share of the others is below each value, ties counted by half."""
    order = np.sort(others)
    counts = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return np.asarray(counts / (2 * len(others)))
