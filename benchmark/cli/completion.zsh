# TAB after `python -m benchmark`, in a checkout of InpaintBench
_inpaintbench() {
    if [[ $words[2] != -m || $words[3] != benchmark || $CURRENT -lt 4 ||
        ! -f benchmark/commands/completion.py ]]; then
        _python "$@"
        return
    fi
    local -a found
    found=(${(f)"$(print -rl -- "${(@)words[4,CURRENT]}" |
        $words[1] -m benchmark completion candidates 2>/dev/null)"})
    if (( $#found )); then compadd -a found; else _files; fi
}
compdef _inpaintbench python python3
