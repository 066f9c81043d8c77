"""The compose stack as it is shipped, on real containers with addresses of their own, under load and faults."""
