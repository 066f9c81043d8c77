"""Many storage nodes that do nothing but report: each has a server of its own, and all their partitions are busy."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence

import grpc
from typing_extensions import override

from dstk.v1 import statistics_pb2, statistics_pb2_grpc
from dstk_cluster.model import PartitionInfo
from dstk_service.transport.grpc_server import GrpcServer

BOUNDS = tuple(digit * 10.0**power for power in range(-6, 1) for digit in (1, 2, 5))
KEYS = 20


class LoadedFeed(statistics_pb2_grpc.StatisticsServicer):
    """A node that leads these partitions. `busy`: the part of them that change from update to update."""

    def __init__(self, partitions: Sequence[PartitionInfo], busy: float, seed: int) -> None:
        self._rows = [_row(info) for info in partitions]
        self._busy, self._rng, self._version = busy, random.Random(seed), 0
        self._began = time.monotonic()

    @override
    async def Watch(
        self, requests: AsyncIterator[statistics_pb2.WatchStatisticsRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[statistics_pb2.StatisticsUpdate]:
        """Every request is answered at once, and then there is an update at the interval of the last one."""
        request = await anext(requests)
        following = asyncio.ensure_future(anext(requests))
        rows = self._rows
        yield self._update(rows, is_first=True)
        try:
            while True:
                done, _ = await asyncio.wait([following], timeout=request.interval_ms / 1000)
                if done:
                    request, following = following.result(), asyncio.ensure_future(anext(requests))
                rows = self._rng.sample(self._rows, round(self._busy * len(self._rows)))
                yield self._update(rows, is_first=False)
        except StopAsyncIteration:
            return
        finally:
            following.cancel()

    def _update(
        self, rows: Sequence[statistics_pb2.PartitionStatistics], *, is_first: bool
    ) -> statistics_pb2.StatisticsUpdate:
        for row in rows:
            self._work(row)
        self._version += 1
        return statistics_pb2.StatisticsUpdate(
            session="s",
            version=self._version,
            complete=is_first,
            partitions=rows,
            uptime_s=time.monotonic() - self._began,
            latency_bounds_s=BOUNDS if is_first else (),
            node=statistics_pb2.NodeStatistics(free_bytes=1 << 30, capacity_bytes=1 << 40),
        )

    def _work(self, row: statistics_pb2.PartitionStatistics) -> None:
        operations = self._rng.randrange(1, 3000)
        row.reads += operations
        row.writes += operations
        row.read_bytes += 100 * operations
        row.written_bytes += 100 * operations
        row.scanned += operations
        row.batches += 10
        row.busy_s += 1e-5 * operations
        row.queue_wait_s += 0.01
        row.records += 1
        row.sequence += operations
        bucket = operations % len(BOUNDS)
        row.read_latency[bucket] += operations // 64
        row.write_latency[bucket] += operations


def _row(info: PartitionInfo) -> statistics_pb2.PartitionStatistics:
    start, end = info.range.start, info.range.end or b""
    return statistics_pb2.PartitionStatistics(
        partition_id=info.id,
        start=start,
        end=end,
        epoch=info.epoch,
        records=100_000,
        bytes=10_000_000,
        counted=True,
        serving=True,
        read_latency=[0] * len(BOUNDS),
        write_latency=[0] * len(BOUNDS),
        followers=[statistics_pb2.FollowerStatistics(node=node, in_sync=True) for node in info.replicas[1:]],
        sampled_keys=[start + b"/key-%012d" % number for number in range(KEYS)],
    )


async def listen(feed: LoadedFeed) -> tuple[GrpcServer, str]:
    """A server of the node, and its address."""
    server = GrpcServer("127.0.0.1:0")
    server.add(statistics_pb2_grpc.add_StatisticsServicer_to_server, feed, "dstk.v1.Statistics")
    return server, await server.start()
