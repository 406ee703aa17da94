"""`budgets.yaml` → how many images the authors' own trainings saw, by variant; and ours."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from pydantic import Field, model_validator

from benchmark.core.config import Name
from benchmark.core.yaml_files import Frozen, load
from benchmark.evaluation.curves import IMAGES_SEEN
from benchmark.evaluation.results import Results

BUDGETS = Path("benchmark/claims/budgets.yaml")


class AuthorsBudget(Frozen):
    """How long the authors of some variants trained, as they state it."""

    source: str = Field(min_length=1)
    where: str = Field(min_length=1)
    """The place in the source."""
    images: int = Field(ge=1)
    """Of an epoch."""
    epochs: int = Field(ge=1)
    variants: Sequence[Name] = Field(min_length=1)

    @property
    def images_seen(self) -> int:
        """Images that the networks were shown in the whole training."""
        return self.images * self.epochs


class _Budgets(Frozen):
    budgets: Sequence[AuthorsBudget] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_a_variant_once(self) -> "_Budgets":
        names = [name for budget in self.budgets for name in budget.variants]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"budgets: {twice[0]} is in two places")
        return self


def load_budgets(root: Path = Path()) -> Mapping[str, AuthorsBudget]:
    """Return the authors' budget of every variant whose source states one.

    Raises:
        InputError: a key is unknown, missing or wrong, or a variant has two budgets.
    """
    budgets = load(_Budgets, root / BUDGETS).budgets
    return {name: budget for budget in budgets for name in budget.variants}


def images_seen(results: Results, variant: str) -> float:
    """Return the images of a variant's whole training, the mean of its seeds; NaN if not known."""
    curves = [results.curves[variant, seed] for seed in results.seeds_of(variant)]
    if not all(IMAGES_SEEN in curve for curve in curves):
        return math.nan
    return fmean(float(curve[IMAGES_SEEN].iloc[-1]) for curve in curves)


def budget_shares(results: Results, variants: Sequence[str]) -> list[float]:
    """Return the images that variants saw, by those of their authors, where both are known."""
    authors = load_budgets()
    shares = [
        images_seen(results, name) / authors[name].images_seen
        for name in variants
        if name in authors
    ]
    return [share for share in shares if not math.isnan(share)]
