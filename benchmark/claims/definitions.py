"""`claims.yaml` → the authors' claims, as the comparisons that test them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from benchmark.core import paths
from benchmark.core.config import Name
from benchmark.core.yaml_files import Frozen, load
from benchmark.metrics import METRICS


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise ValueError(f"there is no such metric; there are {', '.join(METRICS)}")
    return metric


MetricName = Annotated[str, AfterValidator(_known)]


class Pair(Frozen):
    """Two methods of a suite, scored on the same images."""

    metric: MetricName
    variant: Name
    than: Name
    """A variant, or a baseline."""


class CostPair(Frozen):
    """Two variants whose generators' operations are compared."""

    variant: Name
    than: Name


class SeamReliance(Frozen):
    """A discriminator of a variant, which judges by the border of the hole."""

    variant: Name
    discriminator: Name


class AcrossSuites(Frozen):
    """One variant on the different images of two suites."""

    metric: MetricName
    variant: Name
    suite: Name
    than: Name
    """The other suite."""


class EveryVariant(Frozen):
    """Every variant of a suite against one baseline."""

    metric: MetricName
    baseline: Name


class Claim(Frozen):
    """Who claims what, in our words, and the comparisons that it predicts.

    The head of `claims.yaml` says what each kind of comparison means.
    """

    who: str = Field(min_length=1)
    claim: str = Field(min_length=1)
    # Sequences, as the errors of `load` find the valid keys of their entries.
    better: Sequence[Pair] = ()
    higher: Sequence[Pair] = ()
    differ: Sequence[Pair] = ()
    as_good: Sequence[Pair] = ()
    cheaper: Sequence[CostPair] = ()
    sees_seam: Sequence[SeamReliance] = ()
    across: Sequence[AcrossSuites] = ()
    all_beat: Sequence[EveryVariant] = ()

    @model_validator(mode="after")
    def _is_testable(self) -> "Claim":
        if not (self.methods or self.across or self.all_beat):
            kinds = [name for name in Claim.model_fields if name not in ("who", "claim")]
            raise ValueError(f"names no comparison; it needs one of {', '.join(kinds)}")
        return self

    @property
    def pairs(self) -> Iterator[tuple[str, Pair]]:
        """The comparisons of a metric, each with its kind."""
        for kind in ("better", "higher", "differ", "as_good"):
            for pair in getattr(self, kind):
                yield kind, pair

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that a suite must have for a joint verdict, each once."""
        named = [name for _, pair in self.pairs for name in (pair.variant, pair.than)]
        named += [name for pair in self.cheaper for name in (pair.variant, pair.than)]
        named += [reliance.variant for reliance in self.sees_seam]
        return tuple(dict.fromkeys(named))


class _Claims(Frozen):
    claims: dict[Name, Claim] = Field(min_length=1)


def load_claims(root: Path = Path()) -> dict[str, Claim]:
    """Return the claims by their ids, in the order of the file.

    Raises:
        InputError: a key is unknown, missing or wrong, or a metric does not exist.
    """
    return load(_Claims, root / paths.CLAIMS).claims
