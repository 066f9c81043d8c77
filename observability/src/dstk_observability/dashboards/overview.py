"""The first look: is the cluster well, and if not, which dashboard shows why."""

from dstk_observability import external
from dstk_observability.alerts.kinds import Severity
from dstk_observability.dashboards.model import Dashboard, Variable, row
from dstk_observability.dashboards.panels import graph, query, stat, table
from dstk_observability.dashboards.scopes import CLUSTER, ROUTER, STORAGE
from dstk_observability.dashboards.thresholds import above, below, warn_above
from dstk_observability.dashboards.units import Unit
from dstk_observability.objectives import AVAILABILITY, FAST_SECONDS
from dstk_observability.promql import Expr, now, number, one_of
from dstk_telemetry.registry import clients, commit, partitions, replication, rpc, runtime

NODES = stat(
    "Storage nodes that answer",
    "Nodes whose metrics Prometheus could scrape.",
    Unit.COUNT,
    below(2, "a partition with three replicas survives one node down, not two.", yellow=3),
    query(STORAGE.now(external.UP).sum_by(), "nodes"),
)
NOT_SERVING = stat(
    "Partitions not serving",
    "Partitions whose primary does not serve at the moment: their reads and writes wait.",
    Unit.COUNT,
    above(1, "part of the keys is out of reach; see Replication and failover."),
    query(STORAGE.now(replication.NOT_SERVING).sum_by(), "partitions"),
)
UNDER_REPLICATED = stat(
    "Under-replicated",
    "Partitions with fewer replicas in sync than they should have.",
    Unit.COUNT,
    warn_above(1, "the loss of one more node may stop these partitions."),
    query(STORAGE.now(replication.UNDER_REPLICATED).sum_by(), "partitions"),
)
QUARANTINED = stat(
    "In quarantine",
    "Partitions out of service until an operator decides, because their data is damaged.",
    Unit.COUNT,
    above(1, "`dstk doctor` says what to do."),
    query(STORAGE.now(replication.QUARANTINED).sum_by(), "partitions"),
)
READ_ONLY = stat(
    "Nodes without room",
    "Nodes that take no writes: their disk is full or a write failed.",
    Unit.COUNT,
    above(1, "the partitions that they lead refuse writes."),
    query(STORAGE.now(commit.READ_ONLY).sum_by(), "nodes"),
)
CONTROLLERS = stat(
    "Controllers",
    "Nodes that lead the controller, which repairs, drains and balances.",
    Unit.COUNT,
    below(1, "partitions are not repaired or moved; reads and writes go on."),
    query(STORAGE.now(partitions.LEADS).sum_by(), "leads"),
)
SUCCEEDED = stat(
    "Operations that succeed",
    "Share of operations through the routers that did not fail. Mistakes of callers do not count.",
    Unit.SHARE,
    below(0.99, f"the objective is {AVAILABILITY:.1%}; see Objectives.", yellow=AVAILABILITY),
    query(
        (
            number(1)
            - (
                ROUTER.rate(rpc.OPERATIONS, outcome=one_of("server", "refused")).sum_by()
                / ROUTER.rate(rpc.OPERATIONS, outcome=one_of("ok", "server", "refused")).sum_by()
            )
        ),
        "succeed",
    ),
)
SLOW = stat(
    "Execute through routers, p99",
    "99 of 100 Execute messages through the routers are answered within this time.",
    Unit.SECONDS,
    above(0.25, "callers notice; see Routers and clients.", yellow=FAST_SECONDS),
    query(ROUTER.quantile(0.99, rpc.EXECUTE_SECONDS), "p99"),
)
RATE = stat(
    "Operations",
    "Operations on keys that storage nodes answered, in a second.",
    Unit.PER_SECOND,
    below(0.1, "no traffic reaches the nodes."),
    query(STORAGE.rate(rpc.OPERATIONS).sum_by(), "operations"),
)
RECORDS = stat(
    "Records",
    "Records of all partitions, estimated. Each counts once, however many replicas there are.",
    Unit.COUNT,
    warn_above(1e9, "more than a cluster was tested with."),
    query(STORAGE.now(partitions.RECORDS).sum_by(), "records"),
)
ROOM = stat(
    "Least room on a disk",
    "Free share of the fullest node's file system.",
    Unit.SHARE,
    below(0.1, "a full node takes deletions only.", yellow=0.25),
    query((STORAGE.now(commit.DISK_FREE) / STORAGE.now(commit.DISK_CAPACITY)).min_by(), "free"),
)
SILENCE = stat(
    "Map not watched",
    "For how long the watch of etcd has been broken, at the process where it is longest.",
    Unit.SECONDS,
    above(30, "maps may be outdated, and changes wait; reads and writes go on. See etcd.", yellow=5),
    query(CLUSTER.now(clients.MAP_AGE).max_by(), "broken for"),
)

