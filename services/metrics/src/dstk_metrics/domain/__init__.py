"""What the service decides: no gRPC, no protobuf, no etcd, no database, no clock of its own."""
