"""A variant's description -> the first thing in it that no network or loss term knows.

`models.variant` holds what can be said of a description alone, and needs no PyTorch; this module
compares it with the code.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.initialization import SCHEMES
from models.losses import DISCRIMINATOR_TERMS, GENERATOR_TERMS
from models.networks import discriminator_class, generator_class
from models.variant import NetworkSpec, Variant


def check_variant(variant: Variant) -> None:
    """Check the names and options of a variant against the code.

    Raises:
        ValueError: a network, a loss term, an initialization or an option does not exist or does
            not fit the others; the message begins with the path of the key.
    """
    spec, where = variant.generator, "generator"
    _check_network(spec, generator_class, where)
    _check_names(spec.losses, GENERATOR_TERMS, f"{where}.losses")
    for name, term in spec.losses.items():
        key, judges = f"{where}.losses.{name}", GENERATOR_TERMS[name].judges
        _check_options(GENERATOR_TERMS[name].function, term.options, f"{key}.options")
        if judges and term.discriminator is None:
            valid = ", ".join(variant.discriminators) or "none"
            raise ValueError(f"{key}.discriminator: this key is missing; it is one of: {valid}")
        if term.discriminator is not None:
            network = variant.discriminators[term.discriminator].network
            if discriminator_class(network).predicts is not judges:
                raise ValueError(
                    f"{key}.discriminator: {name} cannot be computed from what {network} predicts"
                )
    for role, judge in variant.discriminators.items():
        where = f"discriminators.{role}"
        predicts = _check_network(judge, discriminator_class, where).predicts
        fitting = [n for n, term in DISCRIMINATOR_TERMS.items() if term.judges is predicts]
        _check_names(judge.losses, fitting, f"{where}.losses")


def _check_network(spec: NetworkSpec, find: Callable[[str], Any], where: str) -> Any:
    """Return the class of a network, once its options and its initialization have been checked."""
    _check_names([spec.initialization], SCHEMES, f"{where}.initialization")
    try:
        network = find(spec.network)
    except ValueError as error:
        raise ValueError(f"{where}.network: {error}") from None
    _check_options(network, spec.options, f"{where}.options")
    return network


def _check_names(found: Iterable[str], valid: Iterable[str], where: str) -> None:
    if wrong := [name for name in found if name not in valid]:
        raise ValueError(f"{where}: no {wrong[0]!r}; there are {', '.join(valid) or 'none'}")


def _check_options(configured: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    """Check options against the names and annotations of a callable's keyword-only arguments."""
    arguments = {
        p.name: p.annotation
        for p in inspect.signature(configured).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, value in options.items():
        _check_names([name], arguments, where)
        try:
            TypeAdapter(arguments[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise ValueError(
                f"{where}.{name}: {error.errors()[0]['msg']} (it is {value!r})"
            ) from None
