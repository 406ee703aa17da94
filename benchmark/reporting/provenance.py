"""The table of where runs come from: code, configuration, data and machine."""

from collections.abc import Mapping
from typing import Any

from benchmark.core.hashing import json_digest
from benchmark.core.text import escape_markdown, grid_markdown
from benchmark.evaluation.provenance import DIGITS, Origin, exactness, version_of

HEADS = (
    *("run", "class", "trained at", "scored at", "code", "configuration", "data", "weights"),
    "machines",
)


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
