# TAB after `python -m benchmark`, in a checkout of InpaintBench
function __inpaintbench_here
    set -l words (commandline -opc)
    test (count $words) -ge 3
    and test "$words[2] $words[3]" = "-m benchmark"
    and test -f benchmark/commands/completion.py
end
function __inpaintbench_candidates
    set -l words (commandline -opc)
    set -l python $words[1]
    set -e words[1..3]
    set -l now (commandline -ct)
    set -l found (printf '%s\n' $words "$now" |
        $python -m benchmark completion candidates 2>/dev/null)
    if count $found >/dev/null
        printf '%s\n' $found
    else
        __fish_complete_path "$now"
    end
end
complete -c python -f -n __inpaintbench_here -a '(__inpaintbench_candidates)'
complete -c python3 -f -n __inpaintbench_here -a '(__inpaintbench_candidates)'
