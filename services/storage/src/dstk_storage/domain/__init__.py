"""Decisions of the storage node: no gRPC, no protobuf, no etcd, no LevelDB, no clock of its own."""
