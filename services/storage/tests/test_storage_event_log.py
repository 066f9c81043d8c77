"""What happens on a node and is listed among the cluster's events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from dstk_cluster.events import Event as Listed
from dstk_cluster.events import EventLog, Origin
from dstk_cluster.memory import MemoryCoordinator
from dstk_keytypes import NodeId, PartitionId
from dstk_service.observe import Event
from dstk_service.testing import ManualClock, eventually
from dstk_storage.adapters import event_log
from dstk_storage.adapters.event_log import EventLogObserver
from dstk_storage.domain.events import (
    ElectionWon,
    EngineReplaced,
    PartitionQuarantined,
    ReplicaAdmitted,
    ReplicaEvicted,
    ReplicaOutvoted,
    ReplicasDiffer,
)

ME, OTHER, THIRD = NodeId("me"), NodeId("other"), NodeId("third")
SEVEN = PartitionId(7)
DIFFER = "other, third differ in 2 key ranges, and no majority agrees: nothing was changed"


@dataclass(frozen=True, slots=True)
class Unlisted(Event):
    """Of a kind that the log does not know."""


@asynccontextmanager
async def listing(clock: ManualClock) -> AsyncIterator[tuple[EventLogObserver, EventLog]]:
    """An observer whose loop runs, and the log that it appends to."""
    log = EventLog(MemoryCoordinator(), "c", ME, clock)
    observer = EventLogObserver(ME, log)
    loop = asyncio.ensure_future(observer.run())
    yield observer, log
    loop.cancel()


async def listed(log: EventLog, count: int) -> list[Listed]:
    """So many events, the oldest first."""

    async def are_there() -> bool:
        return len(await log.newest()) == count

    await eventually(are_there)
    return (await log.newest())[::-1]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            ElectionWon(SEVEN, 4, OTHER),
            ("failover", 7, "me", "other was not heard of any more; epoch 4"),
        ),
        (ReplicaAdmitted(SEVEN, OTHER, 5), ("in_sync", 7, "other", "it has everything; epoch 5")),
        (ReplicaEvicted(SEVEN, OTHER, 6), ("out_of_sync", 7, "other", "writes go on without it; epoch 6")),
        (
            ReplicaOutvoted(SEVEN, OTHER),
            ("outvoted", 7, "other", "it differs from the majority, and is rebuilt"),
        ),
        (ReplicasDiffer(SEVEN, (OTHER, THIRD), 2), ("differs", 7, "me", DIFFER)),
        (PartitionQuarantined(SEVEN, "a bad block"), ("quarantined", 7, "me", "a bad block")),
        (EngineReplaced("its disk was lost"), ("engine_replaced", 0, "me", "its disk was lost")),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_event_that_operators_look_for_is_listed(event: Event, expected: tuple[str, int, str, str]) -> None:
    clock = ManualClock()
    async with listing(clock) as (observer, log):
        observer.observe(event)
        (entry,) = await listed(log, 1)
    assert (entry.action, entry.partition, entry.subject, entry.reason) == expected
    assert (entry.node, entry.origin, entry.at_ms) == ("me", Origin.NODE, clock.now_ms())


async def test_an_election_for_what_this_node_led_already_and_other_kinds_are_not_listed() -> None:
    async with listing(ManualClock()) as (observer, log):
        for event in (ElectionWon(SEVEN, 4, ME), Unlisted(), EngineReplaced("the last one")):
            observer.observe(event)
        assert [entry.action for entry in await listed(log, 1)] == ["engine_replaced"]


async def test_events_are_listed_in_their_order_at_the_time_at_which_they_happened() -> None:
    clock = ManualClock()
    begun = clock.now_ms()
    log = EventLog(MemoryCoordinator(), "c", ME, clock)
    observer = EventLogObserver(ME, log)
    for epoch in range(3):
        observer.observe(ReplicaEvicted(SEVEN, OTHER, epoch))
        await clock.advance(1.0)
    loop = asyncio.ensure_future(observer.run())
    entries = await listed(log, 3)
    loop.cancel()
    assert [entry.reason[-1] for entry in entries] == ["0", "1", "2"]
    assert [entry.at_ms - begun for entry in entries] == [0, 1000, 2000]


async def test_what_etcd_keeps_waiting_is_bounded_and_the_rest_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_log, "MOST_WAITING", 2)
    log = EventLog(MemoryCoordinator(), "c", ME, ManualClock())
    observer = EventLogObserver(ME, log)
    for epoch in range(3):
        observer.observe(ReplicaEvicted(SEVEN, OTHER, epoch))
    assert [record.getMessage() for record in caplog.records] == ["an event is not listed: 2 others wait for etcd"]
    loop = asyncio.ensure_future(observer.run())
    await listed(log, 2)
    loop.cancel()
