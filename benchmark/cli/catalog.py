"""Suites, variants and the selection → what they are, and what they need before the pipeline."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from benchmark.cli.app import MODELS, UPKEEP, app
from benchmark.cli.options import (
    SUITE,
    Json,
    Suite,
    answer,
    flag,
    name_argument,
    path_option,
    seed_list,
    variant_names,
)
from benchmark.core import paths
from benchmark.core.exit_codes import FINE, MISUSED, complain
from data.errors import InputError, printable


@app.command(rich_help_panel=MODELS, short_help="show what it is made of")
def describe(
    variant: Annotated[
        str, Argument(help="a file of models/variants/", autocompletion=variant_names)
    ],
    suite: Annotated[str | None, SUITE] = None,
    as_json: Json = False,
) -> None:
    """Show what a variant is made of and trained with.

    Its sizes are those of the suite; without one, images have 128 px and holes 64 px.
    """
    from benchmark.core.config import load_suite, load_variant
    from benchmark.training.describe import describe_variant, description_text

    network, sizes = load_variant(variant), {}
    if suite:
        settings = load_suite(suite)
        sizes = {"image_size": settings.image_size, "hole_size": settings.mask.size}
    content = describe_variant(network, suite=suite, **sizes)
    answer(as_json, content, description_text(content))


@app.command("list", rich_help_panel=UPKEEP, short_help="name suites and variants")
def list_names(as_json: Json = False) -> int:
    """List the suites and variants that there are."""
    from benchmark.core.config import load_suite, load_variant, names_in

    code, titles, lines = FINE, dict[str, dict[str, str]](), []
    for kind, folder, load in (
        ("suites", paths.SUITES, load_suite),
        ("variants", paths.VARIANTS, partial(load_variant, check=False)),
    ):
        titles[kind] = {}
        for name in names_in(folder):
            try:
                titles[kind][name] = load(name).title
            except InputError as error:  # the others are there all the same
                code = complain(error, MISUSED)
        lines += [kind, *(f"  {n:28} {printable(title)}" for n, title in titles[kind].items())]
    answer(as_json, titles, "\n".join(lines))
    return code


@app.command(rich_help_panel=UPKEEP, short_help="choose what is built")
def select(
    suite: Annotated[str | None, SUITE] = None,
    variants: Annotated[str | None, Option(help="e.g. l2,binary")] = None,
    seeds: Annotated[str | None, Option(help="e.g. 0, 0,1 or 0-2; 0 if not given")] = None,
    none: Annotated[bool, flag("--none", "take the suite out")] = False,
    source: Annotated[
        Path | None, path_option("select what a file says, see above", "--from", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or write the selection of params.yaml: what `dvc repro` builds.

    Without options it is shown. With --suite, the runs of that suite are replaced: every variant
    with every seed; other suites stay. With --from, all of it is replaced by another params.yaml,
    or by a file with an entry per suite, such as `portraits: {variants: [l2], seeds: [0, 1]}`.
    """
    from benchmark.core.config import load_params
    from benchmark.core.selection import (
        read_selection,
        selection_content,
        selection_text,
        with_suite,
        without_suite,
        write_selection,
    )

    _refuse_ignored(suite, variants, seeds, none, source)
    if source is not None:
        selection = read_selection(source)
    elif suite is None:
        selection = load_params()
    elif none:
        selection = without_suite(load_params(), suite)
    else:
        names = (variants or "").split(",")
        selection = with_suite(load_params(), suite, names, seed_list(seeds or "0"))
    if suite is not None or source is not None:
        write_selection(selection)
    answer(as_json, selection_content(selection), selection_text(selection))


def _refuse_ignored(
    suite: str | None, variants: str | None, seeds: str | None, none: bool, source: Path | None
) -> None:
    """Raise `InputError` for options that mean nothing together, or too little."""
    given = {"--variants": variants is not None, "--seeds": seeds is not None, "--none": none}
    named = [name for name, is_given in given.items() if is_given]
    if source is not None and (suite is not None or named):
        raise InputError("--from: replaces the whole selection; leave the other options out")
    if suite is None and named:
        raise InputError(f"{named[0]}: --suite has to say of which suite")
    if none and len(named) > 1:
        raise InputError(f"--none: takes the suite out; leave {named[0]} out")
    if suite is not None and not none and variants is None:
        raise InputError(f"--suite {suite}: --variants has to name variants, or --none be given")


@app.command(rich_help_panel=UPKEEP, short_help="link a folder of images")
def attach(
    suite: Suite,
    folder: Annotated[str, name_argument("the folder; its images stay where they are")],
) -> None:
    """Link a folder of your images to a suite."""
    from benchmark.core.config import load_suite
    from benchmark.pipeline.attach import attach_folder

    settings = load_suite(suite)
    link = attach_folder(suite, Path(folder))
    print(f"{link} -> {printable(folder)}; `dvc repro` now notices when these images change")
    if not settings.source.needs_folder:
        print(f"warning: suite {suite} reads no folder of images", file=sys.stderr)


@app.command(rich_help_panel=UPKEEP, short_help="fetch weights for LPIPS")
def weights() -> None:
    """Fetch the backbone weights that LPIPS needs; the next `dvc repro` scores with them."""
    from benchmark.core.files import write_text
    from benchmark.metrics import fetch_weights

    found = fetch_weights()
    # DVC watches this folder, and not the cache in which the weights lie.
    write_text(paths.LPIPS / "weights.txt", "".join(f"{path.name}\n" for path in found))
    for path in found:
        print(path)


@app.command(rich_help_panel=UPKEEP, short_help="copy tables into README")
def readme() -> None:
    """Copy the tables of the report into README.md."""
    from benchmark.core.config import load_params
    from benchmark.pipeline.report import read_report
    from benchmark.reporting.readme import update_readme

    update_readme(read_report(load_params(), with_pictures=False))
