"""`claims.yaml` → the authors' claims, as the comparisons that test them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from benchmark.claims.verdicts import ClaimVerdict
from benchmark.core import paths
from benchmark.core.config import Name
from benchmark.core.yaml_files import Frozen, load
from benchmark.evaluation.diagnostics.probes import PROBES
from benchmark.metrics import METRICS


def _known(metric: str) -> str:
    if metric not in METRICS:
        raise ValueError(f"there is no such metric; there are {', '.join(METRICS)}")
    return metric


def _with_ideal(metric: str) -> str:
    if METRICS[_known(metric)].better not in ("zero", "one"):
        raise ValueError("the ideal of this metric is neither 0 nor 1")
    return metric


def _asked(probe: str) -> str:
    if probe not in PROBES:
        raise ValueError(f"there is no such probe; there are {', '.join(PROBES)}")
    return probe


def _differ(settings: dict[str, float]) -> dict[str, float]:
    if len({*settings.values()}) < 2:
        raise ValueError("all settings are the same")
    return settings


MetricName = Annotated[str, AfterValidator(_known)]
Margin = Annotated[float, Field(gt=0)]
"""The difference up to which two values are as good as equal."""
Origin = Literal["author", "table", "ours"]
"""Whose a claim is: an author's sentence, figures of an author's table, or a hypothesis of ours."""


class _OfOne(Frozen):
    """A comparison within a suite that needs a variant."""

    variant: Name

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the suite must have."""
        return (self.variant,)


class _OfTwo(_OfOne):
    """A comparison within a suite that needs two methods."""

    than: Name

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the suite must have."""
        return self.variant, self.than


class Pair(_OfTwo):
    """Two methods of a suite, scored on the same images; `than` may be a baseline."""

    metric: MetricName
    margin: Margin | None = None
    """That of the metric where none is given."""


class CostPair(_OfTwo):
    """Two variants whose generators' costs for one image are compared."""

    cost: Literal["operations", "activations"]


class Trend(Frozen):
    """A PSNR that rises with a positive setting of variants."""

    settings: Annotated[dict[Name, Annotated[float, Field(gt=0)]], AfterValidator(_differ)]
    """By variant."""
    margin: Margin | None = None
    """In dB."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The variants, in the order of the file."""
        return tuple(self.settings)


class Nearness(_OfOne):
    """A variant whose mean of a metric is at the ideal."""

    metric: Annotated[str, AfterValidator(_with_ideal)]
    margin: Margin
    """Of a metric whose ideal is 1, in logarithms."""


class SeamReliance(_OfOne):
    """A discriminator of a variant, which judges by the border of the hole."""

    discriminator: Name


class Probing(SeamReliance):
    """A localizer of a variant, and an altered square that it finds or does not find."""

    probe: Annotated[str, AfterValidator(_asked)]
    margin: Margin = 0.05
    """Of the IoU above that on unaltered images."""


class Specificity(_OfTwo):
    """Two discriminators, by how well their gradients show where a filling is wrong."""

    discriminator: Name
    than_discriminator: Name
    margin: Margin = 0.1
    """Of a correlation; what Cohen (1988) calls small."""


class Choice(_OfOne):
    """A variant, and the rule by which one of its checkpoints is chosen."""

    checkpoint: Literal["best_train_loss"]
    margin: Margin | None = None
    """In dB."""


class Ignorance(_OfOne):
    """A variant whose fillings do not depend on the context."""

    margin: Margin = 0.05
    """Of the variance between fillings in two contexts, as a share of that between the images."""


class LearnedGain(_OfOne):
    """A variant whose blocks with a learned gain are worth something at inference."""

    margin: Margin | None = None
    """Of `ssim_h`."""


class Refilling(_OfOne):
    """A localizer, whose squares are filled again and again."""

    discriminator: Name
    margin: Margin | None = None
    """Of `stlpips_alex`."""


class AcrossSuites(Frozen):
    """One variant on the different images of two suites, each time against a baseline."""

    metric: MetricName
    variant: Name
    over: Name
    """A baseline, whose scores are subtracted."""
    suite: Name
    than: Name
    """The other suite."""
    margin: Margin | None = None


class EveryVariant(Frozen):
    """Every variant of a suite against one baseline."""

    metric: MetricName
    baseline: Name
    margin: Margin | None = None


