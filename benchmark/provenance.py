"""The report's table of where runs come from: code, configuration, data and machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.code import file_sha256, json_digest
from benchmark.tables import escape_markdown, grid_markdown

HEADS = (
    *("run", "class", "trained at", "scored at", "code", "configuration", "data", "weights"),
    "machines",
)
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
        scores: the ledger.
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


def provenance_section(origins: Mapping[tuple[str, int], Origin], deterministic: bool) -> str:
    """Return the table of origins of a suite's runs as Markdown, and the machines below it."""
    rows, machines = provenance_rows(origins, deterministic)
    lines = [f"{n}. {escape_markdown(machine)}" for n, machine in enumerate(machines, start=1)]
    return grid_markdown(HEADS, rows).strip() + "\n\n" + "\n".join(lines)


def provenance_rows(
    origins: Mapping[tuple[str, int], Origin], deterministic: bool
) -> tuple[list[list[str]], list[str]]:
    """Return a row of `HEADS` for each of a suite's runs, and the machines that they number from 1.

    Args:
        origins: by variant and seed.
        deterministic: whether the suite asks for deterministic algorithms.
    """
    machines: dict[str, str] = {}
    rows = []
    for (variant, seed), origin in origins.items():
        training = origin.provenance.get("training", {})
        scored_on = origin.provenance.get("evaluation", {})
        trained_on = training.get("environment", {})
        rows.append(
            [
                f"{variant}, seed {seed}",
                exactness(origin.provenance, deterministic),
                version_of(origin.versions, "training", json_digest(training)),
                version_of(origin.versions, "evaluation", origin.evaluation_sha256),
                *(_short(training, key) for key in ("code", "config", "data", "weights")),
                " / ".join(_number(facts, machines) for facts in (trained_on, scored_on)),
            ]
        )
    return rows, [*machines]


def _short(training: Mapping[str, Any], key: str) -> str:
    return str(training.get(f"{key}_sha256", "—"))[:DIGITS]


def _number(environment: Mapping[str, Any], machines: dict[str, str]) -> str:
    """Return the number of a machine in the list below the table."""
    return machines.setdefault(_machine(environment), str(len(machines) + 1))


def _machine(environment: Mapping[str, Any]) -> str:
    gpu = [environment[key] for key in ("gpu", "driver") if key in environment]
    libraries = environment.get("libraries", {})
    parts = [
        *gpu,
        f"{environment.get('cpu', 'unknown CPU')}, {environment.get('cpu_capability', '?')}",
        f"{environment.get('threads', '?')} threads",
        f"{environment.get('system', '?')} {environment.get('machine', '?')}",
        f"Python {environment.get('python', '?')}",
        *(f"{name} {version}" for name, version in sorted(libraries.items())),
    ]
    return ", ".join(map(str, parts))
