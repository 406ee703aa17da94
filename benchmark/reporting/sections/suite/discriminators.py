"""What the discriminators of a suite go by: sentences, a chart and tables of their diagnoses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmark.core import paths
from benchmark.evaluation.diagnostics.diagnosis import CORRELATION, Diagnosis
from benchmark.evaluation.diagnostics.effects import GUESSING, IOU_MARGIN
from benchmark.evaluation.diagnostics.probes import PROBES, REAL
from benchmark.evaluation.diagnostics.refilling import ELSEWHERE, ROUNDS, refilled
from benchmark.reporting.blocks import (
    Block,
    Details,
    Figure,
    Figures,
    Items,
    Section,
    Text,
    simple_table,
)
from benchmark.reporting.dialect import plain
from benchmark.reporting.figures.probes import Judged, probes_svg
from benchmark.reporting.suite_report import SuiteReport

TITLE = "What the discriminators go by"
TABLES = {
    "localization": {
        "confidence": "Localizers: mean confidence that there is a generated region.",
        "iou": "Localizers: mean IoU of the predicted box with the altered square; on `real` it is "
        "that of a guess.",
        "auc": "Localizers: detection AUC of each probe against `real`, by confidence; 0.5 is "
        "guessing.",
    },
    "score": {
        "score": "Binary discriminators: mean probability of being real, over the patches centered "
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
OF_HOLE_ALONE = {
    "content": "tells generated content from true content",
    "inconclusive": "is not shown to tell generated content from true content",
}
"""What is said of one that sees no boundary."""
MEASURES = {
    "iou": f"IoU (above {IOU_MARGIN:g} counts)",
    "auc": f"AUC ({GUESSING:g} is guessing)",
}
AGAIN = (
    "Mean ST-LPIPS of whole images, lower is better, after the square that the localizer finds was "
    f"filled again so many times; and after {ROUNDS} times elsewhere, in squares that are drawn."
)
EFFECTS = "What a seam and what generated content add to what each discriminator finds."
SEES = {
    "completed": "completed images",
    "raw": "raw outputs",
    "hole": "the hole alone",
}
"""What a discriminator was trained on, by its `input`."""


@dataclass(frozen=True)
class Judge(Judged):
    """A discriminator of a run, and what was found of it."""

    epoch: int

    @property
    def is_trained(self) -> bool:
        """Whether it was trained by the scored checkpoint, and therefore asked."""
        return bool(self.numbers["trained"])


def section(suite: SuiteReport) -> Section | None:
    """Return what is known of a suite's discriminators; nothing where none was asked."""
    diagnoses = list(suite.results.diagnoses.values())
    if not diagnoses:
        return None
    several = len({diagnosis["seed"] for diagnosis in diagnoses}) > 1
    judges = [judge for diagnosis in diagnoses for judge in _judges(diagnosis, several)]
    if not judges:
        return Section(TITLE, [Text("No variant of this suite has a discriminator.")])
    asked = [judge for judge in judges if judge.is_trained]
    blocks: list[Block] = [Items([_sentence(judge) for judge in judges])]
    if asked:
        images = f"Asked about {diagnoses[0]['images']} test images, altered in one square each. "
        title = f"{suite.title}: how well each probe is told from a real image"
        svg = probes_svg(title, asked, suite.styles)
        path = f"figures/{suite.file}_probes.svg"
        figure = Figure(path, svg, "How well each probe is told from a real image", title)
        blocks = [
            Text(f"{images}[What the probes are](#probes-of-the-discriminators)."),
            *_effects(asked),
            *blocks,
            Figures([figure]),
            Details("All answers as numbers", _tables(asked)),
        ]
        if suite.reference is None:
            links = ", ".join(_link(d, several) for d in diagnoses if _is_shown(d))
            blocks.append(Text(f"Pictures of the probes, with what is said of them: {links}."))
    return Section(TITLE, blocks)


def _judges(diagnosis: Diagnosis, several_seeds: bool) -> list[Judge]:
    seed = f", seed {diagnosis['seed']}" if several_seeds else ""
    variant, epoch = diagnosis["variant"], diagnosis["epoch"]
    return [
        Judge(f"{variant}: {name}{seed}", variant, numbers, epoch)
        for name, numbers in diagnosis["discriminators"].items()
    ]


