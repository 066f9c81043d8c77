"""The observer that lists what happens on this node among the cluster's events."""

import asyncio
import logging

from typing_extensions import override

from dstk_cluster import events
from dstk_cluster.events import EventLog
from dstk_keytypes import NodeId
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

LISTED = frozenset(
    (
        ElectionWon,
        ReplicaAdmitted,
        ReplicaEvicted,
        ReplicaOutvoted,
        ReplicasDiffer,
        PartitionQuarantined,
        EngineReplaced,
    )
)
"""The kinds of events that may have an entry."""

MOST_WAITING = events.KEPT
"""Events that wait for etcd, at most: the log keeps no more."""


class EventLogObserver(Observer):
    """Appends the events that operators look for to the cluster's event log, one after the other; `run` is its loop.

    The time of an entry is that of the event, however long etcd keeps it waiting.
    """

    def __init__(self, me: NodeId, event_log: EventLog) -> None:
        self._me, self._event_log = me, event_log
        self._waiting: asyncio.Queue[events.Event] = asyncio.Queue(MOST_WAITING)

    @override
    def observe(self, event: Event) -> None:
        if type(event) not in LISTED:  # nearly all: each message of a caller is one
            return
        if (entry := self._entry(event)) is None:
            return
        try:
            self._waiting.put_nowait(entry)
        except asyncio.QueueFull:
            extra = {"action": entry.action, "partition": entry.partition, "subject": entry.subject}
            log.warning("an event is not listed: %s others wait for etcd", MOST_WAITING, extra=extra)

    async def run(self) -> None:
        """Appends until cancelled."""
        while True:
            await self._event_log.append(await self._waiting.get())

    def _entry(self, event: Event) -> events.Event | None:
        make, me = self._event_log.make, self._me
        match event:
            case ElectionWon(partition, epoch, previous) if previous != me:
                reason = f"{previous} was not heard of any more; epoch {epoch}"
                return make("failover", partition=partition, subject=me, reason=reason)
            case ReplicaAdmitted(partition, node, epoch):
                reason = f"it has everything; epoch {epoch}"
                return make("in_sync", partition=partition, subject=node, reason=reason)
            case ReplicaEvicted(partition, node, epoch):
                reason = f"writes go on without it; epoch {epoch}"
                return make("out_of_sync", partition=partition, subject=node, reason=reason)
            case ReplicaOutvoted(partition, node):
                reason = "it differs from the majority, and is rebuilt"
                return make("outvoted", partition=partition, subject=node, reason=reason)
            case ReplicasDiffer(partition, nodes, ranges):
                reason = (
                    f"{', '.join(nodes)} differ in {ranges} key ranges, and no majority agrees: nothing was changed"
                )
                return make("differs", partition=partition, subject=me, reason=reason)
            case PartitionQuarantined(partition, reason):
                return make("quarantined", partition=partition, subject=me, reason=reason)
            case EngineReplaced(reason):
                return make("engine_replaced", subject=me, reason=reason)
        return None
