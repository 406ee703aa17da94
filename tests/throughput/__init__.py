"""Speed of the networks."""