def _effects(judges: Sequence[Judge]) -> list[Block]:
    """Return the table of effects and of gradients; none where earlier versions asked."""
    rows = []
    for judge in judges:
        numbers = judge.numbers
        if effects := numbers.get("effects"):
            form = "+.3f" if effects["measure"] == "iou" else ".3f"
            cells = [
                _found(effects.get("seam"), form),
                _found(effects["content"], form),
                _found(effects.get("difference"), "+.3f"),
                _found(numbers.get(CORRELATION), "+.2f"),
            ]
            rows.append([judge.name, numbers["input"], MEASURES[effects["measure"]], *cells])
    heads = (
        *("discriminator", "sees", "measure", "effect of the seam", "effect of the content"),
        *("difference", "gradient and error"),
    )
    return [Text(EFFECTS), simple_table(EFFECTS, heads, rows, text_columns=3)] if rows else []


def _sentence(judge: Judge) -> str:
    """Say what a discriminator goes by."""
    name, numbers = plain(judge.name), judge.numbers
    if not judge.is_trained:
        return f"**{name}** was not trained by the scored checkpoint, of epoch {judge.epoch}."
    effects, seen = numbers.get("effects"), f"**{name}**, which sees {SEES[numbers['input']]}"
    if not effects:
        return f"{seen}, was asked by an earlier version, which kept no effects."
    verdict, measure = effects["verdict"], "IoU" if effects["measure"] == "iou" else "AUC"
    form = "+.2f" if measure == "IoU" else ".2f"
    content = f"{measure} {_found(effects['content'], form)} by the content"
    if not effects.get("seam"):
        return f"{seen}, {OF_HOLE_ALONE[verdict]}: {content}."
    return (
        f"{seen}, {VERDICTS[verdict]}: {measure} {_found(effects['seam'], form)} by the seam, "
        f"{_found(effects['content'], form)} by the content, difference "
        f"{_found(effects['difference'], '+.3f')}."
    )


def _tables(judges: Sequence[Judge]) -> list[Block]:
    """Return a table for each measure, with a probe a row and a discriminator a column."""
    tables: list[Block] = []
    for kind, measures in TABLES.items():
        asked = [judge for judge in judges if judge.numbers["predicts"] == kind]
        for measure, title in measures.items() if asked else ():
            shown = [probe for probe in PROBES if measure != "auc" or probe != REAL]
            answers = [judge.numbers["probes"] for judge in asked]
            rows = [[p, *(_found(a.get(p, {}).get(measure)) for a in answers)] for p in shown]
            heads = ("probe", *(judge.name for judge in asked))
            tables += [Text(title), simple_table(title, heads, rows)]
    if again := [judge for judge in judges if refilled(0) in judge.numbers.get("per_image", {})]:
        names = {f"{n} more": refilled(n) for n in range(ROUNDS + 1)} | {"elsewhere": ELSEWHERE}
        scores = [judge.numbers["per_image"] for judge in again]
        rows = [[row, *(f"{fmean(s[name]):.4f}" for s in scores)] for row, name in names.items()]
        heads = ("filled", *(judge.name for judge in again))
        tables += [Text(AGAIN), simple_table(AGAIN, heads, rows)]
    return tables


def _found(estimate: Mapping[str, Any] | None, form: str = ".2f") -> str:
    """Return a value with its interval, where it has one; a dash where there is no value."""
    if not estimate:
        return "—"
    ends = [estimate[end] for end in ("low", "high") if estimate[end] is not None]
    interval = ", ".join(format(end, form) for end in ends)
    return format(estimate["value"], form) + (f" [{interval}]" if ends else "")


def _is_shown(diagnosis: Diagnosis) -> bool:
    return any(numbers["trained"] for numbers in diagnosis["discriminators"].values())


def _link(diagnosis: Diagnosis, several_seeds: bool) -> str:
    run = paths.Run(diagnosis["suite"], diagnosis["variant"], diagnosis["seed"])
    name = f"{run.variant}, seed {run.seed}" if several_seeds else run.variant
    return f"[{plain(name)}]({run.probes.relative_to(paths.REPORTS).as_posix()})"
