"""Which version of the code made a result: the commit, and whether the code had changes.

The record lies beside the results and in git, but is no output of a DVC stage: the same bytes made
again at a later commit are the same result, so that a rebuild leaves the record as it is, and with
it the whole tree clean. It belongs to a result by that result's digest; a record of another result
counts as none.
"""

import subprocess
from typing import Any, Literal

from benchmark.core.files import read_json, write_json
from benchmark.core.hashing import ROOT, json_digest
from benchmark.core.paths import Run
from benchmark.evaluation.provenance import evaluation_digest
from benchmark.training.checkpoints import MANIFEST, training_origin
from data.errors import InputError

Part = Literal["training", "evaluation"]
Version = dict[str, Any]
"""`commit` and `dirty`."""
CODE = ("benchmark", "models", "data", "requirements.lock")
"""What a change of makes the code another than that of the commit."""


def code_version() -> Version:
    """Return the commit of the checkout and whether its code differs from it; None: unknown."""
    top, commit = _git("rev-parse", "--show-toplevel"), _git("rev-parse", "HEAD")
    # The checkout may lie, without a repository of its own, within another project's.
    if top is None or commit is None or not ROOT.samefile(top):
        return {"commit": None, "dirty": None}
    changes = _git("status", "--porcelain", "--untracked-files=all", "--", *CODE)
    return {"commit": commit, "dirty": changes != ""}


def record_training(run: Run, criterion: str, version: Version) -> None:
    """Note the version that has trained a run, unless these weights had been made before."""
    manifest = read_json(run.checkpoints / MANIFEST, "python -m benchmark train")
    _record(run, "training", json_digest(training_origin(manifest, criterion)), version)


def record_evaluation(run: Run, version: Version) -> None:
    """Note the version that has scored a run, unless it had got these scores before."""
    _record(run, "evaluation", evaluation_digest(run.provenance, run.scores), version)


def _record(run: Run, part: Part, result_sha256: str, version: Version) -> None:
    known = _known(run)
    before = known.get(part)
    if not isinstance(before, dict) or before.get("result_sha256") != result_sha256:
        write_json(run.version, known | {part: version | {"result_sha256": result_sha256}})


def _known(run: Run) -> dict[str, Any]:
    """Return what is recorded of a run; a damaged record counts as none."""
    try:
        content = read_json(run.version, "python -m benchmark train")
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


def _git(*arguments: str) -> str | None:
    """Return what a git command prints; None without git or a repository."""
    try:
        done = subprocess.run(
            # Without locks, so that no commit that is made meanwhile is in the way.
            ["git", "--no-optional-locks", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
