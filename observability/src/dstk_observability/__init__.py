"""Generates what operators use from the registry of metrics. A tool for development: no node needs it."""
