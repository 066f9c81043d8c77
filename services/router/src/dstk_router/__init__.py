"""The router: the gateway to the whole key space, for any gRPC client in any language."""

__version__ = "0.1.0"
