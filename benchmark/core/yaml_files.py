"""Documents of plain values: read from YAML without harm, and built into models.

What is wrong with one is an error of one line that names the file, the path of the key, the value,
and what would be valid.
"""

import difflib
import warnings
from collections.abc import Container, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from reprlib import Repr
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.nodes import Node

from benchmark.core.hashing import note_read
from data.errors import InputError, printable

LARGEST_BYTES, LARGEST_NUMBER, DEEPEST = 2**20, 2**53, 50
"""Far beyond what a configuration needs."""
MOST_MISTAKES = 10
"""That are named at once."""

_REPR = Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80


class Frozen(BaseModel):
    """A document whose keys are all known, and whose values stay as they are and are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Config = TypeVar("Config", bound=BaseModel)


def load(model: type[Config], path: Path, **given: Any) -> Config:
    """Read a YAML 1.2 file into a model.

    Args:
        model: the type to build.
        path: the file.
        given: values that come from elsewhere (the name, from the file's name).

    Raises:
        InputError: the file is missing, is not YAML, or does not fit the model.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values, found {type(content).__name__}")
    if clash := sorted(given.keys() & content.keys()):
        raise InputError(f"{path}: {clash[0]}: not allowed, it is the file's name")
    return validate(model, {**content, **given}, path, given)


def validate(model: type[Config], content: Any, path: Path, given: Container[str] = ()) -> Config:
    """Build a model from what a file holds.

    Args:
        model: the type to build.
        content: plain values.
        path: the file, for errors.
        given: keys that come from elsewhere, which the file may not have.

    Raises:
        InputError: the content does not fit the model.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [f"{path}: {line}" for line in explain(error, model, given)]
        raise InputError("; ".join(lines)) from None


class _NoAliases(Composer):
    """Refuses aliases, which a few lines of can multiply until memory is full."""

    def return_alias(self, a: Node) -> Node:
        """Return what an alias stands for: nothing."""
        raise ComposerError(None, None, "aliases (* and &) are not read", a.start_mark)


class _PlainValues(SafeConstructor):
    """Makes text, finite numbers, lists and mappings, and refuses everything else."""

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """Return the value of a node."""
        value = super().construct_object(node, deep)
        if isinstance(value, float | int) and not abs(value) <= LARGEST_NUMBER:  # NaN is not either
            fault = "this number is not between -2**53 and 2**53"
        elif not isinstance(value, str | float | int | list | dict | NoneType):
            fault = f"a {type(value).__name__} needs quotes"
        else:
            return value
        raise ConstructorError(None, None, fault, node.start_mark)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises:
        InputError: the file is missing, or is not YAML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    note_read(path, content)
    if len(content) > LARGEST_BYTES:
        raise InputError(f"{path}: has more than {LARGEST_BYTES} bytes; not a configuration")
    try:
        return deepcopy(_parsed(content))
    # What the reader cannot make a value of, such as `!!int x`, is answered by many types.
    except Exception as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = place + " ".join((getattr(error, "problem", None) or str(error)).split())
    raise InputError(f"{path}: not valid YAML: {printable(_shortened(problem))}")


@lru_cache(maxsize=256)  # most files are asked for by several parts of a command
def _parsed(content: bytes) -> Any:
    # YAML 1.2, the dialect of DVC: `1e-3` is a float and `on` a string.
    reader = YAML(typ="safe", pure=True)
    reader.Composer, reader.Constructor, reader.max_depth = _NoAliases, _PlainValues, DEEPEST
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e.g. of an anchor that is defined twice
        return reader.load(content.decode("utf-8-sig"))  # editors of Windows write such a mark


def explain(
    error: ValidationError, model: type[BaseModel], given: Container[str] = ()
) -> list[str]:
    """Return one line for each mistake: key path, what is wrong, the value."""
    lines = []
    mistakes = error.errors(include_url=False, include_context=False)
    for mistake in mistakes[:MOST_MISTAKES]:
        where = _shortened(printable(".".join(str(part) for part in mistake["loc"])))
        if mistake["type"] == "extra_forbidden":
            message = "unknown key" + _valid_keys(model, mistake["loc"], given)
        elif mistake["type"] == "missing":
            message = "this key is missing"
        else:
            message = _shortened(mistake["msg"].removeprefix("Value error, "), 1000)
            if not isinstance(mistake["input"], Mapping | BaseModel):
                message += f" (it is {short_repr(mistake['input'])})"
        lines.append(f"{where}: {message}" if where else message)
    if len(mistakes) > MOST_MISTAKES:
        lines.append(f"and {len(mistakes) - MOST_MISTAKES} more mistakes")
    return lines


def short_repr(value: Any) -> str:
    """Return a value of any size in some characters, those of it that cannot be seen as escapes."""
    return _REPR.repr(value)


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _valid_keys(
    model: type[BaseModel], location: tuple[int | str, ...], given: Container[str]
) -> str:
    annotation: Any = model
    for part in location[:-1]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[str(part)].annotation
        else:  # an entry of a dict or a tuple
            annotation = get_args(annotation)[-1]
        if NoneType in (parts := get_args(annotation)):  # what may be absent
            annotation = next(part for part in parts if part is not NoneType)
    keys = sorted(
        key for key in annotation.model_fields if annotation is not model or key not in given
    )
    close = difflib.get_close_matches(str(location[-1]), keys, n=1)
    return (f", did you mean {close[0]}?" if close else "") + f" (valid: {', '.join(keys)})"
