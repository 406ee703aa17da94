"""`python -m benchmark completion`: what a shell offers when TAB is pressed.

The scripts stay up to date by themselves: they ask the command line, in the Python that was typed,
and run nothing unless the present folder is a checkout. Where there is nothing to offer, as for a
path, the shell offers files.
"""

import argparse
import sys
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")
SUMMARY = "print what makes a shell complete these commands"
HOW = """\
In a checkout, for every shell to come:

  bash  python -m benchmark completion bash >> ~/.bashrc
  zsh   python -m benchmark completion zsh >> ~/.zshrc   (compinit has to stand above it)
  fish  python -m benchmark completion fish > ~/.config/fish/conf.d/inpaintbench.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = HOW
    parser.add_argument(
        "what",
        choices=(*SHELLS, "candidates"),
        help="the shell whose script is printed; or candidates, which the scripts ask for: what "
        "may stand in the place of the last word of stdin, which has one word per line",
    )


def run(options: argparse.Namespace) -> None:
    """Print a script, or what may stand in the place of the last word, one per line."""
    if options.what in SHELLS:
        print(Path(__file__).with_suffix(f".{options.what}").read_text(), end="")
        return
    from benchmark.__main__ import command_parser
    from benchmark.cli.candidates import candidates

    for candidate in candidates(command_parser(), sys.stdin.read().splitlines() or [""]):
        print(candidate)
