"""The metrics service: what it hears from the nodes, what it knows, how it answers, and the history that it keeps."""

from dstk_observability import external
from dstk_observability.dashboards.model import Dashboard, Variable, row
from dstk_observability.dashboards.panels import graph, query, stat
from dstk_observability.dashboards.scopes import METRICS
from dstk_observability.dashboards.thresholds import above, warn_above, warn_below
from dstk_observability.dashboards.units import Unit
from dstk_observability.promql import Not, one_of
from dstk_telemetry.registry import cluster_partitions, feeds, history, rpc
from dstk_telemetry.registry.partitions import OTHERS

SINGLE = Not(OTHERS)

SERVICES = stat(
    "Metrics services that answer",
    "Metrics services whose metrics Prometheus could scrape.",
    Unit.COUNT,
    warn_below(1, "the console is out of reach and the history has a gap; reads and writes go on."),
    query(METRICS.now(external.UP).sum_by(), "services"),
)
SILENT = stat(
    "Silent nodes",
    "Registered nodes whose statistics have not arrived for three intervals.",
    Unit.COUNT,
    warn_above(1, "the figures of their partitions are old."),
    query(METRICS.now(feeds.SILENT).sum_by("instance").max_by(), "nodes"),
)
OLD = stat(
    "Partitions with old figures",
    "Share of the partitions whose figures are stale or unknown.",
    Unit.SHARE,
    warn_above(0.01, "lists and the heat map have gaps; `dstk doctor` says which node is silent."),
    query(
        METRICS.now(feeds.KNOWN, freshness=one_of("stale", "unknown")).sum_by() / METRICS.now(feeds.KNOWN).sum_by(),
        "old",
    ),
)
SIZE = stat(
    "History on disk",
    "Bytes of the history, as a share of what it may take.",
    Unit.SHARE,
    warn_above(0.95, "the oldest slots are dropped before their time."),
    query((METRICS.now(history.SIZE) / METRICS.now(history.LIMIT)).max_by(), "of its limit"),
)
AGE = stat(
    "Newest slot",
    "How long ago the newest slot of the history ended. A slot is a minute.",
    Unit.SECONDS,
    above(600, "the history has a gap.", yellow=180),
    query(METRICS.now(history.AGE).max_by(), "ago"),
)
CONNECTIONS = stat(
    "Console and watchers",
    "Connections of browsers, and calls of WatchStats that are open.",
    Unit.COUNT,
    warn_above(1_000, "more than was tested."),
    query((METRICS.now(history.CONNECTIONS) + METRICS.now(feeds.WATCHERS)).sum_by(), "open"),
)
SILENCE = graph(
    "Last update of each node",
    "How long ago each node's last update arrived. It comes every 10 s, and every second while somebody watches.",
    Unit.SECONDS,
    warn_above(30, "the node is silent: its figures are old."),
    query(METRICS.now(feeds.SILENCE).max_by("peer"), "{{peer}}"),
)
UPDATES = graph(
    "Updates and rows",
    "Updates that arrive, and the rows of partitions in them: nodes send what has changed.",
    Unit.PER_SECOND,
    warn_above(20_000, "more rows than were tested."),
    query(METRICS.rate(feeds.UPDATES).sum_by("instance"), "{{instance}} updates"),
    query(METRICS.rate(feeds.ROWS).sum_by("instance"), "{{instance}} rows"),
)
CONNECTED = graph(
    "Open streams",
    "Nodes whose stream of statistics is open, and streams that broke in the window.",
    Unit.COUNT,
    warn_above(1_000, "more nodes than were tested."),
    query(METRICS.now(feeds.CONNECTED).sum_by("instance"), "{{instance}} open"),
    query(METRICS.increase(feeds.BREAKS).sum_by("instance"), "{{instance}} broken"),
)
FRESHNESS = graph(
    "Partitions by the age of their figures",
    "fresh: heard of within three intervals. stale: not since. unknown: never.",
    Unit.COUNT,
    warn_above(100_000, "more than was tested."),
    query(METRICS.now(feeds.KNOWN).max_by("freshness"), "{{freshness}}"),
    stacked=True,
)
REFUSED = graph(
    "Rows that are not believed",
    "Rows of updates that change nothing, since they cannot be true, by the reason.",
    Unit.PER_SECOND,
    warn_above(0.001, "a node counts wrongly, or a version does not fit; the log names the node."),
    query(METRICS.rate(feeds.REFUSED).sum_by("refusal"), "{{refusal}}"),
)
TAKING = graph(
    "Time to enter updates",
    "Seconds a second that the service spends on entering updates: 1 is a whole core.",
    Unit.COUNT,
    above(0.5, "it has no time left to answer: ask nodes less often (`--feed-seconds`).", yellow=0.25),
    query(METRICS.rate(feeds.TAKING).sum_by("instance"), "{{instance}}"),
)
CALLS = graph(
    "Time of calls, p99",
    "By method, of those that were called; streams are left out.",
    Unit.SECONDS,
    warn_above(1, "lists should take 100 ms; estimates wait for nodes."),
    query(
        METRICS.quantile(0.99, rpc.RPC_SECONDS, "rpc_method", rpc_service="dstk.v1.Metrics").above(0), "{{rpc_method}}"
    ),
)
HOT_TIME = graph(
    "Partitions that take most time",
    "Seconds a second that nodes spend on each: 1 is a whole core.",
    Unit.COUNT,
    above(0.8, "its node has no core left for it: split it, or spread its keys.", yellow=0.4),
    query(METRICS.rate(cluster_partitions.TIME, partition=SINGLE).sum_by("partition").largest(10), "{{partition}}"),
)
HOT_BYTES = graph(
    "Partitions that move most bytes",
    "Bytes that reads, scans and writes of each move.",
    Unit.BYTES_PER_SECOND,
    warn_above(64 * 2**20, "near what one node moves."),
    query(
        (
            METRICS.rate(cluster_partitions.READ_BYTES, partition=SINGLE).sum_by("partition")
            + METRICS.rate(cluster_partitions.WRITTEN_BYTES, partition=SINGLE).sum_by("partition")
        ).largest(10),
        "{{partition}}",
    ),
)
FAILING = graph(
    "Partitions with most failures",
    "Operations that nodes refused or that failed there.",
    Unit.PER_SECOND,
    above(10, "callers see errors; `dstk doctor` says why.", yellow=1),
    query(METRICS.rate(cluster_partitions.FAILURES, partition=SINGLE).sum_by("partition").largest(10), "{{partition}}"),
)
MEASURING = graph(
    "Measuring, p99",
    "Time from asking a node to measure a range to its answer; 0 while none is measured.",
    Unit.SECONDS,
    warn_above(1, "nodes are busy, or their disks are slow."),
    query(
        METRICS.quantile(0.99, feeds.MEASURE_SECONDS, "instance")
        .at_least(0)
        .or_(METRICS.measured(feeds.MEASURE_SECONDS).sum_by("instance") * 0),
        "{{instance}}",
    ),
)
MEASURES = graph(
    "Ranges measured",
    "Ranges that nodes were asked to measure, by their end, and thousands of records that they read for it.",
    Unit.PER_SECOND,
    warn_above(100, "estimates take a good part of the nodes' time."),
    query(METRICS.rate(feeds.MEASURED).sum_by("result"), "{{result}}"),
    query(METRICS.rate(feeds.MEASURED_RECORDS).sum_by() / 1000, "thousands of records"),
)
SLOTS = graph(
    "Slots of the history",
    "By tier: a slot of a tier is as long as its name says.",
    Unit.COUNT,
    warn_above(2_000, "more than the tiers have room for."),
    query(METRICS.now(history.SLOTS).max_by("tier"), "{{tier}}"),
)
WRITTEN = graph(
    "Minutes written",
    "Minutes that the history has written, in the window, and those that wait in memory until they can be written.",
    Unit.COUNT,
    warn_above(2, "they wait for room on the disk; after an hour they are lost."),
    query(METRICS.increase(history.WRITTEN).sum_by("instance"), "{{instance}} written"),
    query(METRICS.now(history.WAITING), "{{instance}} waiting"),
)
TROUBLE = graph(
    "Trouble of the history",
    "Writes that failed, minutes that were given up, slots that were damaged, and files that were moved aside, in the window.",
    Unit.COUNT,
    warn_above(1, "the disk is full or broken; the log says which."),
    query(METRICS.increase(history.WRITE_FAILURES).sum_by(), "writes failed"),
    query(METRICS.increase(history.LOST).sum_by(), "minutes lost"),
    query(METRICS.increase(history.DAMAGED).sum_by(), "slots damaged"),
    query(METRICS.increase(history.MOVED_ASIDE).sum_by(), "files moved aside"),
)
REQUESTS = graph(
    "Requests to the console",
    "By route and status.",
    Unit.PER_SECOND,
    warn_above(1_000, "more than was tested."),
    query(METRICS.rate(history.REQUESTS).sum_by("route", "code"), "{{route}} {{code}}"),
    width=12,
)
EVENTS = graph(
    "Live events",
    "Events that were sent to pages that show live figures, and those that a slow browser did not get.",
    Unit.PER_SECOND,
    warn_above(2_000, "more than was tested."),
    query(METRICS.rate(history.EVENTS_SENT).sum_by(), "sent"),
    query(METRICS.rate(history.EVENTS_DROPPED).sum_by(), "dropped"),
    width=12,
)

DASHBOARD = Dashboard(
    "dstk-metrics",
    "Metrics service",
    "Does the metrics service hear every node, does it answer in time, and does it keep its history?",
    (Variable.CLUSTER,),
    (
        row("Now", SERVICES, SILENT, OLD, SIZE, AGE, CONNECTIONS),
        row("Feeds", SILENCE, CONNECTED, UPDATES),
        row("Knowledge", TAKING, REFUSED, FRESHNESS),
        row("Hot partitions", HOT_TIME, HOT_BYTES, FAILING),
        row("Answers", CALLS, MEASURING, MEASURES),
        row("History", SLOTS, WRITTEN, TROUBLE),
        row("Console", REQUESTS, EVENTS),
    ),
)
