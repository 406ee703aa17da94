"""What discriminators go by, and what fillings depend on."""
