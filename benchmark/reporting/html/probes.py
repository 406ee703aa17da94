"""What discriminators go by: sentences, a plot and a table of their diagnoses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.evaluation.diagnosis import Diagnosis
from benchmark.evaluation.probes import PROBES, REAL, SEAM_FREE, SEAM_ONLY
from benchmark.reporting.figures.probes import Judged, probes_svg
from benchmark.reporting.figures.style import Style
from benchmark.reporting.findings import SEES, TABLES, VERDICTS
from benchmark.reporting.html.markup import Markup, details, element, join, plain_table, sentence


@dataclass(frozen=True)
class Judge:
    """A discriminator that was asked."""

    name: str
    """Variant, own name, and the seed where there are several."""
    numbers: Mapping[str, Any]
    epoch: int
    variant: str


def probes_section(
    title: str, diagnoses: Sequence[Diagnosis], styles: Mapping[str, Style]
) -> Markup:
    """Return what is known of a suite's discriminators; nothing where none was asked."""
    judges = _judges(diagnoses)
    if not judges:
        return Markup()
    asked = [judge for judge in judges if judge.numbers["trained"]]
    said = element("ul", *(element("li", _said(judge)) for judge in judges))
    parts: list[Markup] = []
    if asked:
        images = f"Asked about {diagnoses[0]['images']} test images, altered in one square each. "
        parts.append(element("p", images, element("a", "What the probes are", href="#probes"), "."))
        judged = [Judged(judge.name, judge.variant, judge.numbers) for judge in asked]
        heading = f"{title}: how well each probe is told from a real image"
        plot = probes_svg(heading, judged, styles)
        figure = element("figure", Markup(plot), class_="plot")
        parts.append(element("div", said, figure, class_="beside"))
        parts.append(details("All answers as numbers", *_tables(asked)))
    else:
        parts.append(said)
    return element("section", element("h3", "What the discriminators go by"), *parts)


def _judges(diagnoses: Sequence[Diagnosis]) -> list[Judge]:
    several = len({diagnosis["seed"] for diagnosis in diagnoses}) > 1
    judges = []
    for diagnosis in diagnoses:
        variant, seed = diagnosis["variant"], f", seed {diagnosis['seed']}" if several else ""
        for name, numbers in diagnosis["discriminators"].items():
            called = f"{variant}: {name}{seed}"
            judges.append(Judge(called, numbers, diagnosis["epoch"], variant))
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
