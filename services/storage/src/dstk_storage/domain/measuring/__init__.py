"""Measures how many records and bytes a range has, and where they lie, without reading all of it."""
