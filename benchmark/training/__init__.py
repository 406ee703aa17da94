"""One training run: networks, batches, step, validation, checkpoints."""
