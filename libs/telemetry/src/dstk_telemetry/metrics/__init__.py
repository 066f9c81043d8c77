"""Prometheus' side of the registry: instruments, the observers that feed them, and the exposition."""
