"""What the score command shows and keeps: the score table, the images' names, means and a table."""

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from benchmark.core.files import write_json, write_text
from benchmark.core.text import text_cell
from benchmark.evaluation.score_table import (
    Summary,
    aggregate,
    aggregate_by_area,
    aggregate_by_label,
    read_score_table,
    write_score_table,
)
from benchmark.inference.pairing import check_apart, listed
from benchmark.metrics import METRICS, PROTOCOL, missing_metrics
from benchmark.metrics.registry import ARROWS
from benchmark.submissions.score import Scores
from benchmark.submissions.submission import Submission
from data.errors import InputError, printable

REFERENCE = "telea"
"""Skill is measured against it."""
SCORES, METRICS_FILE, IMAGES = "scores.csv", "metrics.json", "images.csv"


def metrics_content(scores: Scores) -> dict[str, Any]:
    """Return the means of the score table as it is written, with all that is needed to read them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / SCORES
        write_score_table(path, scores.score_table)
        score_table = read_score_table(path)
    missing = missing_metrics()
    pixels = _image_px(scores, score_table)
    methods = aggregate(score_table, pixels, missing)
    content: dict[str, Any] = {
        "protocol": PROTOCOL,
        "methods": methods,
        "by_label": aggregate_by_label(score_table, pixels, missing),
        "by_area": aggregate_by_area(score_table, pixels, missing),
        "missing": missing,
        "findings": [finding.as_json() for finding in scores.findings],
    }
    if REFERENCE in methods:
        reference = methods[REFERENCE]["mse_h"]["mean"]
        content["skill"] = {
            name: _skill(summaries["mse_h"]["mean"], reference)
            for name, summaries in methods.items()
        }
    return content


def _skill(error: Any, reference: Any) -> float | None:
    """Return the share of the reference's squared error that a method avoids."""
    return 1 - error / reference if reference else None


def _image_px(scores: Scores, score_table: pd.DataFrame) -> pd.Series:
    """Return the pixels of each row's image, where sizes may differ."""
    sizes = scores.images.drop_duplicates("image").set_index("image")
    return score_table["image"].map(sizes["height"] * sizes["width"])


def check_out(out: Path, submission: Submission, overwrite: bool) -> None:
    """Refuse a folder of results that cannot be right, before the work.

    Raises:
        InputError: it lies among what is read, or has results already.
    """
    for folder in submission.folders().values():
        check_apart(folder, out)
    there = [out / name for name in (SCORES, METRICS_FILE, IMAGES) if (out / name).exists()]
    if there and not overwrite:
        raise InputError(f"already there: {listed(there)}; --overwrite replaces what is there")


def write_scores(out: Path, scores: Scores, content: dict[str, Any]) -> None:
    """Write score table, names and means (see `metrics_content`); equal scores give equal bytes."""
    write_score_table(out / SCORES, scores.score_table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(scores.images.columns)
    for name, *rest in scores.images.itertuples(index=False):
        writer.writerow([text_cell(str(name)), *rest])
    write_text(out / IMAGES, text.getvalue())
    write_json(out / METRICS_FILE, content)


def scores_table(content: dict[str, Any]) -> str:
    """Return the means as aligned text, a line for each metric and a column for each method."""
    methods = content["methods"]
    first = next(iter(methods.values()))
    heads = ["metric", *methods, "sd", "N", "infinite"]
    lines = [heads, *([_label(n), *_cells(n, methods), *_counts(first[n])] for n in first)]
    if "skill" in content:
        values = [f"{v:.4f}" if v is not None else "-" for v in content["skill"].values()]
        lines.append([f"skill against {REFERENCE} \u2191", *values, "", "", ""])
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    rows = [
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    ]
    notes = [f"{name}: missing, as {reason}" for name, reason in content["missing"].items()]
    heading = f"Protocol {content['protocol']}; means over images; sd, N and infinite PSNR of "
    return "\n".join([heading + next(iter(methods)), *rows, *map(printable, notes)]) + "\n"


def _label(name: str) -> str:
    metric = METRICS[name]
    return (
        f"{name} [{metric.unit}] {ARROWS[metric.better]}"
        if metric.unit
        else (f"{name} {ARROWS[metric.better]}")
    )


def _cells(name: str, methods: dict[str, dict[str, Summary]]) -> list[str]:
    return [_number(summaries[name]["mean"]) for summaries in methods.values()]


def _counts(summary: Summary) -> list[str]:
    return [_number(summary["sd"]), str(summary["n"]), str(summary["infinite"] or "")]


def _number(value: Any) -> str:
    return "missing" if value is None else f"{value:.5g}"
