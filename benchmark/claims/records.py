"""What runs record besides scores, and what is arithmetic → comparisons that claims make."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.claims.comparisons import (
    ClaimComparison,
    UntestableError,
    comparison_of_samples,
    decimals_of,
    sample_of_images,
    within_margin,
)
from benchmark.claims.definitions import (
    Area,
    Choice,
    Ignorance,
    LearnedGain,
    Probing,
    Refilling,
    SeamReliance,
    Specificity,
)
from benchmark.claims.verdicts import Prediction
from benchmark.evaluation.curves import checkpoint_regret
from benchmark.evaluation.diagnostics.diagnosis import CORRELATION
from benchmark.evaluation.diagnostics.effects import effects_of, join_seeds
from benchmark.evaluation.diagnostics.probes import REAL
from benchmark.evaluation.diagnostics.refilling import METRIC as REFILLED
from benchmark.evaluation.diagnostics.refilling import ROUNDS, refilled
from benchmark.evaluation.results import Results
from benchmark.metrics import METRICS
from benchmark.stats.intervals import (
    MIN_SEEDS,
    Interval,
    Sample,
    interval_of_difference,
    interval_of_mean,
)
from benchmark.stats.rulebook import Effect


def read_probing(kind: str, claimed: Probing, results: Results) -> ClaimComparison:
    """Compare the IoU of a localizer's box on a probe with that on the unaltered image.

    Args:
        kind: `finds` or `misses`.
        claimed: the localizer, the probe and the margin.
        results: of the suite.

    Raises:
        UntestableError: the discriminator was not asked, or does not localize.
    """
    rows = []
    for _, entry in _entries(claimed.variant, claimed.discriminator, results):
        values = entry.get("per_image", {})
        if entry["predicts"] == "localization" and {claimed.probe, REAL} <= {*values}:
            rows.append(np.subtract(values[claimed.probe], values[REAL]).tolist())
    if not rows:
        raise UntestableError(
            f"{claimed.discriminator} of {claimed.variant} has no IoU on {claimed.probe} and "
            f"{REAL} of each image; `python -m benchmark evaluate` asks localizers for it"
        )
    sample = sample_of_images(rows, results)
    effect = Effect(interval_of_mean(sample), null=claimed.margin)
    what = f"IoU of {claimed.discriminator}: {claimed.probe} - {REAL}"
    predicted: Prediction = "above" if kind == "finds" else "below"
    return comparison_of_samples(what, effect, predicted, [sample], 3)


def read_seam(kind: str, claimed: SeamReliance, results: Results) -> ClaimComparison:
    """Read what a seam adds to what a discriminator finds, or how much more than content it is.

    A claim that it sees the seam needs both: the effect of the seam counts, and it is the greater.

    Args:
        kind: `alone` for the effect of the seam, `more` for what it is beyond that of the content.
        claimed: the discriminator.
        results: of the suite.

    Raises:
        UntestableError: there is no diagnosis that says it, or the discriminator sees no seam.
    """
    variant, name = claimed.variant, claimed.discriminator
    found = [effects_of(e) for _, e in _entries(variant, name, results) if e.get("effects")]
    if not found:
        raise UntestableError(
            f"{name} of {variant} was not asked image by image; `python -m benchmark evaluate` "
            "asks it"
        )
    if len({effects.content.shape for effects in found}) > 1:
        raise UntestableError("the seeds were asked about different images")
    effects = join_seeds(found)
    if effects.seam is None:
        raise UntestableError(f"{name} of {variant} sees the hole alone, which has no border")
    what = f"{effects.measure} of {name} of {variant}: effect of the seam"
    if kind == "more":
        sample = sample_of_images((effects.seam - effects.content).tolist(), results)
        what, effect = f"{what} - of the content", Effect(interval_of_mean(sample))
    else:
        sample = sample_of_images(effects.seam.tolist(), results)
        # An IoU that is as good as none is negligible; an AUC of .5 is a guess.
        margin = effects.threshold if effects.measure == "iou" else 0.0
        effect = Effect(interval_of_mean(sample), margin, null=effects.threshold)
    return comparison_of_samples(what, effect, "above", [sample], 3)


def compare_specificity(claimed: Specificity, results: Results) -> ClaimComparison:
    """Compare how two discriminators' gradients follow the error, image by image.

    Each image has a correlation over its pixels, which the evaluate stage records.

    Raises:
        UntestableError: one has no such record, or they were asked about different images.
    """
    ours = _correlations(claimed.variant, claimed.discriminator, results)
    other = _correlations(claimed.than, claimed.than_discriminator, results)
    # An image without a value on one side counts on neither.
    both = sample_of_images([*ours, *other], results)
    sides = [
        Sample(scores, both.groups)
        for scores in (both.scores[: len(ours)], both.scores[len(ours) :])
    ]
    effect = Effect(interval_of_difference(*sides), claimed.margin)
    what = f"correlation of gradient and error: {claimed.variant} - {claimed.than}"
    return comparison_of_samples(what, effect, "above", sides, 3)


def _correlations(
    variant: str, discriminator: str, results: Results
) -> Sequence[Sequence[float | None]]:
    """Return the correlations of each seed, image by image; None where an image has none."""
    entries = (entry for _, entry in _entries(variant, discriminator, results))
    found = [row for e in entries if (row := e.get("per_image", {}).get(CORRELATION))]
    if not found:
        raise UntestableError(
            f"the gradients of {discriminator} of {variant} were not correlated with the error; "
            "`python -m benchmark evaluate` does it"
        )
    return found


def compare_choice(claimed: Choice, results: Results) -> ClaimComparison:
    """Compare the validation PSNR of two choices of a checkpoint, seed by seed.

    The other choice is that of the best PSNR, so a difference is never negative and the verdict
    depends on the margin.

    Raises:
        UntestableError: the curves lack a column, or there are too few seeds.
    """
    seeds = results.seeds_of(claimed.variant)
    if len(seeds) < MIN_SEEDS:
        raise UntestableError(
            f"needs runs of {claimed.variant} with {MIN_SEEDS} training seeds, and has {len(seeds)}"
        )
    curves = {(claimed.variant, seed): results.curves[claimed.variant, seed] for seed in seeds}
    regrets = checkpoint_regret(curves)
    if len(regrets) < len(curves):
        raise UntestableError("the curves lack the training loss or the validation PSNR")
    lost = np.array([[regret.of_train_loss for regret in regrets.values()]])
    # Seeds are what is sampled.
    interval = interval_of_mean(Sample(lost, is_trained=False))
    margin = METRICS["psnr_h"].margin if claimed.margin is None else claimed.margin
    return ClaimComparison(
        what=f"validation psnr_h of {claimed.variant}: best_val_psnr - best_train_loss",
        effect=Effect(interval, margin, null=margin),
        predicted="above",
        seeds=len(seeds),
        decimals=3,
    )


def compare_contexts(claimed: Ignorance, results: Results) -> ClaimComparison:
    """Compare fillings of one hole in two contexts, as a share of how far the images differ there.

    The share is of mean squares over all images: 0 where the context plays no part.

    Raises:
        UntestableError: the generator was not asked, or all images are the same in the holes.
    """
    contexts = [found["context"] for found in _interventions(claimed.variant, results)]
    filling, truth = (
        sample_of_images([context[name] for context in contexts], results)
        for name in ("filling", "truth")
    )
    scale = float(truth.scores.mean())
    if not scale:
        raise UntestableError("all images are the same in the holes")
    share = float(filling.scores.mean()) / scale
    # Values of single images whose mean is the share, and its variance to first order.
    values = share + (filling.scores - share * truth.scores) / scale
    sample = Sample(values, filling.groups)
    effect = Effect(interval_of_mean(sample), null=claimed.margin)
    what = f"difference between fillings in two contexts, share of the truth's: {claimed.variant}"
    return comparison_of_samples(what, effect, "below", [sample], 3)


def compare_gain(claimed: LearnedGain, results: Results) -> ClaimComparison:
    """Compare a generator with itself, its blocks that add with a learned gain switched off.

    Raises:
        UntestableError: the generator was not asked, or has no such block.
    """
    found = [each for each in _interventions(claimed.variant, results) if each.get("gains")]
    if not found:
        raise UntestableError(f"the generator of {claimed.variant} has no learned gain")
    rows = [np.subtract(each["ssim_h"], each["without"]).tolist() for each in found]
    sample = sample_of_images(rows, results)
    margin = METRICS["ssim_h"].margin if claimed.margin is None else claimed.margin
    gains = ", ".join(f"{gain:.3g}" for each in found for gain in each["gains"].values())
    what = f"ssim_h of {claimed.variant}: with - without the block (learned gain {gains})"
    effect = Effect(interval_of_mean(sample), margin)
    return comparison_of_samples(what, effect, "above", [sample], 5)


def compare_refilled(claimed: Refilling, results: Results) -> ClaimComparison:
    """Compare images in which the localizer's squares were filled again with what they were.

    Raises:
        UntestableError: nothing was filled again.
    """
    before, after = refilled(0), refilled(ROUNDS)
    entries = _entries(claimed.variant, claimed.discriminator, results)
    values = [entry.get("per_image", {}) for _, entry in entries]
    rows = [np.subtract(v[after], v[before]).tolist() for v in values if after in v]
    if not rows:
        raise UntestableError(
            f"nothing was filled again where {claimed.discriminator} of {claimed.variant} finds it;"
            f" `python -m benchmark evaluate` does it where images have a {REFILLED}"
        )
    sample = sample_of_images(rows, results)
    margin = METRICS[REFILLED].margin if claimed.margin is None else claimed.margin
    what = f"{REFILLED} of {claimed.variant}: filled {ROUNDS} times more - once"
    effect = Effect(interval_of_mean(sample), margin)
    return comparison_of_samples(what, effect, "below", [sample], decimals_of(REFILLED))


def _interventions(variant: str, results: Results) -> list[Mapping[str, Any]]:
    """Return what interventions into the generator of each seed changed."""
    diagnoses = (results.diagnoses.get((variant, seed), {}) for seed in results.seeds_of(variant))
    found = [each["generator"] for each in diagnoses if each.get("generator")]
    if not found:
        raise UntestableError(
            f"nothing was taken from the generator of {variant}; `python -m benchmark evaluate` "
            "does it"
        )
    return found


def compare_area(claimed: Area) -> ClaimComparison:
    """Compare the share of an image that a square covers with what is said."""
    share = (claimed.hole_px / claimed.image_px) ** 2
    off = share - claimed.share
    effect = within_margin(Interval(off, ()), claimed.margin)
    sizes = f"{claimed.hole_px} px in {claimed.image_px} px"
    what = f"share of the area ({sizes}): {share:.4f} - {claimed.share:g} ="
    return ClaimComparison(what, effect, "within", decimals=4)


def _entries(
    variant: str, discriminator: str, results: Results
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the seed and the numbers of each diagnosis of a discriminator."""
    for seed in results.seeds_of(variant):
        diagnosis = results.diagnoses.get((variant, seed), {})
        if entry := diagnosis.get("discriminators", {}).get(discriminator):
            yield seed, entry
