"""The storage node: durable partitions on LevelDB behind gRPC."""

__version__ = "0.1.0"
