"""Words of a command line → the command that they name, or one line that says what is wrong."""

import difflib
from collections.abc import Sequence
from itertools import zip_longest
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from benchmark.cli.version import version_line

PROGRAM = "python -m benchmark"
PIPELINE = "The pipeline; `dvc repro` runs all of it for what params.yaml selects"
CHECKS = "Compare and check"
MODELS = "Use a model"
UPKEEP = "Data and upkeep"
"""The groups of the help: `rich_help_panel` of a command, whose `short_help` is a few words."""

ANYWHERE = frozenset({"compare", "completion", "doctor", "export", "gate", "inpaint", "score"})
"""Commands that need not be run in the root of a checkout."""
RENAMED = {"diagnose": "it is part of `evaluate` now", "bands": "it is called `tolerances` now"}

_ABOVE = f"""\
Usage: {PROGRAM} COMMAND ...

InpaintBench: train, score and compare image inpainting systems.
"""
_BELOW = """
`COMMAND --help` says more of one; `--version` says which version this is.
Exit codes: 0 fine, 1 a check failed, 2 wrong input, 130 interrupted.
"""


class _Commands(TyperGroup):
    """All commands, with a page of our own and an answer to former names."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        lines = []
        for heading in (PIPELINE, CHECKS, MODELS, UPKEEP):
            cells = [
                f"{name:11}{command.short_help:27}"
                for name, command in self.commands.items()
                if getattr(command, "rich_help_panel", None) == heading
            ]
            pairs = zip_longest(cells[::2], cells[1::2], fillvalue="")
            lines += [heading, *(f"  {left}{right}".rstrip() for left, right in pairs)]
        formatter.write("\n".join([_ABOVE, *lines, _BELOW]))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in RENAMED:
            ctx.fail(f"No such command {args[0]!r}: {RENAMED[args[0]]}.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version_line())
        raise typer.Exit


@app.callback()
def _all_commands(
    version: Annotated[bool, typer.Option("--version", callback=_print_version)] = False,
) -> None:
    pass


def misuse_line(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, what may be meant, and which help says more."""
    line = error.format_message().removesuffix(".")
    meant: Sequence[str] = getattr(error, "possibilities", None) or ()
    if meant:  # an option that there is not
        line = error.message
    elif isinstance(error, typer.BadParameter) and isinstance(error.__cause__, ValueError):
        value = error.__cause__.errors()[0]["input"]  # type: ignore[attr-defined]
        line = line.replace("Value error, ", "").removesuffix(".")
        if error.param and (choices := error.param.type_descriptor.choices):
            meant = difflib.get_close_matches(value, choices, n=1)
        elif value and repr(value) not in line:
            line += f" (it is {value!r})"
    if meant:
        line += f". Did you mean {meant[0]}?"
    context = getattr(error, "ctx", None)
    end = " See" if line.endswith("?") else "; see"
    return f"{line}{end} `{context.command_path if context else PROGRAM} --help`"
