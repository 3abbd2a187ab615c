"""Training on synthesised forgeries. Needs the extra `train`."""
