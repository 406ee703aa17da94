"""Tests of evaluation/diagnostics."""
