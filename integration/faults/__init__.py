"""Faults of real processes under constant mixed load: nothing acknowledged may be lost, and pauses are measured."""
