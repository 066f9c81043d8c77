"""The metrics service as a process: at scale, and on clusters of processes."""
