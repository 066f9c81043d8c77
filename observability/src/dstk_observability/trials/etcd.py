"""Trials of alerts about etcd."""

from collections.abc import Mapping

from dstk_observability.external import (
    ETCD_BACKEND_COMMIT,
    ETCD_DATABASE_BYTES,
    ETCD_HAS_LEADER,
    ETCD_LEADER_CHANGES,
    ETCD_PEER_ROUND_TRIP,
    ETCD_PROPOSALS_FAILED,
    ETCD_PROPOSALS_PENDING,
    ETCD_WAL_FSYNC,
    UP,
)
from dstk_observability.trials.kinds import Trial, becomes, gone, grows, jumps, on, on_node, takes
from dstk_telemetry.registry.clients import ETCD_REQUESTS, ETCD_SECONDS, ETCD_WATCH_RESTARTS, LEASE_AGE, MAP_AGE

GIB = 1 << 30
_MEMBER = {"instance": "etcd-1"}
_AT_MEMBER = on_node("etcd-1", "etcd")
_NODE = {"instance": "storage-1"}

TRIALS: Mapping[str, Trial] = {
    "DstkEtcdNoQuorum": Trial(
        [becomes(UP, 0, instance="etcd-1"), becomes(UP, 0, instance="etcd-2")],
        [on()],
        [[becomes(UP, 0, instance="etcd-1")], [becomes(UP, 0, job="storage")]],
        step=15,
    ),
    "DstkEtcdNoLeader": Trial(
        [becomes(ETCD_HAS_LEADER, 0, **_MEMBER)], [_AT_MEMBER], [[gone(ETCD_HAS_LEADER)]], step=15
    ),
    "DstkEtcdUnreachable": Trial(
        [grows(ETCD_REQUESTS, 5, result="failed", **_NODE)],
        [on(**_NODE)],
        [[grows(ETCD_REQUESTS, 0.5, result="failed")], [gone(ETCD_REQUESTS)]],
        step=15,
    ),
    "DstkEtcdSpaceLow": Trial(
        [becomes(ETCD_DATABASE_BYTES, 1.9 * GIB, **_MEMBER)], [_AT_MEMBER], [[becomes(ETCD_DATABASE_BYTES, 1.7 * GIB)]]
    ),
    "DstkEtcdSpaceGrows": Trial(
        [grows(ETCD_DATABASE_BYTES, 60e3, **_MEMBER)],
        [_AT_MEMBER],
        [[grows(ETCD_DATABASE_BYTES, 1e3, **_MEMBER)]],
        after=9,
        step=600,
    ),
    "DstkEtcdMemberDown": Trial([becomes(UP, 0, **_MEMBER)], [_AT_MEMBER], [[becomes(UP, 0, job="storage")]]),
    "DstkEtcdLeaderChanges": Trial(
        [grows(ETCD_LEADER_CHANGES, 0.01)], [on()], [[jumps(ETCD_LEADER_CHANGES, 2)]], after=6
    ),
    "DstkEtcdProposalsFail": Trial(
        [grows(ETCD_PROPOSALS_FAILED, 20, **_MEMBER)], [_AT_MEMBER], [[grows(ETCD_PROPOSALS_FAILED, 4)]], after=3
    ),
    "DstkEtcdProposalsWait": Trial(
        [becomes(ETCD_PROPOSALS_PENDING, 200, **_MEMBER)], [_AT_MEMBER], [[becomes(ETCD_PROPOSALS_PENDING, 90)]]
    ),
    "DstkEtcdFsyncSlow": Trial(
        [takes(ETCD_WAL_FSYNC, 0.9, **_MEMBER)], [on(**_MEMBER)], [[takes(ETCD_WAL_FSYNC, 0.2)]]
    ),
    "DstkEtcdCommitSlow": Trial(
        [takes(ETCD_BACKEND_COMMIT, 0.4, **_MEMBER)], [on(**_MEMBER)], [[takes(ETCD_BACKEND_COMMIT, 0.1)]]
    ),
    "DstkEtcdPeerSlow": Trial(
        [takes(ETCD_PEER_ROUND_TRIP, 0.4, To="etcd-2", **_MEMBER)],
        [on(**_MEMBER, To="etcd-2")],
        [[takes(ETCD_PEER_ROUND_TRIP, 0.09)]],
    ),
    "DstkEtcdRequestsSlow": Trial(
        [takes(ETCD_SECONDS, 0.9, job="storage", request="transaction")],
        [on(job="storage", request="transaction")],
        [[takes(ETCD_SECONDS, 0.4)]],
    ),
    "DstkEtcdWatchRestarts": Trial(
        [grows(ETCD_WATCH_RESTARTS, 0.05, **_NODE)], [on_node()], [[jumps(ETCD_WATCH_RESTARTS, 8)]], after=3
    ),
    "DstkEtcdWatchSilent": Trial([becomes(MAP_AGE, 40, **_NODE)], [on_node()], [[becomes(MAP_AGE, 25)]], step=15),
    "DstkLeaseStale": Trial([becomes(LEASE_AGE, 7, **_NODE)], [on_node()], [[becomes(LEASE_AGE, 4)]], step=15),
}
