"""Documents of plain values: read from YAML without harm, and built into models.

What is wrong with one is an error of one line that names the file, the path of the key, the value,
and what would be valid.
"""

import difflib
import math
import re
import warnings
from collections.abc import Container, Mapping
from pathlib import Path
from reprlib import Repr
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.nodes import MappingNode

from data.errors import InputError, printable

MERGE = "tag:yaml.org,2002:merge"
LARGEST_BYTES = 2**20
"""Of a file. This limit and the next ones are far beyond what a configuration needs, and keep
aliases that multiply, or numbers of a million digits, from filling the memory."""
LARGEST_VALUES = 10_000
DEEPEST = 50
LARGEST_NUMBER = 2**53
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
    content = _read(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys and values, found {type(content).__name__}")
    if fault := _unfit(content):
        raise InputError(f"{path}: {fault}")
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


class _Constructor(SafeConstructor):
    """Refuses merge keys, which a few lines of can multiply until memory is full."""

    def flatten_mapping(self, node: MappingNode) -> Any:
        """Return what a mapping merges: nothing."""
        for key, _ in node.value:
            if str(key.tag) == MERGE:
                raise ConstructorError(None, None, "merge keys (<<) are not read", key.start_mark)
        return super().flatten_mapping(node)


def _read(path: Path) -> Any:
    """Return what a YAML file holds."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path}: has more than {LARGEST_BYTES} bytes; not a configuration")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    text = ""
    try:
        text = content.decode("utf-8-sig")  # editors of Windows begin with a byte order mark
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. of an anchor that is defined twice
            # YAML 1.2, the dialect of DVC: `1e-3` is a float and `on` a string.
            reader = YAML(typ="safe", pure=True)
            reader.Constructor = _Constructor
            return reader.load(text)
    except RecursionError:
        raise InputError(f"{path}: not valid YAML: nested too deeply") from None
    # What the reader cannot make a value of, such as `!!int x`, is answered by many types.
    except Exception as error:
        problem = printable(_problem(error, content, text))
        raise InputError(f"{path}: not valid YAML: {problem}") from None


def _problem(error: Exception, content: bytes, text: str) -> str:
    """Return where in a file an error of the YAML reader lies, and what it is."""
    if isinstance(error, UnicodeDecodeError):
        before = content[: error.start].decode("utf-8-sig", "replace")
        return f"{_place(before)}: byte {content[error.start]:#04x} is not UTF-8"
    if (position := getattr(error, "position", None)) is not None:  # of a character
        place = _place(text[:position])
        return f"{place}: character #x{ord(text[position]):04x} is not allowed"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return place + _shortened(" ".join(problem.split()))


def _place(before: str) -> str:
    """Return the line and column that follow some text."""
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _unfit(content: Any) -> str | None:
    """Return why plain values cannot be a configuration, whatever it is of; None where they can."""
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    for count in range(LARGEST_VALUES):
        if not waiting:
            return None
        key, value, depth = waiting.pop()
        where = key + ": " * bool(key)
        if depth > DEEPEST:
            return f"{where}nested too deeply, more than {DEEPEST} levels"
        if isinstance(value, dict):
            if strange := [type(k).__name__ for k in value if not isinstance(k, str)]:
                return f"{where}a key is no text but {strange[0]}; text needs quotes there"
            entries = list(value.items())
        elif isinstance(value, list):
            entries = [(str(index), entry) for index, entry in enumerate(value)]
        elif not isinstance(value, str | int | float | NoneType):
            kind = type(value).__name__
            return f"{where}neither text, a number, true nor false; a {kind} needs quotes"
        elif isinstance(value, float) and not math.isfinite(value):
            return f"{where}not a finite number (it is {value})"
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            return f"{where}not between -2**53 and 2**53"
        else:
            continue
        if len(entries) + len(waiting) + count > LARGEST_VALUES:
            break
        prefix = f"{key}." if key else ""
        inner = [(_shortened(prefix + printable(k)), v, depth + 1) for k, v in entries]
        waiting += reversed(inner)
    return f"has more than {LARGEST_VALUES} values; not a configuration"


def explain(
    error: ValidationError, model: type[BaseModel], given: Container[str] = ()
) -> list[str]:
    """Return one line for each mistake: key path, what is wrong, the value."""
    lines = []
    mistakes = error.errors(include_url=False, include_context=False)
    for mistake in mistakes[:MOST_MISTAKES]:
        where = _shortened(printable(".".join(str(part) for part in mistake["loc"])))
        message = _shortened(re.sub("^Value error, ", "", mistake["msg"]), 1000)
        if mistake["type"] == "extra_forbidden":
            message = "unknown key" + _valid_keys(model, mistake["loc"], given)
        elif mistake["type"] == "missing":
            message = "this key is missing"
        value = (
            "" if mistake["type"] in ("missing", "extra_forbidden") else _shown(mistake["input"])
        )
        lines.append(f"{where}: {message}{value}" if where else f"{message}")
    if len(mistakes) > MOST_MISTAKES:
        lines.append(f"and {len(mistakes) - MOST_MISTAKES} more mistakes")
    return lines


def short_repr(value: Any) -> str:
    """Return a value of any size in some characters, those of it that cannot be seen as escapes."""
    return _REPR.repr(value)


def _shown(value: Any) -> str:
    return "" if isinstance(value, Mapping | BaseModel) else f" (it is {short_repr(value)})"


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _valid_keys(
    model: type[BaseModel], location: tuple[int | str, ...], given: Container[str]
) -> str:
    """Return the valid keys at the place of an unknown one."""
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
