"""Whole clusters in one process, on virtual time: the real domain code of storage nodes under thousands of fault schedules.

After FoundationDB's simulation (W. Wilson, "Testing Distributed Systems w/ Deterministic Simulation", Strange Loop 2014).
Run one schedule again with `make simulate SEED=…`: the same seed gives the same run.
"""
