"""Options that several commands have, as types of parameters, and how commands answer."""

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from typer import Argument, Option

from benchmark.core import paths
from data.errors import InputError, printable

MOST_SEEDS = 1000


def suite_names() -> list[str]:
    """Return the names of suites, for TAB."""
    from benchmark.core.config import names_in

    return names_in(paths.SUITES)


def variant_names() -> list[str]:
    """Return the names of variants, for TAB."""
    from benchmark.core.config import names_in

    return names_in(paths.VARIANTS)


def _criteria() -> list[str]:
    from benchmark.core.config import Criterion

    return [*get_args(Criterion)]


def _not_empty(text: str) -> str:
    # An unset variable of a shell, which would mean the present folder.
    if not text:
        raise ValueError("it is empty; name a file or a folder")
    return text


def _path(text: str) -> Path:
    return Path(_not_empty(text))


def path_option(help_text: str, *names: str, metavar: str = "FOLDER", **settings: Any) -> Any:
    """Return what makes a `Path` an option that may not be empty."""
    return Option(*names, parser=_path, metavar=metavar, help=help_text, **settings)


def flag(name: str, help_text: str) -> Any:
    """Return what makes a bool an option that is given or not, without a `--no-` beside it."""
    return Option(name, help=help_text)


def name_option(help_text: str, metavar: str) -> Any:
    """Return what makes text an option that may not be empty, such as a folder or a version."""
    return Option(parser=_not_empty, metavar=metavar, help=help_text)


def name_argument(help_text: str, metavar: str | None = None) -> Any:
    """Return what makes text an argument that may not be empty, such as a folder or a version."""
    return Argument(parser=_not_empty, help=help_text, metavar=metavar)


def _white(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError("white is a level above 0")
    return value


SUITE = Option(help="a file of benchmark/suites/", autocompletion=suite_names)
VARIANT = Option(help="a file of models/variants/", autocompletion=variant_names)
_CRITERION = Option(
    help="which weights: last, best_val_psnr, …; the suite's if not given", autocompletion=_criteria
)
SEED = Option(min=0, max=2**31 - 1, metavar="N", help="seed of the run")

Suite = Annotated[str, SUITE]
Variant = Annotated[str, VARIANT]
Seed = Annotated[int, SEED]
Criterion = Annotated[str | None, _CRITERION]
Devices = Literal["auto", "cpu", "cuda"]
Device = Annotated[Devices, Option(help="auto takes a CUDA device where there is one")]
Json = Annotated[bool, flag("--json", "one JSON object instead of text")]
Overwrite = Annotated[bool, flag("--overwrite", "replace what is there")]

PLACE = "FOLDER|FILE"
Hole = Literal["white", "black"]
MaskName = Annotated[
    str,
    name_option("of a mask, e.g. {stem}_mask001.png; {stem}_{mask} for several", "PATTERN"),
]
Levels = Annotated[
    float | None,
    Option(
        parser=_white,
        metavar="WHITE",
        help="white of 16-bit or float samples whose type does not say it: 4095 for 12 bits, or 1",
    ),
]
Threshold = Annotated[
    int | None,
    Option(min=1, max=255, metavar="GRAY", help="from which on a mask is white, if it is soft"),
]
Dilate = Annotated[int, Option(min=0, max=1000, metavar="PX", help="grow holes by so many pixels")]


def seed_list(text: str) -> tuple[int, ...]:
    """Return the seeds of `0`, `0,1` or `0-2`.

    Raises:
        InputError: it is something else, names a seed twice, or a range too large to be meant.
    """
    seeds: list[int] = []
    for part in text.split(","):
        if not (found := re.fullmatch("([0-9]{1,10})(?:-([0-9]{1,10}))?", part)):
            raise InputError(f"--seeds: {text!r} is no list of seeds such as 0, 0,1 or 0-2")
        first, last = int(found[1]), int(found[2] or found[1])
        if not first <= last < min(2**31, first + MOST_SEEDS):
            raise InputError(
                f"--seeds: {part} is no seed below 2**31 and no range of {MOST_SEEDS} at most"
            )
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds: {text} names a seed twice")
    return tuple(seeds)


def answer(as_json: bool, content: Mapping[str, Any], text: str) -> None:
    """Print the one JSON object of `--json`, or else a text."""
    print(json.dumps(content, indent=1, sort_keys=True) if as_json else text.removesuffix("\n"))


@contextmanager
def only_a_warning() -> Iterator[None]:
    """Do not give up a finished result for what cannot be noted beside it."""
    try:
        yield
    except InputError as error:
        print(f"warning: {printable(str(error))}", file=sys.stderr)
