"""A cluster on this machine: etcd, storage nodes, a router, the metrics service, supervised and with one data directory."""
