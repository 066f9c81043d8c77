"""The observer that writes a line of the node's log for what happens to partitions, replicas and the engine.

Only here: the parts that tell of an event write no line of their own about it.
"""

import logging
from collections.abc import Callable, Mapping
from logging import ERROR, INFO, WARNING
from typing import Any, Final, NamedTuple

from typing_extensions import override

from dstk_cluster.events import Origin
from dstk_service.logs.actions import FAILURE
from dstk_service.logs.fields import LogFields
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
    fields: LogFields


class EventLines(Observer):
    """Writes the lines."""

    @override
    def observe(self, event: Event) -> None:
        if (make := _LINES.get(type(event))) is not None:
            line = make(event)
            log.log(line.level, line.message, extra=LogFields(**line.fields, origin=Origin.NODE))


def _won(event: ElectionWon) -> _Line:
    fields = LogFields(action="failover", partition=event.partition, epoch=event.epoch, previous=event.previous)
    return _Line(INFO, "took over", fields)


def _admitted(event: ReplicaAdmitted) -> _Line:
    return _Line(INFO, "replica in sync", LogFields(**_replica(event), action="in_sync"))


def _evicted(event: ReplicaEvicted) -> _Line:
    return _Line(WARNING, "out of sync", LogFields(**_replica(event), action="out_of_sync"))


def _replica(event: ReplicaAdmitted | ReplicaEvicted) -> LogFields:
    return LogFields(partition=event.partition, node=event.node, epoch=event.epoch)


def _outvoted(event: ReplicaOutvoted) -> _Line:
    fields = LogFields(action="outvoted", partition=event.partition, node=event.node)
    return _Line(ERROR, "a replica differs from what a majority holds, and is rebuilt", fields)


def _quarantined(event: PartitionQuarantined) -> _Line:
    fields = LogFields(action="quarantined", partition=event.partition, error=event.reason)
    return _Line(ERROR, f"quarantined: {event.reason}", fields)


def _write_failed(event: WriteFailed) -> _Line:
    message = "a write failed: refusing writes until the engine is reopened"
    return _Line(ERROR, message, LogFields(action="write_failed", error=event.reason))


def _snapshot_started(event: SnapshotStarted) -> _Line:
    fields = LogFields(action="snapshot_started", partition=event.partition, node=event.node)
    return _Line(INFO, "sending a snapshot", fields)


def _snapshot_ended(event: SnapshotEnded) -> _Line:
    fields = LogFields(
        action="snapshot_ended",
        partition=event.partition,
        node=event.node,
        records=event.records,
        bytes=event.bytes,
        seconds=event.seconds,
    )
    if event.failure:
        failure = LogFields(**fields, outcome=FAILURE, error=event.failure)
        return _Line(INFO, "a snapshot begins again", failure)
    return _Line(INFO, "a snapshot is installed", fields)


def _map_changed(event: MapChanged) -> _Line:
    fields = LogFields(action=_ACTIONS[event.change], partition=event.partition, epoch=event.epoch)
    if event.other is not None:
        fields["upper"] = event.other
    if event.node is not None:
        fields["node"] = event.node
    if event.position is not None:
        fields["position"] = f"{event.position.epoch}/{event.position.seq}"
    level = WARNING if event.change is MapChange.FORCE_PRIMARY else INFO
    return _Line(level, _MESSAGES[event.change], fields)


_ACTIONS: Final[Mapping[MapChange, str]] = {
    **{change: change.value for change in MapChange},
    MapChange.TRANSFER: "transfer_primary",
}
_MESSAGES: Final[Mapping[MapChange, str]] = {
    MapChange.SPLIT: "split",
    MapChange.MERGE: "merged",
    MapChange.TRANSFER: "transferred",
    MapChange.ADD_REPLICA: "replica added",
    MapChange.REMOVE_REPLICA: "replica removed",
    MapChange.FORCE_PRIMARY: "forced to be primary",
}

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
