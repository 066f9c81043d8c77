"""Every span that DSTK makes. Attributes follow OpenTelemetry's conventions where there is one; ours begin with `dstk.`.

No attribute holds a key, a value, or an address of a client: what a trace shows may be read by more people than the data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class SpanKind(StrEnum):
    """Which end of a call a span is, as OpenTelemetry names it."""

    CLIENT = "client"
    SERVER = "server"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of spans. `type`: of its values."""

    name: str
    what: str
    type: type[str | int | float | bool]


@dataclass(frozen=True, slots=True)
class SpanType:
    """What all spans of one name have. `links`: the spans that they link to; empty: none. `is_call`: somebody waits for it, so
    that it is kept when it is slow.
    """

    name: str
    kind: SpanKind
    help: str
    attributes: tuple[Attribute, ...]
    links: str = ""
    is_call: bool = False

    def __post_init__(self) -> None:
        assert self.name.startswith("dstk."), f"{self.name}: names begin with dstk."
        assert self.help.endswith("."), f"{self.name}: its help is a sentence"


OPERATION = Attribute("db.operation.name", "get, put or delete", str)
OPERATIONS = Attribute("db.operation.batch.size", "operations in the message", int)
METHOD = Attribute("rpc.method", "full name of the gRPC method", str)
CODE = Attribute("rpc.response.status_code", "name of the gRPC code", str)
ERROR = Attribute("error.type", "what went wrong, if anything did", str)
SERVER = Attribute("server.address", "host:port of the storage node or router", str)
ATTEMPTS = Attribute("dstk.attempts", "attempts, the last one included", int)
STREAMS = Attribute("dstk.streams", "streams of pages that the scan took", int)
PARTITION = Attribute("dstk.partition.id", "id of the partition", int)
EPOCH = Attribute("dstk.partition.epoch", "epoch that the election is about", int)
PEER = Attribute("dstk.peer.id", "id of the other storage node", str)
PREVIOUS = Attribute("dstk.election.previous", "id of the primary before", str)
WON = Attribute("dstk.election.won", "whether the map was changed", bool)
RECORDS = Attribute("dstk.batch.records", "writes in the batch", int)
BYTES = Attribute("dstk.batch.bytes", "bytes of their keys and values", int)
GATHERING = Attribute("dstk.batch.gathering", "seconds until the batch was closed", float)
REPLICATING = Attribute("dstk.batch.replicating", "seconds until all required followers had it", float)
WRITING = Attribute("dstk.batch.writing", "seconds until it was on this node's disk", float)
EXAMINED = Attribute("dstk.measure.records", "records that the node read for it", int)
REQUEST = Attribute("dstk.etcd.request", "what etcd was asked for", str)

CLIENT_OPERATION = SpanType(
    "dstk.client.operation",
    SpanKind.CLIENT,
    "A get, put or delete, from the call to its outcome, all attempts included.",
    (OPERATION, ERROR),
    is_call=True,
)
CLIENT_MESSAGE = SpanType(
    "dstk.client.message",
    SpanKind.CLIENT,
    "An Execute message to a node or a router, until the last part of its answer.",
    (SERVER, OPERATIONS),
    links="its other traced operations: the first one is its parent",
)
CLIENT_CALL = SpanType(
    "dstk.client.call",
    SpanKind.CLIENT,
    "A call of its own: a bulk insert, one page of a scan, or a large record.",
    (METHOD, ATTEMPTS, ERROR),
    is_call=True,
)
CLIENT_SCAN = SpanType(
    "dstk.client.scan",
    SpanKind.INTERNAL,
    "A scan, as long as its caller reads.",
    (STREAMS, ERROR),
)
CLIENT_PAGES = SpanType(
    "dstk.client.pages",
    SpanKind.CLIENT,
    "The pages of a scan that one node or router sends.",
    (SERVER, ERROR),
)
SERVER_CALL = SpanType(
    "dstk.server.call",
    SpanKind.SERVER,
    "A gRPC call, as the server sees it.",
    (METHOD, CODE, ERROR),
    is_call=True,
)
SERVER_OPERATION = SpanType(
    "dstk.server.operation",
    SpanKind.SERVER,
    "An operation of an Execute message, from the message to the answer.",
    (OPERATION, CODE, PARTITION, ERROR),
    links="the batch that its write is in",
    is_call=True,
)
SERVER_MESSAGE = SpanType(
    "dstk.server.message",
    SpanKind.SERVER,
    "An Execute message without a traced operation that was slow, or in which an operation failed.",
    (OPERATIONS, ERROR),
    is_call=True,
)
BATCH = SpanType(
    "dstk.storage.batch",
    SpanKind.INTERNAL,
    "A batch of writes of one partition, on its primary or a follower, until it is on disk.",
    (PARTITION, RECORDS, BYTES, GATHERING, REPLICATING, WRITING, ERROR),
    links="its other traced operations: the first one is its parent",
)
SEND = SpanType(
    "dstk.replication.send",
    SpanKind.CLIENT,
    "A primary sends a batch to a follower, and waits for its answer.",
    (PARTITION, PEER, ERROR),
)
RECEIVE = SpanType(
    "dstk.replication.receive",
    SpanKind.SERVER,
    "A follower takes a batch to disk, and answers.",
    (PARTITION, ERROR),
)
PEER_CALL = SpanType(
    "dstk.replication.call",
    SpanKind.CLIENT,
    "A storage node calls another one, such as for its vote.",
    (METHOD, PEER, ERROR),
)
ELECTION = SpanType(
    "dstk.replication.election",
    SpanKind.INTERNAL,
    "A replica tries to become the primary of its partition.",
    (PARTITION, EPOCH, PREVIOUS, WON),
)
MEASURE = SpanType(
    "dstk.metrics.measure",
    SpanKind.CLIENT,
    "The metrics service has a storage node measure a range: an estimate, or split points, may need several.",
    (PARTITION, PEER, EXAMINED, ERROR),
)
ETCD = SpanType("dstk.etcd.request", SpanKind.CLIENT, "A request to etcd.", (REQUEST, ERROR))

SPANS: Mapping[str, SpanType] = {
    each.name: each
    for each in (
        CLIENT_OPERATION,
        CLIENT_MESSAGE,
        CLIENT_CALL,
        CLIENT_SCAN,
        CLIENT_PAGES,
        SERVER_CALL,
        SERVER_OPERATION,
        SERVER_MESSAGE,
        BATCH,
        SEND,
        RECEIVE,
        PEER_CALL,
        ELECTION,
        MEASURE,
        ETCD,
    )
}
"""All types of spans, by name."""
