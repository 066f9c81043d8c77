"""Storage nodes that tell what a test makes up: the feed of Statistics.Watch, in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from typing_extensions import override

from dstk.v1 import statistics_pb2, statistics_pb2_grpc
from dstk_service.transport.grpc_server import GrpcServer

BOUNDS = (0.001, 0.01, 0.1)


class FakeFeed(statistics_pb2_grpc.StatisticsServicer):
    """The statistics of one node. A test changes `rows` by `set`, moves `uptime_s`, and restarts the node by `restart`.

    `spoil`, a function of the test, may change each update. `requests`: all that were received. `is_silent`: nothing is sent.
    Every update answers a request.
    """

    def __init__(self) -> None:
        self.rows: dict[int, statistics_pb2.PartitionStatistics] = {}
        self.uptime_s = 100.0
        self.session, self.version = "first", 0
        self.requests: list[statistics_pb2.WatchStatisticsRequest] = []
        self.is_silent = False
        self.spoil: Any = lambda update: update
        self.streams = 0
        self._changed: dict[int, int] = {}
        self._removed: dict[int, int] = {}

    def set(self, partition: int, **figures: Any) -> None:
        """Changes figures of a row, which begins if it is new."""
        row = self.rows.setdefault(
            partition,
            statistics_pb2.PartitionStatistics(partition_id=partition, epoch=1, counted=True, serving=True),
        )
        row.MergeFrom(statistics_pb2.PartitionStatistics(**figures))
        self._changed[partition] = self.version + 1
        self._removed.pop(partition, None)

    def remove(self, partition: int) -> None:
        """The node leads the partition no longer."""
        del self.rows[partition]
        self._removed[partition] = self.version + 1

    def restart(self, session: str) -> None:
        """Another process: counters and versions begin at 0."""
        self.session, self.version, self.uptime_s = session, 0, 0.0
        self.rows.clear()
        self._changed.clear()
        self._removed.clear()

    @override
    async def Watch(
        self, requests: AsyncIterator[statistics_pb2.WatchStatisticsRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[statistics_pb2.StatisticsUpdate]:
        self.streams += 1
        seen = -1
        async for request in requests:
            self.requests.append(request)
            if request.session == self.session:
                seen = request.version
            while self.is_silent:
                await asyncio.sleep(0.01)
            yield self.spoil(self._update(seen))
            seen = self.version

    def _update(self, seen: int) -> statistics_pb2.StatisticsUpdate:
        self.version += 1
        return statistics_pb2.StatisticsUpdate(
            session=self.session,
            version=self.version,
            complete=seen < 0,
            partitions=[row for each, row in self.rows.items() if self._changed[each] > seen],
            removed_partitions=[each for each, at in self._removed.items() if at > seen >= 0],
            uptime_s=self.uptime_s,
            latency_bounds_s=BOUNDS if seen < 0 else (),
            node=statistics_pb2.NodeStatistics(free_bytes=600, capacity_bytes=1000),
        )


@asynccontextmanager
async def listening_feed(feed: FakeFeed, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """The address of the node."""
    server = GrpcServer(address)
    server.add(statistics_pb2_grpc.add_StatisticsServicer_to_server, feed, "dstk.v1.Statistics")
    try:
        yield await server.start()
    finally:
        await server.stop(0)
