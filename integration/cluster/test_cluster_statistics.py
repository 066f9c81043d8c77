"""What a node tells of its partitions, on real processes: exactly what was done, to readers side by side, across a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kit.process_cluster import ProcessCluster

from dstk.v1 import kv_pb2, kv_pb2_grpc, statistics_pb2, statistics_pb2_grpc
from dstk_service.testing import PATIENCE_SECONDS, eventually
from dstk_service.transport.grpc_connector import GRPC

pytestmark = [pytest.mark.slow]

NODE = "storage-1"
KEYS = [b"a%03d" % number for number in range(100)]

Partitions = dict[bytes, statistics_pb2.PartitionStatistics]
"""By start of range."""


class Reader:
    """One stream of statistics, and what it has told so far."""

    def __init__(self, channel: Any) -> None:
        self._call = statistics_pb2_grpc.StatisticsStub(channel).Watch()
        self.known: Partitions = {}

    async def ask(self, session: str = "", version: int = 0) -> statistics_pb2.StatisticsUpdate:
        """Asks for an update, and takes it over."""
        await self.send(session, version)
        async with asyncio.timeout(PATIENCE_SECONDS):
            update = await self._call.read()
        assert isinstance(update, statistics_pb2.StatisticsUpdate)
        self.known |= {each.start: each for each in update.partitions}
        return update

    async def send(self, session: str = "", version: int = 0) -> None:
        await self._call.write(statistics_pb2.WatchStatisticsRequest(session=session, version=version))


@asynccontextmanager
async def one_node(path: Path) -> AsyncIterator[ProcessCluster]:
    """Two partitions on one node, without replicas elsewhere."""
    options = ["--bootstrap-replicas", "1"]
    async with ProcessCluster(path, nodes=1, splits=["m"], storage_options=options) as cluster:
        yield cluster


async def work(channel: Any) -> None:
    """A hundred puts, 64 gets of which the last is for KEYS[7], a page of ten, a deletion, and an insert of 200 at "n"."""
    stub = kv_pb2_grpc.KeyValueStub(channel)
    for key in KEYS:
        await stub.Put(kv_pb2.PutRequest(key=key, value=b"v" * 10))
    for number in range(64):
        await stub.Get(kv_pb2.GetRequest(key=KEYS[number + 1] if number < 63 else KEYS[7]))
    await stub.Scan(kv_pb2.ScanRequest(start=b"a", end=b"b", limit=10))
    await stub.Delete(kv_pb2.DeleteRequest(key=KEYS[0]))
    keys = [b"n%03d" % number for number in range(200)]
    await stub.BulkInsert(kv_pb2.BulkInsertRequest(keys=keys, values=[b"w" * 5] * 200))


async def test_the_stream_tells_exactly_what_was_done_to_readers_side_by_side(tmp_path: Path) -> None:
    async with one_node(tmp_path) as cluster, GRPC.connect(cluster.address(NODE)) as channel:
        early, late, asleep = Reader(channel), Reader(channel), Reader(channel)
        first = await early.ask()
        assert first.complete
        assert [early.known[start].writes for start in (b"", b"m")] == [0, 0]
        await asleep.send()
        await work(channel)
        for _ in range(20):
            await asleep.send()
        assert not (await early.ask()).complete
        assert (await late.ask()).complete
        for reader in (early, late):
            judge_lower(reader.known[b""])
            judge_upper(reader.known[b"m"])
        await counted(early)
        restarted = await after_restart(cluster, first)
        assert restarted.complete
        assert restarted.session != first.session
        assert [each.writes for each in restarted.partitions] == [0, 0]


def judge_lower(found: statistics_pb2.PartitionStatistics) -> None:
    record = len(KEYS[0]) + 10
    assert (found.reads, found.writes, found.scanned) == (64, 101, 10)
    assert found.read_bytes == (64 + 10) * record
    assert found.written_bytes == 100 * record + len(KEYS[0])
    assert sum(found.read_latency) == 1
    assert sum(found.write_latency) == found.writes
    assert 1 <= found.batches <= found.writes
    assert found.queue_wait_s > 0
    assert found.busy_s > 0
    assert found.sequence == found.writes
    assert list(found.sampled_keys) == [KEYS[63], KEYS[7]], "the 64th put, then the 64th get"
    assert found.serving


def judge_upper(found: statistics_pb2.PartitionStatistics) -> None:
    assert (found.reads, found.writes, found.scanned) == (0, 200, 0)
    assert found.written_bytes == 200 * (4 + 5)
    assert sum(found.write_latency) == found.writes
    assert list(found.sampled_keys) == [b"n063", b"n127", b"n191"]


async def counted(reader: Reader) -> None:
    """Both partitions are counted in the background, at last exactly."""

    async def is_counted() -> bool:
        await reader.ask()
        found = [reader.known[start] for start in (b"", b"m")]
        sizes = [(each.records, each.bytes, each.records_error, each.bytes_error) for each in found]
        if not all(each.counted for each in found) or any(sum(size[2:]) for size in sizes):
            return False
        assert sizes == [(99, 99 * 14, 0, 0), (200, 200 * 9, 0, 0)]
        return True

    await eventually(is_counted)


async def after_restart(
    cluster: ProcessCluster, before: statistics_pb2.StatisticsUpdate
) -> statistics_pb2.StatisticsUpdate:
    """The first update to a reader that names the update of the earlier process."""
    await cluster.restart(NODE)
    async with GRPC.connect(cluster.address(NODE)) as channel:
        return await Reader(channel).ask(before.session, before.version)
