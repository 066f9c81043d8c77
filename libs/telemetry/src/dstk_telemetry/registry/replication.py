"""Metrics of replication, failover and the partition map."""

from dstk_telemetry.registry.buckets import LONG_SECONDS
from dstk_telemetry.registry.kinds import Label, Owner, Unit, counter, gauge, histogram
from dstk_telemetry.registry.labels import PEER

STORAGE = (Owner.STORAGE,)
RESULT = Label("result", "how it ended", ("won", "lost"))
END = Label("result", "how it ended", ("installed", "given_up"))
MOVE = Label("change", "of the in-sync set", ("admitted", "evicted", "outvoted"))
CHANGE = Label(
    "change", "of the partition map", ("split", "merge", "transfer", "add_replica", "remove_replica", "force_primary")
)
ROLE = Label("role", "of this node's replica", ("primary", "follower", "learner"))

REPLICAS = gauge("dstk_replicas", "Replicas that this node has, by the partition map.", ROLE, owners=STORAGE)
NOT_SERVING = gauge(
    "dstk_partitions_not_serving", "Partitions that this node leads and does not serve at the moment.", owners=STORAGE
)
UNDER_REPLICATED = gauge(
    "dstk_partitions_under_replicated",
    "Partitions that this node leads with fewer replicas in sync than they have, or than the settings ask for.",
    owners=STORAGE,
)
QUARANTINED = gauge(
    "dstk_partitions_quarantined", "Partitions out of service here until an operator decides.", owners=STORAGE
)
LAG_ENTRIES = gauge(
    "dstk_replication_lag_entries",
    "Writes that a follower has not acknowledged, over all partitions led here. Followers that have not said yet where they "
    "stand do not count: dstk_partitions_under_replicated has their partitions.",
    PEER,
    owners=STORAGE,
)
LAG_SECONDS = gauge(
    "dstk_replication_lag_seconds",
    "For how long the oldest write of any partition led here has waited for a follower in sync.",
    PEER,
    unit=Unit.SECONDS,
    owners=STORAGE,
)
ELECTIONS = counter(
    "dstk_elections_total", "Elections that this node began, by their end; lost ones included.", RESULT, owners=STORAGE
)
FAILOVERS = counter(
    "dstk_failovers_total",
    "Partitions that this node took over from another one that was not heard of.",
    owners=STORAGE,
)
IN_SYNC_CHANGES = counter(
    "dstk_in_sync_changes_total", "Changes of in-sync sets of partitions led here.", MOVE, owners=STORAGE
)
EPOCH_BUMPS = counter(
    "dstk_epoch_bumps_total",
    "Epochs that a primary raised, since a follower had promised it to a candidate.",
    owners=STORAGE,
)
MAP_CHANGES = counter(
    "dstk_map_changes_total", "Changes of the partition map that this node asked for.", CHANGE, owners=STORAGE
)
SNAPSHOTS = counter("dstk_snapshots_total", "Snapshots that were sent to followers, by their end.", END, owners=STORAGE)
SNAPSHOT_SECONDS = histogram(
    "dstk_snapshot_seconds",
    "How long sending a snapshot took.",
    unit=Unit.SECONDS,
    buckets=LONG_SECONDS,
    owners=STORAGE,
)
SNAPSHOT_BYTES = counter("dstk_snapshot_bytes_total", "Bytes of keys and records in snapshots.", owners=STORAGE)
DIFFERING = counter(
    "dstk_replicas_differ_total", "Comparisons in which replicas differed and no majority agreed.", owners=STORAGE
)

METRICS = (
    REPLICAS,
    NOT_SERVING,
    UNDER_REPLICATED,
    QUARANTINED,
    LAG_ENTRIES,
    LAG_SECONDS,
    ELECTIONS,
    FAILOVERS,
    IN_SYNC_CHANGES,
    EPOCH_BUMPS,
    MAP_CHANGES,
    SNAPSHOTS,
    SNAPSHOT_SECONDS,
    SNAPSHOT_BYTES,
    DIFFERING,
)
