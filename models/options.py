"""Options of networks and loss terms: the keyword-only arguments of what they configure."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError


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
