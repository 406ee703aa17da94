"""Where a run and its scores come from: digests, machines, and which commit made them.

Which commit made a result is recorded beside it, by the result's digest, and is no output of a DVC
stage: the same bytes made again at a later commit are the same result, and leave the record.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from benchmark.core.files import read_json, write_json
from benchmark.core.hashing import file_sha256, json_digest
from benchmark.core.paths import SCRATCH, Run
from benchmark.core.portable import ANY_CPU
from benchmark.core.yaml_files import validate
from benchmark.training.checkpoints import read_manifest
from data.errors import InputError

DIGITS = 12
"""Of a digest, enough to tell any two apart."""


class _Environment(BaseModel):
    libraries: dict[str, str] = {}


class _Training(BaseModel):
    environment: _Environment = _Environment()


class Provenance(BaseModel):
    """What a file of provenance must have for the report, among other facts."""

    training: _Training
    evaluation: _Environment


class AnyTraining(BaseModel):
    """What any version says of a training: digests of what it came from, and the machine."""

    model_config = ConfigDict(extra="allow")

    environment: dict[str, Any] = {}

    @property
    def digests(self) -> Mapping[str, Any]:
        """Digests of code, settings, images and weights, as `data_sha256`."""
        return self.model_extra or {}


class AnyProvenance(BaseModel):
    """What any version says of where a run comes from; nothing where that is not known."""

    training: AnyTraining = AnyTraining()
    evaluation: dict[str, Any] = {}
    """The machine that scored it."""


class _Versions(BaseModel):
    """The same of a file of versions."""

    training: dict[str, Any] = {}
    evaluation: dict[str, Any] = {}


@dataclass(frozen=True)
class Origin:
    """What is known of where a run and its scores come from."""

    provenance: Mapping[str, Any]
    """Content of the file `Run.provenance`."""
    versions: Mapping[str, Any]
    """Content of the file `Run.version`; empty where there is none."""
    evaluation_sha256: str
    """Of the scores and where they come from, as they lie there; see `evaluation_digest`."""


def read_origin(provenance: Path, version: Path, scores: Path, made_by: str) -> Origin:
    """Read where a run comes from; versions are there only of what this command line has made.

    Raises:
        InputError: a file is missing or damaged.
    """
    content, versions = read_json(provenance, made_by), {}
    validate(Provenance, content, provenance)
    if version.is_file():
        versions = read_json(version, made_by)
        validate(_Versions, versions, version)
    return Origin(content, versions, evaluation_digest(provenance, scores))


def evaluation_digest(provenance: Path, scores: Path) -> str:
    """Return the digest of a run's scores, by which a version belongs to them.

    Args:
        provenance: the file `Run.provenance`; weights that were trained anew are scored anew.
        scores: the score table.
    """
    return json_digest([file_sha256(provenance), file_sha256(scores)])


def exactness(provenance: Mapping[str, Any], deterministic: bool) -> str:
    """Return the class of what is made again: P, E0 on a CPU, E1 on a GPU, or `—`."""
    found = (provenance.get("training", {}).get("environment"), provenance.get("evaluation"))
    machines = [machine or {} for machine in found]
    if all(machine.get("device") == "cpu" for machine in machines):
        return "P" if all(machine.get("cpu") == ANY_CPU for machine in machines) else "E0"
    return "E1" if deterministic else "—"


def version_of(records: Mapping[str, Any], part: str, result_sha256: str) -> str:
    """Say in a word which version made a result.

    Args:
        records: content of the file `Run.version`.
        part: `training` or `evaluation`.
        result_sha256: digest of the result: of the training's facts in the provenance, or
            `evaluation_digest`.

    Returns:
        The first 12 digits of the commit, with `+` where the code had changes; `not recorded` for a
        result of which the file does not speak.
    """
    record = records.get(part) or {}
    if record.get("result_sha256") != result_sha256 or not record.get("commit"):
        return "not recorded"
    return str(record["commit"])[:12] + ("+" if record.get("dirty") else "")


def record_training(run: Run, criterion: str, version: Mapping[str, Any]) -> None:
    """Note the version that has trained a run, unless these weights had been made before."""
    origin = read_manifest(run.checkpoints).origin(criterion)
    _record(run, "training", json_digest(origin), version)


def record_evaluation(run: Run, version: Mapping[str, Any]) -> None:
    """Note the version that has scored a run, unless it had got these scores before."""
    _record(run, "evaluation", evaluation_digest(run.provenance, run.scores), version)


def restore_records(runs: Iterable[Run]) -> None:
    """Put back the records of results that DVC has put back, so that nothing says otherwise."""
    for run in runs:
        with suppress(InputError):  # a result that is missing or damaged has no record
            origin = read_json(run.provenance, "python -m benchmark evaluate")
            _record(run, "training", json_digest(origin.get("training")))
            _record(run, "evaluation", evaluation_digest(run.provenance, run.scores))


def _record(
    run: Run,
    part: Literal["training", "evaluation"],
    result_sha256: str,
    version: Mapping[str, Any] | None = None,
) -> None:
    """Write the record of a result, unless it is there.

    A record belongs to a result and not to a run's name: that of another result is put aside, and
    taken back with it.

    Args:
        run: the run.
        part: of the record.
        result_sha256: digest of the result.
        version: which made it, if it was not made before; None leaves what is not known as it is.
    """
    known = _read_record(run.version)
    there = known.get(part, {}).get("result_sha256")
    if there == result_sha256:
        return
    aside = _read_record(_aside(run, part, result_sha256))
    if aside or version is not None:
        if there:
            write_json(_aside(run, part, str(there)), {part: known[part]})
        new = {part: {**(version or {}), "result_sha256": result_sha256}}
        write_json(run.version, known | (aside or new))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path, "python -m benchmark train")
        return validate(_Versions, content, path).model_dump(exclude_unset=True)
    except InputError:  # a damaged record counts as none
        return {}


def _aside(run: Run, part: str, result_sha256: str) -> Path:
    return SCRATCH / ".versions" / str(run) / f"{part}-{result_sha256[:16]}.json"
