"""The authors' claims, as validated descriptions of the comparisons that test them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from benchmark.core import paths
from benchmark.core.config import Name
from benchmark.core.yaml_files import load
from benchmark.metrics import METRICS


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise ValueError(f"there is no such metric; there are {', '.join(METRICS)}")
    return metric


MetricName = Annotated[str, AfterValidator(_known)]


class Pair(_Frozen):
    """Two methods of a suite, scored on the same images."""

    metric: MetricName
    variant: Name
    than: Name
    """A variant, or a baseline."""


class CostPair(_Frozen):
    """Two variants whose generators' operations are compared."""

    variant: Name
    than: Name


class Judge(_Frozen):
    """A discriminator of a variant."""

    variant: Name
    discriminator: Name


class SuitePair(_Frozen):
    """One variant on the different images of two suites."""

    metric: MetricName
    variant: Name
    suite: Name
    than: Name
    """The other suite."""


class EveryVariant(_Frozen):
    """Every variant of a suite against one baseline."""

    metric: MetricName
    baseline: Name


class Claim(_Frozen):
    """Who claims what, and the comparisons that it predicts.

    Attributes:
        who: the source.
        claim: what it says, in our words.
        better: the variant is better in the direction of the metric.
        higher: the variant's value is higher.
        differ: the two differ.
        as_good: the variant is at most negligibly worse.
        cheaper: the variant's generator needs fewer operations.
        sees_seam: the discriminator judges by the border of the hole.
        across: the variant is better on one suite than on another; each judged by itself.
        all_beat: each variant is better than a baseline; each judged by itself.
    """

    who: str = Field(min_length=1)
    claim: str = Field(min_length=1)
    # Sequences, as the errors of `load` find the valid keys of their entries.
    better: Sequence[Pair] = ()
    higher: Sequence[Pair] = ()
    differ: Sequence[Pair] = ()
    as_good: Sequence[Pair] = ()
    cheaper: Sequence[CostPair] = ()
    sees_seam: Sequence[Judge] = ()
    across: Sequence[SuitePair] = ()
    all_beat: Sequence[EveryVariant] = ()

    @model_validator(mode="after")
    def _is_testable(self) -> "Claim":
        if not (self.joint or self.across or self.all_beat):
            kinds = [name for name in Claim.model_fields if name not in ("who", "claim")]
            raise ValueError(f"names no comparison; it needs one of {', '.join(kinds)}")
        if self.joint and (self.across or self.all_beat):
            raise ValueError("across and all_beat cannot be mixed with other comparisons")
        return self

    @property
    def pairs(self) -> Iterator[tuple[str, Pair]]:
        """The comparisons of a metric, each with its kind."""
        for kind in ("better", "higher", "differ", "as_good"):
            for pair in getattr(self, kind):
                yield kind, pair

    @property
    def joint(self) -> bool:
        """Whether there are comparisons that are judged together, suite by suite."""
        return any(True for _ in self.pairs) or bool(self.cheaper or self.sees_seam)

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that a suite must have for a joint judgement, each once."""
        named = [name for _, pair in self.pairs for name in (pair.variant, pair.than)]
        named += [name for pair in self.cheaper for name in (pair.variant, pair.than)]
        named += [judge.variant for judge in self.sees_seam]
        return tuple(dict.fromkeys(named))


class _Claims(_Frozen):
    claims: dict[Name, Claim] = Field(min_length=1)


def load_claims(root: Path = Path()) -> dict[str, Claim]:
    """Return the claims by their ids, in the order of the file.

    Raises:
        InputError: a key is unknown, missing or wrong, or a metric does not exist.
    """
    return load(_Claims, root / paths.CLAIMS).claims
