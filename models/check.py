"""A variant's description -> the first thing in it that no network or loss term knows.

`models.variant` holds what can be said of a description alone, and needs no PyTorch; this module
compares it with the code.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.initialization import SCHEMES
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS
from models.networks import discriminator_class, generator_class
from models.variant import DiscriminatorSpec, GeneratorSpec, GeneratorTerm, NetworkSpec, Variant


def check_variant(variant: Variant) -> None:
    """Check the names and options of a variant against the code.

    Raises:
        ValueError: a network, a loss term, an initialization or an option does not exist or does
            not fit the others; the message begins with the path of the key.
    """
    for where, spec in (
        ("generator", variant.generator),
        *((f"discriminators.{name}", spec) for name, spec in variant.discriminators.items()),
    ):
        try:
            _check_network(spec)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    for name, term in variant.generator.losses.items():
        _check_discriminator_of(name, term, variant)


def _check_network(spec: NetworkSpec) -> None:
    """Check what can be said of one network and its loss terms."""
    if spec.initialisation not in SCHEMES:
        raise ValueError(
            f"initialisation: no scheme {spec.initialisation!r}; there are {', '.join(SCHEMES)}"
        )
    if isinstance(spec, GeneratorSpec):
        check_options(generator_class(spec.network), spec.options, f"network {spec.network}")
        for name, term in spec.losses.items():
            if name not in GENERATOR_TERMS:
                raise ValueError(
                    f"losses: no term {name!r}; there are {', '.join(GENERATOR_TERMS)}"
                )
            check_options(GENERATOR_TERMS[name].function, term.options, f"losses.{name}")
    if isinstance(spec, DiscriminatorSpec):
        network = discriminator_class(spec.network)
        check_options(network, spec.options, f"network {spec.network}")
        fitting = [n for n, t in DISCRIMINATOR_TERMS.items() if t.judges is network.predicts]
        if wrong := [name for name in spec.losses if name not in fitting]:
            raise ValueError(
                f"losses: no term {wrong[0]!r} for what {spec.network} predicts; "
                f"there are {', '.join(fitting)}"
            )


def _check_discriminator_of(name: str, term: GeneratorTerm, variant: Variant) -> None:
    """Check that a term of the generator's loss names a discriminator if it judges by one."""
    where = f"generator.losses.{name}.discriminator"
    judges = GENERATOR_TERMS[name].judges
    if judges is None:
        if term.discriminator is not None:
            raise ValueError(f"{where}: {name} does not use a discriminator")
        return
    if term.discriminator is None:
        valid = ", ".join(variant.discriminators) or "none"
        raise ValueError(f"{where}: this key is missing; it is one of: {valid}")
    network = variant.discriminators[term.discriminator].network
    if discriminator_class(network).predicts is not judges:
        raise ValueError(f"{where}: {name} cannot be computed from what {network} predicts")


def check_options(configured: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    """Check options against the names and annotations of a callable's keyword-only arguments.

    Raises:
        ValueError: an option is unknown, missing or out of range; the message begins with `where`.
    """
    arguments = {
        p.name: p
        for p in inspect.signature(configured).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, value in options.items():
        if name not in arguments:
            valid = ", ".join(arguments) or "none"
            raise ValueError(f"{where}: unknown option {name!r} (valid: {valid})")
        try:
            TypeAdapter(arguments[name].annotation).validate_python(value, strict=True)
        except ValidationError as error:
            raise ValueError(
                f"{where}.{name}: {error.errors()[0]['msg']} (it is {value!r})"
            ) from None
    for name, argument in arguments.items():
        if argument.default is inspect.Parameter.empty and name not in options:
            raise ValueError(f"{where}: the option {name!r} is missing")
