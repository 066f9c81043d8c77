"""etcd, as its members and as the services see it. etcd counts watches that end as failed calls, so these are left out."""

from dstk_observability.alerts.kinds import Group, page, ticket
from dstk_observability.external import (
    ETCD,
    ETCD_BACKEND_COMMIT,
    ETCD_DATABASE_BYTES,
    ETCD_HAS_LEADER,
    ETCD_LEADER_CHANGES,
    ETCD_PEER_ROUND_TRIP,
    ETCD_PROPOSALS_FAILED,
    ETCD_PROPOSALS_PENDING,
    ETCD_QUOTA_BYTES,
    ETCD_WAL_FSYNC,
    UP,
)
from dstk_observability.promql import increase, now, predicted, rate, slower
from dstk_telemetry.registry.clients import ETCD_REQUESTS, ETCD_SECONDS, ETCD_WATCH_RESTARTS, LEASE_AGE, MAP_AGE

HOUR = 3600
_WHO = "{{ $labels.instance }}"

GROUP = Group(
    "etcd",
    "etcd",
    [
        page(
            "DstkEtcdNoQuorum",
            "1m",
            (now(UP, job=ETCD).sum_by("cluster") / now(UP, job=ETCD).count_by("cluster")).at_most(0.5),
            "{{ $value | humanizePercentage }} of etcd's members are up: they have no majority",
            "Reads and writes of records go on. No partition can fail over, and the map cannot change.",
        ),
        page(
            "DstkEtcdNoLeader",
            "1m",
            now(ETCD_HAS_LEADER).equals(0),
            f"etcd's member {_WHO} has no leader",
            "Reads and writes of records go on. No partition can fail over, and the map cannot change.",
        ),
        page(
            "DstkEtcdUnreachable",
            "1m",
            (
                rate(ETCD_REQUESTS, "1m", result="failed").sum_by("cluster", "instance")
                / rate(ETCD_REQUESTS, "1m").sum_by("cluster", "instance")
            ).above(0.5),
            f"{{{{ $value | humanizePercentage }}}} of {_WHO}'s requests to etcd fail",
            "The process serves what it has. It takes part in no failover and no change of the map.",
        ),
        page(
            "DstkEtcdSpaceLow",
            "10m",
            (now(ETCD_DATABASE_BYTES) / now(ETCD_QUOTA_BYTES)).above(0.9),
            f"etcd's member {_WHO} has used {{{{ $value | humanizePercentage }}}} of its quota",
            "At its quota etcd refuses all changes until it is compacted and defragmented.",
        ),
        ticket(
            "DstkEtcdSpaceGrows",
            "30m",
            predicted(ETCD_DATABASE_BYTES, "4h", 24 * HOUR).above(now(ETCD_QUOTA_BYTES)),
            f"etcd's member {_WHO} reaches its quota within a day",
            "Its history may not be compacted, or something else writes to it.",
        ),
        ticket(
            "DstkEtcdMemberDown",
            "3m",
            now(UP, job=ETCD).equals(0),
            f"etcd's member {_WHO} is down",
            "The others go on while they are a majority.",
        ),
        ticket(
            "DstkEtcdLeaderChanges",
            "5m",
            increase(ETCD_LEADER_CHANGES, "15m").max_by("cluster").at_least(4),
            "etcd changed its leader {{ $value | humanize }} times within a quarter of an hour",
            "Its members' disks or network are slow, or they lack CPU.",
        ),
        ticket(
            "DstkEtcdProposalsFail",
            "15m",
            rate(ETCD_PROPOSALS_FAILED, "15m").above(5),
            f"etcd's member {_WHO} fails {{{{ $value | humanize }}}} proposals a second",
            "Its leader changes, or has no majority.",
        ),
        ticket(
            "DstkEtcdProposalsWait",
            "15m",
            now(ETCD_PROPOSALS_PENDING).above(100),
            f"{{{{ $value }}}} proposals wait at etcd's member {_WHO}",
            "Members write too slowly for what is asked of them.",
        ),
        ticket(
            "DstkEtcdFsyncSlow",
            "10m",
            slower(0.512, ETCD_WAL_FSYNC, "5m", "cluster", "instance"),
            f"One in a hundred fsyncs of etcd's member {_WHO} takes {{{{ $value | humanizeDuration }}}}",
            "Failovers and changes of the map take as long. Beyond a second etcd loses its leader.",
        ),
        ticket(
            "DstkEtcdCommitSlow",
            "10m",
            slower(0.256, ETCD_BACKEND_COMMIT, "5m", "cluster", "instance"),
            f"One in a hundred commits of etcd's member {_WHO} takes {{{{ $value | humanizeDuration }}}}",
            "Its disk is slow, or its database is large.",
        ),
        ticket(
            "DstkEtcdPeerSlow",
            "10m",
            slower(0.2048, ETCD_PEER_ROUND_TRIP, "5m", "cluster", "instance", "To"),
            f"Messages from etcd's member {_WHO} to another take {{{{ $value | humanizeDuration }}}}",
            "The network between them, or the other member ({{ $labels.To }}), is slow.",
        ),
        ticket(
            "DstkEtcdRequestsSlow",
            "10m",
            slower(0.5, ETCD_SECONDS, "5m", "cluster", "job", "request"),
            "One in a hundred {{ $labels.request }} requests to etcd takes {{ $value | humanizeDuration }}",
            "The {{ $labels.job }} processes see this. Failovers take as long.",
        ),
        ticket(
            "DstkEtcdWatchRestarts",
            "5m",
            increase(ETCD_WATCH_RESTARTS, "15m").above(10),
            f"{_WHO} began its watches {{{{ $value | humanize }}}} times again within a quarter of an hour",
            "Members of etcd restart or lose their leader, or something cuts long connections.",
        ),
        ticket(
            "DstkEtcdWatchSilent",
            "1m",
            now(MAP_AGE).above(30),
            f"{_WHO} hears nothing from etcd since {{{{ $value | humanizeDuration }}}}",
            "It does not learn of changes of the map from etcd. Its callers are redirected, which costs time.",
        ),
        ticket(
            "DstkLeaseStale",
            "30s",
            now(LEASE_AGE).above(5),
            f"etcd has not renewed the lease of {_WHO} for {{{{ $value | humanizeDuration }}}}",
            "When the lease ends, the cluster counts the node as gone.",
        ),
    ],
)
