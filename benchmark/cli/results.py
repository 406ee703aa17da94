"""Results of two versions, machines or seeds → what differs, and whether it may."""

import sys
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from benchmark.cli.app import CHECKS, app
from benchmark.cli.options import (
    SEED,
    SUITE,
    VARIANT,
    Device,
    Devices,
    Json,
    Overwrite,
    Suite,
    Variant,
    answer,
    flag,
    name_argument,
    name_option,
    path_option,
    seed_list,
)
from benchmark.core import paths
from benchmark.core.exit_codes import FAILED, FINE, complain
from data.errors import InputError, printable

ALLOW = """a change that is meant, or the beginning of a name for several; is printed all the same;
may be repeated"""
DIFFERENCE = """to be seen, in the metric's unit; if not given .1 dB, .002 of SSIM and LPIPS, else a
tenth of the mean"""
SETTING = """one_thread, two_threads, without_avx512, without_onednn or cuda; if not given all that
change something on this machine"""


@app.command(rich_help_panel=CHECKS, short_help="versions, or submissions")
def compare(
    versions: Annotated[
        list[str],
        name_argument(
            "OLD and NEW, e.g. v1.0 and HEAD~1 (NEW is this checkout if not given); or folders "
            "that `score --out` wrote",
            "VERSION|FOLDER...",
        ),
    ],
    all_metrics: Annotated[bool, flag("--all", "all metrics, not those of tables alone")] = False,
    markdown: Annotated[bool, flag("--markdown", "for a pull request")] = False,
    line: Annotated[bool, flag("--line", "one line: is a rebuild what was committed?")] = False,
    html: Annotated[
        Path | None, path_option("of submissions: also write a page for a browser", metavar="FILE")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Say what changed between two versions of the results, or which submission is better.

    A version is a git tag, branch or commit, a folder with a checkout, or one of
    reports/reference/. Only what is in git is read, so neither DVC nor its cache is needed.
    Submissions are folders that `score --out` wrote, of the same images and holes; beside them may
    stand score tables of a suite, reports/scores/<suite>/…csv. The exit code is 0 whatever is
    found: `gate` is what refuses.
    """
    if as_json + markdown + line > 1:
        raise InputError("--json, --markdown, --line: choose one")
    from benchmark.submissions.files import is_scored

    places = [Path(name) for name in versions]
    if any(map(is_scored, places)):
        if line or all_metrics:
            raise InputError("--line, --all: are for versions, not for submissions")
        return _compare_submissions(places, markdown, html, overwrite, as_json)
    if html is not None or overwrite or len(versions) > 2:
        raise InputError(
            f"{printable(' '.join(versions))}: not folders that `score --out` wrote; of versions "
            "two are compared, without --html"
        )
    from benchmark.versions.compare import compare_versions
    from benchmark.versions.comparison_text import (
        comparison_json,
        comparison_line,
        comparison_markdown,
        comparison_text,
    )
    from benchmark.versions.snapshot import open_version
    from benchmark.versions.tolerances import read_tolerances

    old, new = (*versions, ".")[:2]
    with open_version(old) as before, open_version(new) as after:
        found = compare_versions(before, after)
        if line:
            return print(comparison_line(found, read_tolerances()))
    text = (comparison_markdown if markdown else comparison_text)(found, all_metrics)
    answer(as_json, comparison_json(found), text)


def _compare_submissions(
    places: list[Path], markdown: bool, html: Path | None, overwrite: bool, as_json: bool
) -> None:
    from benchmark.core.files import write_text
    from benchmark.reporting.submissions import (
        submissions_html,
        submissions_json,
        submissions_markdown,
        submissions_text,
    )
    from benchmark.submissions.comparison import compare_submissions

    if html is not None and html.exists() and not overwrite:
        raise InputError(f"{html}: is there already; --overwrite replaces it")
    found = compare_submissions(places)
    if html is not None:
        write_text(html, submissions_html(found))
    text = (submissions_markdown if markdown else submissions_text)(found)
    answer(as_json, submissions_json(found), text)


@app.command(rich_help_panel=CHECKS, short_help="refuse what got worse")
def gate(
    files: Annotated[list[Path] | None, Argument(help="with --throughput: OLD and NEW")] = None,
    base: Annotated[
        str | None, name_option("a git revision, e.g. origin/main, or a folder", "VERSION")
    ] = None,
    new: Annotated[str, name_option("what is checked; . is this checkout", "VERSION")] = ".",
    allow: Annotated[list[str] | None, Option(metavar="SUITE/METHOD/METRIC", help=ALLOW)] = None,
    throughput: Annotated[bool, flag("--throughput", "refuse what got slower instead")] = False,
    as_json: Json = False,
) -> int:
    """Refuse results that got worse since a base version.

    It refuses a metric that is worse, image by image, by more than its tolerance; one that is
    missing or NaN; a run that vanished; scores that do not follow from their table of images; any
    change of a baseline. The tolerance is what another seed would change, as the base has measured
    it, and on another machine also what that changes. The exit code is 1 if anything is refused.

    With --throughput it refuses what got slower: between two files of `bench`, or, with --base, by
    measuring the base's code and this checkout's in turns for up to four minutes.
    """
    if throughput:
        if new != "." or allow:
            raise InputError("--throughput: takes neither --new nor --allow")
        return _throughput_gate(files or [], base, as_json)
    if files:
        raise InputError(f"{printable(str(files[0]))}: files are compared with --throughput alone")
    if base is None:
        raise InputError("--base: name the version to hold the results against")
    from benchmark.versions.gate import check_gate, gate_json, gate_text
    from benchmark.versions.snapshot import open_version

    with open_version(base) as before, open_version(new) as after:
        result = check_gate(before, after, allow or [])
    answer(as_json, gate_json(result), gate_text(result))
    return FAILED if result.failures else FINE


def _throughput_gate(files: list[Path], base: str | None, as_json: bool) -> int:
    if (base is None) == (not files) or len(files) not in (0, 2):
        raise InputError("--throughput: name two files, OLD and NEW, or a version with --base")
    from benchmark.reporting.throughput import read_throughput
    from benchmark.throughput.side_by_side import compare_with_base
    from benchmark.throughput.slowdowns import (
        compare_files,
        comparison_json,
        comparison_text,
    )

    if base is not None:
        found = compare_with_base(base)
    else:
        old, new = (read_throughput(file) for file in files)
        found = compare_files(old, new, (str(files[0]), str(files[1])))
    answer(as_json, comparison_json(found), comparison_text(found))
    return FAILED if found.failures else FINE


@app.command(rich_help_panel=CHECKS, short_help="measure the speed")
def bench(
    only: Annotated[str | None, Option(metavar="PATTERN", help="such as 'step/*'")] = None,
    out: Annotated[Path | None, path_option("reports/throughput.json", metavar="FILE")] = None,
    rounds: Annotated[int, Option(min=1, metavar="N", help="repetitions of each")] = 5,
    device: Device = "auto",
) -> None:
    """Time networks, training steps, data and metrics on this machine.

    For everything: images/s, GFLOP/s, the share of what a matrix product reaches in the same run,
    memory, and every repetition's time. The command `gate` compares two such files.
    """
    from benchmark.reporting.throughput import THROUGHPUT, write_throughput
    from benchmark.throughput.measuring import measure, throughput_text
    from benchmark.throughput.subjects import all_subjects, open_bench

    if only is not None and out is None:
        raise InputError(f"--only: name a file with --out, as {THROUGHPUT} is of everything")
    with open_bench(device) as opened:
        subjects, missing = all_subjects(opened)
        chosen = [s for s in subjects if fnmatch(s.name, only or "*")]
        if not chosen:
            names = ", ".join(sorted({s.name.split("/")[0] for s in subjects}))
            raise InputError(f"--only: nothing is named {printable(only or '')}; there are {names}")
        settings = opened.suite.training.batch_size, opened.suite.image_size
        found = measure(chosen, rounds, opened.device, *settings, missing)
    write_throughput(out or THROUGHPUT, found)
    print(throughput_text(found) + f"-> {out or THROUGHPUT}")


@app.command(rich_help_panel=CHECKS, short_help="images and seeds needed")
def plan(
    suite: Suite,
    variant: Variant,
    than: Annotated[str, Option(help="another variant, or a baseline")],
    metric: Annotated[str, Option(help="a metric of the score tables")] = "mse_h",
    difference: Annotated[float | None, Option(help=DIFFERENCE)] = None,
    power: Annotated[float, Option(help="the probability of seeing it")] = 0.8,
    as_json: Json = False,
) -> None:
    """Say how many images and seeds it takes to see a difference.

    The score tables of this checkout say how differences vary between images and, with two training
    seeds or more, between seeds; with one seed, the measured tolerances say the latter.
    """
    from benchmark.versions.power import make_plan, plan_text
    from benchmark.versions.snapshot import open_version

    with open_version(".") as results:
        planned = make_plan(results, suite, variant, than, metric, difference, power)
    answer(as_json, asdict(planned), plan_text(planned))


@app.command(rich_help_panel=CHECKS, short_help="build again and compare")
def verify(
    suite: Annotated[str | None, SUITE] = None,
    variant: Annotated[str | None, VARIANT] = None,
    seed: Annotated[int | None, SEED] = None,
    device: Annotated[Devices, Option(help="auto takes that of the kept results")] = "auto",
    reference: Annotated[bool, flag("--reference", "compare with reports/reference/")] = False,
    as_json: Json = False,
    keep: Annotated[Path | None, path_option("make the copy there, and keep it")] = None,
) -> int:
    """Build results again and compare them with those that are kept.

    Everything that params.yaml selects is built, or only the suite, variant or seed that is named;
    with a variant or a seed, neither baselines nor the report. It is built in a temporary copy of
    the checkout (TMPDIR says where), in the time that `dvc repro` takes for it. With --reference it
    is a copy of the commit that made the results, where git has that.

    Exit codes: 0 as promised: identical, or on another machine the same data and metrics within
    their tolerances; 1 different; 2 nothing to compare with.
    """
    from benchmark.versions.rebuild import RebuildFailedError
    from benchmark.versions.verify import kept_results
    from benchmark.versions.verify import verify as build_and_compare

    try:
        found = build_and_compare(kept_results(suite, variant, seed, reference), device, keep)
    except RebuildFailedError as error:
        return complain(error, FAILED)
    answer(as_json, found.as_json(), found.as_text())
    return FAILED if found.verdict == "different" else FINE


@app.command(rich_help_panel=CHECKS, short_help="keep a suite's results")
def reference(
    suite: Suite,
    note: Annotated[str, Option(help="what to say of the budget, in one line")] = "",
    add: Annotated[bool, flag("--add", "keep the runs that are there beside these")] = False,
    overwrite: Overwrite = False,
    pictures: Annotated[
        bool, flag("--pictures", "also keep a picture of completed images")
    ] = False,
    as_json: Json = False,
) -> None:
    """Keep a suite's results in reports/reference/, which is in git.

    With --add, runs of other seeds, variants or machines are kept together, seed by seed; they have
    to be of the same images and settings. With --pictures, the dataset's license has to allow that
    its images are shown.
    """
    from benchmark.pipeline.reference import write_reference

    if add and overwrite:
        raise InputError("--add: keeps what is there, which --overwrite replaces; give one of them")
    facts = write_reference(suite, note, overwrite, pictures, add)
    folder = paths.reference(suite)
    runs = {variant: list(seeds) for variant, seeds in facts.runs.items()}
    content = {"folder": folder.as_posix(), "runs": runs, "left_out": dict(facts.left_out)}
    count = sum(len(seeds) for seeds in facts.runs.values())
    answer(as_json, content, f"{folder}: {count} runs of {len(facts.runs)} variants")
    for name, reason in facts.left_out.items():
        print(f"left out: {name}: {printable(reason)}", file=sys.stderr)


@app.command(rich_help_panel=CHECKS, short_help="measure what may differ")
def tolerances(
    suite: Annotated[list[str] | None, SUITE] = None,
    variant: Annotated[list[str] | None, VARIANT] = None,
    seeds: Annotated[str | None, Option(help="0, 0,1 or 0-2; the first is also used below")] = None,
    setting: Annotated[list[str] | None, Option(help=SETTING)] = None,
) -> int:
    """Measure how far metrics differ between machines and between seeds.

    Trains every variant with every seed, and with the first seed once more for each setting, in a
    temporary copy of the checkout. What is not named is taken from params.yaml; --suite, --variant
    and --setting may be repeated. What was measured before is not measured again, so an interrupted
    measurement continues with the same command.
    """
    from benchmark.core.config import load_params, load_suite, load_variant
    from benchmark.versions.rebuild import RebuildFailedError
    from benchmark.versions.tolerance_measurement import measure, settings_here
    from benchmark.versions.tolerances import TOLERANCES, tolerances_text

    params = load_params()
    suites, variants = suite or params.suites, variant or params.variants
    for name in suites:
        load_suite(name)
    for name in variants:
        load_variant(name)
    chosen = seed_list(seeds) if seeds is not None else sorted({r.seed for r in params.all_runs})
    settings = settings_here(setting or [])
    try:
        found = measure(suites, variants, chosen, settings)
    except RebuildFailedError as error:
        return complain(error, FAILED)
    print(tolerances_text(found) + f"-> {TOLERANCES}")
    return FINE
