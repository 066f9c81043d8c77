"""The observers of calls, and of operations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FileDescriptor
from typing_extensions import override

from dstk_service.observe import Event, Observer
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationKind, OperationsEnded, RpcEnded
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.kept import Counter, Histogram
from dstk_telemetry.registry import rpc

OTHER = "other"
"""The service and the method of calls that nobody serves: their names come from the caller."""

KEY_VALUE = "dstk.v1.KeyValue"
OPERATION_OF = {
    "Get": OperationKind.GET,
    "Put": OperationKind.PUT,
    "Delete": OperationKind.DELETE,
    "Scan": OperationKind.SCAN,
    "ScanPages": OperationKind.SCAN,
    "BulkInsert": OperationKind.BULK_INSERT,
}
"""Methods of KeyValue whose call is one operation."""


def methods_of(*files: FileDescriptor) -> dict[str, list[str]]:
    """The methods of the services that these proto files define, by the services' full names."""
    services = [service for file in files for service in file.services_by_name.values()]
    return {service.full_name: [method.name for method in service.methods] for service in services}


@dataclass(frozen=True, slots=True)
class _Method:
    """The series of one method."""

    ended: Mapping[OutcomeClass, Counter]
    seconds: Histogram
    received: Counter
    sent: Counter


class CallMetrics(Observer):
    """Counts and times calls by method. `methods`: the services that are served, by full name, with the names of their methods;
    every series exists before its first call.
    """

    def __init__(self, instruments: Instruments, methods: Mapping[str, Iterable[str]]) -> None:
        served = [(service, method) for service, names in methods.items() for method in names]
        self._other = _series(instruments, OTHER, OTHER)
        self._methods = {each: _series(instruments, *each) for each in served}

    @override
    def observe(self, event: Event) -> None:
        if isinstance(event, RpcEnded):
            self._call_ended(event)

    def _call_ended(self, event: RpcEnded) -> None:
        series = self._methods.get((event.service, event.method), self._other)
        series.ended[event.outcome].inc()
        if not event.streaming:
            series.seconds.observe(event.seconds, None if event.span is None else event.span.context)
            series.received.inc(event.request_bytes)
            series.sent.inc(event.response_bytes)


class KeyMetrics(CallMetrics):
    """Also counts and times operations on keys by kind, those in Execute included."""

    def __init__(self, instruments: Instruments, methods: Mapping[str, Iterable[str]]) -> None:
        super().__init__(instruments, methods)
        self._operations = {
            (kind, outcome): instruments.counter(rpc.OPERATIONS, kind, outcome)
            for kind in OperationKind
            for outcome in OutcomeClass
        }
        self._execute_seconds = instruments.histogram(rpc.EXECUTE_SECONDS)
        self._execute_operations = instruments.histogram(rpc.EXECUTE_OPERATIONS)
        self._execute_bytes = instruments.counter(rpc.EXECUTE_BYTES)

    @override
    def observe(self, event: Event) -> None:
        if isinstance(event, OperationsEnded):
            self._message_ended(event)
        elif isinstance(event, RpcEnded):
            if event.service == KEY_VALUE and (kind := OPERATION_OF.get(event.method)) is not None:
                self._operations[kind, event.outcome].inc()
            self._call_ended(event)

    def _message_ended(self, event: OperationsEnded) -> None:
        counts = {OperationKind.GET: event.gets, OperationKind.PUT: event.puts, OperationKind.DELETE: event.deletes}
        self._execute_operations.observe(sum(counts.values()))
        self._execute_seconds.observe(event.seconds, None if event.traced is None else event.traced[0].span.context)
        self._execute_bytes.inc(event.response_bytes)
        for (kind, outcome), count in (event.failed or {}).items():
            self._operations[kind, outcome].inc(count)
            counts[kind] = counts.get(kind, count) - count
        for kind, count in counts.items():
            if count:
                self._operations[kind, OutcomeClass.OK].inc(count)


def _series(instruments: Instruments, service: str, method: str) -> _Method:
    return _Method(
        {outcome: instruments.counter(rpc.RPC_ENDED, service, method, outcome) for outcome in OutcomeClass},
        instruments.histogram(rpc.RPC_SECONDS, service, method),
        instruments.counter(rpc.RPC_BYTES, service, "in"),
        instruments.counter(rpc.RPC_BYTES, service, "out"),
    )
