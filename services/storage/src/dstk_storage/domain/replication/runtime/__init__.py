"""The reactor: performs what the state machines of replication ask for. Nothing else in replication awaits."""
