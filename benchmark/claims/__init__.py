"""The authors' claims, tested with the results at hand."""
