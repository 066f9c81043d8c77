"""OpenTelemetry's side of traces: which are begun, which spans are kept, and how they get to a collector."""
