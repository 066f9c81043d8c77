"""Metrics of the client inside a router, of the map, and of etcd as the services see it."""

from dstk_telemetry.registry.buckets import BATCH, CALL_SECONDS
from dstk_telemetry.registry.kinds import Label, Owner, Unit, counter, gauge, histogram

ROUTERS = (Owner.ROUTER, Owner.BACKUP)
COORDINATED = (Owner.STORAGE, Owner.ROUTER, Owner.METRICS, Owner.BACKUP)
REASON = Label(
    "reason",
    "why the attempt failed",
    ("NOT_OWNER", "NOT_SERVING", "OVERLOADED", "UNSENT", "AMBIGUOUS", "WRITE_AMBIGUOUS"),
)
REQUEST = Label("request", "to etcd", ("get", "range", "transaction", "lease", "watch"))
RESULT = Label("result", "how it ended", ("ok", "failed"))

CLIENT_RETRIES = counter(
    "dstk_client_retries_total",
    "Attempts that the client repeats. A redirect to another node has the reason NOT_OWNER.",
    REASON,
    owners=ROUTERS,
)
CLIENT_BATCH = histogram(
    "dstk_client_batch_operations", "Operations in a message to a node.", unit=Unit.COUNT, buckets=BATCH, owners=ROUTERS
)
CLIENT_SECONDS = histogram(
    "dstk_client_message_seconds",
    "From sending a message to a node to its answer.",
    unit=Unit.SECONDS,
    buckets=CALL_SECONDS,
    owners=ROUTERS,
)
CLIENT_QUEUE = gauge("dstk_client_queued_operations", "Operations that wait for a place in a message.", owners=ROUTERS)
MAP_REVISION = gauge("dstk_map_revision", "Revision of the partition map that this process knows.", owners=COORDINATED)
MAP_AGE = gauge(
    "dstk_map_silence_seconds",
    "For how long the watch of etcd has been broken; 0 while it is open. The map may be outdated for as long.",
    unit=Unit.SECONDS,
    owners=COORDINATED,
)
MAP_PARTITIONS = gauge("dstk_map_partitions", "Partitions in the map.", owners=COORDINATED)
ETCD_SECONDS = histogram(
    "dstk_etcd_request_seconds",
    "How long requests to etcd took, all endpoints together; of a watch, until it was open.",
    REQUEST,
    unit=Unit.SECONDS,
    buckets=CALL_SECONDS,
    owners=COORDINATED,
)
ETCD_REQUESTS = counter(
    "dstk_etcd_requests_total", "Requests to etcd, by their end.", REQUEST, RESULT, owners=COORDINATED
)
ETCD_WATCH_RESTARTS = counter(
    "dstk_etcd_watch_restarts_total", "Open watches that broke; each begins again.", owners=COORDINATED
)
LEASE_AGE = gauge(
    "dstk_etcd_lease_silence_seconds",
    "How long ago the node last asked etcd, with success, to renew its registration.",
    unit=Unit.SECONDS,
    owners=(Owner.STORAGE,),
)

METRICS = (
    CLIENT_RETRIES,
    CLIENT_BATCH,
    CLIENT_SECONDS,
    CLIENT_QUEUE,
    MAP_REVISION,
    MAP_AGE,
    MAP_PARTITIONS,
    ETCD_SECONDS,
    ETCD_REQUESTS,
    ETCD_WATCH_RESTARTS,
    LEASE_AGE,
)
