"""Who wins, in numbers and in words: paired comparisons on the same images.

A comparison is made on one metric, between a method that was trained with one or more seeds and a
reference without seeds (a baseline). Both are scored on the same images and holes, so their
differences are taken image by image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

TELEA = "telea"
"""The baseline that skill is measured against."""
ORACLE = "oracle"
"""The truth itself; it must score perfectly, and is never ranked or compared."""
METRIC = "mse_h"
"""The metric that decides who wins; lower is better."""
CONFIDENCE = 0.95
MIN_SEEDS = 3
"""With fewer seeds their spread cannot be estimated, and intervals cover image sampling only."""

Verdict = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True)
class Comparison:
    """The paired difference `method - reference` in a metric of which less is better."""

    method: str
    reference: str
    difference: float
    low: float
    high: float
    images: int
    seeds: int

    @property
    def verdict(self) -> Verdict:
        """What the interval says of the method; without an interval, nothing."""
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "not distinguishable"


def score_table(frame: pd.DataFrame, method: str, metric: str = METRIC) -> pd.DataFrame:
    """Return a method's scores by seed (rows) and image (columns), the holes of an image averaged.

    Args:
        frame: a ledger; the columns `method`, `seed`, `image` and the metric are read.
        method: the method.
        metric: the metric.

    Returns:
        Seeds and images sorted; NaN where a score is missing.
    """
    rows = frame[frame["method"] == method]
    return rows.pivot_table(
        index="seed", columns="image", values=metric, aggfunc="mean", dropna=False
    )


def image_scores(frame: pd.DataFrame, method: str, metric: str = METRIC) -> NDArray[np.float64]:
    """Return `score_table` as an array `[seeds, images]`."""
    return score_table(frame, method, metric).to_numpy(dtype=np.float64)


def paired_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval of the mean of paired differences.

    With fewer than `MIN_SEEDS` seeds it is that of a paired t test on the images' differences,
    averaged over seeds. From then on the variance of the seeds' means is added to that of the
    images' means, with the degrees of freedom of Welch and Satterthwaite; as the residual is then
    counted twice, the interval is a little too wide rather than too narrow.

    Args:
        differences: `[seeds, images]`.

    Returns:
        Lower and upper end; `(-inf, inf)` for fewer than two images.
    """
    return _interval(float(differences.mean()), _sampled(differences))


