"""The domain's ports on real things: feeds of nodes, the map in etcd, SQLite, Prometheus."""
