"""Replication and failover: are all copies there, how far are they behind, and who took over from whom."""

from dstk_observability.dashboards.model import Dashboard, Fault, Variable, row
from dstk_observability.dashboards.overview import NODES, NOT_SERVING, QUARANTINED, UNDER_REPLICATED
from dstk_observability.dashboards.panels import graph, query, stat
from dstk_observability.dashboards.scopes import STORAGE
from dstk_observability.dashboards.thresholds import above, warn_above
from dstk_observability.dashboards.units import Unit
from dstk_telemetry.registry import clients, replication

DIFFERING = stat(
    "Replicas that differ",
    "Comparisons in the window in which replicas differed and no majority agreed.",
    Unit.COUNT,
    above(1, "data may be wrong; `dstk doctor` names the partition."),
    query(STORAGE.increase(replication.DIFFERING).sum_by(), "comparisons"),
)
LEARNERS = stat(
    "Learners",
    "Replicas that catch up and are not in sync yet.",
    Unit.COUNT,
    warn_above(100, "many replicas are being built at once."),
    query(STORAGE.now(replication.REPLICAS, role="learner").sum_by(), "learners"),
)
HELD_BY = graph(
    "Not serving, by node",
    "Partitions that the node leads and does not serve.",
    Unit.COUNT,
    above(1, "their reads and writes wait."),
    query(STORAGE.now(replication.NOT_SERVING), "{{instance}}"),
)
SHORT_OF = graph(
    "Under-replicated, by primary",
    "Partitions that the node leads with fewer replicas in sync than they should have.",
    Unit.COUNT,
    warn_above(1, "the loss of one more node may stop them."),
    query(STORAGE.now(replication.UNDER_REPLICATED), "{{instance}}"),
)
ROLES = graph(
    "Replicas by role",
    "Over all nodes.",
    Unit.COUNT,
    warn_above(300_000, "more than was tested."),
    query(STORAGE.now(replication.REPLICAS).sum_by("role"), "{{role}}"),
    stacked=True,
)
LAG = graph(
    "Lag in time",
    "For how long the oldest batch of any partition has waited for a follower, from primary to follower.",
    Unit.SECONDS,
    above(2, "the follower is evicted from the in-sync sets.", yellow=0.7),
    query(STORAGE.now(replication.LAG_SECONDS).max_by("instance", "peer"), "{{instance}} to {{peer}}"),
)
ENTRIES = graph(
    "Lag in writes",
    "Writes that a follower has not acknowledged, from primary to follower.",
    Unit.COUNT,
    above(100_000, "a follower does not keep up.", yellow=10_000),
    query(STORAGE.now(replication.LAG_ENTRIES).sum_by("instance", "peer"), "{{instance}} to {{peer}}"),
)
LEASES = graph(
    "Silence of leases in etcd",
    "How long ago etcd last renewed the node's lease.",
    Unit.SECONDS,
    above(6, "etcd has forgotten the node, and the controller may replace it.", yellow=4),
    query(STORAGE.now(clients.LEASE_AGE), "{{instance}}"),
)
FAILOVERS = graph(
    "Failovers",
    "Partitions that the node took over from one that was not heard of, in the window.",
    Unit.COUNT,
    warn_above(1, "a node was lost; its log and the logs of its peers say why."),
    query(STORAGE.increase(replication.FAILOVERS).sum_by("instance"), "{{instance}}"),
)
ELECTIONS = graph(
    "Elections",
    "Elections that nodes began, in the window, by their end.",
    Unit.COUNT,
    warn_above(1, "primaries were not heard of."),
    query(STORAGE.increase(replication.ELECTIONS).sum_by("result"), "{{result}}"),
)
IN_SYNC = graph(
    "Changes of in-sync sets",
    "Replicas admitted, evicted and outvoted, in the window.",
    Unit.COUNT,
    warn_above(1, "a follower was lost or slow, or comes back."),
    query(STORAGE.increase(replication.IN_SYNC_CHANGES).sum_by("change"), "{{change}}"),
)
EPOCHS = graph(
    "Epochs raised",
    "Epochs that a primary raised because a follower had promised a candidate to follow it, in the window.",
    Unit.COUNT,
    warn_above(10, "followers stop hearing a primary that is well: look at the network and at event loop lag."),
    query(STORAGE.increase(replication.EPOCH_BUMPS).sum_by("instance"), "{{instance}}"),
    width=12,
)
TRANSFERS = graph(
    "Changes of the map",
    "Planned changes that nodes asked for, in the window.",
    Unit.COUNT,
    warn_above(100, "the cluster changes a lot."),
    query(STORAGE.increase(replication.MAP_CHANGES).sum_by("change"), "{{change}}"),
    width=12,
)
SNAPSHOTS = graph(
    "Snapshots",
    "Snapshots sent to followers that were too far behind, in the window, by their end.",
    Unit.COUNT,
    warn_above(10, "replicas are rebuilt, which takes disk and network."),
    query(STORAGE.increase(replication.SNAPSHOTS).sum_by("result"), "{{result}}"),
)
SNAPSHOT_SECONDS = graph(
    "Time to send a snapshot, p90",
    "From its begin to its installation.",
    Unit.SECONDS,
    warn_above(300, "the partition is large, or the follower slow."),
    query(STORAGE.quantile(0.9, replication.SNAPSHOT_SECONDS), "p90"),
    fills=Fault.NODE_REPLACED,
)
SNAPSHOT_BYTES = graph(
    "Bytes in snapshots",
    "Keys and records sent in snapshots.",
    Unit.BYTES_PER_SECOND,
    warn_above(64 * 2**20, "snapshots compete with traffic for the network."),
    query(STORAGE.rate(replication.SNAPSHOT_BYTES).sum_by("instance"), "{{instance}}"),
)

DASHBOARD = Dashboard(
    "dstk-replication",
    "Replication and failover",
    "Are all replicas there, how far are they behind, and what changed: failovers, elections, in-sync sets, snapshots?",
    (Variable.CLUSTER,),
    (
        row("Now", NODES, NOT_SERVING, UNDER_REPLICATED, QUARANTINED, LEARNERS, DIFFERING),
        row("Availability", HELD_BY, SHORT_OF, ROLES),
        row("Lag", LAG, ENTRIES, LEASES),
        row("Failover", FAILOVERS, ELECTIONS, IN_SYNC),
        row("Changes", EPOCHS, TRANSFERS),
        row("Catch-up", SNAPSHOTS, SNAPSHOT_SECONDS, SNAPSHOT_BYTES),
    ),
)
