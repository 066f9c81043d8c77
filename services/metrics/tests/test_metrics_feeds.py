"""Feeds of nodes over gRPC: how they begin, go on, break and are dropped."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kit.feeds import FakeFeed, listening_feed

from dstk_keytypes import NodeId
from dstk_metrics.adapters.node_feeds import NodeFeeds
from dstk_metrics.domain.book import Taken
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.report import Counter, Report
from dstk_metrics.events import FeedBroke, RowsRefused
from dstk_metrics.ports import Taker
from dstk_service.clock import SystemClock
from dstk_service.testing import RecordingObserver, eventually
from dstk_service.transport.grpc_connector import GRPC

ONE = NodeId("storage-1")


class Kept(Taker):
    """Keeps all reports."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def take(self, node: NodeId, report: Report) -> Taken:
        self.reports.append(report)
        return Taken()

    @property
    def last(self) -> Report:
        return self.reports[-1]


class Following:
    def __init__(self) -> None:
        self.taker, self.pace, self.observer = Kept(), Pace(60), RecordingObserver()
        self.feeds = NodeFeeds(GRPC, self.taker, self.pace, SystemClock(), random.Random(1), self.observer)


@asynccontextmanager
async def following() -> AsyncIterator[Following]:
    made = Following()
    await made.feeds.start(asyncio.create_task)
    try:
        yield made
    finally:
        await made.feeds.close()


async def test_a_feed_begins_with_all_and_goes_on_with_changes() -> None:
    feed = FakeFeed()
    feed.set(1, end=b"m", reads=7)
    feed.set(2, start=b"m")
    async with listening_feed(feed) as address, following() as made:
        await made.feeds.keep({ONE: address})
        await eventually(lambda: made.taker.reports)
        assert made.taker.last.complete
        assert made.taker.last.rows.ids == [1, 2]
        assert made.taker.last.rows.counters[0, Counter.READS] == 7
        feed.set(2, writes=3)
        feed.remove(1)
        made.feeds.ask([ONE])
        await eventually(lambda: len(made.taker.reports) > 1)
        assert not made.taker.last.complete
        assert (made.taker.last.rows.ids, made.taker.last.removed) == ([2], (1,))


async def test_a_watcher_makes_the_feeds_faster_for_as_long_as_it_watches() -> None:
    feed = FakeFeed()
    async with listening_feed(feed) as address, following() as made:
        await made.feeds.keep({ONE: address})
        await eventually(lambda: made.taker.reports)
        with made.pace.at_least(2):
            with made.pace.at_least(5):
                await eventually(lambda: len(feed.requests) > 1)
            await eventually(lambda: len(made.taker.reports) > 1)
        await eventually(lambda: len(feed.requests) > 2)
    assert [request.interval_ms for request in feed.requests] == [60_000, 2_000, 60_000]


async def test_a_broken_feed_goes_on_where_it_broke() -> None:
    feed = FakeFeed()
    feed.set(1)
    async with following() as made:
        async with listening_feed(feed) as address:
            await made.feeds.keep({ONE: address})
            await eventually(lambda: made.taker.reports)
        await eventually(lambda: made.observer.of(FeedBroke))
        feed.set(1, reads=5)
        async with listening_feed(feed, address):
            await eventually(lambda: len(made.taker.reports) > 1)
    assert (feed.requests[-1].session, feed.requests[-1].version) == ("first", 1)
    assert not made.taker.last.complete


async def test_a_restarted_node_tells_all() -> None:
    feed = FakeFeed()
    feed.set(1, reads=50)
    async with following() as made:
        async with listening_feed(feed) as address:
            await made.feeds.keep({ONE: address})
            await eventually(lambda: made.taker.reports)
        feed.restart("second")
        feed.set(1, reads=2)
        async with listening_feed(feed, address):
            await eventually(lambda: made.taker.last.session == "second")
    assert made.taker.last.complete


