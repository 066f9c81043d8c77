"""How large ranges are and where to cut them, on three nodes: while partitions split and move, and while a node is silent."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from kit.process_cluster import ProcessCluster, running

from dstk_client import Key, KeyRange, connect
from dstk_client.admin import AdminClient
from dstk_client.client import Client
from dstk_client.metrics import MetricsClient
from dstk_service.errors import InvalidArgument
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

pytestmark = [pytest.mark.slow]

EACH = 8_000
VALUES = {"a": 20, "b": 1000, "c": 200}
"""Bytes of the values by the first letter of the key."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    made = ProcessCluster(
        tmp_path_factory.mktemp("ranges"),
        nodes=3,
        splits=["b", "c"],
        router=True,
        metrics=1,
        metrics_options=["--feed-seconds", "1"],
    )
    with running(made):
        asyncio.run(_filled(made))
        yield made


def key(letter: str, number: int) -> Key:
    return Key(f"{letter}{number:06}".encode())


async def _filled(cluster: ProcessCluster) -> None:
    async with gateway(cluster) as client:
        for letter, size in VALUES.items():
            await client.insert_sorted((key(letter, number), b"v" * size) for number in range(EACH))


@asynccontextmanager
async def gateway(cluster: ProcessCluster) -> AsyncIterator[Client]:
    async with connect(cluster.address("router"), mode="gateway", timeout=60) as client:
        yield client


@pytest.fixture
async def metrics(cluster: ProcessCluster) -> AsyncIterator[MetricsClient]:
    async with GRPC.connect(cluster.address("router")) as channel:
        yield MetricsClient(channel, "the router", 90)


@pytest.fixture
async def admin(cluster: ProcessCluster) -> AsyncIterator[AdminClient]:
    async with GRPC.connect(cluster.address("router")) as channel:
        yield AdminClient(channel, "the router", 60, patience_seconds=30)


async def counted(client: Client, key_range: KeyRange) -> int:
    return sum([1 async for _ in client.scan(key_range)])


async def test_a_range_is_as_large_as_a_scan_says(metrics: MetricsClient) -> None:
    part = await metrics.estimate(KeyRange(key("a", 7000), key("c", 500)))
    assert part.records_low <= 1000 + EACH + 500 <= part.records_high
    assert abs(part.records - (1000 + EACH + 500)) <= 95
    assert (part.partitions, part.measured_partitions >= 2) == (3, True)
    whole = await metrics.estimate(KeyRange())
    assert whole.records_low <= 3 * EACH <= whole.records_high
    true_bytes = EACH * sum(7 + size for size in VALUES.values())
    assert whole.bytes_low <= true_bytes <= whole.bytes_high


async def test_whole_partitions_are_known_by_their_counters(metrics: MetricsClient) -> None:
    async def is_known() -> bool:
        whole = await metrics.estimate(KeyRange())
        return (whole.records, whole.measured_partitions) == (3 * EACH, 0)

    await eventually(is_known)


@pytest.mark.parametrize("fields", [{"piece_records": 500}, {"piece_bytes": 200_000}, {"pieces": 30}], ids=str)
async def test_pieces_have_the_size_that_was_asked_for(
    cluster: ProcessCluster, metrics: MetricsClient, fields: dict[str, int]
) -> None:
    pieces = await metrics.split_points(KeyRange(), **fields)
    assert [piece.start for piece in pieces] == [b"", *(piece.end for piece in pieces[:-1])]
    assert pieces[-1].end == b""
    assert {b"b", b"c"} <= {piece.start for piece in pieces}
    wanted = fields.get("piece_bytes") or EACH * sum(7 + size for size in VALUES.values()) / 30
    async with gateway(cluster) as client:
        for piece in pieces:
            found = [record async for record in client.scan(KeyRange(piece.start, piece.end or None))]
            size = sum(len(record.key) + len(record.value) for record in found)
            if "piece_records" in fields:
                assert 250 <= len(found) <= 1000
            elif piece.start >= b"b":
                assert wanted / 2 <= size <= wanted * 2


async def test_pieces_remain_a_cover_while_partitions_split_and_move(
    metrics: MetricsClient, admin: AdminClient
) -> None:
    async def change() -> None:
        for number in (4000, 2000, 6000):
            halves = await admin.split(at=key("b", number))
            others = [node for node in halves.upper.in_sync if node != halves.upper.primary]
            await admin.transfer(halves.upper.id, others[0])

    changing = asyncio.create_task(change())
    while not changing.done():
        pieces = await metrics.split_points(KeyRange(key("b", 0), key("c", 0)), piece_records=500)
        assert [piece.start for piece in pieces] == [key("b", 0), *(piece.end for piece in pieces[:-1])]
        assert pieces[-1].end == key("c", 0)
        assert sum(piece.records for piece in pieces) == pytest.approx(EACH, rel=0.02)
        estimate = await metrics.estimate(KeyRange(key("b", 10), key("b", 7990)))
        assert estimate.records_low <= 7980 <= estimate.records_high
    await changing
    pieces = await metrics.split_points(KeyRange(key("b", 0), key("c", 0)), piece_records=500)
    assert {key("b", number) for number in (2000, 4000, 6000)} <= {piece.start for piece in pieces}
    assert len({piece.partition_id for piece in pieces}) >= 4


async def test_a_node_that_is_paused_is_waited_for(cluster: ProcessCluster, metrics: MetricsClient) -> None:
    before = await metrics.estimate(KeyRange(key("a", 5), key("c", 50)))
    cluster.pause("storage-2")
    try:
        measuring = asyncio.create_task(metrics.estimate(KeyRange(key("a", 5), key("c", 50))))
        await asyncio.wait([measuring], timeout=1)
    finally:
        cluster.resume("storage-2")
    assert (await measuring).records == pytest.approx(before.records, rel=0.01)


async def test_too_small_pieces_are_refused(metrics: MetricsClient) -> None:
    with pytest.raises(InvalidArgument, match=r"piece_bytes.*or more"):
        await metrics.split_points(KeyRange(), piece_bytes=10)
