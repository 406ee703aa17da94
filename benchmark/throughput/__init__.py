"""What the code costs: networks, steps, data and metrics timed, and slowdowns refused."""
