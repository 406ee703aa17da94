"""Generators: one module each, with a class `Generator`."""
