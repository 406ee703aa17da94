"""The commands of `python -m benchmark`, one module each, named like its command.

A module has a `SUMMARY` of at most 60 characters, `add_arguments(parser)`, and `run(options)`,
which returns an exit code of `benchmark/core/exit_codes.py`, or None for 0. All of them are imported for
every command, so that what takes long to import is imported within `run`.
"""

GROUPS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "The pipeline; `dvc repro` runs all of it for what params.yaml names",
        {
            "split": "prepare a suite's images",
            "train": "train a variant",
            "baselines": "score classical methods",
            "evaluate": "score a trained run",
            "diagnose": "probe discriminators",
            "report": "write tables and figures",
        },
    ),
    (
        "Compare and check",
        {
            "compare": "two versions of results",
            "gate": "refuse what got worse",
            "plan": "images and seeds needed",
            "score": "score anybody's images",
            "doctor": "find what is wrong there",
            "verify": "build again and compare",
            "reference": "keep a suite's results",
            "bands": "measure what may differ",
        },
    ),
    (
        "Use a model",
        {
            "inpaint": "fill holes in pictures",
            "export": "write a model as ONNX",
            "describe": "show what it is made of",
        },
    ),
    (
        "Data and upkeep",
        {
            "list": "name suites and variants",
            "attach": "link a folder of images",
            "weights": "fetch weights for LPIPS",
            "readme": "copy tables into README",
            "completion": "TAB in bash, zsh or fish",
        },
    ),
)
"""Commands and a few words for each, at most 25 characters, under the headings of the help."""

COMMANDS = tuple(name for _, group in GROUPS for name in group)
