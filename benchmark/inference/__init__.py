"""Trained models for use: fill the holes of photographs, export."""
