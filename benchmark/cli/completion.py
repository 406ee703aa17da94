"""The name of a shell → the script that completes `python -m benchmark` there."""

from typing import Annotated, Literal

from typer import Argument

from benchmark.cli.app import UPKEEP, app

VARIABLE = "_INPAINTBENCH_COMPLETE"

# A script asks Typer, in the Python that was typed: for the words from `benchmark` on, and the
# number of the one that is to be completed. It runs nothing unless there is a checkout here.
_SCRIPTS = {
    "bash": """\
_inpaintbench() {
    local line="${COMP_LINE:0:COMP_POINT}" && COMPREPLY=()
    [[ $line == *' -m benchmark '* && -f benchmark/__main__.py ]] || return 0
    local words=(${line#* -m }x)  # the x is that of the last word, which may be empty
    COMPREPLY=($(COMP_WORDS="${line#* -m }" COMP_CWORD=$((${#words[@]} - 1)) \\
        _INPAINTBENCH_COMPLETE=complete_bash "$1" -m benchmark 2>/dev/null))
}
complete -o bashdefault -o default -F _inpaintbench python python3
""",
    "zsh": """\
_inpaintbench() {
    [[ "$words[2,3]" == '-m benchmark' && $CURRENT -gt 3 && -f benchmark/__main__.py ]] ||
        { _python "$@"; return }
    local found=($(COMP_WORDS="$words[3,CURRENT]" COMP_CWORD=$((CURRENT - 3)) \\
        _INPAINTBENCH_COMPLETE=complete_bash $words[1] -m benchmark 2>/dev/null))
    compset -P '*='
    if (( $#found )); then compadd -a found; else _files; fi
}
compdef _inpaintbench python python3
""",
    "fish": """\
function __inpaintbench
    set -l words (commandline -opc)
    test "$words[2..3]" = '-m benchmark' -a -f benchmark/__main__.py; or return
    env COMP_WORDS="$words[3..] $(commandline -ct)" COMP_CWORD=(math (count $words) - 2) \\
        _INPAINTBENCH_COMPLETE=complete_bash $words[1] -m benchmark 2>/dev/null
end
complete -c python -a '(__inpaintbench)'
complete -c python3 -a '(__inpaintbench)'
""",
}


@app.command(
    rich_help_panel=UPKEEP,
    short_help="TAB in bash, zsh or fish",
    epilog="""\b
In a checkout, for every shell to come:
  bash  python -m benchmark completion bash >> ~/.bashrc
  zsh   python -m benchmark completion zsh >> ~/.zshrc   (below compinit)
  fish  python -m benchmark completion fish > ~/.config/fish/conf.d/inpaintbench.fish
""",
)
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Argument(help="the shell")],
) -> None:
    """Print what makes a shell complete these commands."""
    print(_SCRIPTS[shell], end="")
