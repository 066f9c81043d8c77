"""Commands that show what the metrics service knows: load, sizes, where to cut a range, the heat map."""
