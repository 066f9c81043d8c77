"""Metrics of the metrics service: what it hears from the storage nodes, what it knows, and what measuring costs."""

from dstk_telemetry.registry.buckets import CALL_SECONDS
from dstk_telemetry.registry.kinds import Label, Owner, Unit, counter, gauge, histogram
from dstk_telemetry.registry.labels import PEER

METRICS_SERVICE = (Owner.METRICS,)
FRESHNESS = Label(
    "freshness",
    "fresh: heard of within three intervals of the feed; stale: not since; unknown: never",
    ("fresh", "stale", "unknown"),
)
REFUSAL = Label(
    "refusal",
    "why a row is not believed: a figure that is no number or too large, a partition that is named twice, a range that is "
    "none, too many buckets of latencies, too many followers, samples of keys outside of the range, an update that goes on "
    "from one that never came, partitions that the map does not have, another primary or range than the map has, "
    "counters that fell",
    ("figures", "repeated", "range", "buckets", "followers", "samples", "order", "unknown", "map", "fell"),
)
RESULT = Label("result", "how it ended", ("ok", "failed"))

CONNECTED = gauge(
    "dstk_feed_connected", "1 while the stream of a node's statistics is open.", PEER, owners=METRICS_SERVICE
)
SILENT = gauge(
    "dstk_feed_silent",
    "1 while a node is registered, and its last update is older than three intervals of the feed.",
    PEER,
    owners=METRICS_SERVICE,
)
SILENCE = gauge(
    "dstk_feed_silence_seconds",
    "How long ago a node's last update arrived; without one, how long ago the node was first known.",
    PEER,
    unit=Unit.SECONDS,
    owners=METRICS_SERVICE,
)
BREAKS = counter("dstk_feed_breaks_total", "Streams of nodes that broke; each begins again.", owners=METRICS_SERVICE)
UPDATES = counter("dstk_feed_updates_total", "Updates of nodes that arrived.", owners=METRICS_SERVICE)
ROWS = counter("dstk_feed_rows_total", "Rows of partitions in these updates.", owners=METRICS_SERVICE)
TAKING = counter(
    "dstk_feed_taking_seconds_total",
    "Time that reading and entering updates took, on the event loop.",
    unit=Unit.SECONDS,
    owners=METRICS_SERVICE,
)
REFUSED = counter(
    "dstk_feed_refused_rows_total", "Rows that are not believed: they change nothing.", REFUSAL, owners=METRICS_SERVICE
)
KNOWN = gauge(
    "dstk_statistics_partitions",
    "Partitions in the map, by the age of their figures.",
    FRESHNESS,
    owners=METRICS_SERVICE,
)
WATCHERS = gauge("dstk_statistics_watchers", "Calls of WatchStats that are open.", owners=METRICS_SERVICE)
MEASURED = counter(
    "dstk_measure_requests_total",
    "Ranges that nodes were asked to measure, by their end.",
    RESULT,
    owners=METRICS_SERVICE,
)
MEASURED_RECORDS = counter(
    "dstk_measure_records_total", "Records that nodes read to measure ranges.", owners=METRICS_SERVICE
)
MEASURE_SECONDS = histogram(
    "dstk_measure_seconds",
    "From asking a node to measure a range to its answer.",
    unit=Unit.SECONDS,
    buckets=CALL_SECONDS,
    owners=METRICS_SERVICE,
)

METRICS = (
    CONNECTED,
    SILENT,
    SILENCE,
    BREAKS,
    UPDATES,
    ROWS,
    TAKING,
    REFUSED,
    KNOWN,
    WATCHERS,
    MEASURED,
    MEASURED_RECORDS,
    MEASURE_SECONDS,
)
