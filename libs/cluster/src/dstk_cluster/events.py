"""The event log of the cluster: what was done to the map, and by whom. etcd keeps the newest thousand events.

/dstk/<cluster>/events/<Unix ms>-<node>-<number>   {"version", and the fields of Event}
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from dstk_cluster import records
from dstk_cluster.port import Coordinator, CoordinatorUnavailable, Delete, Entry, Put, RevisionIs, in_chunks
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

KEPT: Final = 1000
TRIM_EVERY: Final = 100
"""A writer trims the log each time it has appended this many events; to trim reads the whole log."""

_TRIES: Final = 20
_AT_ONCE: Final = 4
"""Appends at the same time. When a node fails, hundreds of events come at once; no one waits for them."""


class Outcome(StrEnum):
    """How an event ended; the same as EventOutcome in admin.proto."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Origin(StrEnum):
    """Who caused an event; the same as EventOrigin in admin.proto."""

    CONTROLLER = "controller"
    OPERATOR = "operator"
    NODE = "node"


ORIGIN_METADATA: Final = "dstk-origin"
"""Metadata of an Admin call that names its origin. A call without it is an operator's."""


def origin_of(metadata: Mapping[str, Any]) -> Origin:
    """Returns the origin of an Admin call."""
    return Origin.CONTROLLER if metadata.get(ORIGIN_METADATA) == Origin.CONTROLLER else Origin.OPERATOR


@dataclass(frozen=True, slots=True)
class Event:
    """One event; see Event in admin.proto. `error`: why it failed."""

    at_ms: int
    node: str
    action: str
    partition: int = 0
    subject: str = ""
    origin: Origin = Origin.NODE
    reason: str = ""
    outcome: Outcome = Outcome.DONE
    error: str = ""
    upper: int = 0
    """Of a split: the new upper half. Of a merge: the partition that is gone. 0: unknown, or none."""
    replaces: str = ""
    """Of an added replica: the node whose replica it will replace."""


_NAMES: Final = tuple(field.name for field in fields(Event))


class EventLog:
    """Appends this node's events and lists those of all nodes.

    Invariants: keys are in the order of their times, because a writer never uses a time before that of its last event; two
    events never share a key. A failure to record an event is logged, not raised: it must not disturb the action itself.
    """

    def __init__(self, coordinator: Coordinator, cluster: str, node: NodeId, clock: Clock) -> None:
        self._coordinator, self._node, self._clock = coordinator, node, clock
        self._prefix = Keys(cluster).root + b"events/"
        self._last_ms = self._number = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def make(self, action: str, **about: Any) -> Event:
        """Returns an event of this node, with the current time."""
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        return Event(self._last_ms, self._node, action, **about)

    async def append(self, event: Event) -> bytes | None:
        """Appends an event. Returns its key; None if the event is lost."""
        try:
            async with self._turns:
                key = await self._append(event)
            if key is not None and self._number % TRIM_EVERY == 1:
                await self._trim()
        except CoordinatorUnavailable as error:
            log.warning("an event could not be recorded", extra=_shown(event, str(error)))
            return None
        return key

    async def conclude(self, key: bytes | None, event: Event, outcome: Outcome, error: str = "") -> Event:
        """Records how an event ended that was appended while it was RUNNING. Returns the event with its outcome."""
        ended = replace(event, outcome=outcome, error=error)
        try:
            if key is None:
                await self._append(ended)
            else:
                await self._coordinator.txn([], [Put(key, _dump(ended))])
        except CoordinatorUnavailable as failure:
            log.warning("an event could not be recorded", extra=_shown(ended, str(failure)))
        return ended

    async def newest(self, limit: int = KEPT) -> list[Event]:
        """Returns the newest events, newest first. Raises CoordinatorUnavailable."""
        entries, _ = await self._coordinator.range(self._prefix)
        return [_read(entry) for entry in reversed(entries[-min(limit, KEPT) :])]

    async def _append(self, event: Event) -> bytes | None:
        for _ in range(_TRIES):
            self._number += 1
            key = self._prefix + f"{event.at_ms:015d}-{event.node}-{self._number:08d}".encode()
            if (await self._coordinator.txn([RevisionIs(key, 0)], [Put(key, _dump(event))])).succeeded:
                return key
        log.warning("an event could not be recorded: its keys are taken", extra=_shown(event))
        return None

    async def _trim(self) -> None:
        entries, _ = await self._coordinator.range(self._prefix)
        old = [Delete(entry.key) for entry in entries[:-KEPT]]
        for chunk in in_chunks(old):
            await self._coordinator.txn([], chunk)


def _dump(event: Event) -> bytes:
    return records.dump(**asdict(event))


def _read(entry: Entry) -> Event:
    known = records.load(entry.value)
    fields_ = {name: known[name] for name in _NAMES if name in known}
    return Event(**{**fields_, "origin": Origin(known["origin"]), "outcome": Outcome(known["outcome"])})


def _shown(event: Event, error: str = "") -> LogFields:
    """Returns the fields for the line about an event that is lost."""
    about = LogFields(lost_event=event.action, node=event.subject, origin=event.origin, reason=event.reason)
    return LogFields(**about, partition=event.partition, error=error)
