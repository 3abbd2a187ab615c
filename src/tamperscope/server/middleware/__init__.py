"""What happens to every request before and after its view: keys, limits, errors, logs and metrics."""
