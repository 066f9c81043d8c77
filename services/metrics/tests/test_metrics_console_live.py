"""The stream of totals: one computation for all, and nobody can hold it up."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest
from kit import console, metrics_data
from kit.fake_metrics import FakeMetrics
from kit.http import ask, opened, unchunked

from dstk_metrics.console.broadcast import Broadcast
from dstk_metrics.console.figures import ConsoleFigures
from dstk_metrics.console.live import MOST_STREAMS
from dstk_metrics.console.server import ConsoleServer
from dstk_service.addresses import split
from dstk_service.errors import NotServing
from dstk_service.testing import eventually
from dstk_telemetry import connections

WATCH = "/api/v1/WatchStats?intervalMs=1000"


@pytest.fixture
def api() -> FakeMetrics:
    return FakeMetrics(metrics_data.busy())


@pytest.fixture
async def server(api: FakeMetrics) -> AsyncIterator[ConsoleServer]:
    async with console.serving(api) as made:
        yield made


async def test_totals_arrive_as_events(server: ConsoleServer, api: FakeMetrics) -> None:
    async with opened(server.address, "GET", WATCH) as (status, headers, reader):
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        events = unchunked(reader)
        first, second = [await anext(events) for _ in range(2)]
    assert first.startswith(b"data: ")
    stats = [json.loads(each.removeprefix(b"data: ")) for each in (first, second)]
    assert stats[0]["partitions"] == len(api.partitions)
    assert int(stats[1]["atMs"]) - int(stats[0]["atMs"]) == 1000


async def test_all_who_watch_share_one_computation_and_the_last_one_ends_it(
    server: ConsoleServer, api: FakeMetrics
) -> None:
    async with AsyncExitStack() as stack:
        readers = [(await stack.enter_async_context(opened(server.address, "GET", WATCH)))[2] for _ in range(40)]
        before = api.steps
        for reader in readers:
            events = unchunked(reader)
            await anext(events)
        assert (api.live, server.listeners) == (1, 40)
        assert api.steps <= before + 3
    await eventually(lambda: not server.listeners and not api.live)


async def test_one_who_goes_away_is_noticed_between_two_totals(server: ConsoleServer, api: FakeMetrics) -> None:
    async with opened(server.address, "GET", "/api/v1/WatchStats?intervalMs=60000") as (_, _, reader):
        await anext(unchunked(reader))
        assert server.listeners == 1
    await eventually(lambda: not server.listeners and not api.live, within=5)


async def test_trouble_ends_the_stream_with_an_event(server: ConsoleServer, api: FakeMetrics) -> None:
    async with opened(server.address, "GET", WATCH) as (_, _, reader):
        events = unchunked(reader)
        await anext(events)
        api.trouble = NotServing("etcd was wiped", 1.0)
        last = [each async for each in events][-1]
    assert last.startswith(b"event: trouble\ndata: ")
    assert "etcd was wiped" in json.loads(last.partition(b"data: ")[2])["message"]


@pytest.mark.parametrize(
    ("query", "field"), [("intervalMs=999", "interval_ms"), ("intervalMs=x", "intervalMs"), ("colour=1", "colour")]
)
async def test_a_bad_stream_is_refused_before_it_begins(server: ConsoleServer, query: str, field: str) -> None:
    answer = await ask(server.address, "GET", f"/api/v1/WatchStats?{query}")
    assert (answer.status, answer.json["field"]) == (400, field)


async def test_streams_that_differ_are_bounded(server: ConsoleServer) -> None:
    async with AsyncExitStack() as stack:
        for number in range(MOST_STREAMS):
            await stack.enter_async_context(
                opened(server.address, "GET", f"/api/v1/WatchStats?intervalMs={1000 + number}")
            )
        answer = await ask(server.address, "GET", "/api/v1/WatchStats?intervalMs=9999")
        assert (answer.status, answer.json["reason"]) == (429, "OVERLOADED")
        same = await stack.enter_async_context(opened(server.address, "GET", WATCH))
        assert same[0] == 200


async def test_one_who_does_not_read_is_cut_off_and_holds_nobody_up(
    server: ConsoleServer, api: FakeMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.5)
    host, port = split(server.address)
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(
        b"POST /api/v1/GetHistory HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(WIDE) + WIDE
    )
    api.partitions = metrics_data.busy(1500)
    await eventually(lambda: server.connections == 1)
    async with opened(server.address, "GET", WATCH) as (_, _, other):
        await anext(unchunked(other))
        await eventually(lambda: server.connections == 1)
    writer.close()
    del reader


WIDE = b'{"figure":"FIGURE_READS","maxRows":1536,"maxColumns":1536,"fromMs":"1"}'


async def test_what_is_answered_sent_and_left_out_is_counted(server: ConsoleServer) -> None:
    await ask(server.address, "GET", "/")
    await ask(server.address, "GET", "/api/v1/Nothing")
    await ask(server.address, "GET", "/api/v1/WatchStats?intervalMs=1")
    async with opened(server.address, "GET", WATCH) as (_, _, reader):
        await anext(unchunked(reader))
    await eventually(lambda: not server.listeners)
    found = {("page", 200): 1, ("unknown", 404): 1, ("WatchStats", 400): 1, ("WatchStats", 200): 1}
    assert server.figures.requests == found
    assert (server.figures.events_sent, server.figures.events_dropped) == (1, 0)


async def test_a_slow_listener_misses_messages_which_are_counted_and_gets_the_newest() -> None:
    gate, ended = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        yield b"1"
        for number in (b"2", b"3", b"4"):
            await gate.wait()
            yield number
        ended.set()
        await asyncio.Event().wait()

    figures = ConsoleFigures()
    stream = Broadcast(source, figures)
    async with aclosing(stream.listen()) as slow:
        assert await anext(slow) == b"1"
        async with aclosing(stream.listen()) as late:
            assert await anext(late) == b"1"
        gate.set()
        await ended.wait()
        assert await anext(slow) == b"4"
    assert (figures.events_sent, figures.events_dropped) == (3, 2)
    assert not stream.listeners
