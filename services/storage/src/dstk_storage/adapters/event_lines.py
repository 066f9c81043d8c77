"""The observer that writes a line of the node's log for what happens to partitions, replicas and the engine.

Only here: the parts that tell of an event write no line of their own about it.
"""

import logging
from collections.abc import Callable, Mapping
from logging import ERROR, INFO, WARNING
from typing import Any, Final, NamedTuple

from typing_extensions import override

from dstk_service.observe import Event, Observer
from dstk_storage.domain.events import (
    ElectionWon,
    MapChange,
    MapChanged,
    PartitionQuarantined,
    ReplicaAdmitted,
    ReplicaEvicted,
    ReplicaOutvoted,
    SnapshotEnded,
    SnapshotStarted,
    WriteFailed,
)

log = logging.getLogger(__name__)


class _Line(NamedTuple):
    """A line: its level, its message, and its fields."""

    level: int
    message: str
    fields: Mapping[str, object]


class EventLines(Observer):
    """Writes the lines."""

    @override
    def observe(self, event: Event) -> None:
        if (make := _LINES.get(type(event))) is not None:
            line = make(event)
            log.log(line.level, line.message, extra=line.fields)


def _won(event: ElectionWon) -> _Line:
    fields = {"partition": event.partition, "epoch": event.epoch, "from": event.previous}
    return _Line(INFO, "took over", fields)


def _admitted(event: ReplicaAdmitted) -> _Line:
    return _Line(INFO, "replica in sync", _replica(event))


def _evicted(event: ReplicaEvicted) -> _Line:
    return _Line(WARNING, "out of sync", _replica(event))


def _replica(event: ReplicaAdmitted | ReplicaEvicted) -> dict[str, object]:
    return {"partition": event.partition, "node": event.node, "epoch": event.epoch}


def _outvoted(event: ReplicaOutvoted) -> _Line:
    fields = {"partition": event.partition, "node": event.node}
    return _Line(ERROR, "a replica differs from what a majority holds, and is rebuilt", fields)


def _quarantined(event: PartitionQuarantined) -> _Line:
    fields = {"partition": event.partition, "error": event.reason}
    return _Line(ERROR, f"quarantined: {event.reason}", fields)


def _write_failed(event: WriteFailed) -> _Line:
    message = "a write failed: refusing writes until the engine is reopened"
    return _Line(ERROR, message, {"error": event.reason})


def _snapshot_started(event: SnapshotStarted) -> _Line:
    return _Line(INFO, "sending a snapshot", {"partition": event.partition, "node": event.node})


def _snapshot_ended(event: SnapshotEnded) -> _Line:
    fields: dict[str, object] = {"partition": event.partition, "node": event.node}
    if event.failure:
        return _Line(INFO, "a snapshot begins again", {**fields, "reason": event.failure})
    return _Line(INFO, "a snapshot is installed", fields)


def _map_changed(event: MapChanged) -> _Line:
    fields: dict[str, object] = {"partition": event.partition, "epoch": event.epoch}
    match event.change:
        case MapChange.SPLIT:
            return _Line(INFO, "split", {**fields, "upper": event.other})
        case MapChange.MERGE:
            return _Line(INFO, "merged", {**fields, "upper": event.other})
        case MapChange.TRANSFER:
            return _Line(INFO, "transferred", {**fields, "to": event.node})
        case MapChange.ADD_REPLICA:
            return _Line(INFO, "replica added", {**fields, "node": event.node})
        case MapChange.REMOVE_REPLICA:
            return _Line(INFO, "replica removed", {**fields, "node": event.node})
        case MapChange.FORCE_PRIMARY:
            return _Line(WARNING, "forced to be primary", {**fields, "position": event.position})


_LINES: Final[Mapping[type[Event], Callable[[Any], _Line]]] = {
    ElectionWon: _won,
    ReplicaAdmitted: _admitted,
    ReplicaEvicted: _evicted,
    ReplicaOutvoted: _outvoted,
    PartitionQuarantined: _quarantined,
    WriteFailed: _write_failed,
    SnapshotStarted: _snapshot_started,
    SnapshotEnded: _snapshot_ended,
    MapChanged: _map_changed,
}
