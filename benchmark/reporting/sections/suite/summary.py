"""What a suite is, where its results come from, and what came of it in a sentence."""

from benchmark.evaluation.reference_runs import FIGURE, Reference
from benchmark.evaluation.results import Results
from benchmark.evaluation.score_table import GROUP, groups_of
from benchmark.reporting.blocks import Block, Items, Picture, Pictures, Section, Text
from benchmark.reporting.dialect import plain
from benchmark.reporting.suite_report import SuiteReport
from benchmark.reporting.verdicts import coverage


def section(suite: SuiteReport) -> Section:
    """Return the description, facts and headline of a suite."""
    results, reference = suite.results, suite.reference
    facts = [_images(results), coverage(suite.verdicts.covers_seeds), _checkpoints(results)]
    if reference is not None:
        kept = "Kept from another machine or budget; its images and weights are not here."
        facts = [kept, *reference_facts(reference), *facts]
    blocks: list[Block] = [
        Text(plain(results.suite.description)),
        Items(facts, "facts"),
        Text(plain(suite.headline), "headline"),
    ]
    if reference is not None and reference.facts.figure:
        path = f"reference/{reference.name}/{FIGURE}"
        blocks.append(Pictures([Picture(path, f"{suite.title}: completed images")]))
    return Section("", blocks)


def reference_facts(reference: Reference) -> list[str]:
    """Say where reference runs come from."""
    facts, training = reference.facts, reference.results.suite.training
    epochs = [int(curve["epoch"].max()) for curve in reference.results.curves.values()]
    low, high = min(epochs), max(epochs)
    budget = str(low) if low == high else f"{low} to {high}"
    counts = ", ".join(f"{count:,} {split}" for split, count in facts.split_counts)
    machines = [
        f"Machine: {m.name}; CPU threads: {m.threads}; PyTorch {m.torch}, Python {m.python}, "
        f"{m.system}"
        for m in facts.machines
    ]
    return [
        *([plain(f"Note: {facts.note}")] if facts.note else []),
        *map(plain, machines),
        f"Budget: {budget} epochs in batches of {training.batch_size}",
        f"Images: {counts}; digest of the split `{facts.split_digest[:16]}`",
    ]


def _images(results: Results) -> str:
    suite, mask = results.suite, results.suite.mask
    hole = f"a square of {mask.size} px, {mask.kind.replace('_', ' ')}"
    if mask.margin:
        hole += f", at least {mask.margin} px from the edge"
    return (
        f"Images of {suite.image_size} x {suite.image_size} px; hole: {hole}; "
        f"{results.num_images} test images{_groups(results)}, "
        f"{suite.evaluation.masks_per_image} hole(s) each."
    )


def _groups(results: Results) -> str:
    """Say of how many groups the test images are, where there are groups."""
    if GROUP not in results.frame:
        return ""
    return f" of {groups_of(results.frame).nunique()} {results.suite.source.group_noun}"


def _checkpoints(results: Results) -> str:
    """Say which checkpoints were scored."""
    suite = results.suite
    epochs = {
        variant: " / ".join(str(results.epochs[variant, s]) for s in results.seeds_of(variant))
        for variant in results.variants
    }
    scored = ", ".join(f"{plain(variant)} {listed}" for variant, listed in epochs.items())
    return (
        f"Scored checkpoint: `{suite.evaluation.checkpoint}`, of epoch "
        f"(of {suite.training.epochs}): {scored}."
    )
