"""Test-set scores: one row an image, their means, and what discriminators go by."""
