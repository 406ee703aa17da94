"""The report's table of where runs come from: code, configuration, data and machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.core.hashing import file_sha256, json_digest

DIGITS = 12
"""Of a digest, enough to tell any two apart."""


@dataclass(frozen=True)
class Origin:
    """What is known of where a run and its scores come from."""

    provenance: Mapping[str, Any]
    """Content of the file `Run.provenance`."""
    versions: Mapping[str, Any]
    """Content of the file `Run.version`; empty where there is none."""
    evaluation_sha256: str
    """Of the scores and where they come from, as they lie there; see `evaluation_digest`."""


def evaluation_digest(provenance: Path, scores: Path) -> str:
    """Return the digest of a run's scores, by which a version belongs to them.

    Args:
        provenance: the file `Run.provenance`; weights that were trained anew are scored anew.
        scores: the score_table.
    """
    return json_digest([file_sha256(provenance), file_sha256(scores)])


def exactness(provenance: Mapping[str, Any], deterministic: bool) -> str:
    """Return the class of what the same machine gives again: E0 on a CPU, E1 on a GPU, or `—`."""
    machines = (provenance.get("training", {}).get("environment"), provenance.get("evaluation"))
    if all((machine or {}).get("device") == "cpu" for machine in machines):
        return "E0"
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
