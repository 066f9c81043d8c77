"""Who is in the cluster and what the partition map says: a port, its etcd adapter, an in-memory twin."""
