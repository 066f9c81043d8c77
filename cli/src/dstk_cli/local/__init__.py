"""A cluster on this machine: etcd, storage nodes and a router as supervised processes of one data directory."""