async def test_nodes_that_leave_are_dropped_and_those_that_move_are_followed() -> None:
    feed, other = FakeFeed(), FakeFeed()
    async with listening_feed(feed) as address, listening_feed(other) as elsewhere, following() as made:
        await made.feeds.keep({ONE: address})
        await eventually(lambda: feed.streams)
        await made.feeds.keep({ONE: elsewhere})
        await eventually(lambda: other.streams)
        await made.feeds.keep({})
        made.feeds.ask([ONE])
        assert not made.observer.of(FeedBroke)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("session", "", "session has 0 characters"),
        ("session", "x" * 65, "session has 65 characters"),
        ("uptime_s", float("nan"), "uptime_s is nan"),
        ("uptime_s", -1.0, "uptime_s is -1.0"),
        ("complete", False, "goes on from an update that never came"),
        ("latency_bounds_s", [], "0 latency_bounds_s"),
        ("latency_bounds_s", [2.0, 1.0], "do not ascend"),
        ("latency_bounds_s", [1.0, float("inf")], "do not ascend"),
    ],
)
async def test_an_update_that_cannot_be_true_is_refused_and_the_feed_begins_again(
    field: str, value: object, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    feed = FakeFeed()

    def spoil(update: object) -> object:
        update.ClearField(field)
        if isinstance(value, list):
            getattr(update, field).extend(value)
        else:
            setattr(update, field, value)
        return update

    feed.spoil = spoil
    async with listening_feed(feed) as address, following() as made:
        await made.feeds.keep({ONE: address})
        await eventually(lambda: len(made.observer.of(FeedBroke)) > 1)
        assert not made.taker.reports
        assert why in made.observer.of(FeedBroke)[0].why
        assert len([line for line in caplog.records if "is tried again" in line.message]) == 1
        feed.spoil = lambda update: update
        await eventually(lambda: made.taker.reports)


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"busy_s": float("nan")}, "a figure that is not a number"),
        ({"queue_wait_s": float("inf")}, "a figure that is not a number"),
        ({"busy_s": -1.0}, "a figure that is not a number"),
        ({"reads": 1 << 60}, "a figure that is not a number"),
        ({"bytes": 1 << 60}, "a figure that is not a number"),
        ({"start": b"z", "end": b"b"}, "a range that is none"),
        ({"start": b"z" * 1025}, "a range that is none"),
        ({"partition_id": 0}, "a range that is none"),
        ({"partition_id": 1}, "a partition that is named twice"),
        ({"read_latency": [1] * 5}, "too many latency buckets"),
        ({"sampled_keys": [b"n"] * 129}, "too many sampled keys"),
    ],
)
async def test_a_row_that_cannot_be_true_is_left_out(
    figures: dict[str, object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    feed = FakeFeed()
    feed.set(1, end=b"m")
    feed.set(2, **{"start": b"m", "partition_id": 2, **figures})
    if "partition_id" in figures:
        feed.rows[2].partition_id = figures["partition_id"]
    async with listening_feed(feed) as address, following() as made:
        await made.feeds.keep({ONE: address})
        await eventually(lambda: made.taker.reports)
        made.feeds.ask([ONE])
        await eventually(lambda: len(made.taker.reports) > 1)
    assert made.taker.reports[0].rows.ids == [1]
    (first, *_) = made.observer.of(RowsRefused)
    assert reason in first.reason
    assert first.rows == 1
    assert len([line for line in caplog.records if "left out" in line.message]) == 1


def test_the_pace_is_that_of_the_most_impatient_watcher_as_far_as_the_cluster_is_small_enough() -> None:
    pace, changes = Pace(10), list[float]()
    pace.on_change(lambda: changes.append(pace.seconds))
    with pace.at_least(60), pace.at_least(2), pace.at_least(1):
        pace.follow(100_000)
        pace.follow(1_000_000)
        pace.follow(100)
    assert changes == [2, 1, 5, 10, 1, 2, 10]
