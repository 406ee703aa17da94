"""Networks and what they are trained with."""
