"""What training took and whether it was enough: budgets, checkpoints, and what quality costs."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from benchmark.core.text import number
from benchmark.evaluation.curves import AtBudget, CheckpointRegret, checkpoint_regret
from benchmark.evaluation.results import mean_intervals
from benchmark.metrics import METRICS
from benchmark.metrics.registry import Column
from benchmark.reporting.blocks import (
    Block,
    Choice,
    Details,
    Figure,
    Figures,
    Section,
    Text,
    simple_table,
)
from benchmark.reporting.budget import Budget, Equal, at_equal, at_equal_images, percent
from benchmark.reporting.figures.costs import Priced, cost_svg
from benchmark.reporting.suite_report import FLOPS, INFERENCE, PARAMETERS, SuiteReport
from benchmark.reporting.tables import DECIMALS, ranks
from benchmark.stats.comparison import METRIC
from benchmark.training.progress import CRITERIA

KINDS = {
    FLOPS: ("flops", "GFLOP of the generator, one image"),
    PARAMETERS: ("parameters", "million parameters of the generator"),
    INFERENCE: ("inference", "ms of inference, one image of the bench"),
}
"""The name of a chart's file, and that of its axis."""
BUDGET_HEADS = (
    *("variant", "images seen", "of the authors' budget", "updates of G", "updates of D"),
    *("training TFLOP", f"validation {METRIC} per doubling", "trend"),
)
BUDGET_NOTE = (
    "Images seen count every epoch. TFLOP are those of the whole training, forward and backward, "
    "the backward pass counted as two forward passes; validation is left out. The change per "
    f"doubling is that of the validation `{METRIC}` while the images seen double once more: a fit "
    "of a power of the images to the last third of the epochs (three at least), ± its standard "
    "error. It is still falling, or rising, where the 95 % interval of the slope excludes 0 (with "
    "three epochs it is 13 standard errors on each side, by Student's t); else the epochs show no "
    "clear trend, which does not mean that the training has converged."
)
TRENDS = {"falling": "still falling", "rising": "rising", "unclear": "no clear trend"}
EQUAL_NOTE = (
    f"**Ranks at equal budgets**, by the validation `{METRIC}` of the last epoch within the "
    "largest budget that every run has spent; in brackets the value and the epoch. Schedules are "
    "shares of a run, so that one planned for the smaller budget would have gone another way."
)
CHECKPOINT_HEADS = (
    *("variant", "last", "best validation", "best training loss"),
    *("lost by the last", "lost by training loss"),
)


def section(suite: SuiteReport) -> Section:
    """Return the tables of budgets and checkpoints, and the charts of error against costs."""
    blocks: list[Block] = [*_budgets(suite), *_equal(suite), *_checkpoints(suite)]
    figures = []
    for column, (file, kind) in KINDS.items():
        costs = {name: found[column] for name, found in suite.costs.items()}
        known = {name: cost for name, cost in costs.items() if not math.isnan(cost)}
        if known:
            path = f"figures/{suite.file}_cost_{file}.svg"
            figures.append(_figure(suite, path, kind, known))
    if figures:
        caption = "What quality costs; ringed: nothing is both cheaper and better"
        blocks.append(Figures([Choice(caption, "Cost", figures)]))
    return Section("Budget", blocks)


def _budgets(suite: SuiteReport) -> list[Block]:
    """Return the table of budgets, and where the authors state theirs, folded."""
    rows = [_budget_row(suite, name, budget) for name, budget in suite.budgets.items()]
    blocks: list[Block] = [Text(BUDGET_NOTE), simple_table("Budget", BUDGET_HEADS, rows)]
    of_source: dict[tuple[str, ...], list[str]] = {}
    for name, budget in suite.budgets.items():
        if found := budget.authors:
            counts = (f"{found.images:,}", f"{found.epochs:,}", f"{found.images_seen:,}")
            of_source.setdefault((found.source, *counts, found.where), []).append(name)
    if of_source:
        title = "The authors' budgets"
        heads = ("variants", "source", "images", "epochs", "images seen", "where it is stated")
        listed = [[", ".join(names), *facts] for facts, names in of_source.items()]
        blocks.append(Details(title, [simple_table(title, heads, listed, len(heads))]))
    return blocks


