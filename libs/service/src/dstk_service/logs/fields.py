"""The registry of log fields: every key that a line of the log may have, with its ECS name, its type and its meaning.

Code gives `extra=LogFields(partition=7)`: the type checker refuses a key that is not declared here, and a value of another
type. The formatter writes the names of the Elastic Common Schema, `dstk.*` where ECS has none. The index template, the page
of log fields and the Kibana objects are generated from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, TypedDict, get_type_hints


class FieldType(StrEnum):
    """The types of Elasticsearch's mapping that fields have."""

    KEYWORD = "keyword"
    TEXT = "text"
    LONG = "long"
    DOUBLE = "double"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class LogField:
    """A field of a line. `name`: as it is written. `is_private`: it has keys of users, and is written only where a setting says
    so. `factor`: what a value is multiplied by before it is written.
    """

    name: str
    type: FieldType
    meaning: str
    is_private: bool = False
    factor: int = 1


def _keyword(name: str, meaning: str, *, is_private: bool = False) -> LogField:
    return LogField(name, FieldType.KEYWORD, meaning, is_private)


def _long(name: str, meaning: str) -> LogField:
    return LogField(name, FieldType.LONG, meaning)


def _text(name: str, meaning: str) -> LogField:
    return LogField(name, FieldType.TEXT, meaning)


NANOSECONDS: Final = 1_000_000_000


class LogFields(TypedDict, total=False):
    """What a caller adds to a line, as `extra`."""

    action: Annotated[str, _keyword("event.action", "Action of the control plane; see the list of actions.")]
    outcome: Annotated[str, _keyword("event.outcome", "How the action ended: success, failure or unknown.")]
    reason: Annotated[str, _text("event.reason", "Why the action was taken, for people.")]
    origin: Annotated[str, _keyword("dstk.origin", "Who caused the action: controller, operator or node.")]
    seconds: Annotated[
        float, LogField("event.duration", FieldType.LONG, "How long it took, in nanoseconds.", factor=NANOSECONDS)
    ]
    error: Annotated[str, _text("error.message", "What went wrong.")]
    error_code: Annotated[str, _keyword("error.code", "Reason of an error, as in google.rpc.ErrorInfo.")]
    trace_id: Annotated[str, _keyword("trace.id", "Trace that the line belongs to, 32 hexadecimal digits.")]
    span_id: Annotated[str, _keyword("span.id", "Span that the line belongs to, 16 hexadecimal digits.")]

    partition: Annotated[int, _long("dstk.partition", "Id of the partition.")]
    partitions: Annotated[Sequence[int], _long("dstk.partition", "Ids of the partitions.")]
    upper: Annotated[int, _long("dstk.upper_partition", "Of a split or merge: id of the upper partition.")]
    epoch: Annotated[int, _long("dstk.epoch", "Epoch of the partition.")]
    position: Annotated[str, _keyword("dstk.position", "Position in a partition's log, as epoch/sequence number.")]
    revision: Annotated[int, _long("dstk.revision", "Revision of etcd.")]
    node: Annotated[str, _keyword("dstk.node", "Id of the node that the line is about.")]
    nodes: Annotated[Sequence[str], _keyword("dstk.node", "Ids of the nodes that the line is about.")]
    previous: Annotated[str, _keyword("dstk.previous_primary", "Id of the node that was the primary before.")]
    lost_event: Annotated[str, _keyword("dstk.lost_event", "Action that the cluster's event log does not list.")]
    comparison: Annotated[str, _keyword("dstk.comparison", "What the comparison of replicas has found.")]
    room: Annotated[str, _keyword("dstk.disk.room", "What the disk has room for.")]
    free_bytes: Annotated[int, _long("dstk.disk.free_bytes", "Free bytes of the disk.")]
    reserve_bytes: Annotated[
        int, _long("dstk.disk.reserve_bytes", "Free bytes below which only deletions are accepted.")
    ]
    key_start: Annotated[str, _keyword("dstk.key.start", "First key, in hexadecimal digits.", is_private=True)]
    key_end: Annotated[str, _keyword("dstk.key.end", "Key after the last one, in hexadecimal digits.", is_private=True)]
    key_ranges: Annotated[Sequence[str], _keyword("dstk.key.ranges", "Key ranges.", is_private=True)]

    setting: Annotated[str, _keyword("dstk.setting.name", "Name of the setting that was changed.")]
    old: Annotated[str, _keyword("dstk.setting.old", "Its value before.")]
    new: Annotated[str, _keyword("dstk.setting.new", "Its value from then on.")]
    part: Annotated[str, _keyword("dstk.part", "Part of the service that starts or stops.")]
    worker: Annotated[int, _long("dstk.worker", "Number of the router's worker process.")]
    exit_code: Annotated[
        int, _long("process.exit_code", "Exit code of a process; negative: the signal that killed it.")
    ]
    retry_seconds: Annotated[float, LogField("dstk.retry_seconds", FieldType.DOUBLE, "Seconds until the next attempt.")]
    count: Annotated[int, _long("dstk.count", "How many; the message says of what.")]
    records: Annotated[int, _long("dstk.records", "How many records.")]
    bytes: Annotated[int, _long("dstk.bytes", "How many bytes.")]
    limit: Annotated[int, _long("dstk.limit", "The limit that was exceeded.")]
    method: Annotated[str, _keyword("rpc.method", "Full name of the gRPC method.")]
    address: Annotated[str, _keyword("server.address", "host:port that a service listens at, or that was called.")]
    path: Annotated[str, _keyword("file.path", "Path of a file or directory.")]
    suppressed: Annotated[
        int, _long("dstk.log.suppressed", "Lines with the same message that were suppressed before it.")
    ]
    dropped: Annotated[int, _long("dstk.log.dropped", "Lines that were lost because the log could not be written.")]


