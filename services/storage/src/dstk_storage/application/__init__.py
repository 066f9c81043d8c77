"""What a node does for its callers beyond data: operators' calls, the controller, joining a cluster. No gRPC, no adapters."""
