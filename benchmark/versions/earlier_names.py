"""What 0.1.0 wrote → the same with the names of today, so that versions can be compared."""

from typing import Any, TypeVar

RENAMED = {
    "centre": "center",
    "initialisation": "initialization",
    "mean_colour": "mean_color",
    "normalise": "normalize",
    "optimiser": "optimizer",
}
"""Keys and values of settings, and methods, from 0.1.0 to what they are called since."""

Value = TypeVar("Value")


def renamed(value: Value) -> Value:
    """Return nested settings or results with the names of today for keys and words."""
    return _renamed(value)  # type: ignore[no-any-return]


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {RENAMED.get(key, key): _renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return RENAMED.get(value, value) if isinstance(value, str) else value
