"""gRPC in, domain calls, gRPC out."""
