"""How to read the report, what was compared, and which metrics could not be computed."""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmark.core.config import load_variant
from benchmark.evaluation.diagnostics.effects import GUESSING, IOU_MARGIN
from benchmark.evaluation.diagnostics.probes import FADE_SHARE, REFERENCE_PX, SPLIT
from benchmark.evaluation.results import SKILL
from benchmark.evaluation.score_table import PSNR_MEDIAN, PSNR_POOLED
from benchmark.metrics import METRICS
from benchmark.metrics.registry import WANTED
from benchmark.reporting.blocks import Block, Items, Section, Text
from benchmark.reporting.dialect import plain, with_code
from benchmark.reporting.suite_report import Report

REGIONS = {"w": "whole image", "h": "hole", "b": "seam band", "c": "core", "known": "known pixels"}
MEANS = (
    "Means are over images with equal weight, then over training seeds; several holes of an image "
    "are averaged inside the image first. An infinite PSNR (an exact completion) enters means with "
    "the PSNR of a region in which one channel of one pixel is off by one. `sharpness_c` has "
    "a geometric mean, in which half and double weigh alike and no ratio counts as less than 0.01 "
    "or more than 100. Ranks are those of the printed values: bold is the best of its kind, "
    "underlined the second. Variants and baselines are ranked apart; `oracle` is the truth itself "
    "and must score perfectly."
)
VERDICTS = (
    "Comparisons are of paired differences, image by image; images of one group count as one. "
    "Training seeds of two variants are independent draws. A difference is better or worse where "
    "0 is ruled out, equivalent where everything beyond the margin of practical equivalence is "
    "(the shaded band of a chart), and inconclusive else. All that is shown together shares one "
    "chance of 5 % that anything said is false, by Holm; the interval is for one comparison. "
    "Intervals and p cover the choice of training seeds besides that of images: by the seeds of "
    "the runs, or by the spread that `benchmark/versions/tolerances.yaml` has of more seeds. "
    "Without either a verdict is provisional. `docs/statistics.md` has the rule with its error "
    "rates. "
    "Beside a variant stands: ✗ loses to the named baseline, ≈ is not distinguishable from it, ✓ "
    "beats every baseline that ran, by `mse_h`."
)
CLASSES = (
    "Runs of class P (portable) come out identical, to the bit, on any x86-64 processor with AVX2 "
    "and the same libraries; those of class E0 (on a CPU) and E1 (on a GPU, with deterministic "
    "algorithms) where the machine is the same too; elsewhere splits, masks, "
    "initial weights and the order of the data are the same, and `python -m benchmark verify` "
    "tells how far the metrics are. A version is the commit at which the result was first made, "
    "`+` one with changes; code, configuration, data and weights are SHA-256 digests."
)
ASKED = (
    "The discriminators are asked about test images in which the square of the first hole is "
    "altered, by one probe at a time. Intervals in brackets are 95 % intervals over images: of a "
    "bootstrap for single probes, of the t distribution for effects and correlations."
)
PROBE_DEFINITIONS = (
    "`real`: nothing is altered. `completed`: the generator's pixels in the square.",
    "`seam_only`: the true image but for the outermost pixels of the square, a frame of 1 px, "
    "which are the generator's. `seam_free`: the generator's pixels in the square, fading in.",
    "`offset`: the true square, brighter or darker by one number for all its pixels, for which its "
    "seam is as large as that of `completed`.",
    "`low_frequencies`: the low frequencies of `completed` with the true high ones, fading in, "
    f"split by a Gaussian with a standard deviation of {SPLIT} px in an image of {REFERENCE_PX} "
    "px, scaled to the size of the images.",
    "`blur_…`: Gaussian blur with this standard deviation in pixels of an image of "
    f"{REFERENCE_PX} px, scaled likewise. `noise_…`: Gaussian noise with this standard deviation "
    "on \\[-1, 1\\]. `mean_color`: the mean color of the square. `foreign`: the same square of "
    "another test image. All of them fade in.",
    "`hard_…`: the same with a hard edge, as LocPaint's script draws blur, noise and mean color.",
    "`raw`: the generator's output, known pixels included. `reconstructed`: its output for the "
    "whole image, without a hole. A generator that makes the hole alone leaves the rest true in "
    "both.",
)
FADING = (
    "What fades in has no boundary: its strength grows linearly over "
    f"1/{FADE_SHARE} of the square's side."
)
EFFECTS = (
    "Two things make a completed image differ from a true one: a seam around the square, and "
    "generated content in it. `real` has neither, `seam_only` and `seam_free` have one, "
    "`completed` has both. The effect of the seam is what it adds to what a discriminator finds, "
    "averaged over true and generated content, and that of the content likewise. For localizers "
    "it is the IoU that is added, image by image; for others the AUC of telling images with it "
    "from the same images without it. A discriminator goes by what adds more than "
    f"{IOU_MARGIN:g} of IoU, or has an AUC above {GUESSING:g}, and more than the other does, both "
    "with their whole interval. One that sees the hole alone sees no seam: the content's AUC is "
    "that of `completed` against `real`."
)
GRADIENTS = (
    "*Gradient and error* is the correlation, over the pixels of the hole, of the size of the "
    "gradient of the generator's adversarial loss with the absolute error, averaged over images. "
    "1 means that the discriminator pulls hardest at the worst pixels, 0 that where it pulls has "
    "nothing to do with the error."
)


