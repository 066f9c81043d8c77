"""Trials of alerts about replication and failover."""

from collections.abc import Mapping

from dstk_observability.trials.kinds import Trial, becomes, gone, grows, jumps, on, on_node
from dstk_telemetry.registry.clients import MAP_REVISION
from dstk_telemetry.registry.replication import (
    DIFFERING,
    ELECTIONS,
    FAILOVERS,
    IN_SYNC_CHANGES,
    LAG_ENTRIES,
    LAG_SECONDS,
    QUARANTINED,
    SNAPSHOTS,
    UNDER_REPLICATED,
)

_NODE = {"instance": "storage-1"}
_FOLLOWER = {**_NODE, "peer": "storage-2"}

TRIALS: Mapping[str, Trial] = {
    "DstkPartitionsQuarantined": Trial([becomes(QUARANTINED, 1, **_NODE)], [on_node()], [[gone(QUARANTINED)]], step=15),
    "DstkReplicasDiffer": Trial([jumps(DIFFERING, 1, **_NODE)], [on_node()], [[gone(DIFFERING)]]),
    "DstkReplicaOutvoted": Trial(
        [jumps(IN_SYNC_CHANGES, 1, change="outvoted", **_NODE)],
        [on_node(change="outvoted")],
        [[grows(IN_SYNC_CHANGES, 1, change="evicted"), grows(IN_SYNC_CHANGES, 1, change="admitted")]],
    ),
    "DstkUnderReplicated": Trial([becomes(UNDER_REPLICATED, 2, **_NODE)], [on()], [[gone(UNDER_REPLICATED)]]),
    "DstkReplicationLags": Trial(
        [becomes(LAG_SECONDS, 3, **_FOLLOWER)], [on_node(peer="storage-2")], [[becomes(LAG_SECONDS, 0.4)]]
    ),
    "DstkFollowerFarBehind": Trial(
        [becomes(LAG_ENTRIES, 20000, **_FOLLOWER)], [on_node(peer="storage-2")], [[becomes(LAG_ENTRIES, 9000)]]
    ),
    "DstkReplicasFlap": Trial(
        [
            grows(IN_SYNC_CHANGES, 0.05, change="evicted", **_NODE),
            grows(IN_SYNC_CHANGES, 0.05, change="admitted", **_NODE),
        ],
        [on_node(change="evicted")],
        [
            [grows(IN_SYNC_CHANGES, 0.05, change="evicted")],
            [jumps(IN_SYNC_CHANGES, 6, change="evicted"), jumps(IN_SYNC_CHANGES, 6, change="admitted")],
        ],
        after=3,
    ),
    "DstkFailoversFrequent": Trial(
        [grows(FAILOVERS, 0.02, **_NODE)], [on()], [[jumps(FAILOVERS, 3)]], after=10, quiet=60
    ),
    "DstkElectionsUndecided": Trial(
        [grows(ELECTIONS, 0.2, result="lost")],
        [on()],
        [[grows(ELECTIONS, 0.2, result="lost"), grows(ELECTIONS, 0.01, result="won")]],
        step=30,
        after=1,
    ),
    "DstkSnapshotsFail": Trial(
        [grows(SNAPSHOTS, 0.05, result="given_up", **_NODE)],
        [on_node(result="given_up")],
        [[grows(SNAPSHOTS, 1, result="installed")]],
        after=1,
    ),
    "DstkMapStale": Trial(
        [grows(MAP_REVISION, 1), becomes(MAP_REVISION, 500, instance="router-1")],
        [on_node("router-1", "router")],
        [[grows(MAP_REVISION, 1)], [becomes(MAP_REVISION, 400)]],
        after=1,
    ),
}
