"""Our scores in the units of each source."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.claims.protocols import LIGHTNING_BATCH, LOCPAINT_BATCH, PROTOCOLS, Figures, Protocol
from benchmark.core.text import csv_text, number
from benchmark.evaluation.results import Results
from benchmark.metrics import PROTOCOL
from benchmark.metrics.registry import ARROWS
from benchmark.reporting.blocks import Block, Details, Section, Text, simple_table
from benchmark.reporting.dialect import with_code
from benchmark.reporting.suite_report import SuiteReport
from benchmark.reporting.tables import kind_of

EXPLANATION = (
    f"The scores above, counted as three sources count theirs; never to be mixed with those of "
    f"protocol {PROTOCOL}. `locpaint`: twelve times the MSE of the hole, PSNR (∞ as 100 dB) and "
    "SSIM (7 x 7 windows of equal weights) of the whole image, means of the means of batches of "
    f"{LOCPAINT_BATCH}. `pathak`: of the hole alone, means over images. `lightning_report`: PSNR "
    f"of the holes of a batch of {LIGHTNING_BATCH} together, mean over batches. What they leave "
    "open is in [docs/protocols.md](../docs/protocols.md)."
)
TITLE = "In the units of the sources"
HEADS = (
    "method",
    *(f"{name}: {c.name} {ARROWS[c.better]}" for name, e in PROTOCOLS.items() for c in e.columns),
)


def section(suite: SuiteReport) -> Section:
    """Return our scores as each source counts them, folded."""
    results = suite.results
    translated = translate(results)
    rows = [
        [method, *(cell for name in PROTOCOLS for cell in cells(name, figures[name]).values())]
        for method, figures in translated.items()
    ]
    blocks: list[Block] = [
        Text(EXPLANATION, "notes"),
        simple_table(TITLE, HEADS, rows),
        *(Text(f"— {with_code(note)}", "notes") for note in _gaps(results, translated)),
    ]
    return Section("", [Details(TITLE, blocks)])


def protocol_csv(results: Results) -> str:
    """Return our scores in each source's units as CSV; empty where one is missing."""
    heads = [f"{name}_{c.name}" for name, e in PROTOCOLS.items() for c in e.columns]
    rows: list[list[str | float]] = [
        [method, kind_of(results, method), *(v for name in PROTOCOLS for v in found[name].values())]
        for method, found in translate(results).items()
    ]
    return csv_text([["method", "kind", *heads], *rows], decimals=6)


def translate(results: Results) -> dict[str, dict[str, Figures]]:
    """Return the figures of each method and protocol, those of several seeds averaged."""
    tables: dict[str, list[pd.DataFrame]] = {method: [] for method in results.methods}
    for (method, _), part in results.frame.groupby(["method", "seed"], sort=True):
        tables[str(method)].append(part)
    return {
        method: {name: _of_seeds(parts, e) for name, e in PROTOCOLS.items()}
        for method, parts in tables.items()
    }


def _of_seeds(tables: Sequence[pd.DataFrame], protocol: Protocol) -> Figures:
    """Return the means of figures over score tables of one seed each."""
    found = [protocol.compute(table) for table in tables]
    return {c.name: float(np.mean([part[c.name] for part in found])) for c in protocol.columns}


def cells(name: str, figures: Mapping[str, float]) -> dict[str, str]:
    """Return the figures of a protocol as printed, those that there are."""
    columns = PROTOCOLS[name].columns
    return {c.name: number(figures[c.name], c.decimals) for c in columns if c.name in figures}


def _gaps(results: Results, translated: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """Say why figures are missing."""
    notes = []
    for name, protocol in PROTOCOLS.items():
        for figure, metric in protocol.needs.items():
            if any(math.isnan(figures[name][figure]) for figures in translated.values()):
                reason = results.missing.get(metric, f"a score table has no value of `{metric}`")
                notes.append(f"{name}: {figure}: {reason}")
    return notes
