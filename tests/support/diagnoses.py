"""Diagnoses of discriminators as they might have come out."""

from typing import Any

from benchmark.evaluation.diagnostics.probes import PROBES

IMAGES = 4
EARLIER_PROBES = ("real", "blur_3", "completed", "seam_only", "seam_free")


def estimate(value: float, reach: float | None = 0.1) -> dict[str, float | None]:
    return {
        "value": value,
        "low": None if reach is None else value - reach,
        "high": None if reach is None else value + reach,
    }


def cells(*found: float) -> dict[str, Any]:
    """Return what is found in the four cells, a little more in every image than in the last."""
    names = ("real", "seam_only", "seam_free", "completed")
    values = {
        name: [round(value * (1 + image / 100), 4) for image in range(IMAGES)]
        for name, value in zip(names, found, strict=True)
    }
    return values | {"gradient_error_correlation": [0.125, 0.25, 0.375, None]}


def localizer(verdict: str = "content") -> dict[str, Any]:
    probes = {
        name: {"confidence": estimate(0.25), "iou": estimate(0.5), "auc": estimate(0.75)}
        for name in PROBES
    }
    probes["real"] = {"confidence": estimate(0.15, 0.05), "iou": estimate(0.33)}
    values = cells(0.3, 0.8, 0.3, 0.9) if verdict == "boundary" else cells(0.3, 0.3, 0.5, 0.6)
    return {
        "predicts": "localization",
        "input": "completed",
        "trained": True,
        "probes": probes,
        "effects": {
            "measure": "iou",
            "seam": estimate(0.05),
            "content": estimate(0.25),
            "difference": estimate(-0.2),
            "verdict": verdict,
        },
        "per_image": values,
        "gradient_error_correlation": {**estimate(0.25), "images": 3},
    }


def binary(trained: bool = True, seen: str = "hole") -> dict[str, Any]:
    entry: dict[str, Any] = {"predicts": "score", "input": seen, "trained": trained}
    if trained:
        probes = {name: {"score": estimate(0.9), "auc": estimate(0.6)} for name in PROBES}
        probes["real"] = {"score": estimate(0.8)}
        entry["probes"] = probes
        entry["effects"] = {"measure": "auc", "content": estimate(0.6), "verdict": "content"}
        if seen != "hole":
            both = {"seam": estimate(0.8), "difference": estimate(0.2)}
            entry["effects"] |= both | {"verdict": "boundary"}
        entry["per_image"] = cells(-1, -0.5, 0.5, 1)
    return entry


def earlier() -> dict[str, Any]:
    """Return what versions kept that had fewer probes and nothing per image."""
    kept = localizer()
    return {
        **{key: kept[key] for key in ("predicts", "input", "trained")},
        "probes": {name: kept["probes"][name] for name in EARLIER_PROBES},
        "seam_reliance": {**estimate(-0.2), "verdict": "content"},
    }


def diagnosis(
    variant: str, seed: int = 0, suite: str = "photos", **discriminators: dict[str, Any]
) -> dict[str, Any]:
    return {
        "suite": suite,
        "variant": variant,
        "seed": seed,
        "epoch": 2,
        "images": IMAGES,
        "discriminators": discriminators,
    }
