"""Metrics of calls and of the operations that travel in `Execute`."""

from dstk_telemetry.registry.buckets import BATCH, CALL_SECONDS
from dstk_telemetry.registry.kinds import EVERY_SERVICE, Owner, Unit, counter, histogram
from dstk_telemetry.registry.labels import DIRECTION, OPERATION, OUTCOME, RPC_METHOD, RPC_SERVICE

SERVERS_OF_KEYS = (Owner.STORAGE, Owner.ROUTER)

RPC_ENDED = counter(
    "dstk_rpc_ended_total",
    "Calls that ended, streams included, as the server saw them.",
    RPC_SERVICE,
    RPC_METHOD,
    OUTCOME,
    owners=EVERY_SERVICE,
)
RPC_SECONDS = histogram(
    "dstk_rpc_seconds",
    "How long calls took on the server; streams are left out.",
    RPC_SERVICE,
    RPC_METHOD,
    unit=Unit.SECONDS,
    buckets=CALL_SECONDS,
    owners=EVERY_SERVICE,
)
RPC_BYTES = counter(
    "dstk_rpc_bytes_total",
    "Bytes of requests (in) and answers (out) of calls; streams are left out.",
    RPC_SERVICE,
    DIRECTION,
    owners=EVERY_SERVICE,
)
OPERATIONS = counter(
    "dstk_operations_total",
    "Operations on keys that ended: those in Execute, and calls of their own. Clients leave a scan after its last page, so "
    "that one that went well counts as ok or as client.",
    OPERATION,
    OUTCOME,
    owners=SERVERS_OF_KEYS,
)
EXECUTE_SECONDS = histogram(
    "dstk_execute_seconds",
    "From an Execute message to the moment at which the transport has the last part of its answer.",
    unit=Unit.SECONDS,
    buckets=CALL_SECONDS,
    owners=SERVERS_OF_KEYS,
)
EXECUTE_OPERATIONS = histogram(
    "dstk_execute_operations",
    "Operations in an Execute message.",
    unit=Unit.COUNT,
    buckets=BATCH,
    owners=SERVERS_OF_KEYS,
)
EXECUTE_BYTES = counter(
    "dstk_execute_response_bytes_total",
    "Bytes of the answers to Execute messages.",
    owners=SERVERS_OF_KEYS,
)

METRICS = (RPC_ENDED, RPC_SECONDS, RPC_BYTES, OPERATIONS, EXECUTE_SECONDS, EXECUTE_OPERATIONS, EXECUTE_BYTES)
