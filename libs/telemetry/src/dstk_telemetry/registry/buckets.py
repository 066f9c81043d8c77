"""The buckets of histograms. Few: each is a time series for every combination of labels."""

CALL_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From a read in memory to the deadline of a patient caller. 0.05 and 0.25 are the latency objectives."""

DISK_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 4.0, 16.0)
"""From an fsync of an NVMe disk to one that hangs."""

LOOP_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""How late a timer of the event loop may be. A lease is lost beyond a second."""

LONG_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)
"""Work in the background: snapshots, recounts, comparisons, backups."""

BATCH = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)
"""How many travel together."""
