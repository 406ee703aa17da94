"""`budgets.yaml` → how many images the authors' own trainings saw, by variant."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from benchmark.core.config import Name
from benchmark.core.yaml_files import Frozen, load

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
