"""What DSTK shows of itself: one registry of metrics, spans and log fields, and the observers that export them."""