def _budget_row(suite: SuiteReport, name: str, budget: Budget) -> list[str]:
    updates, change, trend = ("—", "—"), "—", "—"
    if budget.updates is not None:
        of_generator, *others = budget.updates.items()
        updates = (
            f"{of_generator[1]:,}",
            ", ".join(_updates(suite, name, *entry) for entry in others) or "none",
        )
    if budget.trend is not None:
        value, error = 100 * budget.trend.per_doubling, 100 * budget.trend.standard_error
        change, trend = f"{value:+.1f} % ± {error:.1f} %", TRENDS[budget.trend.direction]
    flops, images = number(budget.flops / 1e12, 2), number(budget.images, 0)
    return [name, images, percent(budget.share), *updates, flops, change, trend]


def _updates(suite: SuiteReport, variant: str, discriminator: str, count: int) -> str:
    skips = suite.settings[variant].discriminators[discriminator].skip_above is not None
    return f"{discriminator} {'at most ' * skips}{count:,}"


def _equal(suite: SuiteReport) -> list[Block]:
    """Return the ranks at equal images and at equal compute, where there are two variants."""
    images = at_equal_images(suite.results)
    compute = at_equal(suite.results, suite.training_flops)
    found = []
    if images is not None:
        found.append((f"at {number(images.limit, 0)} images", _ranked(images)))
    if compute is not None:
        found.append((f"at {number(compute.limit / 1e12, 2)} TFLOP", _ranked(compute)))
    if not found:
        return []
    title = "Ranks at equal budgets"
    rows = [
        [name, *(cells.get(name, "—") for _, cells in found)] for name in suite.results.variants
    ]
    heads = ["variant", *(head for head, _ in found)]
    return [Text(EQUAL_NOTE), simple_table(title, heads, rows)]


def _ranked(equal: Equal) -> dict[str, str]:
    """Return each variant's rank, value and epoch as a cell."""
    column = Column(METRIC, "lower", 4)
    places = ranks([found.value for found in equal.standings.values()], column)
    pairs = zip(equal.standings.items(), places, strict=True)
    return {name: _place(found, place) for (name, found), place in pairs}


def _place(found: AtBudget, place: int | None) -> str:
    if place is None:
        return "no epoch yet"
    epochs = " / ".join(str(epoch) for epoch in dict.fromkeys(found.epochs))
    return f"{place} ({number(found.value, 4)}, epoch {epochs})"


def _checkpoints(suite: SuiteReport) -> list[Block]:
    """Return what each way to choose a checkpoint gives on the validation images."""
    chosen = suite.results.suite.evaluation.checkpoint
    criterion = chosen if chosen.startswith("best_val_") else "best_val_psnr"
    found = checkpoint_regret(suite.results.curves, criterion)
    if not found:
        return []
    metric = CRITERIA[criterion][0].removeprefix("validation/")
    decimals = DECIMALS.get(METRICS[metric].unit, 4)
    rows = [
        _regret_row(name, [regret for key, regret in found.items() if key[0] == name], decimals)
        for name in dict.fromkeys(variant for variant, _ in found)
    ]
    note = (
        f"**Which checkpoint.** Validation `{metric}` of checkpoints that a run keeps, with their "
        f"epochs, read off its curves; only `{chosen}` is scored on the test images. The best "
        "epoch is chosen on the images on which it is compared, so that what the others lose is an "
        "upper estimate."
    )
    if len(suite.results.seeds) > 1:
        note += " Values are means over seeds, ± their standard deviation."
    return [Text(note), simple_table("Which checkpoint", CHECKPOINT_HEADS, rows)]


def _regret_row(variant: str, regrets: Sequence[CheckpointRegret], decimals: int) -> list[str]:
    """Return what the checkpoints of a variant score, and what two of them lose, over its seeds."""
    cells = [variant]
    for name in ("last", "best_validation", "best_train_loss"):
        kept = [getattr(regret, name) for regret in regrets]
        epochs = " / ".join(str(found.epoch) for found in kept)
        cells.append(f"{number(fmean(found.value for found in kept), decimals)} (epoch {epochs})")
    for lost in ([r.of_last for r in regrets], [r.of_train_loss for r in regrets]):
        spread = stdev(lost) if len(lost) > 1 else math.nan
        cells.append(number(fmean(lost), decimals, spread))
    return cells


def _figure(suite: SuiteReport, path: str, kind: str, known: Mapping[str, float]) -> Figure:
    results, means = suite.results, suite.verdicts.means
    priced = []
    for name, cost in known.items():
        intervals = mean_intervals(results, name, [METRIC])
        low, high = intervals.get(METRIC, (means[name], means[name]))
        priced.append(Priced(name, cost, means[name], low, high))
    title = f"{suite.title}: what quality costs"
    baselines = {name: means[name] for name in results.baselines}
    svg = cost_svg(title, kind, METRIC, priced, baselines, suite.styles)
    return Figure(path, svg, "", f"{title}, {kind}", kind)
