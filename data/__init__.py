"""Where images, masks and splits come from."""
