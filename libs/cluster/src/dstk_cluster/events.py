"""What was done to the map, and by whom: the newest thousand events, in etcd.

/dstk/<cluster>/events/<Unix ms>-<node>-<number>   {"version", and the fields of Event}
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from dstk_cluster import records
from dstk_cluster.port import Compare, Coordinator, CoordinatorUnavailable, Delete, Entry, Put
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId
from dstk_service.clock import Clock

log = logging.getLogger(__name__)

KEPT: Final = 1000
TRIM_EVERY: Final = 100
"""Events that a writer appends between two looks at how many there are: a look reads them all."""

_CHUNK: Final = 100
_TRIES: Final = 20
_AT_ONCE: Final = 4
"""Of hundreds at one moment, when a node falls silent, the others wait: nothing waits for them."""


class Origin(StrEnum):
    """Who wanted it."""

    CONTROLLER = "controller"
    OPERATOR = "operator"
    NODE = "node"


ORIGIN_METADATA: Final = "dstk-origin"
"""Metadata of an Admin call that names its origin; without it an operator called."""


def origin_of(metadata: Mapping[str, Any]) -> Origin:
    """Who made an Admin call."""
    return Origin.CONTROLLER if metadata.get(ORIGIN_METADATA) == Origin.CONTROLLER else Origin.OPERATOR


@dataclass(frozen=True, slots=True)
class Event:
    """See Event in admin.proto. `outcome`: empty while it is under way, "done", or "failed: …"."""

    at_ms: int
    node: str
    action: str
    partition: int = 0
    subject: str = ""
    origin: str = Origin.NODE
    reason: str = ""
    outcome: str = "done"
    upper: int = 0
    """Of a split: the new upper half. Of a merge: the partition that is no more. 0: unknown, or none."""
    replaces: str = ""
    """Of an added replica: the node whose replica it is to take the place of."""

    @property
    def detail(self) -> str:
        """For people: why, and with what outcome."""
        outcome = self.outcome or "under way"
        said = self.reason if outcome == "done" and self.origin == Origin.NODE else f"{self.reason}; {outcome}"
        return said if self.origin == Origin.NODE else f"{self.origin}: {said}"


_NAMES: Final = tuple(field.name for field in fields(Event))


class EventLog:
    """Appends this node's events, and lists everybody's.

    Invariants: keys are in the order of their times, for no writer uses a time below that of its last event, and two never
    use the same key. Whatever befalls an event, the action that it tells of is not disturbed: it is logged, not raised.
    """

    def __init__(self, coordinator: Coordinator, cluster: str, node: NodeId, clock: Clock) -> None:
        self._coordinator, self._node, self._clock = coordinator, node, clock
        self._prefix = Keys(cluster).root + b"events/"
        self._last_ms = self._number = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def make(self, action: str, **about: Any) -> Event:
        """An event of this node and this moment."""
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        return Event(self._last_ms, self._node, action, **about)

    async def append(self, event: Event) -> bytes | None:
        """Writes an event down: its key; None: it is lost."""
        try:
            async with self._turns:
                key = await self._append(event)
            if key is not None and self._number % TRIM_EVERY == 1:
                await self._trim()
        except CoordinatorUnavailable as error:
            log.warning("an event could not be written down", extra={**_shown(event), "error": str(error)})
            return None
        return key

    async def conclude(self, key: bytes | None, event: Event, outcome: str) -> Event:
        """Writes down how something ended that was `append`ed when it began."""
        ended = replace(event, outcome=outcome)
        try:
            if key is None:
                await self._append(ended)
            else:
                await self._coordinator.txn([], [Put(key, _dump(ended))])
        except CoordinatorUnavailable as error:
            log.warning("an event could not be written down", extra={**_shown(ended), "error": str(error)})
        return ended

    async def newest(self, limit: int = KEPT) -> list[Event]:
        """The newest events, newest first. Raises CoordinatorUnavailable."""
        entries, _ = await self._coordinator.range(self._prefix)
        return [_read(entry) for entry in reversed(entries[-min(limit, KEPT) :])]

    async def _append(self, event: Event) -> bytes | None:
        for _ in range(_TRIES):
            self._number += 1
            key = self._prefix + f"{event.at_ms:015d}-{event.node}-{self._number:08d}".encode()
            if (await self._coordinator.txn([Compare(key, 0)], [Put(key, _dump(event))])).succeeded:
                return key
        log.warning("an event could not be written down: its keys are taken", extra=_shown(event))
        return None

    async def _trim(self) -> None:
        entries, _ = await self._coordinator.range(self._prefix)
        old = [Delete(entry.key) for entry in entries[:-KEPT]]
        for at in range(0, len(old), _CHUNK):
            await self._coordinator.txn([], old[at : at + _CHUNK])


def _dump(event: Event) -> bytes:
    return records.dump(**asdict(event))


def _read(entry: Entry) -> Event:
    known = records.load(entry.value)
    return Event(**{name: known[name] for name in _NAMES if name in known})


def _shown(event: Event) -> dict[str, Any]:
    """For the log, where some names are taken."""
    return {f"event_{name}": value for name, value in asdict(event).items() if value}
