"""Partitions: where the traffic and the data are, and what the controller does about it."""

from dstk_observability.dashboards.model import Dashboard, Variable, row
from dstk_observability.dashboards.panels import graph, query, stat, table
from dstk_observability.dashboards.scopes import CLUSTER_PARTITION, METRICS, PARTITION, STORAGE
from dstk_observability.dashboards.thresholds import above, warn_above
from dstk_observability.dashboards.units import Unit
from dstk_observability.promql import Not
from dstk_telemetry.registry import clients, cluster_partitions, partitions, replication
from dstk_telemetry.registry.partitions import OTHERS

SINGLE = Not(OTHERS)

COUNT = stat(
    "Partitions",
    "Partitions in the map.",
    Unit.COUNT,
    warn_above(100_000, "more than was tested."),
    query(STORAGE.now(clients.MAP_PARTITIONS).max_by(), "partitions"),
)
RECORDS = stat(
    "Records",
    "Records of all partitions, estimated.",
    Unit.COUNT,
    warn_above(1e9, "more than a cluster was tested with."),
    query(STORAGE.now(partitions.RECORDS).sum_by(), "records"),
)
SIZE = stat(
    "Size",
    "Bytes of all partitions, estimated. Replicas count once.",
    Unit.BYTES,
    warn_above(2**40, "more than a cluster was tested with."),
    query(STORAGE.now(partitions.SIZE).sum_by(), "bytes"),
)
PAUSED = stat(
    "Controller paused",
    "Whether an operator paused the controller: it takes no action.",
    Unit.COUNT,
    warn_above(1, "`dstk controller resume` ends it."),
    query(STORAGE.now(partitions.PAUSED).max_by(), "paused"),
    words={0: "no", 1: "yes"},
)
BACKLOG = stat(
    "Backlog",
    "Actions that are under way, or that a paused controller would take.",
    Unit.COUNT,
    warn_above(100, "it does not keep up, or is paused."),
    query(STORAGE.now(partitions.BACKLOG).max_by(), "actions"),
)
FINDINGS = stat(
    "Cannot be fixed",
    "Problems that the controller cannot fix at the moment.",
    Unit.COUNT,
    warn_above(1, "`dstk doctor` names them."),
    query(STORAGE.now(partitions.FINDINGS).max_by(), "problems"),
)
READS = graph(
    "Reads",
    "Partitions that are read most.",
    Unit.PER_SECOND,
    above(50_000, "near what one node serves: split the partition, or move its neighbours.", yellow=20_000),
    query(PARTITION.rate(partitions.READS).sum_by("partition").largest(10), "{{partition}}"),
)
WRITES = graph(
    "Writes",
    "Partitions that are written most.",
    Unit.PER_SECOND,
    above(20_000, "near what one node takes: split the partition, or move its neighbours.", yellow=10_000),
    query(PARTITION.rate(partitions.WRITES).sum_by("partition").largest(10), "{{partition}}"),
)
HOTTEST = graph(
    "Share of the hottest partition",
    "Of all reads, and of all writes.",
    Unit.SHARE,
    above(0.8, "one partition takes nearly all: the load cannot be spread before it is split.", yellow=0.5),
    query(
        (
            STORAGE.rate(partitions.READS, partition=SINGLE).sum_by("partition").max_by()
            / STORAGE.rate(partitions.READS).sum_by()
        ),
        "reads",
    ),
    query(
        (
            STORAGE.rate(partitions.WRITES, partition=SINGLE).sum_by("partition").max_by()
            / STORAGE.rate(partitions.WRITES).sum_by()
        ),
        "writes",
    ),
)
BY_RECORDS = table(
    "Records by partition",
    "Partitions with the most records, estimated.",
    Unit.COUNT,
    warn_above(50e6, "too large to move quickly; split it."),
    query(PARTITION.now(partitions.RECORDS).sum_by("partition", "instance").largest(20), "{{partition}} {{instance}}"),
    width=8,
)
BY_SIZE = graph(
    "Size by partition",
    "Partitions with the most bytes, estimated.",
    Unit.BYTES,
    warn_above(8 * 2**30, "too large to move quickly; split it."),
    query(PARTITION.now(partitions.SIZE).sum_by("partition").largest(10), "{{partition}}"),
)
SPREAD = graph(
    "Primaries by node",
    "Partitions that each node leads. The controller balances by size and load.",
    Unit.COUNT,
    warn_above(50_000, "one node leads more than was tested."),
    query(STORAGE.now(replication.REPLICAS, role="primary").sum_by("instance"), "{{instance}}"),
)
TRAFFIC_SPREAD = graph(
    "Operations by node",
    "Reads and writes of the partitions that each node leads.",
    Unit.PER_SECOND,
    warn_above(70_000, "near what one node serves."),
    query(STORAGE.rate(partitions.READS).sum_by("instance"), "{{instance}} reads"),
    query(STORAGE.rate(partitions.WRITES).sum_by("instance"), "{{instance}} writes"),
)
SCANNED = graph(
    "Records scanned",
    "Partitions of which scans return most records, as the metrics service counts them.",
    Unit.PER_SECOND,
    warn_above(200_000, "near what one node scans: read from several partitions at once."),
    query(CLUSTER_PARTITION.rate(cluster_partitions.SCANNED).sum_by("partition").largest(10), "{{partition}}"),
)
OF_CLUSTER = graph(
    "Operations of the cluster",
    "Reads and writes of all partitions together, as the metrics service counts them.",
    Unit.PER_SECOND,
    warn_above(200_000, "more than a cluster was tested with."),
    query(METRICS.rate(cluster_partitions.READS).sum_by("instance"), "{{instance}} reads"),
    query(METRICS.rate(cluster_partitions.WRITES).sum_by("instance"), "{{instance}} writes"),
)
LARGEST = graph(
    "Bytes of a record, by partition",
    "Mean size of the records of the partitions with the largest ones, as the metrics service knows them.",
    Unit.BYTES,
    warn_above(256 * 2**10, "large values: messages and batches hold few of them."),
    query(
        (
            CLUSTER_PARTITION.now(cluster_partitions.SIZE).max_by("partition")
            / CLUSTER_PARTITION.now(cluster_partitions.RECORDS).max_by("partition").above(0)
        ).largest(10),
        "{{partition}}",
    ),
)
ACTIONS = graph(
    "Actions of the controller",
    "Actions in the window, by kind and result.",
    Unit.COUNT,
    warn_above(20, "the cluster changes a lot; `dstk doctor` says why."),
    query(STORAGE.increase(partitions.ACTIONS).sum_by("action", "result"), "{{action}} {{result}}"),
)
CHANGES = graph(
    "Changes of the map",
    "Changes that nodes asked for, in the window, by kind.",
    Unit.COUNT,
    warn_above(100, "the cluster changes a lot; `dstk doctor` says why."),
    query(STORAGE.increase(replication.MAP_CHANGES).sum_by("change"), "{{change}}"),
)

DASHBOARD = Dashboard(
    "dstk-partition",
    "Partitions",
    "Which partitions are hot or large, how are they spread, and what does the controller do about it?",
    (Variable.CLUSTER, Variable.PARTITION),
    (
        row("Now", COUNT, RECORDS, SIZE, PAUSED, BACKLOG, FINDINGS),
        row("Traffic", READS, WRITES, HOTTEST),
        row("Data", BY_RECORDS, BY_SIZE, SPREAD),
        row("The whole cluster", SCANNED, OF_CLUSTER, LARGEST),
        row("Balance", TRAFFIC_SPREAD, ACTIONS, CHANGES),
    ),
)
