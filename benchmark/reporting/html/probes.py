"""What discriminators go by: sentences, a plot and a table of their diagnoses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmark.evaluation.diagnosis import Diagnosis
from benchmark.evaluation.probes import PROBES, REAL, SEAM_FREE, SEAM_ONLY
from benchmark.reporting.findings import SEES, TABLES, VERDICTS
from benchmark.reporting.html.drawing import (
    Scale,
    Style,
    drawing,
    label,
    legend,
    line,
    marker,
    x_axis,
)
from benchmark.reporting.html.markup import Markup, details, element, join, plain_table, sentence

WIDTH, LEFT, RIGHT, ROW = 420, 104, 404, 12


@dataclass(frozen=True)
class Judge:
    """A discriminator that was asked, and how it looks in a plot."""

    name: str
    """Variant, own name, and the seed where there are several."""
    numbers: Mapping[str, Any]
    epoch: int
    style: Style
    """That of its variant, hollow for all but the first of its discriminators."""


def probes_section(
    title: str, diagnoses: Sequence[Diagnosis], styles: Mapping[str, Style]
) -> Markup:
    """Return what is known of a suite's discriminators; nothing where none was asked."""
    judges = _judges(diagnoses, styles)
    if not judges:
        return Markup()
    asked = [judge for judge in judges if judge.numbers["trained"]]
    said = element("ul", *(element("li", _said(judge)) for judge in judges))
    parts: list[Markup] = []
    if asked:
        images = f"Asked about {diagnoses[0]['images']} test images, altered in one square each. "
        parts.append(element("p", images, element("a", "What the probes are", href="#probes"), "."))
        plot = _detection_plot(f"{title}: how well each probe is told from a real image", asked)
        figure = element("figure", plot, class_="plot")
        parts.append(element("div", said, figure, class_="beside"))
        parts.append(details("All answers as numbers", *_tables(asked)))
    else:
        parts.append(said)
    return element("section", element("h3", "What the discriminators go by"), *parts)


def _judges(diagnoses: Sequence[Diagnosis], styles: Mapping[str, Style]) -> list[Judge]:
    several = len({diagnosis["seed"] for diagnosis in diagnoses}) > 1
    judges = []
    for diagnosis in diagnoses:
        variant, seed = diagnosis["variant"], f", seed {diagnosis['seed']}" if several else ""
        for i, (name, numbers) in enumerate(diagnosis["discriminators"].items()):
            called = f"{variant}: {name}{seed}"
            style = replace(styles[variant], is_hollow=i > 0)
            judges.append(Judge(called, numbers, diagnosis["epoch"], style))
    return judges


def _said(judge: Judge) -> Markup:
    """Say what a discriminator goes by."""
    name, numbers = element("strong", judge.name), judge.numbers
    if not numbers["trained"]:
        epoch = f" was not trained by the scored checkpoint, of epoch {judge.epoch}."
        return join(name, epoch)
    found, on_real = numbers["seam_reliance"], numbers["probes"][REAL]
    if numbers["predicts"] == "localisation":
        measure, guess = "IoU", on_real["iou"]["value"]
    else:
        measure, guess = "1 - score", 1 - on_real["score"]["value"]
    return join(
        name,
        f", which sees {SEES[numbers['input']]}, {VERDICTS[found['verdict']]}: {measure} ",
        sentence(
            f"{_estimate(found['seam_only'])} on `{SEAM_ONLY}`, {_estimate(found['seam_free'])} on "
            f"`{SEAM_FREE}` ({guess:.2f} on `{REAL}`), difference {_estimate(found, '+.3f')}."
        ),
    )


def _estimate(estimate: Mapping[str, Any], form: str = ".2f") -> str:
    ends = [format(e, form) for e in (estimate["low"], estimate["high"]) if e is not None]
    return format(estimate["value"], form) + (f" [{', '.join(ends)}]" if ends else "")


def _detection_plot(title: str, judges: Sequence[Judge]) -> Markup:
    """Draw how well each probe is detected, 0.5 being a guess."""
    probes = [probe for probe in PROBES if probe != REAL]
    parts, top = legend([(judge.name, judge.style) for judge in judges], WIDTH, 10)
    scale, height = Scale(0, 1, LEFT, RIGHT), ROW * len(judges) + 8
    bottom = top + height * len(probes)
    parts += x_axis(scale, top, bottom, "detection AUC against real images; 0.5 is guessing")
    parts.append(line(scale(0.5), top, scale(0.5), bottom, class_="zero"))
    for i, probe in enumerate(probes):
        y = top + i * height + 4 + ROW / 2
        parts.append(label(LEFT - 8, y + ROW * (len(judges) - 1) / 2, probe, "end"))
        if i:
            parts.append(line(0, top + i * height, RIGHT, top + i * height, class_="grid"))
        for j, judge in enumerate(judges):
            found, at = judge.numbers["probes"][probe]["auc"], y + j * ROW
            low, high = (
                found[e] if found[e] is not None else found["value"] for e in ("low", "high")
            )
            parts.append(
                line(scale(low), at, scale(high), at, class_=f"interval {judge.style.colour}")
            )
            note = f"{judge.name} on {probe}: AUC {_estimate(found)}"
            parts.append(marker(judge.style, scale(found["value"]), at, note))
    described = "; ".join(
        f"{judge.name}: "
        + ", ".join(f"{p} {judge.numbers['probes'][p]['auc']['value']:.2f}" for p in probes)
        for judge in judges
    )
    return drawing(title, f"Detection AUC. {described}.", WIDTH, bottom + 36, *parts)


def _tables(judges: Sequence[Judge]) -> list[Markup]:
    """Return a table for each measure, with a probe a row and a discriminator a column."""
    tables = []
    for kind, measures in TABLES.items():
        asked = [judge for judge in judges if judge.numbers["predicts"] == kind]
        for measure, title in measures.items() if asked else ():
            shown = [probe for probe in PROBES if measure != "auc" or probe != REAL]
            rows = [
                [p, *(_estimate(judge.numbers["probes"][p][measure]) for judge in asked)]
                for p in shown
            ]
            heads = ("probe", *(judge.name for judge in asked))
            tables += [element("p", sentence(title)), plain_table(title, heads, rows)]
    return tables
