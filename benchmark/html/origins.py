"""Where the runs of a suite come from: code, configuration, data and machines."""

from collections.abc import Mapping
from typing import Any

from benchmark.code import json_digest
from benchmark.html.markup import Markup, element, plain_table
from benchmark.provenance import DIGITS, exactness, version_of
from benchmark.results import Results

HEADS = (
    *("run", "class", "trained at", "scored at", "code", "configuration", "data", "weights"),
    "machines",
)


def origins_table(results: Results) -> list[Markup]:
    """Return the table of origins of a suite's runs, and the machines below it."""
    machines: dict[str, int] = {}
    rows = []
    for (variant, seed), origin in results.origins.items():
        training = origin.provenance.get("training", {})
        places = training.get("environment", {}), origin.provenance.get("evaluation", {})
        numbers = [machines.setdefault(_machine(p), len(machines) + 1) for p in places]
        rows.append(
            [
                f"{variant}, seed {seed}",
                exactness(origin.provenance, results.suite.training.deterministic),
                version_of(origin.versions, "training", json_digest(training)),
                version_of(origin.versions, "evaluation", origin.evaluation_sha256),
                *(
                    str(training.get(f"{part}_sha256", "—"))[:DIGITS]
                    for part in ("code", "config", "data", "weights")
                ),
                " / ".join(str(number) for number in numbers),
            ]
        )
    table = plain_table("Where the runs come from", HEADS, rows, text_columns=len(HEADS))
    note = element("p", element("a", "What the classes are", href="#classes"), ". Machines:")
    return [table, note, element("ol", *(element("li", machine) for machine in machines))]


def _machine(environment: Mapping[str, Any]) -> str:
    libraries = environment.get("libraries", {})
    parts = [
        *(environment[key] for key in ("gpu", "driver") if key in environment),
        f"{environment.get('cpu', 'unknown CPU')}, {environment.get('cpu_capability', '?')}",
        f"{environment.get('threads', '?')} threads",
        f"{environment.get('system', '?')} {environment.get('machine', '?')}",
        f"Python {environment.get('python', '?')}",
        *(f"{name} {version}" for name, version in sorted(libraries.items())),
    ]
    return ", ".join(map(str, parts))
