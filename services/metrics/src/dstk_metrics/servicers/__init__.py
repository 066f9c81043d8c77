"""gRPC services, about three lines for each call."""
