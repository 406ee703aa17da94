"""Reference runs as they lie in the repository: results of other machines or budgets.

A folder `reports/reference/<suite>/` holds what the report needs of them, and no weights: metrics,
score tables, curves, provenance, predictions of discriminators, the configurations as used, and
facts in `reference.json`.
"""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from benchmark.core import paths
from benchmark.core.config import (
    NAME_PATTERN,
    Name,
    Seed,
    Suite,
    load_variant,
    names_in,
)
from benchmark.core.files import require
from benchmark.core.yaml_files import Frozen, load
from benchmark.evaluation.results import Results, collect_results
from benchmark.training.gan import training_digest
from data.errors import InputError
from models.variant import Variant

FACTS, SUITE, FIGURE = "reference.json", "suite.yaml", "comparison.png"


class Machine(Frozen):
    """What a reader must know of a machine; a run's provenance has all."""

    cpu: str
    gpu: str | None = None
    threads: int
    system: str
    python: str
    torch: str

    @property
    def name(self) -> str:
        """The model of what did the work."""
        return self.gpu or re.sub(r"\s*\([^()]*flags [^()]*\)$", "", self.cpu)


Count = Annotated[int, Field(ge=0)]
RunName = Annotated[str, Field(pattern=r"^[a-z0-9_]+/[a-z0-9_]+/seed[0-9]+$")]


class Counts(Frozen):
    """Images of each split."""

    train: Count
    val: Count
    test: Count


class Facts(Frozen):
    """The content of `reference.json`."""

    suite: Name
    version: str = ""
    """Of the benchmark that made them, where that is known."""
    note: str = ""
    """What the user says of the budget."""
    runs: dict[Name, Annotated[list[Seed], Field(min_length=1)]] = Field(min_length=1)
    """Seeds by variant."""
    left_out: dict[RunName, str] = Field(default_factory=dict)
    """Runs that were not kept, with the reason."""
    machines: list[Machine] = Field(min_length=1)
    """On which the runs were trained or scored."""
    split_counts: Counts
    split_digest: str = Field(pattern="^[0-9a-f]{64}$")
    flops: dict[Name, Count] = Field(default_factory=dict)
    """Operations of a variant's generator for one image."""
    figure: bool = False
    """Whether there is a picture of completed images."""


@dataclass(frozen=True)
class Reference:
    """Reference runs as the report shows them."""

    name: str
    """Of the folder."""
    facts: Facts
    results: Results
    outdated: tuple[str, ...] = ()
    """The variants whose settings are others now."""

    @property
    def machine(self) -> str:
        """The models of all machines."""
        return ", ".join(dict.fromkeys(machine.name for machine in self.facts.machines))


def read_references() -> list[Reference]:
    """Read all folders of reference runs, sorted by name.

    Raises:
        InputError: a file is missing, is damaged, or does not fit the others.
    """
    found = sorted(paths.REFERENCES.glob(f"*/{FACTS}"))
    # One that is being written has a name with a dot.
    folders = [path.parent for path in found if path.parent.name[0] != "."]
    for folder in folders:
        if not re.fullmatch(NAME_PATTERN, folder.name):
            raise InputError(f"{folder}: the name of reference runs must match {NAME_PATTERN}")
    return [read_reference(folder) for folder in folders]


def read_reference(folder: Path) -> Reference:
    """Read a folder of reference runs.

    Raises:
        InputError: a file is missing, is damaged, or does not fit the others.
    """
    facts = load(Facts, folder / FACTS)
    suite = load(Suite, folder / SUITE, name=facts.suite)
    runs = [paths.Run(facts.suite, name, s) for name, seeds in facts.runs.items() for s in seeds]
    made_by = f"python -m benchmark reference --suite {facts.suite} --overwrite"
    if facts.figure:
        require(folder / FIGURE, made_by)
    results = collect_results(suite, runs, facts.flops, partial(paths.kept, folder), made_by)
    outdated = tuple(name for name in facts.runs if not _is_present(folder, suite, name))
    return Reference(folder.name, facts, results, outdated)


def _is_present(folder: Path, suite: Suite, variant: str) -> bool:
    """Return whether a variant of reference runs has the same settings now.

    Their suite is their own, with a budget of its own. A variant that this checkout does not have
    is what it was.
    """
    then = load(Variant, folder / "variants" / f"{variant}.yaml", name=variant)
    now = load_variant(variant) if variant in names_in(paths.VARIANTS) else then
    return training_digest(suite, then) == training_digest(suite, now)
