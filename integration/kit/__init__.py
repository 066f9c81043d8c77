"""Helpers that the integration suites share."""
