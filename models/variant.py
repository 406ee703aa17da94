"""What a variant is: networks, weighted loss terms, optimisers and schedules."""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from models.initialization import LAWS
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS
from models.networks import discriminator_class, generator_class
from models.options import check_options

LARGEST_OPTION = 2**16
"""Of the numbers among options, which are sides in pixels, channels and the like."""


def _fraction(value: Any) -> Any:
    """Read `2/3` as well as `0.25`."""
    if not isinstance(value, str):
        return value
    # `Fraction` alone would work out 1e999999999 to the last digit.
    if not re.fullmatch(r"-?([0-9]{1,9}/[0-9]{1,9}|[0-9]{0,9}\.?[0-9]{1,20})", value, re.ASCII):
        raise ValueError("not a fraction such as 2/3 or 0.25")
    try:
        return float(Fraction(value))
    except ZeroDivisionError:
        raise ValueError("not a fraction such as 2/3 or 0.25") from None


def _bounded(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse numbers that no option has a use for, and that would fill the memory."""
    for name, value in options.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and not (math.isfinite(value) and abs(value) <= LARGEST_OPTION):
            raise ValueError(f"{name} is not between -{LARGEST_OPTION} and {LARGEST_OPTION}")
    return options


Options = Annotated[dict[str, Any], AfterValidator(_bounded)]
Part = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
"""A name that can be part of the names of weights, of columns and of links."""
Share = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=1)]
"""A share of the run, so that a schedule means the same under any budget."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Adam(_Frozen):
    """Settings of the Adam optimiser (Kingma & Ba 2015)."""

    lr: float = Field(gt=0)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]


class GeneratorTerm(_Frozen):
    """A term of the generator's loss with its weight and schedule."""

    weight: float = Field(ge=0)
    discriminator: str | None = None
    """Whose prediction the term judges; none for a reconstruction term."""
    start: Share = 0.0
    ramp: Share = 0.0
    """The weight grows linearly from 0 at `start` to its full value after this share of the run."""
    options: Options = {}

    def weight_at(self, progress: float) -> float:
        """Return the weight at a point of the run, from 0 (its start) to 1 (its end)."""
        if progress < self.start:
            return 0.0
        if self.ramp == 0:
            return self.weight
        return self.weight * min(1.0, (progress - self.start) / self.ramp)


class _NetworkSpec(_Frozen):
    """What generators and discriminators have in common."""

    network: str
    options: Options = {}
    initialisation: str = "fan_in"
    """A law of `models.initialization`."""
    optimiser: Adam
    clip_norm: float | None = Field(default=None, gt=0)
    """Gradients are scaled down to this Euclidean norm."""

    @model_validator(mode="after")
    def _law_exists(self) -> Self:
        if self.initialisation not in LAWS:
            raise ValueError(
                f"initialisation: no law {self.initialisation!r}; there are {', '.join(LAWS)}"
            )
        return self


Level = Annotated[int, Field(ge=0, le=255)]


class GeneratorSpec(_NetworkSpec):
    """The generator and what it is trained with."""

    losses: dict[str, GeneratorTerm] = Field(min_length=1)
    fill: tuple[Level, Level, Level] | None = None
    """Colour of the hole in the masked image; mid-grey, which is 0 for networks, without it."""
    mask_dilation: int = Field(default=0, ge=0, le=1024)
    """By how many pixels the hole is grown on each side in the mask that the network is given."""

    @model_validator(mode="after")
    def _exists(self) -> "GeneratorSpec":
        check_options(generator_class(self.network), self.options, f"network {self.network}")
        for name, term in self.losses.items():
            if name not in GENERATOR_TERMS:
                raise ValueError(
                    f"losses: no term {name!r}; there are {', '.join(GENERATOR_TERMS)}"
                )
            check_options(GENERATOR_TERMS[name].function, term.options, f"losses.{name}")
        return self


Input = Literal["completed", "raw", "hole"]


class SkipRule(_Frozen):
    """When a discriminator that is too good is not updated."""

    accuracy: float = Field(ge=0.5, lt=1)
    """It is not updated while the mean share of its right answers is above this."""
    window: int = Field(ge=1, le=1_000_000)
    """Number of latest steps for the mean, the present one and skipped ones included."""


class DiscriminatorSpec(_NetworkSpec):
    """A discriminator, what it looks at, and when it is trained."""

    input: Input
    """The completed image, the generator's raw output, or the raw output cropped at the hole."""
    generator_input: Input | None = None
    """What it is shown for the generator's loss, where that is not `input`."""
    losses: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """The label 1 becomes 1 minus this; the label 0 stays (Salimans et al. 2016, one-sided)."""
    update_every: int = Field(default=1, ge=1)
    skip_above: SkipRule | None = None
    start: Share = 0.0
    """Before this share of the run it is neither trained nor asked."""

    @model_validator(mode="after")
    def _inputs_have_one_size(self) -> Self:
        if self.generator_input is not None and "hole" in {self.input, self.generator_input}:
            raise ValueError("generator_input: an image and a hole have not the same size")
        return self

    @model_validator(mode="after")
    def _exists(self) -> "DiscriminatorSpec":
        found = discriminator_class(self.network)
        check_options(found, self.options, f"network {self.network}")
        for name in self.losses:
            fitting = [n for n, t in DISCRIMINATOR_TERMS.items() if t.judges is found.predicts]
            if name not in fitting:
                raise ValueError(
                    f"losses: no term {name!r} for what {self.network} predicts; "
                    f"there are {', '.join(fitting)}"
                )
        return self


class Variant(_Frozen):
    """One system of the benchmark."""

    name: str
    title: str
    origin: str
    """Which publication and which part of it the variant reproduces."""
    deviations: tuple[str, ...] = ()
    """What differs from the origin, and why."""
    generator: GeneratorSpec
    discriminators: dict[Part, DiscriminatorSpec] = {}

    @model_validator(mode="after")
    def _terms_have_their_discriminator(self) -> "Variant":
        used = set()
        for name, term in self.generator.losses.items():
            where = f"generator.losses.{name}.discriminator"
            judges = GENERATOR_TERMS[name].judges
            if judges is None:
                if term.discriminator is not None:
                    raise ValueError(f"{where}: {name} does not use a discriminator")
                continue
            if term.discriminator not in self.discriminators:
                valid = ", ".join(self.discriminators) or "none"
                raise ValueError(f"{where}: {term.discriminator!r} is not one of: {valid}")
            network = self.discriminators[term.discriminator].network
            if discriminator_class(network).predicts is not judges:
                raise ValueError(f"{where}: {name} cannot be computed from what {network} predicts")
            used.add(term.discriminator)
        if idle := self.discriminators.keys() - used:
            raise ValueError(f"discriminators.{min(idle)}: no term of generator.losses uses it")
        return self

    @model_validator(mode="after")
    def _learns_from_the_first_step_on(self) -> "Variant":
        for term in self.generator.losses.values():
            judge = self.discriminators.get(term.discriminator or "")
            if term.weight_at(0) > 0 and (judge is None or judge.start == 0):
                return self
        raise ValueError(
            "generator.losses: no term has a weight at the start of the run; one needs a weight "
            "above 0 without start and ramp, and without a discriminator that starts later"
        )
