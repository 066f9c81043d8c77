"""The measurements of `python -m faults.measure`, one a module: each starts its own cluster and leaves nothing behind."""
