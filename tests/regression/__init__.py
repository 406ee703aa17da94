"""Metrics of a pinned run."""
