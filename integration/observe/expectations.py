"""Which panels tell a person that a fault has begun, and how: the test holds each against the quiet time before it."""

from collections.abc import Mapping
from enum import StrEnum

from dstk_observability.dashboards.model import Fault


class Change(StrEnum):
    """What becomes of the panel's values during the fault."""

    RISES = "its highest value is higher than in the quiet time"
    FALLS = "its lowest value is lower than in the quiet time"


Panel = tuple[str, str]
"""The dashboard's uid without its prefix, and the panel's title."""

RISES, FALLS = Change.RISES, Change.FALLS

EXPECTED: Mapping[Fault, Mapping[Panel, Change]] = {
    Fault.LEADER_MOVES: {
        ("partition", "Partitions"): RISES,
        ("partition", "Changes of the map"): RISES,
        ("replication", "Changes of the map"): RISES,
    },
    Fault.RANGE_DELETED: {
        ("node", "Records to disk"): RISES,
        ("node", "Bytes to disk"): RISES,
        ("node", "Bytes of removed records"): RISES,
        ("node", "Bytes given back"): RISES,
        ("node", "Time to give bytes back, p90"): RISES,
        ("metrics", "Partitions that move most bytes"): RISES,
        ("partition", "Operations of the cluster"): RISES,
    },
    Fault.DISK_SLOW: {
        ("overview", "Execute"): RISES,
        ("overview", "Oldest engine write"): RISES,
        ("overview", "Replication lag"): RISES,
        ("node", "Engine write with fsync"): RISES,
        ("node", "Wait for the disk, p99"): RISES,
        ("node", "Oldest engine write"): RISES,
        ("replication", "Lag in time"): RISES,
        ("slo", "Share that is slow"): RISES,
        ("metrics", "Partitions that take most time"): RISES,
    },
    Fault.NODE_REPLACED: {
        ("replication", "Snapshots"): RISES,
        ("replication", "Bytes in snapshots"): RISES,
        ("replication", "Time to send a snapshot, p90"): RISES,
        ("replication", "Changes of in-sync sets"): RISES,
        ("replication", "Under-replicated, by primary"): RISES,
        ("node", "Damage"): RISES,
    },
    Fault.ETCD_DOWN: {
        ("etcd", "Members that answer"): FALLS,
        ("etcd", "Map not watched"): RISES,
        ("etcd", "Watch broken for"): RISES,
        ("etcd", "Watches broken"): RISES,
        ("etcd", "Requests that failed"): RISES,
        ("etcd", "Oldest registration"): RISES,
        ("etcd", "Registration renewed ago"): RISES,
        ("overview", "Map not watched"): RISES,
        ("clients", "Map not watched"): RISES,
        ("overview", "Processes"): FALLS,
    },
    Fault.NODE_KILLED: {
        ("overview", "Storage nodes that answer"): FALLS,
        ("overview", "Under-replicated"): RISES,
        ("overview", "Processes"): FALLS,
        ("overview", "Failovers and in-sync changes"): RISES,
        ("replication", "Storage nodes that answer"): FALLS,
        ("replication", "Failovers"): RISES,
        ("replication", "Elections"): RISES,
        ("replication", "Changes of in-sync sets"): RISES,
        ("replication", "Under-replicated, by primary"): RISES,
        ("partition", "Primaries by node"): RISES,
        ("clients", "Attempts repeated"): RISES,
        ("clients", "Attempts repeated, by reason"): RISES,
        ("runtime", "Processes"): FALLS,
        ("metrics", "Last update of each node"): RISES,
        ("metrics", "Open streams"): RISES,
    },
}
