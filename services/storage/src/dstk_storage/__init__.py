"""The storage node: durable partitions on LevelDB behind gRPC."""
