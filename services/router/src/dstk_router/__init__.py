"""Filled in."""
