"""The page `report.md`: words, tables and links to the figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Template
from typing import Any

from benchmark.claims.testing import Tested
from benchmark.core import paths
from benchmark.core.config import Params, load_variant
from benchmark.core.text import escape_markdown, grid_markdown, number, sentence_markdown
from benchmark.evaluation.reference_runs import FIGURE, Reference
from benchmark.evaluation.results import SKILL, Results, mean_of
from benchmark.evaluation.score_table import Aggregate, aggregate_by_area, aggregate_by_label
from benchmark.metrics import METRICS, PROTOCOL
from benchmark.metrics.registry import ARROWS
from benchmark.reporting.claim_tables import claims_section
from benchmark.reporting.comparison_tables import comparison_section
from benchmark.reporting.figures.pictures import chosen_rows
from benchmark.reporting.findings import DEFINITIONS, diagnostics_section
from benchmark.reporting.leaderboard import Words, result_table
from benchmark.reporting.protocol_tables import protocol_section
from benchmark.reporting.provenance import provenance_section
from benchmark.reporting.tables import markdown_table
from benchmark.reporting.wording import coverage
from benchmark.stats.comparison import METRIC, ORACLE
from data.errors import InputError

REGIONS = {"w": "whole image", "h": "hole", "b": "seam band", "c": "core", "known": "known pixels"}


@dataclass(frozen=True)
class Chapter:
    """What the page says of a suite."""

    results: Results
    words: Words
    labels: Sequence[str] = ()
    """The classes of the images that are shown."""
    reference: Reference | None = None
    """Where the results come from, if not from this checkout."""


def report_page(
    params: Params,
    chapters: Sequence[Chapter],
    tested: Mapping[str, Tested],
) -> str:
    """Fill the template of the report.

    Args:
        params: what was built.
        chapters: its suites, and reference runs.
        tested: the authors' claims.
    """
    local = [chapter for chapter in chapters if chapter.reference is None]
    missing: dict[str, str] = {}
    for chapter in local:
        missing.update(chapter.results.missing)
    references = [_reference(c.reference, c) for c in chapters if c.reference is not None]
    gaps = [f"- `{name}`: {sentence_markdown(reason)}" for name, reason in sorted(missing.items())]
    return _filled(
        paths.REPORTS / "templates" / "report.md",
        protocol=PROTOCOL,
        coverage=coverage(len(params.seeds)),
        overview="\n".join(f"- {escape_markdown(c.words.headline)}" for c in local),
        claims=claims_section(tested),
        suites="\n".join(_section(chapter) for chapter in local).strip(),
        references="\n\n".join(references) or "None.",
        definitions="\n".join(_definition(name) for name in METRICS),
        skill=SKILL,
        probes=f"\n{DEFINITIONS}\n" if any(c.results.diagnoses for c in local) else "",
        variants=_origins(params),
        missing="\n".join(gaps) or "None.",
    )


def _filled(path: Path, **parts: str) -> str:
    """Fill a template with named parts."""
    try:
        return Template(path.read_text(encoding="utf-8")).substitute(parts)
    except KeyError as error:
        raise InputError(f"{path}: ${error.args[0]} is none of {', '.join(parts)}") from None
    except ValueError as error:  # not UTF-8, or a $ that begins no name
        raise InputError(f"{path}: cannot be filled ({error})") from None


def _section(chapter: Chapter) -> str:
    results, words, suite = chapter.results, chapter.words, chapter.results.suite
    law = suite.mask
    hole = f"a square of {law.size} px, {law.kind.replace('_', ' ')}"
    if law.margin:
        hole += f", at least {law.margin} px from the edge"
    facts = (
        f"Images of {suite.image_size} x {suite.image_size} px; hole: {hole}; "
        f"{results.num_images} test images, {suite.evaluation.masks_per_image} hole(s) each."
    )
    figure = partial("![{0}: {1}](figures/{2}_{3})".format, escape_markdown(suite.title))
    blocks = [
        f"## {escape_markdown(suite.title)} (`{suite.name}`)",
        escape_markdown(suite.description),
        facts,
        f"**{escape_markdown(words.headline)}**",
        "\n".join(f"- {escape_markdown(text)}" for text in words.sentences()),
        f"In brackets: mean paired difference in {escape_markdown(METRIC)} to the baseline and its "
        "95 % interval; negative is better for the variant.",
        markdown_table(result_table(results, words)).strip(),
        comparison_section(results, words),
        protocol_section(results),
        _checkpoints(results),
        *_breakdowns(results),
        f"### Completed test images\n\n{_choice(chapter)} The hole of the input is grey.",
        figure("completed images", suite.name, "comparison.png"),
        f"The holes alone:\n\n{figure('holes', suite.name, 'zoomed.png')}",
        f"### Training curves\n\n{figure('training curves', suite.name, 'curves.svg')}",
    ]
    if results.diagnoses:
        blocks.append(diagnostics_section(list(results.diagnoses.values())).strip())
    blocks.append(_provenance(results))
    return "\n\n".join(blocks) + "\n"


def _reference(reference: Reference, chapter: Chapter) -> str:
    """Return the section of reference runs; their picture is that of their folder."""
    results, words = chapter.results, chapter.words
    title = escape_markdown(f"{results.suite.title} on {reference.machine}")
    figures = {
        "training curves": f"figures/reference/{reference.name}_curves.svg",
    }
    if reference.facts.figure:
        figures = {"completed images": f"reference/{reference.name}/{FIGURE}", **figures}
    blocks = [
        f"### {title} (`{reference.facts.suite}`)",
        "\n".join(reference.lines()),
        coverage(words.seeds),
        escape_markdown(words.headline),
        markdown_table(result_table(results, words)).strip(),
        comparison_section(results, words),
        protocol_section(results),
        _checkpoints(results),
        *(f"![{title}: {what}]({path})" for what, path in figures.items()),
        _provenance(results),
    ]
    return "\n\n".join(blocks)


def _provenance(results: Results) -> str:
    """Say where every run comes from."""
    table = provenance_section(results.origins, results.suite.training.deterministic)
    return f"#### Where the runs come from\n\n{table}"


def _checkpoints(results: Results) -> str:
    """Say which checkpoints were scored."""
    settings = results.suite
    scored = ", ".join(
        f"`{variant}` "
        + " / ".join(str(results.epochs[variant, seed]) for seed in results.seeds_of(variant))
        for variant in results.variants
    )
    return (
        f"Scored checkpoint: `{settings.evaluation.checkpoint}`, "
        f"of epoch (of {settings.training.epochs}): {scored}."
    )


def _choice(chapter: Chapter) -> str:
    """Say which images the figures show."""
    labels, seeds = chapter.labels, chapter.results.seeds
    count = len(chosen_rows(labels))
    what = "The first test image of each of the first" if any(labels) else "The first"
    thing = "classes" if any(labels) else "test images"
    seed = f"; of the variants, seed {seeds[0]}" if len(seeds) > 1 else ""
    return f"{what} {count} {thing}, not selected by result{seed}."


def _breakdowns(results: Results) -> list[str]:
    """Return tables by hole area, where it varies, and by class, where there are classes."""
    area = aggregate_by_area(results.frame, results.image_px, results.missing)
    label = aggregate_by_label(results.frame, results.image_px, results.missing)
    blocks = []
    if len(area) > 1:
        blocks.append(_breakdown("hole area", area, results.methods))
    if label:
        blocks.append(_breakdown("class", label, results.methods))
    return blocks


def _breakdown(by: str, parts: Mapping[str, Aggregate], methods: Sequence[str]) -> str:
    shown = [name for name in methods if name != ORACLE]
    rows = []
    for part, scores in parts.items():
        means = [mean_of(scores.get(name, {}).get(METRIC)) for name in shown]
        images = max(int(score[METRIC]["n"] or 0) for score in scores.values())
        cells = [number(math.nan if mean is None else mean, 4) for mean in means]
        rows.append([part, str(images), *cells])
    heading = f"### By {by}\n\n{escape_markdown(METRIC)} ({ARROWS['lower']}), lower is better.\n\n"
    return heading + grid_markdown([by, "N", *shown], rows).strip()


def _definition(name: str) -> str:
    """Return a metric's line: region, unit, direction, and the first line of its docstring."""
    metric = METRICS[name]
    function: Callable[..., Any] = metric.function
    if isinstance(function, partial):
        function = function.func
    line = (function.__doc__ or "").strip().splitlines()[0]
    wanted = {
        "lower": "lower is better",
        "higher": "higher is better",
        "zero": "0 is ideal",
        "one": "1 is ideal",
    }[metric.better]
    region = REGIONS.get(metric.region, metric.region)
    facts = ", ".join(part for part in (region, metric.unit, wanted) if part)
    return f"- `{name}` ({facts}): {escape_markdown(line.removeprefix('Return '))}"


def _origins(params: Params) -> str:
    lines = []
    for name in params.variants:
        variant = load_variant(name)
        lines.append(
            f"- `{name}`: {escape_markdown(variant.title)}. {escape_markdown(variant.origin)}."
        )
    return "\n".join(lines)
