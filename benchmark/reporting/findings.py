"""What the report says of the discriminators: diagnoses in, Markdown out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.core import paths
from benchmark.core.text import escape_markdown, grid_markdown
from benchmark.evaluation.diagnosis import Diagnosis
from benchmark.evaluation.probes import FADE_SHARE, PROBES, REAL, REFERENCE_PX, SEAM_FREE, SEAM_ONLY

HEADING = "### What the discriminators go by"
DEFINITIONS = f"""\
The discriminators are asked about test images in which the square of the first hole is altered, by
one probe at a time. Intervals in brackets are 95 % percentile intervals of a bootstrap over images.

- `real`: nothing is altered. `completed`: the generator's pixels in the square.
- `seam_only`: the true image but for the outermost pixels of the square, a frame of 1 px, which are
  the generator's. `seam_free`: the generator's pixels in the square, fading in.
- `blur_…`: Gaussian blur with this standard deviation in pixels of an image of {REFERENCE_PX} px,
  scaled to the size of the images. `noise_…`: Gaussian noise with this standard deviation on
  [-1, 1]. `mean_colour`: the mean colour of the square. All of them fade in.
- `raw`: the generator's output, known pixels included. `reconstructed`: its output for the whole
  image, without a hole. A generator that makes the hole alone leaves the rest true in both.

What fades in has no boundary: its strength grows linearly over 1/{FADE_SHARE} of the square's
side."""
"""The probes, for the report's explanations."""
TABLES = {
    "localisation": {
        "confidence": "Localizers: mean confidence that there is a generated region.",
        "iou": "Localizers: mean IoU of the predicted box with the altered square; on `real` it is "
        "that of a guess.",
        "auc": "Localizers: detection AUC of each probe against `real`, by confidence; 0.5 is "
        "guessing.",
    },
    "score": {
        "score": "Binary discriminators: mean probability of being real, over the patches centred "
        "in the square.",
        "auc": "Binary discriminators: detection AUC of each probe against `real`, by 1 - score; "
        "0.5 is guessing.",
    },
}
"""A table for each measure, by what a discriminator predicts."""
VERDICTS = {
    "boundary": "goes by the boundary rather than the content",
    "content": "goes by the content rather than the boundary",
    "inconclusive": "is not shown to go by one rather than the other",
}
SEES = {
    "completed": "completed images",
    "raw": "raw outputs",
    "hole": "the hole alone",
}
"""What a discriminator was trained on, by its `input`."""


@dataclass(frozen=True)
class Judge:
    """A discriminator of a run, and what was found of it."""

    name: str
    """For readers: variant, own name, and the seed where there are several."""
    numbers: Mapping[str, Any]
    epoch: int


def diagnostics_section(diagnoses: Sequence[Diagnosis]) -> str:
    """Return the part of a suite's section that is about discriminators.

    Args:
        diagnoses: of the suite's runs, in the order of the report; not empty.

    Returns:
        Markdown under a heading of the third level; links are relative to `reports/`.
    """
    several = len({diagnosis["seed"] for diagnosis in diagnoses}) > 1
    judges = [judge for diagnosis in diagnoses for judge in _judges(diagnosis, several)]
    if not judges:
        return f"{HEADING}\n\nNo variant of this suite has a discriminator.\n"
    asked = [judge for judge in judges if judge.numbers["trained"]]
    blocks = [HEADING]
    if asked:
        blocks.append(
            f"Asked about {diagnoses[0]['images']} test images, altered in one square each; "
            "[How to read](#how-to-read) says what the probes are."
        )
    blocks.append("\n".join(f"- {_sentence(judge)}" for judge in judges))
    for kind, measures in TABLES.items():
        rows = [judge for judge in asked if judge.numbers["predicts"] == kind]
        blocks += [f"{title}\n\n{_table(rows, name)}" for name, title in measures.items() if rows]
    if asked:
        links = [_link(diagnosis, several) for diagnosis in diagnoses if _is_shown(diagnosis)]
        blocks.append(f"Pictures of the probes, with what is said of them: {', '.join(links)}.")
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _judges(diagnosis: Diagnosis, several_seeds: bool) -> list[Judge]:
    seed = f", seed {diagnosis['seed']}" if several_seeds else ""
    return [
        Judge(f"{diagnosis['variant']}: {name}{seed}", numbers, diagnosis["epoch"])
        for name, numbers in diagnosis["discriminators"].items()
    ]


def _sentence(judge: Judge) -> str:
    """Say what a discriminator goes by."""
    name, numbers = escape_markdown(judge.name), judge.numbers
    if not numbers["trained"]:
        return f"**{name}** was not trained by the scored checkpoint, of epoch {judge.epoch}."
    found, on_real = numbers["seam_reliance"], numbers["probes"][REAL]
    if numbers["predicts"] == "localisation":
        measure, guess = "IoU", on_real["iou"]["value"]
    else:
        measure, guess = "1 - score", 1 - on_real["score"]["value"]
    return (
        f"**{name}**, which sees {SEES[numbers['input']]}, {VERDICTS[found['verdict']]}: {measure} "
        f"{_estimate(found['seam_only'])} on `{SEAM_ONLY}`, {_estimate(found['seam_free'])} on "
        f"`{SEAM_FREE}` ({guess:.2f} on `{REAL}`), difference "
        f"{_estimate(found, '+.3f')}."
    )


def _table(judges: Sequence[Judge], measure: str) -> str:
    """Return a table with a discriminator a row and a probe a column."""
    shown = [probe for probe in PROBES if measure != "auc" or probe != REAL]
    rows = [
        [judge.name, *(_estimate(judge.numbers["probes"][probe][measure]) for probe in shown)]
        for judge in judges
    ]
    return grid_markdown(["discriminator", *shown], rows)


def _estimate(estimate: Mapping[str, Any], form: str = ".2f") -> str:
    """Return a value with its interval, where it has one."""
    ends = [estimate[end] for end in ("low", "high") if estimate[end] is not None]
    interval = ", ".join(format(end, form) for end in ends)
    return format(estimate["value"], form) + (f" [{interval}]" if ends else "")


def _is_shown(diagnosis: Diagnosis) -> bool:
    return any(numbers["trained"] for numbers in diagnosis["discriminators"].values())


def _link(diagnosis: Diagnosis, several_seeds: bool) -> str:
    run = paths.Run(diagnosis["suite"], diagnosis["variant"], diagnosis["seed"])
    name = f"{run.variant}, seed {run.seed}" if several_seeds else run.variant
    return f"[{escape_markdown(name)}]({run.probes.relative_to(paths.REPORTS).as_posix()})"
