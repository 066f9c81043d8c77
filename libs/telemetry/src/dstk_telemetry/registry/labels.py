"""The labels that several metrics have."""

from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationKind
from dstk_telemetry.registry.kinds import Label

MOST_NODES = 1000
RANKINGS = 6
"""Figures by each of which the metrics service shows the first TOP_PARTITIONS partitions of the cluster."""
TOP_PARTITIONS = 20
"""The busiest partitions of a node, and as many of the largest ones, have series of their own; the others are in the sums."""

OUTCOME = Label("outcome", "who has to do something about it", tuple(OutcomeClass))
OPERATION = Label("operation", "what the caller does with a key", tuple(OperationKind))
RPC_SERVICE = Label("rpc_service", "full name of the gRPC service", bound=12)
RPC_METHOD = Label("rpc_method", "name of the method", bound=80)
DIRECTION = Label("direction", "seen from the service", ("in", "out"))
PEER = Label("peer", "id of the other node", bound=MOST_NODES)
PARTITION = Label(
    "partition",
    "id of one of the busiest or largest partitions; others: the sum of all others",
    bound=2 * TOP_PARTITIONS + 1,
)
CLUSTER_PARTITION = Label(
    "partition",
    "id of one of the partitions with the most reads, writes, bytes moved, time, records or bytes; others: the sum of all "
    "others; at /metrics/partitions: of each partition",
    bound=RANKINGS * TOP_PARTITIONS + 1,
)
