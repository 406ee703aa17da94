"""What quality costs: the operations, parameters and training images of each variant."""

from dataclasses import dataclass
from statistics import fmean

from benchmark.core.config import load_variant
from benchmark.core.paths import REFERENCES
from benchmark.core.yaml_files import load
from benchmark.evaluation.results import Results
from benchmark.reporting.blocks import Choice, Figure, Figures, Section
from benchmark.reporting.figures.costs import Priced, cost_svg
from benchmark.reporting.leaderboard import mean_interval
from benchmark.reporting.suite_report import SuiteReport
from benchmark.stats.comparison import METRIC
from benchmark.training.describe import describe_variant
from data.errors import InputError
from models.variant import Variant


@dataclass(frozen=True)
class Costs:
    """What a variant took, as far as it is known."""

    parameters: int | None
    flops: int | None
    images_seen: int | None


def section(suite: SuiteReport) -> Section | None:
    """Return the charts of error against operations and against parameters."""
    costs = costs_of(suite)
    kinds = {
        "GFLOP of the generator, one image": {
            name: found.flops / 1e9 for name, found in costs.items() if found.flops is not None
        },
        "million parameters of the generator": {
            name: found.parameters / 1e6
            for name, found in costs.items()
            if found.parameters is not None
        },
    }
    figures = []
    for kind, known in kinds.items():
        if known:
            name = f"figures/{suite.file}_cost_{'flops' if 'FLOP' in kind else 'parameters'}.svg"
            figures.append(_figure(suite, name, kind, known))
    if not figures:
        return None
    caption = "What quality costs; ringed: nothing is both cheaper and better"
    return Section("", [Figures([Choice(caption, "Cost", figures)])])


def _figure(suite: SuiteReport, path: str, kind: str, known: dict[str, float]) -> Figure:
    results, means = suite.results, suite.verdicts.means
    priced = []
    for name, cost in known.items():
        low, high = mean_interval(results, name, METRIC) or (means[name], means[name])
        priced.append(Priced(name, cost, means[name], low, high))
    title = f"{suite.title}: what quality costs"
    baselines = {name: means[name] for name in results.baselines}
    svg = cost_svg(title, kind, METRIC, priced, baselines, suite.styles)
    return Figure(path, svg, "", f"{title}, {kind}", kind)


def costs_of(suite: SuiteReport) -> dict[str, Costs]:
    """Return what each variant of a suite took."""
    results = suite.results
    return {
        name: Costs(_parameters(suite, name), results.flops.get(name), _images_seen(results, name))
        for name in results.variants
    }


def _parameters(suite: SuiteReport, name: str) -> int | None:
    """Return the parameters of a generator, if it can still be built."""
    settings, reference = suite.results.suite, suite.reference
    try:
        if reference is None:
            variant = load_variant(name)
        else:
            folder = REFERENCES / reference.name / "variants"
            variant = load(Variant, folder / f"{name}.yaml", name=name)
        facts = describe_variant(variant, settings.image_size, settings.mask.size)
    except InputError:
        return None
    return int(facts["generator"]["parameters"])


def _images_seen(results: Results, name: str) -> int | None:
    """Return how many images a variant had been trained on at the checkpoint that was scored."""
    seen = []
    for seed in results.seeds_of(name):
        curve = results.curves[name, seed]
        if "images_seen" not in curve:
            return None
        seen.append(int(curve["images_seen"].iloc[results.epochs[name, seed] - 1]))
    return round(fmean(seen))
