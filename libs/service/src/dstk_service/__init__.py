"""What every DSTK service does alike: settings, logs, errors, the gRPC server, start and stop."""
