"""Two versions of the results: what changed, what got worse, is a rebuild the same."""