def section(report: Report) -> list[Section]:
    """Return what a reader has to know of the numbers above."""
    return [_how_to_read(report), _variants(report), _gaps(report)]


def _how_to_read(report: Report) -> Section:
    skill = (
        f"`{SKILL}` (higher is better): 1 - mse_h / mse_h(telea); 1 is perfect, 0 equals Telea, "
        "below 0 loses to it."
    )
    robust = (
        f"`{PSNR_MEDIAN}`, `{PSNR_POOLED}` (dB, higher is better): the median of `psnr_h` over "
        "images, and the PSNR of their mean `mse_h`. They stand beside the mean because a few flat "
        "holes, filled almost exactly, can raise it by many decibels."
    )
    blocks: list[Block] = [
        Section("Metrics", [Items([*map(_definition, METRICS), robust, skill])]),
        Section("Means and ranks", [Text(MEANS)]),
        Section("Verdicts", [Text(VERDICTS)]),
        Section("Classes of runs", [Text(CLASSES)], "classes-of-runs"),
    ]
    if any(suite.results.diagnoses for suite in report.suites):
        probes: list[Block] = [
            Text(ASKED), Items(PROBE_DEFINITIONS), Text(FADING), Text(EFFECTS), Text(GRADIENTS)
        ]  # fmt: skip
        name = "probes-of-the-discriminators"
        blocks.append(Section("Probes of the discriminators", probes, name))
    return Section("How to read", blocks, "how-to-read", "How to read")


def _definition(name: str) -> str:
    """Return a metric's region, unit and direction, and the first line of its docstring."""
    metric = METRICS[name]
    function: Callable[..., Any] = metric.function
    if isinstance(function, partial):
        function = function.func
    line = (function.__doc__ or "").strip().splitlines()[0].removeprefix("Return ")
    facts = (REGIONS.get(metric.region, metric.region), metric.unit, WANTED[metric.better])
    listed = ", ".join(fact for fact in facts if fact)
    return f"`{name}` ({listed}): {plain(line)}"


def _variants(report: Report) -> Section:
    """Return every variant of the report, and where it comes from."""
    found = {name: load_variant(name) for name in report.params.variants}
    for suite in report.references:
        found = {**suite.settings, **found}
    entries = [f"`{name}`: {plain(f'{v.title}. {v.origin}.')}" for name, v in sorted(found.items())]
    return Section("What was compared", [Items(entries)], "what-was-compared")


def _gaps(report: Report) -> Section:
    """Return the metrics that the suites of this checkout lack, and why."""
    missing: dict[str, str] = {}
    for suite in report.local:
        missing.update(suite.results.missing)
    gaps = [f"`{name}`: {with_code(reason)}" for name, reason in sorted(missing.items())]
    return Section("Missing metrics", [Items(gaps) if gaps else Text("None.")], "missing-metrics")
