# TAB after `python -m benchmark`, in a checkout of InpaintBench
_inpaintbench() {
    local words=("${COMP_WORDS[@]:0:COMP_CWORD+1}") IFS=$'\n'
    COMPREPLY=()
    [[ ${words[1]} == -m && ${words[2]} == benchmark && $COMP_CWORD -ge 3 &&
        -f benchmark/commands/completion.py ]] || return 0
    COMPREPLY=($(printf '%s\n' "${words[@]:3}" |
        "${words[0]}" -m benchmark completion candidates 2>/dev/null))
}
complete -o bashdefault -o default -F _inpaintbench python python3
