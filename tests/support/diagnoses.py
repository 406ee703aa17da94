"""Diagnoses of discriminators as they might have come out."""

from typing import Any

from benchmark.evaluation.probes import PROBES


def estimate(value: float, reach: float | None = 0.1) -> dict[str, float | None]:
    return {
        "value": value,
        "low": None if reach is None else value - reach,
        "high": None if reach is None else value + reach,
    }


def localizer(verdict: str = "content") -> dict[str, Any]:
    probes = {
        name: {"confidence": estimate(0.25), "iou": estimate(0.5), "auc": estimate(0.75)}
        for name in PROBES
    }
    probes["real"] = {"confidence": estimate(0.15, 0.05), "iou": estimate(0.33)}
    return {
        "predicts": "localization",
        "input": "completed",
        "trained": True,
        "probes": probes,
        "seam_reliance": {
            **estimate(-0.2),
            "measure": "iou",
            "seam_only": estimate(0.3),
            "seam_free": estimate(0.5),
            "verdict": verdict,
        },
    }


def binary(trained: bool = True) -> dict[str, Any]:
    entry: dict[str, Any] = {"predicts": "score", "input": "hole", "trained": trained}
    if trained:
        probes = {name: {"score": estimate(0.9), "auc": estimate(0.6)} for name in PROBES}
        probes["real"] = {"score": estimate(0.8)}
        entry["probes"] = probes
        entry["seam_reliance"] = {
            **estimate(0.004, 0.001),
            "measure": "1 - score",
            "seam_only": estimate(0.3),
            "seam_free": estimate(0.3),
            "verdict": "boundary",
        }
    return entry


def diagnosis(
    variant: str, seed: int = 0, suite: str = "photos", **discriminators: dict[str, Any]
) -> dict[str, Any]:
    return {
        "suite": suite,
        "variant": variant,
        "seed": seed,
        "epoch": 2,
        "images": 4,
        "discriminators": discriminators,
    }
