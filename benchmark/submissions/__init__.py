"""Anybody's completed images: scored, and looked through for mistakes."""
