"""How far the set of completed test images is from the set of true ones, where it is measured."""

import math

from benchmark.core.text import number
from benchmark.evaluation.metrics_file import SetMeasure
from benchmark.evaluation.results import Results
from benchmark.metrics.registry import ARROWS, Better
from benchmark.reporting.blocks import Details, Section, Text, simple_table
from benchmark.reporting.dialect import with_code
from benchmark.reporting.suite_report import SuiteReport

TITLE = "The test set as a whole"
SHOWN: dict[str, Better] = {"kid_stlpips": "lower", "uids_stlpips": "higher"}
NOTE = (
    "All completed images against all true ones, by features of ST-LPIPS: a filling that looks "
    "like no true image costs here even where it is near the truth on average, as a blurred one "
    "is. `kid_stlpips`: squared MMD with a cubic kernel, unbiased, 0 is ideal. `uids_stlpips`: how "
    "often a linear classifier errs that was trained on other images, 0.5 is ideal. ± is the "
    "standard error over ten groups of images. The features are not Inception's, so that no value "
    "can be compared with a published KID or U-IDS."
)


def section(suite: SuiteReport) -> Section | None:
    """Return the measures of every method and seed, folded, or the reason why there are none."""
    results = suite.results
    rows = [
        [method, str(seed), *(_cell(measures.get(name)) for name in SHOWN)]
        for method, seed, measures in _measures(results)
        if any(measure.value is not None for measure in measures.values())
    ]
    if rows:
        heads = ["method", "seed", *(f"{name} {ARROWS[b]}" for name, b in SHOWN.items())]
        blocks = [Text(NOTE, "notes"), simple_table(TITLE, heads, rows)]
        return Section("", [Details(TITLE, blocks)])
    reasons = {
        f"`{name}`: {with_code(measure.missing)}"
        for _, _, measures in _measures(results)
        for name, measure in measures.items()
    }
    return Section("", [Text(f"{r}.", "notes") for r in sorted(reasons)]) if reasons else None


def _measures(results: Results) -> list[tuple[str, int, dict[str, SetMeasure]]]:
    return [
        (method, seed, dict(results.set_level[method, seed]))
        for method in results.methods
        for seed in (results.seeds_of(method) or [0])
        if (method, seed) in results.set_level
    ]


def _cell(measure: SetMeasure | None) -> str:
    if measure is None or measure.value is None or measure.se is None:
        return number(math.nan, 4)
    return number(measure.value, 4, measure.se)
