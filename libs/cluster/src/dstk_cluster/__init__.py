"""The cluster's shared state: membership, partition map, election, settings. A port, its etcd adapter, its in-memory twin."""
