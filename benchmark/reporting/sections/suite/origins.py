"""Where the runs of a suite come from: code, configuration, data and machines."""

from collections.abc import Mapping
from typing import Any

from benchmark.core.hashing import json_digest
from benchmark.evaluation.provenance import DIGITS, Origin, exactness, version_of
from benchmark.reporting.blocks import Block, Details, Items, Section, Text, simple_table
from benchmark.reporting.dialect import plain
from benchmark.reporting.suite_report import SuiteReport

TITLE = "Where the runs come from"
HEADS = (
    *("run", "class", "trained at", "scored at", "code", "configuration", "data", "weights"),
    "machines",
)


def section(suite: SuiteReport) -> Section:
    """Return the table of origins of a suite's runs, and the machines below it, folded."""
    results = suite.results
    blocks = origins_table(results.origins, results.suite.training.deterministic)
    return Section("", [Details(TITLE, blocks)])


def origins_table(origins: Mapping[tuple[str, int], Origin], deterministic: bool) -> list[Block]:
    """Return a row for each of a suite's runs, and the machines that the rows number from 1.

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
    return [
        simple_table(TITLE, HEADS, rows, text_columns=len(HEADS)),
        Text("[What the classes are](#classes-of-runs). Machines:"),
        Items([plain(machine) for machine in machines], is_numbered=True),
    ]


def _short(training: Mapping[str, Any], key: str) -> str:
    return str(training.get(f"{key}_sha256", "—"))[:DIGITS]


def _number(environment: Mapping[str, Any], machines: dict[str, str]) -> str:
    """Return the number of a machine in the list below the table."""
    return machines.setdefault(_machine(environment), str(len(machines) + 1))


def _machine(environment: Mapping[str, Any]) -> str:
    gpu = [environment[key] for key in ("gpu", "driver") if key in environment]
    libraries = environment.get("libraries", {})
    shared = [f"{number} processes" for number in environment.get("processes", [])]
    parts = [
        *gpu,
        f"{environment.get('cpu', 'unknown CPU')}, {environment.get('cpu_capability', '?')}",
        f"{environment.get('threads', '?')} threads",
        *shared,
        f"{environment.get('system', '?')} {environment.get('machine', '?')}",
        f"Python {environment.get('python', '?')}",
        *(f"{name} {version}" for name, version in sorted(libraries.items())),
    ]
    return ", ".join(map(str, parts))