TRAFFIC = graph(
    "Operations by kind",
    "Operations on keys that storage nodes answered.",
    Unit.PER_SECOND,
    below(0.1, "no traffic reaches the nodes."),
    query(STORAGE.rate(rpc.OPERATIONS).sum_by("operation"), "{{operation}}"),
    stacked=True,
)
FAILURES = graph(
    "Operations refused or failed",
    "At routers and nodes: refused (the caller may repeat it), server (it failed). Mistakes of callers do not count.",
    Unit.PER_SECOND,
    above(1, "many are refused or fail; the logs of the node say why."),
    query(
        CLUSTER.rate(rpc.OPERATIONS, outcome=one_of("refused", "server")).sum_by("job", "outcome"),
        "{{job}}: {{outcome}}",
    ),
)
LATENCY = graph(
    "Execute",
    "Time from an Execute message to its answer, at routers and at nodes.",
    Unit.SECONDS,
    above(0.25, "callers notice.", yellow=FAST_SECONDS),
    query(CLUSTER.quantile(0.5, rpc.EXECUTE_SECONDS, "job"), "{{job}} p50"),
    query(CLUSTER.quantile(0.99, rpc.EXECUTE_SECONDS, "job"), "{{job}} p99"),
)
QUEUES = graph(
    "Oldest engine write",
    "Age of the oldest engine write that has not ended, by node.",
    Unit.SECONDS,
    above(1, "the disk hangs; after 2 s replicas give up on it.", yellow=0.1),
    query(STORAGE.now(commit.QUEUE_AGE), "{{instance}}"),
)
LAG = graph(
    "Replication lag",
    "For how long the oldest batch has waited for a follower, by follower.",
    Unit.SECONDS,
    above(2, "the follower is evicted from the in-sync sets.", yellow=0.7),
    query(STORAGE.now(replication.LAG_SECONDS).max_by("peer"), "{{peer}}"),
)
LOOPS = graph(
    "Event loop lag, p99",
    "How late timers of the event loop come, by process.",
    Unit.SECONDS,
    above(0.7, "heartbeats are late, and leases are lost.", yellow=0.1),
    query(CLUSTER.quantile(0.99, runtime.LOOP_LAG, "instance"), "{{instance}}"),
)
FAILOVERS = graph(
    "Failovers and in-sync changes",
    "Partitions taken over from a node that was not heard of, and replicas that left or entered in-sync sets, in the window.",
    Unit.COUNT,
    warn_above(1, "a node was lost or is slow; see Replication and failover."),
    query(STORAGE.increase(replication.FAILOVERS).sum_by(), "failovers"),
    query(STORAGE.increase(replication.IN_SYNC_CHANGES).sum_by("change"), "{{change}}"),
)
PROCESSES = table(
    "Processes",
    "Every process that Prometheus scrapes: up if it answers.",
    Unit.COUNT,
    below(1, "the process is down, hangs or is out of reach."),
    query(CLUSTER.now(external.UP).sum_by("job", "instance"), "{{job}} {{instance}}"),
    width=8,
    words={0: "down", 1: "up"},
)


def _alerts(severity: Severity) -> Expr:
    return now(external.ALERTS, severity=severity).max_by("alertname", "alertstate", "severity")


ALERTS = table(
    "Alerts",
    "Alerts that fire or are pending. page: a person is called, ticket: it waits for working hours, heartbeat: it fires as "
    "long as alerts are evaluated.",
    Unit.COUNT,
    above(2, "the alert's runbook says what to do.", yellow=1),
    query(
        (_alerts(Severity.PAGE) * 2).or_(_alerts(Severity.TICKET)).or_(_alerts(Severity.HEARTBEAT) * 0),
        "{{alertname}} {{alertstate}}",
    ),
    width=8,
    words={2: "page", 1: "ticket", 0: "heartbeat"},
)

DASHBOARD = Dashboard(
    "dstk-overview",
    "Overview",
    "Is the cluster well? If not, what is wrong, and where to look next?",
    (Variable.CLUSTER,),
    (
        row("Now", NODES, NOT_SERVING, UNDER_REPLICATED, QUARANTINED, READ_ONLY, CONTROLLERS),
        row("Service", SUCCEEDED, SLOW, RATE, RECORDS, ROOM, SILENCE),
        row("Traffic", TRAFFIC, FAILURES, LATENCY),
        row("Pressure", QUEUES, LAG, LOOPS),
        row("Changes", FAILOVERS, PROCESSES, ALERTS),
    ),
)
