"""More than one device or machine: one run on many, many runs on many, and choices among them."""
