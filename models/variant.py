"""YAML of `models/variants` -> what a variant is: networks, loss terms, optimizers and schedules.

This is the description alone, which `list` reads without PyTorch; `models.check` compares it with
the code.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

LARGEST_OPTION = 2**16
"""Of the numbers among options, which are sides in pixels, channels and the like."""


def _fraction(value: Any) -> Any:
    """Read `2/3` as well as `0.25`."""
    found = isinstance(value, str) and re.fullmatch("([0-9]{1,9})/([1-9][0-9]{0,8})", value)
    return int(found[1]) / int(found[2]) if found else value


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
    """Settings of the Adam optimizer (Kingma & Ba 2015)."""

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


class NetworkSpec(_Frozen):
    """What generators and discriminators have in common."""

    network: str
    options: Options = {}
    initialization: str = "fan_in"
    """A scheme of `models.initialization`."""
    optimizer: Adam
    clip_norm: float | None = Field(default=None, gt=0)
    """Gradients are scaled down to this Euclidean norm."""


Level = Annotated[int, Field(ge=0, le=255)]


class GeneratorSpec(NetworkSpec):
    """The generator and what it is trained with."""

    losses: dict[str, GeneratorTerm] = Field(min_length=1)
    fill: tuple[Level, Level, Level] | None = None
    """Color of the hole in the masked image; mid-gray, which is 0 for networks, without it."""
    mask_dilation: int = Field(default=0, ge=0, le=1024)
    """By how many pixels the hole is grown on each side in the mask that the network is given."""
    shown_border_px: int = Field(default=0, ge=0, le=1024)
    """Width of a border of the hole that the network is shown as it truly is."""


Input = Literal["completed", "raw", "hole"]


class SkipRule(_Frozen):
    """When a discriminator that is too good is not updated."""

    accuracy: float = Field(ge=0.5, lt=1)
    """It is not updated while the mean share of its right answers is above this."""
    window: int = Field(ge=1, le=1_000_000)
    """Number of latest steps for the mean, the present one and skipped ones included."""


class DiscriminatorSpec(NetworkSpec):
    """A discriminator, what it looks at, and when it is trained."""

    input: Input
    """The completed image, the generator's raw output, or the raw output cropped at the hole."""
    generator_input: Input | None = None
    """What it is shown for the generator's loss, where that is not `input`."""
    losses: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """By how much labels differ from 1 and 0."""
    smoothing: Literal["one_sided", "two_sided", "random"] = "one_sided"
    """With label smoothing s the label 1 becomes 1 - s, and 0 stays (as in Salimans et al. 2016) or
    becomes s (two-sided); or each image's labels are drawn from 1 - s to 1 and from 0 to s."""
    update_every: int = Field(default=1, ge=1)
    """With k it is updated in steps k, 2k, 3k, …, the first step being 1."""
    skip_above: SkipRule | None = None
    start: Share = 0.0
    """Before this share of the run it is neither trained nor asked."""

    @model_validator(mode="after")
    def _inputs_have_one_size(self) -> Self:
        if self.generator_input is not None and "hole" in {self.input, self.generator_input}:
            raise ValueError("generator_input: an image and a hole have not the same size")
        return self

    @model_validator(mode="after")
    def _smoothing_has_an_effect(self) -> Self:
        if self.smoothing != "one_sided" and self.label_smoothing == 0:
            raise ValueError(f"smoothing: {self.smoothing} needs a label_smoothing above 0")
        return self


class Variant(_Frozen):
    """One system of the benchmark."""

    name: Part
    title: str
    origin: str
    """Which publication and which part of it the variant reproduces."""
    deviations: tuple[str, ...] = ()
    """What differs from the origin, and why."""
    update_order: Literal["discriminator_first", "generator_first"] = "discriminator_first"
    """Which networks a step updates first. The generator's loss asks discriminators as they are
    then; they learn from images that the generator made before its update in either order."""
    generator: GeneratorSpec
    discriminators: dict[Part, DiscriminatorSpec] = {}

    @model_validator(mode="after")
    def _discriminators_are_those_that_are_used(self) -> Self:
        used = {name: term.discriminator for name, term in self.generator.losses.items()}
        for name, discriminator in used.items():
            if discriminator is not None and discriminator not in self.discriminators:
                valid = ", ".join(self.discriminators) or "none"
                raise ValueError(
                    f"generator.losses.{name}.discriminator: {discriminator!r} is not one of: "
                    f"{valid}"
                )
        if idle := self.discriminators.keys() - set(used.values()):
            raise ValueError(f"discriminators.{min(idle)}: no term of generator.losses uses it")
        return self

    @model_validator(mode="after")
    def _learns_from_the_first_step_on(self) -> Self:
        for term in self.generator.losses.values():
            judge = self.discriminators.get(term.discriminator or "")
            if term.weight_at(0) > 0 and (judge is None or judge.start == 0):
                return self
        raise ValueError(
            "generator.losses: no term has a weight at the start of the run; one needs a weight "
            "above 0 without start and ramp, and without a discriminator that starts later"
        )
