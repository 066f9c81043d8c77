"""What every coordinator does alike: the in-memory twin and the real etcd pass the same suite."""

import asyncio
from contextlib import aclosing

import pytest
from aetcd.rpc import rpc_pb2, rpc_pb2_grpc
from kit.ports import free_port
from kit.spoiled import holds_once

from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.port import (
    Compacted,
    Coordinator,
    CoordinatorUnavailable,
    Delete,
    Entry,
    Put,
    RevisionIs,
    ValueIs,
    WatchBatch,
    WatchLost,
)
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC


async def put_key(coordinator: Coordinator, key: bytes, value: bytes = b"v") -> int:
    return (await coordinator.txn([], [Put(key, value)])).revision


@pytest.fixture
def root(cluster: str) -> bytes:
    return f"/{cluster}/".encode()


async def test_a_key_is_read_with_the_revision_of_its_last_change(coordinator: Coordinator, root: bytes) -> None:
    assert await coordinator.get(root + b"a") is None
    first = await put_key(coordinator, root + b"a", b"1")
    assert await coordinator.get(root + b"a") == Entry(root + b"a", b"1", first)
    second = await put_key(coordinator, root + b"a", b"2")
    assert second > first
    assert await coordinator.get(root + b"a") == Entry(root + b"a", b"2", second)


async def test_a_range_is_what_has_the_prefix_in_order(coordinator: Coordinator, root: bytes) -> None:
    await coordinator.txn([], [Put(root + name, name) for name in (b"c", b"a", b"b")])
    await put_key(coordinator, root[:-1] + b"0outside")
    entries, revision = await coordinator.range(root)
    assert [entry.value for entry in entries] == [b"a", b"b", b"c"]
    assert revision > max(entry.revision for entry in entries)


async def test_a_transaction_changes_all_or_nothing(coordinator: Coordinator, root: bytes) -> None:
    made = await coordinator.txn([RevisionIs(root + b"a", 0)], [Put(root + b"a", b"1"), Put(root + b"b", b"1")])
    assert made.succeeded
    refused = await coordinator.txn(
        [RevisionIs(root + b"a", made.revision), RevisionIs(root + b"b", 0)],
        [Delete(root + b"a"), Put(root + b"c", b"1")],
    )
    assert not refused.succeeded
    assert [entry.key for entry in (await coordinator.range(root))[0]] == [root + b"a", root + b"b"]
    changed = await coordinator.txn(
        [RevisionIs(root + b"a", made.revision)], [Delete(root + b"a"), Delete(root + b"x")]
    )
    assert changed.succeeded
    assert await coordinator.get(root + b"a") is None


async def test_a_transaction_may_compare_values(coordinator: Coordinator, root: bytes) -> None:
    key = root + b"a"
    assert not (await coordinator.txn([ValueIs(key, b"")], [Put(key, b"1")])).succeeded, "a key that is not there"
    await coordinator.txn([], [Put(key, b"1")])
    assert not (await coordinator.txn([ValueIs(key, b"2")], [Put(key, b"3")])).succeeded
    assert (await coordinator.txn([ValueIs(key, b"1")], [Put(key, b"2")])).succeeded
    entry = await coordinator.get(key)
    assert entry is not None
    assert entry.value == b"2"


async def test_of_two_that_compare_the_same_revision_one_wins(coordinator: Coordinator, root: bytes) -> None:
    key = root + b"contested"
    outcomes = await asyncio.gather(
        *(coordinator.txn([RevisionIs(key, 0)], [Put(key, b"%d" % number)]) for number in range(10))
    )
    assert sum(outcome.succeeded for outcome in outcomes) == 1
    winner = next(number for number, outcome in enumerate(outcomes) if outcome.succeeded)
    entry = await coordinator.get(key)
    assert entry is not None
    assert entry.value == b"%d" % winner


