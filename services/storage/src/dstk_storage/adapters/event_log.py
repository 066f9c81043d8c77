"""The observer that lists what happens on this node among the cluster's events."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from typing_extensions import override

from dstk_cluster import events
from dstk_cluster.events import EventLog
from dstk_keytypes import NodeId
from dstk_service.logs.fields import LogFields
from dstk_service.observe import Event, Observer
from dstk_storage.domain.events import (
    ElectionWon,
    EngineReplaced,
    PartitionQuarantined,
    ReplicaAdmitted,
    ReplicaEvicted,
    ReplicaOutvoted,
    ReplicasDiffer,
)

log = logging.getLogger(__name__)

MOST_WAITING = events.KEPT
"""Events that wait for etcd, at most: the log keeps no more."""


class _Entry(NamedTuple):
    """An entry of the log. `subject`: the node that it is about."""

    action: str
    subject: NodeId
    reason: str
    partition: int = 0


def _won(event: ElectionWon, me: NodeId) -> _Entry | None:
    if event.previous == me:
        return None
    return _Entry("failover", me, f"{event.previous} was not heard of any more; epoch {event.epoch}", event.partition)


def _admitted(event: ReplicaAdmitted, _: NodeId) -> _Entry:
    return _Entry("in_sync", event.node, f"it has everything; epoch {event.epoch}", event.partition)


def _evicted(event: ReplicaEvicted, _: NodeId) -> _Entry:
    return _Entry("out_of_sync", event.node, f"writes go on without it; epoch {event.epoch}", event.partition)


def _outvoted(event: ReplicaOutvoted, _: NodeId) -> _Entry:
    return _Entry("outvoted", event.node, "it differs from the majority, and is rebuilt", event.partition)


def _differ(event: ReplicasDiffer, me: NodeId) -> _Entry:
    nodes = ", ".join(event.nodes)
    reason = f"{nodes} differ in {event.ranges} key ranges, and no majority agrees: nothing was changed"
    return _Entry("differs", me, reason, event.partition)


def _quarantined(event: PartitionQuarantined, me: NodeId) -> _Entry:
    return _Entry("quarantined", me, event.reason, event.partition)


def _replaced(event: EngineReplaced, me: NodeId) -> _Entry:
    return _Entry("engine_replaced", me, event.reason)


_ENTRIES: Final[Mapping[type[Event], Callable[[Any, NodeId], _Entry | None]]] = {
    ElectionWon: _won,
    ReplicaAdmitted: _admitted,
    ReplicaEvicted: _evicted,
    ReplicaOutvoted: _outvoted,
    ReplicasDiffer: _differ,
    PartitionQuarantined: _quarantined,
    EngineReplaced: _replaced,
}
"""The entry of each kind of event that has one; None: not of this event. The node is the one that lists it."""


class EventLogObserver(Observer):
    """Appends the events that operators look for to the cluster's event log, one after the other; `run` is its loop.

    The time of an entry is that of the event, however long etcd keeps it waiting.
    """

    def __init__(self, me: NodeId, event_log: EventLog) -> None:
        self._me, self._event_log = me, event_log
        self._waiting: asyncio.Queue[events.Event] = asyncio.Queue(MOST_WAITING)

    @override
    def observe(self, event: Event) -> None:
        # nearly all are of other kinds: each message of a caller is one
        if (make := _ENTRIES.get(type(event))) is None or (entry := make(event, self._me)) is None:
            return
        made = self._event_log.make(entry.action, partition=entry.partition, subject=entry.subject, reason=entry.reason)
        try:
            self._waiting.put_nowait(made)
        except asyncio.QueueFull:
            extra = LogFields(lost_event=entry.action, partition=entry.partition, node=entry.subject)
            log.warning("an event is not listed: %s others wait for etcd", MOST_WAITING, extra=extra)

    async def run(self) -> None:
        """Appends until cancelled."""
        while True:
            await self._event_log.append(await self._waiting.get())
