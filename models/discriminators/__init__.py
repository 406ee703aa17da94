"""Discriminators: one module each, with a class `Discriminator`."""
