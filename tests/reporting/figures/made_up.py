"""Charts of made-up data; `python -m tests.reporting.figures.made_up FOLDER` writes them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.evaluation.diagnostics.probes import PROBES
from benchmark.reporting.figures.costs import Priced, cost_svg
from benchmark.reporting.figures.curves import curves_svg
from benchmark.reporting.figures.forest import forest_svg
from benchmark.reporting.figures.probes import Judged, probes_svg
from benchmark.reporting.figures.style import styles_of
from tests.support.comparisons import comparison

NAMES = ("l2", "binary", "localizer", "staged")
BASELINES = {"mean_color": 0.06, "telea": 0.0305, "navier_stokes": 0.031, "biharmonic": 0.04}


def epochs(first: float, count: int = 40) -> pd.DataFrame:
    """Return a table of epochs whose errors fall from a value, with some noise."""
    epoch = np.arange(1, count + 1)
    noise = 1 + 0.05 * np.random.default_rng(int(1e6 * first)).standard_normal(count)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "validation/mse_h": first * noise / (3 + epoch),
            "loss": 10 ** (-epoch / 15),
        }
    )


def answers(level: float) -> dict[str, Any]:
    """Return a discriminator's part of a diagnosis."""
    probes = {}
    for i, name in enumerate(PROBES):
        value = min(level + 0.03 * i, 1)
        ends = {"low": value - 0.1, "high": min(value + 0.1, 1)} if i % 4 else {}
        probes[name] = {"auc": {"value": value, "low": None, "high": None, **ends}}
    return {"probes": probes}


def charts(names: Sequence[str] = NAMES) -> dict[str, str]:
    """Return a chart of each kind."""
    styles = styles_of(names)
    curves = {(n, s): epochs(0.3 + 0.1 * i + 0.02 * s) for i, n in enumerate(names) for s in (0, 1)}
    against, between = [], []
    for i, name in enumerate(names):
        for j, other in enumerate(BASELINES):
            low = 0.002 * i + 0.001 * j - 0.005
            against.append(comparison(name, other, low, low + 0.0024, covers_seeds=i != 1))
        for j, other in enumerate(names):
            low = 0.0012 * (i - j) - 0.0009
            between += [comparison(name, other, low, low + 0.0018, "ssim_h")] if i != j else []
    priced = [
        Priced(n, 0.3 + 0.4 * i, 0.03 - 0.002 * i, 0.028 - 0.002 * i, 0.033 - 0.002 * i)
        for i, n in enumerate(names)
    ]
    judged = [Judged(f"{n}: local", n, answers(0.45 + 0.05 * i)) for i, n in enumerate(names)]
    judged.append(Judged(f"{names[-1]}: global", names[-1], answers(0.5)))
    made = {
        "curves": curves_svg("Curves", curves, "validation/mse_h", styles),
        "losses": curves_svg("Losses", curves, "loss", styles),
        "against": forest_svg("Against the baselines", against, styles, "mse_h"),
        "between": forest_svg("Between the variants", between, styles, "ssim_h"),
        "costs": cost_svg("Costs", "GFLOP of the generator", "mse_h", priced, BASELINES, styles),
        "probes": probes_svg("Probes", judged, styles),
    }
    return {name: svg for name, svg in made.items() if svg is not None}


if __name__ == "__main__":
    for name, svg in charts().items():
        Path(sys.argv[1], f"{name}.svg").write_text(svg, encoding="utf-8")
