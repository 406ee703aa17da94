"""The metric protocol `ib1`: pure functions from pixels to one number per image."""

from benchmark.metrics.perceptual import MetricUnavailable, fetch_weights
from benchmark.metrics.pixels import composite, known_mae_raw, quantize
from benchmark.metrics.registry import (
    METRICS,
    PROTOCOL,
    Metric,
    missing_metrics,
    score_images,
)

__all__ = [
    "METRICS",
    "PROTOCOL",
    "Metric",
    "MetricUnavailable",
    "composite",
    "fetch_weights",
    "known_mae_raw",
    "missing_metrics",
    "quantize",
    "score_images",
]
