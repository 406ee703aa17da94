"""What may stand at a place of a command line, for the completion of a shell."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.core import paths

CRITERIA = ("last", "best_train_loss", "best_val_psnr", "best_val_ssim", "best_val_lpips")
"""Those of `benchmark/core/config.py`."""
METRICS = (
    *("mse_h", "mae_h", "psnr_h", "ssim_h", "lpips_alex", "lpips_alex_h", "seam", "sharpness_h"),
    *("edge_h", "l1_percent_h", "mse_b", "mse_c", "mse_w", "mae_w", "psnr_w", "ssim_w"),
    *("ssim_uniform_w", "lpips_vgg", "lpips_squeeze", "known_mae_raw"),
)
"""Those of `benchmark/metrics/registry.py`, which takes seconds to import."""


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return what may stand in the place of the last word.

    Args:
        parser: of all commands.
        words: what follows `python -m benchmark`; bash has split `--suite=x` into three of them.
    """
    # A list and not a filter alone: the last word is there even if it is empty.
    *before, now = [*(word for word in words[:-1] if word != "="), words[-1].removeprefix("=")]
    commands = _commands(parser)
    if not before:
        return _starting(now, [*commands, "--help", "--version"])
    if before[0] not in commands:
        return []
    return _starting(now, _of_command(commands[before[0]], before[1:], now))


def _of_command(command: argparse.ArgumentParser, before: Sequence[str], now: str) -> Iterable[str]:
    options = {name: action for action in command._actions for name in action.option_strings}
    name, separator, _ = now.partition("=")
    if separator and name in options:
        return [f"{name}={value}" for value in _values(options[name])]
    values = 0  # how many words the last option has got
    while values < len(before) and not before[-1 - values].startswith("--"):
        values += 1
    last = options.get(before[-1 - values]) if values < len(before) else None
    takes_more = values == 0 or (last is not None and last.nargs and not now.startswith("-"))
    if last is not None and last.nargs != 0 and takes_more:
        return _values(last)
    positional = [action for action in command._actions if not action.option_strings]
    if positional and not now.startswith("-"):
        return [value for action in positional for value in _values(action)]
    repeatable = argparse._AppendAction
    return [
        name
        for name, action in options.items()
        if name.startswith("--") and (name not in before or isinstance(action, repeatable))
    ]


def _commands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    return next(a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))


def _values(action: argparse.Action) -> Sequence[str]:
    """Return the values of an argument; none where any text or a path may stand."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    known: dict[str, Callable[[], Sequence[str]]] = {
        "suite": lambda: _names(paths.SUITES),
        "variant": lambda: _names(paths.VARIANTS),
        "metric": lambda: METRICS,
        "criterion": lambda: CRITERIA,
    }
    name = action.dest.removesuffix("s")
    return known[name]() if name in known else ()


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _starting(beginning: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(beginning)]