FIELDS: Final[Mapping[str, LogField]] = {
    key: next(each for each in hint.__metadata__ if isinstance(each, LogField))
    for key, hint in get_type_hints(LogFields, include_extras=True).items()
}
"""By the key in `extra`."""

TIMESTAMP, LEVEL, MESSAGE, LOGGER = "@timestamp", "log.level", "message", "log.logger"
ECS_VERSION, PID = "ecs.version", "process.pid"
KIND, CATEGORY, TYPE = "event.kind", "event.category", "event.type"
ERROR_TYPE, ERROR_MESSAGE, STACK_TRACE = "error.type", "error.message", "error.stack_trace"
SERVICE, SERVICE_TYPE, VERSION, NODE, CLUSTER = (
    "service.name",
    "service.type",
    "service.version",
    "service.node.name",
    "dstk.cluster",
)
UNDECLARED = "dstk.undeclared"

BASE: Final = (
    LogField(TIMESTAMP, FieldType.DATE, "When the line was written, in UTC."),
    _keyword(LEVEL, "debug, info, warning, error or critical."),
    _text(MESSAGE, "What happened, for people."),
    _keyword(LOGGER, "Module that wrote the line."),
    _keyword(ECS_VERSION, "Version of the Elastic Common Schema that the names are taken from."),
    _keyword(SERVICE, "storage, router or metrics."),
    _keyword(SERVICE_TYPE, "dstk."),
    _keyword(VERSION, "Version of the service."),
    _keyword(NODE, "Id of the storage node that wrote the line; of another service, host:port that it listens at."),
    _keyword(CLUSTER, "Name of the cluster."),
    _long(PID, "Id of the process."),
    _keyword(KIND, "event, in lines about an action."),
    _keyword(CATEGORY, "Category of the action, as in ECS."),
    _keyword(TYPE, "Type of the action, as in ECS."),
    _keyword(ERROR_TYPE, "Class of the exception."),
    LogField(STACK_TRACE, FieldType.TEXT, "Traceback of the exception."),
    _keyword(UNDECLARED, "What libraries add to their lines, as key=value; the code of DSTK adds nothing undeclared."),
)
"""What the formatter adds by itself."""


def by_name() -> dict[str, LogField]:
    """All fields, by the name that is written, in the order of that name."""
    found = {field.name: field for field in (*FIELDS.values(), *BASE)}
    return dict(sorted(found.items()))
