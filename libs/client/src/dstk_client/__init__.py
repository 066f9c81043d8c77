"""Filled in by its module list."""
