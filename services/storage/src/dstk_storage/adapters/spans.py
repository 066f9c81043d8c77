"""Spans of a storage node: batches, their way to the followers, calls between nodes, elections."""

from collections.abc import Mapping
from typing import Final

from dstk_storage.adapters.peer_events import EntryReceived, EntrySent, PeerCalled
from dstk_storage.domain.events import BatchEnded, ElectionLost, ElectionWon
from dstk_telemetry.registry import spans
from dstk_telemetry.registry.spans import Attribute
from dstk_telemetry.tracing.finished import Attributes, Value
from dstk_telemetry.tracing.observer import Makers
from dstk_telemetry.tracing.recorder import SpanRecorder

_STATES: Final[Mapping[str, Attribute]] = {
    "GATHERING": spans.GATHERING,
    "PROPOSED": spans.REPLICATING,
    "REPLICATED": spans.WRITING,
}
"""The attribute with the time that a batch has spent in a state (domain/batch.py)."""


def _batch(event: BatchEnded, recorder: SpanRecorder) -> None:
    attributes: dict[Attribute, Value] = {
        spans.PARTITION: event.partition,
        spans.RECORDS: event.records,
        spans.BYTES: event.bytes,
        **{_STATES[state]: seconds for state, seconds in event.spent.items()},
        **_failed(event.failure),
    }
    failed = bool(event.failure)
    recorder.record(spans.BATCH, event.span, event.seconds, attributes, event.operations, is_error=failed)


def _sent(event: EntrySent, recorder: SpanRecorder) -> None:
    attributes: Attributes = {
        spans.PARTITION: event.partition,
        spans.PEER: event.node,
        **_failed(event.failure),
    }
    recorder.record(spans.SEND, event.span, event.seconds, attributes, is_error=bool(event.failure))


def _received(event: EntryReceived, recorder: SpanRecorder) -> None:
    attributes: Attributes = {spans.PARTITION: event.partition, **_failed(event.failure)}
    recorder.record(spans.RECEIVE, event.span, event.seconds, attributes, is_error=bool(event.failure))


def _called(event: PeerCalled, recorder: SpanRecorder) -> None:
    attributes: Attributes = {
        spans.METHOD: f"dstk.v1.Replication/{event.method}",
        spans.PEER: event.node,
        **_failed(event.failure),
    }
    recorder.record(spans.PEER_CALL, event.span, event.seconds, attributes, is_error=bool(event.failure))


def _won(event: ElectionWon, recorder: SpanRecorder) -> None:
    _election(event, recorder, {spans.WON: True, spans.PREVIOUS: event.previous})


def _lost(event: ElectionLost, recorder: SpanRecorder) -> None:
    _election(event, recorder, {spans.WON: False})


def _election(event: ElectionWon | ElectionLost, recorder: SpanRecorder, outcome: Attributes) -> None:
    if event.span is None:
        return
    attributes: Attributes = {spans.PARTITION: event.partition, spans.EPOCH: event.epoch, **outcome}
    recorder.record(spans.ELECTION, event.span, recorder.now() - event.span.begun, attributes)


def _failed(failure: str) -> Attributes:
    return {spans.ERROR: failure} if failure else {}


NODE_SPANS: Makers = {
    BatchEnded: _batch,
    EntrySent: _sent,
    EntryReceived: _received,
    PeerCalled: _called,
    ElectionWon: _won,
    ElectionLost: _lost,
}
