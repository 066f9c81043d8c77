"""The router: the gateway to the whole key space, for any gRPC client in any language."""

import dstk_service as dstk_service

__version__ = "0.1.0"