async def test_a_watch_gives_every_revision_whole_and_in_order(coordinator: Coordinator, root: bytes) -> None:
    before = await put_key(coordinator, root + b"before")
    seen: list[WatchBatch] = []

    async def watch() -> None:
        async with aclosing(coordinator.watch(root, before + 1)) as batches:
            async for batch in batches:
                seen.append(batch)

    task = asyncio.create_task(watch())
    first = await put_key(coordinator, root + b"a", b"1")
    await put_key(coordinator, root[:-1] + b"0outside")
    second = (
        await coordinator.txn([], [Put(root + b"a", b"2"), Put(root + b"b", b"2"), Delete(root + b"before")])
    ).revision
    await eventually(lambda: len(seen) == 2)
    task.cancel()
    assert seen[0] == WatchBatch(first, (Entry(root + b"a", b"1", first),), ())
    assert seen[1].revision == second
    assert {entry.key for entry in seen[1].puts} == {root + b"a", root + b"b"}
    assert seen[1].deletes == (root + b"before",)


async def test_a_watch_from_the_past_starts_with_what_happened_since(coordinator: Coordinator, root: bytes) -> None:
    first = await put_key(coordinator, root + b"a", b"1")
    await put_key(coordinator, root + b"a", b"2")
    async with aclosing(coordinator.watch(root, first)) as batches:
        values = [(await anext(batches)).puts[0].value for _ in range(2)]
    assert values == [b"1", b"2"]


async def test_keys_go_with_their_lease(coordinator: Coordinator, root: bytes) -> None:
    lease = await coordinator.grant_lease(60)
    await coordinator.txn([], [Put(root + b"leased", b"v", lease), Put(root + b"kept", b"v")])
    assert await coordinator.keep_alive(lease)
    await coordinator.revoke(lease)
    assert [entry.key for entry in (await coordinator.range(root))[0]] == [root + b"kept"]
    assert not await coordinator.keep_alive(lease)
    await coordinator.revoke(lease)


async def test_a_lease_that_nobody_keeps_alive_ends(coordinator: Coordinator, root: bytes) -> None:
    async def gone() -> bool:
        return await coordinator.get(root + b"leased") is None

    async def ends(seconds: int) -> None:
        lease = await coordinator.grant_lease(seconds)
        try:
            await coordinator.txn([], [Put(root + b"leased", b"v", lease)])
        except CoordinatorUnavailable as error:
            raise AssertionError("it ended before it was used") from error
        await eventually(gone)
        assert not await coordinator.keep_alive(lease)

    await holds_once(ends, (1, 5, 20))


async def test_writing_under_an_ended_lease_fails(coordinator: Coordinator, root: bytes) -> None:
    lease = await coordinator.grant_lease(60)
    await coordinator.revoke(lease)
    with pytest.raises(CoordinatorUnavailable, match="lease not found"):
        await coordinator.txn([], [Put(root + b"leased", b"v", lease)])


# -- what only the real one has ------------------------------------------------------------------------------------------


async def test_an_endpoint_that_is_down_costs_one_try_and_no_failure(etcd_address: str, root: bytes) -> None:
    coordinator = EtcdCoordinator([f"127.0.0.1:{free_port()}", etcd_address], timeout=60)
    await put_key(coordinator, root + b"a")
    assert await coordinator.get(root + b"a")
    await coordinator.close()


async def test_without_any_endpoint_the_error_names_them_all() -> None:
    endpoints = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]
    coordinator = EtcdCoordinator(endpoints, timeout=1)
    with pytest.raises(CoordinatorUnavailable) as caught:
        await coordinator.get(b"k")
    for endpoint in endpoints:
        assert endpoint in str(caught.value)
    with pytest.raises(WatchLost):
        await anext(aiter(coordinator.watch(b"k", 1)))
    await coordinator.close()


async def test_a_watch_from_before_a_compaction_says_so(etcd_address: str, root: bytes) -> None:
    coordinator = EtcdCoordinator([etcd_address], timeout=60)
    first = await put_key(coordinator, root + b"a", b"1")
    last = await put_key(coordinator, root + b"a", b"2")
    async with GRPC.connect(etcd_address) as channel:
        await rpc_pb2_grpc.KVStub(channel).Compact(rpc_pb2.CompactionRequest(revision=last))
    with pytest.raises(Compacted):
        await anext(aiter(coordinator.watch(root, first)))
    await coordinator.close()
