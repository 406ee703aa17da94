"""A parser whose errors are one line that says what was meant, and the page of all commands."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NoReturn

from benchmark.core.exit_codes import MISUSED, complain

_ABOVE = """\
usage: python -m benchmark COMMAND ...

InpaintBench: train, score and compare image inpainting systems.
"""
_BELOW = """
`COMMAND --help` says more of one; `--version` says which version this is.
Exit codes: 0 fine, 1 a check failed, 2 wrong input, 130 interrupted.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others, and that guesses no option.

    Args:
        page: the help, where it is not to be made of the arguments.
        settings: of `argparse.ArgumentParser`.
    """

    def __init__(self, page: str | None = None, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)
        self._page = page

    def format_help(self) -> str:
        """Return the help."""
        return super().format_help() if self._page is None else self._page

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit."""
        end = " See" if message.endswith("?") else "; see"
        sys.exit(complain(f"{message}{end} `{self.prog} --help`", MISUSED))

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and refuse what is unknown here, before what is missing is found missing."""
        given = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None and not {"-h", "--help"} & set(given):
            self._refuse_unknown(given)
        options, rest = super().parse_known_args(given, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return options, rest

    def _refuse_unknown(self, arguments: Sequence[str]) -> None:
        known = self._option_string_actions
        for argument in arguments:
            name = argument.partition("=")[0]
            if argument == "--":
                return
            # Like argparse, which takes what has a space in it for a value.
            if name.startswith("--") and name not in known and " " not in argument:
                self.error(f"{name!r} is no option of this command{meant(name, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"{value!r} is no command{meant(value, choices)}")
        name = "/".join(action.option_strings) or action.metavar or action.dest
        self.error(f"{name}: {value!r} is none of {', '.join(choices)}{meant(value, choices)}")


def meant(word: str, words: Iterable[str]) -> str:
    """Return `; did you mean …?` with the nearest of some words, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def help_page(groups: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """Return the page of all commands: those of a group in two columns under its heading."""
    lines = []
    for heading, commands in groups:
        lines.append(heading)
        cells = [f"{name:11}{words:27}" for name, words in commands.items()]
        pairs = zip_longest(cells[::2], cells[1::2], fillvalue="")
        lines += [f"  {left}{right}".rstrip() for left, right in pairs]
    return "\n".join([_ABOVE, *lines, _BELOW])
