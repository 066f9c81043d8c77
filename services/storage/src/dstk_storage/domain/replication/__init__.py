"""Primary-backup replication of partitions, as in PacificA (docs/replication.md has the protocol and its invariants).

W. Lin et al., "PacificA: Replication in Log-Based Distributed Storage Systems" (2008). Nothing here knows gRPC, etcd or
LevelDB.
"""
