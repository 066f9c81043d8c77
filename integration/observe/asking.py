"""Somebody who asks a metrics service of everything, again and again, by gRPC and through its console."""

import asyncio
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from kit.metrics_calls import metrics_at

from dstk.v1 import metrics_pb2
from dstk_client.metrics import MetricsClient
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import DstkError

PAUSE_SECONDS = 0.5
WHOLE = KeyRange.everything()
PART = KeyRange(Key.text("c"), Key.text("h"))
"""A range with a part of a partition: nodes have to measure it."""


@asynccontextmanager
async def asking(metrics: str, console: str) -> AsyncIterator[None]:
    """Asks until the block ends. Errors are taken as they come: faults are what the block is about."""
    async with metrics_at(metrics) as client, asyncio.TaskGroup() as askers:
        tasks = [askers.create_task(_call(client)), askers.create_task(_watch(client))]
        tasks += [askers.create_task(_browse(console)), askers.create_task(_live(console))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _call(client: MetricsClient) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: client.partition_stats(WHOLE, sort_by=metrics_pb2.FIGURE_READS),
        client.hot_partitions,
        lambda: client.history(metrics_pb2.FIGURE_READS, WHOLE),
        lambda: client.estimate(PART),
        lambda: client.split_points(PART, pieces=4),
    ]
    while True:
        for call in calls:
            await _tried(call)


async def _watch(client: MetricsClient) -> None:
    async def watch() -> None:
        async for _ in client.watch(1000):
            pass

    while True:
        await _tried(watch)


async def _tried(call: Callable[[], Awaitable[object]]) -> None:
    with suppress(DstkError):
        await call()
    await asyncio.sleep(PAUSE_SECONDS)


async def _browse(console: str) -> None:
    """Loads the page."""
    while True:
        with suppress(OSError):
            await asyncio.to_thread(_load, console)
        await asyncio.sleep(PAUSE_SECONDS)


def _load(url: str) -> None:
    with urllib.request.urlopen(url, timeout=10) as response:
        response.read()


async def _live(console: str) -> None:
    """Follows the totals as the page does."""
    at = urllib.parse.urlsplit(console)
    while True:
        try:
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            writer.write(b"GET /api/v1/WatchStats?interval_ms=1000 HTTP/1.1\r\nhost: localhost\r\n\r\n")
            try:
                while await reader.readline():
                    pass
            finally:
                writer.transport.abort()
        except OSError:
            await asyncio.sleep(PAUSE_SECONDS)
