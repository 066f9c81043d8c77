"""What the suites have found over time: `make record` adds to results.jsonl, `make history` shows it."""