def unpaired_interval(
    ours: NDArray[np.float64], reference: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the interval of `mean(ours) - mean(reference)`, scored on different images.

    That of Welch's t test on the images' means; from `MIN_SEEDS` seeds on with the variance between
    a side's seeds added, as in `paired_interval`.

    Args:
        ours: `[seeds, images]`.
        reference: the same, of another number of seeds and images.

    Returns:
        Lower and upper end; `(-inf, inf)` for fewer than two images on one side.
    """
    parts = _sampled(ours) + _sampled(reference)
    return _interval(float(ours.mean() - reference.mean()), parts)


def _sampled(scores: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the samples whose means' variances count: of images, and of seeds if they suffice."""
    parts = [scores.mean(axis=0)]
    if scores.shape[0] >= MIN_SEEDS:
        parts.append(scores.mean(axis=1))
    return parts


def _interval(mean: float, parts: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the interval of a mean whose variance is the sum of those of some samples' means."""
    if any(part.size < 2 for part in parts):
        return -np.inf, np.inf
    variances = np.array([part.var(ddof=1) / part.size for part in parts])
    total = float(variances.sum())
    if total == 0:
        return mean, mean
    freedom = total**2 / sum(v**2 / (p.size - 1) for v, p in zip(variances, parts, strict=True))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * total**0.5
    return mean - reach, mean + reach


def compare(frame: pd.DataFrame, method: str, reference: str, metric: str = METRIC) -> Comparison:
    """Compare a method with a reference on the images of a ledger.

    Raises:
        ValueError: the two were not scored on the same images.
    """
    images = [
        frame.loc[frame["method"] == name].groupby("image").size().index
        for name in (method, reference)
    ]
    if not images[0].equals(images[1]):
        raise ValueError(f"{method} and {reference} were not scored on the same images")
    scores = image_scores(frame, method, metric)
    differences = scores - image_scores(frame, reference, metric).mean(axis=0, keepdims=True)
    low, high = paired_interval(differences)
    seeds, count = differences.shape
    return Comparison(method, reference, float(differences.mean()), low, high, count, seeds)


def marker(comparisons: Sequence[Comparison], strongest: str) -> str:
    """Return the short verdict that stands beside a variant's row.

    A symbol and words, never a colour: losing to Telea is named first, then losing to the
    strongest baseline, then losing to any other.

    Args:
        comparisons: of one variant, with every baseline.
        strongest: the baseline with the best mean.
    """
    verdicts = {c.reference: c.verdict for c in comparisons}
    for reference in (TELEA, strongest, *verdicts):
        if verdicts.get(reference) == "worse":
            return f"✗ loses to {reference}"
    even = [name for name, verdict in verdicts.items() if verdict == "not distinguishable"]
    return f"≈ even with {', '.join(even)}" if even else "✓ beats every baseline"


def headline(
    title: str, means: Mapping[str, float], comparisons: Sequence[Comparison], strongest: str
) -> str:
    """Return one sentence for each reference that matters: Telea and the strongest baseline.

    Args:
        title: the suite's title.
        means: each method's mean of the deciding metric.
        comparisons: of every variant with every baseline.
        strongest: the baseline with the best mean.
    """
    sentences = []
    for reference in dict.fromkeys((TELEA, strongest)):
        against = [c for c in comparisons if c.reference == reference]
        if not against:
            continue
        best = min((c.method for c in against), key=lambda name: (means[name], name))
        counts = {v: sum(c.verdict == v for c in against) for v in ("better", "worse")}
        role = ", the strongest baseline" if reference == strongest else ""
        who = _who(counts["better"], counts["worse"], len(against), f"{reference}{role}")
        sentences.append(
            f"{who} (best: {best}, {METRIC} {means[best]:.4f} against {means[reference]:.4f})"
        )
    return f"{title}: {'; '.join(sentences)}."


def _who(better: int, worse: int, total: int, reference: str) -> str:
    """Say how many variants win and lose against a reference."""
    every = "the only learned variant" if total == 1 else "every learned variant"
    if worse == total:
        return f"{every} loses to {reference}"
    if better == total:
        return f"{every} beats {reference}"
    if not better and not worse:
        return f"{every} is not distinguishable from {reference}"
    even = total - better - worse
    counts = (
        (worse, "loses to", "lose to"),
        (even, "is not distinguishable from", "are not distinguishable from"),
        (better, "beats", "beat"),
    )
    parts = [f"{n} {one if n == 1 else many} it" for n, one, many in counts if n]
    return f"against {reference}, of {total} learned variants {', '.join(parts)}"


def sentence(comparisons: Sequence[Comparison], mean: float) -> str:
    """Return what one variant's comparisons with every baseline say, grouped by verdict."""
    phrases = {"better": "better than", "worse": "worse than"}
    groups = []
    for verdict in ("worse", "not distinguishable", "better"):
        group = [c for c in comparisons if c.verdict == verdict]
        if group:
            listed = ", ".join(
                f"{c.reference} ({_signed(c.difference)} [{_signed(c.low)}, {_signed(c.high)}])"
                for c in group
            )
            groups.append(f"{phrases.get(verdict, 'not distinguishable from')} {listed}")
    return f"{comparisons[0].method} ({METRIC} {mean:.4f}) is " + "; ".join(groups) + "."


def _signed(value: float) -> str:
    return f"{round(value, 5) + 0.0:+.5f}"  # + 0.0 turns -0.0 into 0.0


def coverage(seeds: int) -> str:
    """Say what the intervals cover."""
    if seeds < MIN_SEEDS:
        count = "1 seed" if seeds == 1 else f"{seeds} seeds"
        return (
            f"With {count} the intervals cover image sampling only: how much another training seed "
            "would change the result is not known."
        )
    return f"The intervals cover the sampling of images and of training seeds ({seeds} seeds)."