class Detail(EveryVariant):
    """Every variant of a suite, whose scores follow those of a baseline from image to image."""

    margin: Margin = 0.1
    """Of a correlation; what Cohen (1988) calls small."""


class Area(Frozen):
    """A share of an image's area that a square hole is said to cover."""

    hole_px: int = Field(gt=0)
    image_px: int = Field(gt=0)
    share: float
    margin: Margin


class Claim(Frozen):
    """Who claims what, in our words, and the comparisons that it predicts.

    The head of `claims.yaml` says what each kind of comparison means.
    """

    who: str = Field(min_length=1)
    claim: str = Field(min_length=1)
    instead: Mapping[Literal["reversed", "negligible"], str] = {}
    """What is found where the claim is not, in a sentence, by verdict."""
    origin: Origin
    where: str = Field(min_length=1)
    """The place in the source; for a claim of ours, what suggests it."""
    quote: str = ""
    """The author's sentence, or a part of it; of an author's claim alone."""
    needs: str = ""
    """What it would take to test the claim, or the rest of it."""
    # Sequences, as the errors of `load` find the valid keys of their entries.
    better: Sequence[Pair] = ()
    differ: Sequence[Pair] = ()
    as_good: Sequence[Pair] = ()
    cheaper: Sequence[CostPair] = ()
    psnr_rises: Sequence[Trend] = ()
    near_ideal: Sequence[Nearness] = ()
    sees_seam: Sequence[SeamReliance] = ()
    finds: Sequence[Probing] = ()
    misses: Sequence[Probing] = ()
    more_specific: Sequence[Specificity] = ()
    chooses_worse: Sequence[Choice] = ()
    ignores_context: Sequence[Ignorance] = ()
    needs_gain: Sequence[LearnedGain] = ()
    refines: Sequence[Refilling] = ()
    across: Sequence[AcrossSuites] = ()
    all_beat: Sequence[EveryVariant] = ()
    all_follow: Sequence[Detail] = ()
    covers: Sequence[Area] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> "Claim":
        if (self.origin == "author") != bool(self.quote):
            raise ValueError("quote: an author's claim needs the author's words, no other has any")
        if not (self.is_compared or self.needs):
            kinds = [*JOINT, *SINGLE, "needs"]
            raise ValueError(f"names no comparison; it needs one of {', '.join(kinds)}")
        return self

    def instead_of(self, verdict: ClaimVerdict) -> str:
        """Return what is so where the claim is not, in a sentence; empty where it may be so."""
        if verdict == "reversed" or verdict == "negligible":  # `in` would not narrow the type
            return self.instead.get(verdict, f"Not so: {self.claim}")
        return ""

    def finding(self, verdict: ClaimVerdict) -> str:
        """Return what a verdict says, in a sentence."""
        if verdict == "inconclusive":
            return f"Not decided: {self.claim}"
        return self.instead_of(verdict) or self.claim

    @property
    def is_compared(self) -> bool:
        """Whether the claim names a comparison."""
        return any(getattr(self, kind) for kind in (*JOINT, *SINGLE))

    @property
    def joint(self) -> Iterator[tuple[str, Any]]:
        """The comparisons that a suite makes together, each with its kind."""
        for kind in JOINT:
            for entry in getattr(self, kind):
                yield kind, entry

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that a suite must have for a joint verdict, each once."""
        return tuple(dict.fromkeys(name for _, entry in self.joint for name in entry.methods))


JOINT = (
    "better", "differ", "as_good", "cheaper", "psnr_rises", "near_ideal", "sees_seam", "finds",
    "misses", "more_specific", "chooses_worse", "ignores_context", "needs_gain", "refines",
)  # fmt: skip
"""Kinds of comparisons that must all hold on a suite."""
SINGLE = ("across", "all_beat", "all_follow", "covers")
"""Kinds whose comparisons are judged one by one."""


class _Claims(Frozen):
    claims: dict[Name, Claim] = Field(min_length=1)


def load_claims(root: Path = Path()) -> dict[str, Claim]:
    """Return the claims by their ids, in the order of the file.

    Raises:
        InputError: a key is unknown, missing or wrong, or a metric does not exist.
    """
    return load(_Claims, root / paths.CLAIMS).claims
