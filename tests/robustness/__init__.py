"""Faults of machines, files and users."""
