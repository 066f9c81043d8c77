"""The event log: in order, bounded, and never in the way of the actions that it records."""

import asyncio
import logging
from dataclasses import replace

import pytest

from dstk_cluster import events as events_module
from dstk_cluster.events import KEPT, ORIGIN_METADATA, EventLog, Origin, Outcome, origin_of
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.port import Coordinator
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId
from dstk_service.clock import SystemClock
from dstk_service.testing import ManualClock


def events_of(coordinator: Coordinator, cluster: str, node: str = "n1", clock: ManualClock | None = None) -> EventLog:
    return EventLog(coordinator, cluster, NodeId(node), clock or SystemClock())


async def test_events_are_listed_newest_first(coordinator: Coordinator, cluster: str) -> None:
    clock = ManualClock()
    log = events_of(coordinator, cluster, clock=clock)
    for number in range(1, 4):
        await log.append(log.make("split", partition=number, reason="too big", origin=Origin.CONTROLLER))
        await clock.advance(0.5)
    assert [event.partition for event in await log.newest()] == [3, 2, 1]
    (newest,) = await log.newest(1)
    assert (newest.origin, newest.reason, newest.outcome) == (Origin.CONTROLLER, "too big", Outcome.DONE)
    assert newest.at_ms == clock.now_ms() - 500


async def test_several_writers_at_once_lose_nothing(coordinator: Coordinator, cluster: str) -> None:
    clock = ManualClock()
    logs = [events_of(coordinator, cluster, f"n{number % 3}", clock) for number in range(6)]  # ids twice: a restart
    await asyncio.gather(*(log.append(log.make("desired_state", reason=f"{at}")) for at, log in enumerate(logs * 5)))
    assert len(await logs[0].newest()) == 30


async def test_the_end_of_an_action_replaces_its_beginning(coordinator: Coordinator, cluster: str) -> None:
    log = events_of(coordinator, cluster)
    begun = log.make("add_replica", partition=7, subject="n2", reason="2 of 3", outcome=Outcome.RUNNING)
    key = await log.append(begun)
    assert await log.newest() == [begun]
    ended = await log.conclude(key, begun, Outcome.FAILED, "n2 is gone")
    assert await log.newest() == [ended]
    assert ended == replace(begun, outcome=Outcome.FAILED, error="n2 is gone")


async def test_only_the_newest_are_kept(
    coordinator: Coordinator, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "KEPT", 30)
    log = events_of(coordinator, cluster)
    for number in range(100):
        await log.append(log.make("split", partition=number))
    assert [event.partition for event in await log.newest()] == list(range(99, 69, -1))
    entries, _ = await coordinator.range(Keys(cluster).root + b"events/")
    assert len(entries) < 30 + events_module.TRIM_EVERY
    assert KEPT == 1000


async def test_a_clock_that_jumps_back_does_not_change_the_order() -> None:
    coordinator, clock = MemoryCoordinator(), ManualClock()
    log = events_of(coordinator, "c", clock=clock)
    await log.append(log.make("split"))
    clock._now -= 60
    await log.append(log.make("merge"))
    assert [event.action for event in await log.newest()] == ["merge", "split"]


async def test_a_lost_event_is_logged_and_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    coordinator = MemoryCoordinator()
    log = events_of(coordinator, "c")
    coordinator.unreachable = True
    event = log.make("merge", partition=3, outcome=Outcome.RUNNING)
    with caplog.at_level(logging.WARNING):
        assert await log.append(event) is None
        ended = await log.conclude(b"key", event, Outcome.DONE)
    assert [record.__dict__["partition"] for record in caplog.records] == [3, 3]
    coordinator.unreachable = False
    await log.conclude(None, ended, Outcome.DONE)
    assert len(await log.newest()) == 1, "an event whose beginning was lost is recorded when it ends"


def test_a_call_without_an_origin_is_an_operators() -> None:
    assert origin_of({}) is Origin.OPERATOR
    assert origin_of({ORIGIN_METADATA: "nobody"}) is Origin.OPERATOR
    assert origin_of({ORIGIN_METADATA: "controller"}) is Origin.CONTROLLER


def test_an_event_of_a_node_itself_is_done_unless_it_says_otherwise() -> None:
    event = events_of(MemoryCoordinator(), "c").make("failover", reason="n1 does not answer")
    assert (event.origin, event.outcome, event.error) == (Origin.NODE, Outcome.DONE, "")
