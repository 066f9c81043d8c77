"""One module per system that is measured; each has a `start` that yields what is ready to be driven."""
