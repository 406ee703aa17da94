"""The commands, their options, and the parsing of words without running anything."""

from typing import Any

from typer.core import TyperGroup

from benchmark.__main__ import commands
from benchmark.cli.app import PROGRAM

assert isinstance(commands, TyperGroup)
COMMANDS: dict[str, Any] = dict(commands.commands)


def options(name: str) -> set[str]:
    """Return the options of a command."""
    return {option for parameter in COMMANDS[name].params for option in parameter.opts}


def parse(words: list[str]) -> None:
    """Read words after `python -m benchmark`; raises `typer.TyperException` for wrong ones."""
    with commands.make_context(PROGRAM, words[:1]) as context:
        name, command, rest = commands.resolve_command(context, words)  # type: ignore[attr-defined]
        command.make_context(name, rest, parent=context)


def required(name: str, **given: str) -> list[str]:
    """Return the least that a command asks for, with names that are there."""
    words = []
    for parameter in COMMANDS[name].params:
        if parameter.required:
            choices = parameter.type_descriptor.choices or ("l2",)
            value = {"suite": "portraits", **given}.get(parameter.name, choices[0])
            is_option = parameter.opts[0].startswith("--")
            words += [parameter.opts[0], value] if is_option else [value]
    return words
