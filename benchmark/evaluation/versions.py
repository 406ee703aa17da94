"""Which version of the code made a result: the commit, and whether the code had changes.

The record lies beside the results and in git, but is no output of a DVC stage: the same bytes made
again at a later commit are the same result, so that a rebuild leaves the record as it is, and with
it the whole tree clean. It belongs to a result by that result's digest; a record of another result
counts as none.
"""

from typing import Any, Literal

from benchmark.core.files import read_json, write_json
from benchmark.core.hashing import json_digest
from benchmark.core.paths import Run
from benchmark.evaluation.provenance import evaluation_digest
from benchmark.training.checkpoints import MANIFEST, training_origin
from data.errors import InputError

Part = Literal["training", "evaluation"]
Version = dict[str, Any]
"""`commit` and `dirty`."""


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
