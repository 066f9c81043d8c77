"""The storage node: durable partitions on LevelDB behind gRPC."""

import dstk_service as dstk_service

__version__ = "0.1.0"
