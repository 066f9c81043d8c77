"""Nodes whose disks are full can be emptied: by deletions of every kind, by expiry, by what the doctor advises."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial

import grpc
import pytest
from kit.command import Command
from kit.disks import are_possible
from kit.operators import Operator
from kit.process_cluster import ProcessCluster, running

from dstk.v1 import kv_pb2, kv_pb2_grpc
from dstk_client import Client
from dstk_keytypes import Key, KeyRange
from dstk_service.errors import DiskFull, DstkError
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC

pytestmark = [pytest.mark.slow]

MIB = 1 << 20
DISK, RESERVE = 64 * MIB, 40 * MIB
"""What fits in front of the reserve can be compacted as a whole beside itself: LevelDB may do so at any time."""
FULL = RESERVE * 9 // 16
"""Below five eighths of the reserve, above a quarter."""

NAMES = ("storage-1", "storage-2", "storage-3")
NOISE = random.Random(1)
PROBE = Key.text("a/probe")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCluster]:
    directory = tmp_path_factory.mktemp("full")
    if not are_possible(directory / "trial"):
        pytest.skip("a disk for each node takes the right to mount")
    options = ("--write-buffer-bytes", str(256 << 10), "--disk-reserve-bytes", str(RESERVE))
    made = ProcessCluster(directory, nodes=3, splits=["m"], router=True, disk_bytes=DISK, storage_options=options)
    with running(made):
        yield made


async def said(cluster: ProcessCluster, *arguments: str) -> str:
    """What a command prints, whatever its exit code."""
    command = Command(cluster.address("router"), cluster.directory)
    done = await asyncio.to_thread(command, *arguments, COLUMNS="400")
    return (done.stdout + done.stderr).decode()


def key(number: int) -> Key:
    return Key.text(f"{'az'[number % 2]}/{number:05}")


async def fill(client: Client, operator: Operator, size: int = 40_000, first: int = 0) -> tuple[list[Key], DiskFull]:
    """Puts until every node refuses that. Returns what may have gone in, and a refusal. While one node has room, the
    others hand over to it.
    """
    keys: list[Key] = []
    while True:
        fresh = [key(first + len(keys) + n) for n in range(8)]
        puts = [client.put(each, NOISE.randbytes(size)) for each in fresh]
        outcomes = await asyncio.gather(*puts, return_exceptions=True)
        keys += [each for each, outcome in zip(fresh, outcomes, strict=True) if not isinstance(outcome, DiskFull)]
        refusals = [outcome for outcome in outcomes if isinstance(outcome, DiskFull)]
        if len(refusals) == len(puts) and all(node.read_only for node in (await operator.nodes()).values()):
            return keys, refusals[0]


async def until_refused(is_refused: Callable[[], Awaitable[bool]], client: Client, operator: Operator) -> list[Key]:
    """Makes a call until it is refused. When LevelDB has just compacted and there is room again, fills that too; returns what
    went in.
    """
    more: list[Key] = []
    while not await is_refused():
        more += (await fill(client, operator, first=100_000 + len(more)))[0]
    return more


async def bulk_is_refused(client: Client) -> bool:
    try:
        await client.bulk_insert([(PROBE, b"v")])
    except DiskFull:
        return True
    return False


async def put_is_refused(store: kv_pb2_grpc.KeyValueStub) -> bool:
    """Through plain gRPC."""
    try:
        await store.Put(kv_pb2.PutRequest(key=PROBE, value=b"v"), timeout=60)
    except grpc.aio.AioRpcError as error:
        assert isinstance(from_rpc_error(error), DiskFull)  # noqa: PT017 - it may also be taken
        return True
    return False


async def command_is_refused(cluster: ProcessCluster) -> bool:
    """And says what is still taken; so does the doctor, who sees no node out of sync."""
    if "deletions and expiry are still taken" not in await said(cluster, "put", PROBE.decode(), "v", "--timeout", "20"):
        return False
    doctor = await said(cluster, "doctor")
    assert "drain" not in doctor
    return "delete data, add a node, or enlarge the disk" in doctor and "in sync" not in doctor


async def has_reaped(client: Client, operator: Operator) -> bool:
    """What has expired is no longer stored: nothing is counted that nobody can read."""
    there = [each async for each in client.scan_keys(KeyRange.everything())]
    counted = sum(status.estimated_records for status in await operator.partitions())
    assert counted <= len(there), f"{counted} records are counted, {len(there)} are there"
    return not any(b"/brief/" in each for each in there)


def gave_back(cluster: ProcessCluster) -> bool:
    """Most of what the disks held was deleted: LevelDB has given that back."""
    free = {name: cluster.disk(name).free_bytes() for name in NAMES}
    assert min(free.values()) > DISK * 7 // 8, f"bytes free of {DISK}: {free}"
    return True


async def takes_puts(client: Client) -> None:
    async def is_taken() -> bool:
        try:
            await client.put(Key.text("probe"), b"v")
        except DstkError as error:
            raise AssertionError(str(error)) from error
        return True

    await eventually(is_taken)


async def test_a_cluster_whose_disks_are_all_full_is_emptied_by_deletions_of_every_kind(
    cluster: ProcessCluster, operator: Operator, client: Client
) -> None:
    brief = [Key.text(f"{letter}/brief/{n}") for letter in "az" for n in range(20)]
    for each in brief:
        await client.put(each, b"v", ttl=timedelta(seconds=4))
    keys, refusal = await fill(client, operator)
    assert "MiB left" in str(refusal)
    assert "delete data, add a node, or enlarge the disk" in str(refusal)
    keys += [*await until_refused(partial(bulk_is_refused, client), client, operator), PROBE]

    record = await client.get(keys[0])
    assert record is not None
    await client.delete(keys[0], if_etag=record.etag)
    assert await client.get(keys[0]) is None
    async with GRPC.connect(cluster.address("router")) as channel:
        request = kv_pb2.DeleteRequest(key=keys[1])
        await kv_pb2_grpc.KeyValueStub(channel).Delete(request, timeout=60)
        keys += await until_refused(partial(put_is_refused, kv_pb2_grpc.KeyValueStub(channel)), client, operator)
    await eventually(lambda: has_reaped(client, operator))
    keys += await until_refused(partial(command_is_refused, cluster), client, operator)
    assert "deleted" in await said(cluster, "delete", keys[2].decode())

    await client.delete_range(KeyRange(key(4), key(40)))
    await asyncio.gather(*(client.delete(each) for each in keys[3:]))
    await takes_puts(client)
    await operator.healed()
    assert [record async for record in client.scan(KeyRange.prefix(b"a"))] == []
    await eventually(lambda: gave_back(cluster))


async def test_a_single_full_node_stays_in_sync_with_deletions_and_comes_back_after_a_put(
    cluster: ProcessCluster, operator: Operator, client: Client
) -> None:
    for number in range(100):
        await client.put(key(number), NOISE.randbytes(1000))
    await operator.lead_everything("storage-1")
    cluster.disk("storage-3").fill(leaving=FULL)

    async def is_full() -> bool:
        return (await operator.nodes())["storage-3"].read_only

    await eventually(is_full)
    await asyncio.gather(*(client.delete(key(number)) for number in range(50)))
    await operator.healed()

    async def is_advised() -> bool:
        doctor = await said(cluster, "doctor")
        assert "dstk nodes compact storage-3" in doctor, f"nobody has room for what it holds: {doctor}"
        return True

    await eventually(is_advised)
    await client.put(Key.text("a"), b"v")
    await client.put(Key.text("z"), b"v")
    await operator.let_go("storage-3")
    assert "compacted storage-3" in await said(cluster, "nodes", "compact", "storage-3")
    cluster.disk("storage-3").make_room()
    await operator.healed()


async def test_the_last_reserve_refuses_deletions_too_and_says_so(
    cluster: ProcessCluster, operator: Operator, client: Client
) -> None:
    await client.put(Key.text("a/last"), b"v")
    for name in NAMES:
        cluster.disk(name).fill(leaving=RESERVE // 8)

    async def is_refused() -> bool:
        try:
            await client.delete(Key.text("a/never"))
        except DiskFull as error:
            return "not even deletions" in str(error) and "free space on the disk or enlarge it" in str(error)
        return False  # it was not noticed yet

    await eventually(is_refused)

    async def is_told() -> bool:
        return "it does not even take deletions" in await said(cluster, "doctor")

    await eventually(is_told)
    for name in NAMES:
        cluster.disk(name).make_room()
    await takes_puts(client)
    await operator.healed()
    assert await client.get(Key.text("a/last")) is not None
