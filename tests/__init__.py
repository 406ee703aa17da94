"""Tests: one file a module, and contract tests over everything that the folders list."""
