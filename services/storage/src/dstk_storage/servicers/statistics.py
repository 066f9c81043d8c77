"""The Statistics service: what this node counts, for whoever watches it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Final, Protocol

import grpc
from typing_extensions import override

from dstk.v1 import statistics_pb2, statistics_pb2_grpc
from dstk_keytypes import KeyRange, PartitionId
from dstk_service import metrics_requests
from dstk_service.errors import Overloaded
from dstk_storage.application.statistics import Update
from dstk_storage.domain.measuring.measurer import Measured
from dstk_storage.servicers.measured import measured_message
from dstk_storage.servicers.statistics_messages import messages
from dstk_storage.servicers.translate import Translator

MAX_STREAMS: Final = 16
"""Streams of all callers together. One that is not read keeps an update, of 1 MiB at most, in the transport."""

RETRY_SECONDS: Final = 5.0

DEFAULT_SECONDS: Final = 10.0

SPACING_SECONDS: Final = 0.5
"""Requests that come faster than this are answered together."""

Requests = AsyncIterator[statistics_pb2.WatchStatisticsRequest]


class StatisticsApi(Protocol):
    """What the node counts."""

    async def since(self, session: str, version: int) -> Update:
        """Everything that has changed since this version of this session, or all there is."""

    def sampled_keys(self, partition: PartitionId, update: Update) -> list[bytes]:
        """Keys of recent operations that are new in an update."""

    async def pause(self) -> None:
        """Lets the event loop do something else."""


class MeasuringApi(Protocol):
    """Measures ranges."""

    async def measure(self, number: PartitionId, wanted: KeyRange, buckets: int) -> Measured:
        """What the part of the range in the partition has, in at most so many buckets. Raises StorageError, EngineError."""


class StatisticsServicer(statistics_pb2_grpc.StatisticsServicer):
    """Serves a bounded number of streams. The drain of the server ends them (interceptors.py)."""

    def __init__(self, statistics: StatisticsApi, measurer: MeasuringApi, translate: Translator) -> None:
        self._statistics, self._measurer, self._translate = statistics, measurer, translate
        self._streams = 0

    @override
    async def Watch(
        self, request_iterator: Requests, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[statistics_pb2.StatisticsUpdate]:
        with self._one_stream(), closing(Turns(request_iterator)) as turns:
            while await turns.next():
                update = await self._statistics.since(turns.session, turns.version)
                keys = partial(self._statistics.sampled_keys, update=update)
                async for message in messages(update, keys, self._statistics.pause):
                    yield message
                turns.session, turns.version = update.answer.session, update.answer.version

    @override
    async def MeasureRange(
        self, request: statistics_pb2.MeasureRangeRequest, context: grpc.aio.ServicerContext
    ) -> statistics_pb2.MeasureRangeResponse:
        metrics_requests.measure(request)
        wanted = KeyRange(request.start, request.end or None)
        with self._translate:
            measured = await self._measurer.measure(PartitionId(request.partition_id), wanted, request.buckets)
        return measured_message(measured)

    @contextmanager
    def _one_stream(self) -> Iterator[None]:
        if self._streams >= MAX_STREAMS:
            raise Overloaded(f"{MAX_STREAMS} streams of statistics are open, which is the most", RETRY_SECONDS)
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


class Turns:
    """When a stream is to give an update: at once for requests, otherwise at the interval of the last one."""

    def __init__(self, requests: Requests) -> None:
        self._loop = asyncio.get_running_loop()
        self.session, self.version = "", 0
        """What the caller has."""
        self._seconds = DEFAULT_SECONDS
        self._last: float | None = None
        """When the last update began, by the loop's clock."""
        self._unanswered = False
        self._news = asyncio.Event()
        """A request is unanswered, or none will follow."""
        self._reading = asyncio.create_task(self._read(requests))
        self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def next(self) -> bool:
        """Waits until an update is due; False: the caller has ended its side, and all its requests are answered. Raises
        InvalidArgument for a wrong request.
        """
        await self._due()
        if self._unanswered and self._last is not None:
            await asyncio.sleep(self._last + SPACING_SECONDS - self._loop.time())
        if not self._unanswered and self._reading.done():
            self._reading.result()
            return False
        if not self._reading.done():
            self._news.clear()
        self._unanswered, self._last = False, self._loop.time()
        return True

    def close(self) -> None:
        """Reads no more requests."""
        self._reading.cancel()

    async def _due(self) -> None:
        until = None if self._last is None else self._last + self._seconds
        try:
            async with asyncio.timeout_at(until):
                await self._news.wait()
        except TimeoutError:
            return

    async def _read(self, requests: Requests) -> None:
        is_first = True
        try:
            async for request in requests:
                metrics_requests.watch_statistics(request)
                if is_first:
                    self.session, self.version, is_first = request.session, request.version, False
                self._seconds = request.interval_ms / 1000 or DEFAULT_SECONDS
                self._unanswered = True
                self._news.set()
        finally:
            self._news.set()
