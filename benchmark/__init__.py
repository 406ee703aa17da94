"""The harness: configuration, stages, metrics, statistics and the command line."""
