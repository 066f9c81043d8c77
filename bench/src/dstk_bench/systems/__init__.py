"""One module per measured system; its `start` yields the system ready for calls."""
