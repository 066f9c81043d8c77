"""Replicas, failover and the partition map."""

from dstk_observability.alerts.kinds import Group, page, ticket
from dstk_observability.promql import increase, now, over
from dstk_telemetry.registry.clients import MAP_PARTITIONS, MAP_REVISION
from dstk_telemetry.registry.kinds import Owner
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

FLAPS = 10
_WHO = "{{ $labels.instance }}"

GROUP = Group(
    "replication",
    "Replication and failover",
    [
        page(
            "DstkPartitionsQuarantined",
            "1m",
            now(QUARANTINED).above(0),
            f"{{{{ $value }}}} partitions of {_WHO} are out of service",
            "Their data is damaged or lost there. Where no other replica is in sync, callers get DATA_LOSS.",
        ),
        page(
            "DstkReplicasDiffer",
            "1m",
            increase(DIFFERING, "1h").above(0),
            f"Replicas of a partition that {_WHO} leads differ, and no majority agrees",
            "Nothing was changed: a person has to say which replica is right.",
        ),
        ticket(
            "DstkReplicaOutvoted",
            "1m",
            increase(IN_SYNC_CHANGES, "1h", change="outvoted").above(0),
            "A replica differed from the majority and is rebuilt",
            f"{_WHO} compared the replicas of a partition that it leads. Check the disk of the node that differed.",
        ),
        ticket(
            "DstkUnderReplicated",
            "15m",
            now(UNDER_REPLICATED).sum_by("cluster").above(0),
            "{{ $value }} partitions have too few replicas in sync",
            "A node is gone or slow, and its replicas were not rebuilt within a quarter of an hour.",
        ),
        ticket(
            "DstkReplicationLags",
            "2m",
            over("max_over_time", LAG_SECONDS, "1m").above(0.5),
            f"{_WHO} waits {{{{ $value | humanizeDuration }}}} for {{{{ $labels.peer }}}}",
            "Writes wait for every follower in sync. One that does not answer for two seconds is evicted; this one is slow.",
        ),
        ticket(
            "DstkFollowerFarBehind",
            "15m",
            now(LAG_ENTRIES).above(10000),
            f"{{{{ $labels.peer }}}} is {{{{ $value | humanize }}}} writes behind {_WHO}",
            "The follower or the network to it takes less than is written.",
        ),
        ticket(
            "DstkReplicasFlap",
            "5m",
            increase(IN_SYNC_CHANGES, "30m", change="evicted")
            .above(FLAPS)
            .and_(increase(IN_SYNC_CHANGES, "30m", change="admitted").above(FLAPS), on=("instance",)),
            f"Followers of {_WHO} fall out of sync and return",
            "{{ $value | humanize }} evictions within half an hour: a disk or a network is slow now and then.",
        ),
        ticket(
            "DstkFailoversFrequent",
            "5m",
            (
                increase(FAILOVERS, "1h").sum_by("cluster") / now(MAP_PARTITIONS, job=Owner.STORAGE).max_by("cluster")
            ).above(2),
            "Every partition failed over {{ $value | humanize }} times within an hour",
            "Nodes die or hang again and again; each failover stops a partition for about a second.",
        ),
        ticket(
            "DstkElectionsUndecided",
            "2m",
            increase(ELECTIONS, "5m", result="lost")
            .sum_by("cluster")
            .above(20)
            .unless(increase(ELECTIONS, "5m", result="won").sum_by("cluster").above(0)),
            "{{ $value | humanize }} elections were lost within five minutes, and none was won",
            "Candidates reach too few of the replicas in sync, or etcd takes no transactions.",
        ),
        ticket(
            "DstkSnapshotsFail",
            "5m",
            increase(SNAPSHOTS, "30m", result="given_up").above(3),
            f"{_WHO} gave up {{{{ $value | humanize }}}} snapshots within half an hour",
            "Replicas that need one are not rebuilt.",
        ),
        ticket(
            "DstkMapStale",
            "3m",
            now(MAP_REVISION).against("<", now(MAP_REVISION, "1m").max_by("cluster"), "cluster"),
            f"{_WHO} knows an old partition map",
            "It stands at revision {{ $value }}; a minute ago another process knew a newer one. Its callers are redirected.",
        ),
    ],
)
