"""The name of a network -> its class; and the contract of each role.

A network is a module of `models/generators` or `models/discriminators` with a class named for the
role.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

import models.discriminators
import models.generators


class GeneratorNetwork(nn.Module, ABC):
    """A network that fills holes.

    Its class takes `(image_size, hole_size)` and keyword-only options.
    """

    one_hole_size: ClassVar[bool] = False
    """Whether it can fill holes of no other size than the one that it was built for."""

    @abstractmethod
    def forward(self, masked: Tensor, mask: Tensor, corner: Tensor) -> Tensor:
        """Return the raw output `[N, 3, H, W]` in [-1, 1].

        Args:
            masked: `[N, 3, H, W]` float in [-1, 1], the hole filled with 0.
            mask: `[N, 1, H, W]` float, 1 in the hole.
            corner: `[N, 2]` int64, `(x0, y0)` of the hole in pixels.
        """


class Score(NamedTuple):
    """What a binary discriminator predicts: `[N, ...]` logits of "this is real"."""

    logits: Tensor


class Localization(NamedTuple):
    """What a localizer predicts: is there a fake region, and where."""

    confidence: Tensor
    """`[N]` logits of "there is a fake region"."""
    box: Tensor
    """`[N, 4]` in [0, 1], `(x0, y0, x1, y1)`."""


class DiscriminatorNetwork(nn.Module, ABC):
    """A network that judges images.

    Its class takes `(input_size,)`, the side of what it looks at in pixels, and keyword-only
    options.
    """

    predicts: ClassVar[type[Score] | type[Localization]]

    @abstractmethod
    def forward(self, images: Tensor) -> Score | Localization:
        """Judge images `[N, 3, S, S]` in [-1, 1]."""


def generator_names() -> list[str]:
    """Return the names of all generators, sorted."""
    return _modules(models.generators)


def discriminator_names() -> list[str]:
    """Return the names of all discriminators, sorted."""
    return _modules(models.discriminators)


def generator_class(name: str) -> type[GeneratorNetwork]:
    """Return the class `Generator` of the module of that name.

    Raises:
        ValueError: there is no such generator.
    """
    found: type[GeneratorNetwork] = _module(models.generators, name).Generator
    return found


def discriminator_class(name: str) -> type[DiscriminatorNetwork]:
    """Return the class `Discriminator` of the module of that name.

    Raises:
        ValueError: there is no such discriminator.
    """
    found: type[DiscriminatorNetwork] = _module(models.discriminators, name).Discriminator
    return found


def _modules(package: ModuleType) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def _module(package: ModuleType, name: str) -> Any:
    if name not in (names := _modules(package)):
        role = package.__name__.removeprefix("models.").removesuffix("s")
        raise ValueError(f"no {role} {name!r}; there are {', '.join(names)}")
    return importlib.import_module(f"{package.__name__}.{name}")
