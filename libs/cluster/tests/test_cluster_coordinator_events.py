"""What the adapter of etcd tells its observer, with a real etcd."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aetcd.rpc import rpc_pb2, rpc_pb2_grpc
from kit.ports import free_port

from dstk_cluster.coordinator_events import Request, RequestEnded, WatchBroken, WatchOpened
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.port import Compacted, CoordinatorUnavailable, Put, WatchLost
from dstk_service.testing import RecordingObserver
from dstk_service.transport.grpc_connector import GRPC


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
async def coordinator(etcd_address: str, observer: RecordingObserver) -> AsyncIterator[EtcdCoordinator]:
    made = EtcdCoordinator([etcd_address], timeout=60, observer=observer)
    yield made
    await made.close()


@pytest.fixture
async def nowhere(observer: RecordingObserver) -> AsyncIterator[EtcdCoordinator]:
    made = EtcdCoordinator([f"127.0.0.1:{free_port()}"], timeout=1, observer=observer)
    yield made
    await made.close()


def ended(observer: RecordingObserver) -> list[tuple[Request, bool]]:
    return [(event.request, event.failed) for event in observer.of(RequestEnded)]


async def test_requests_are_told_by_kind(coordinator: EtcdCoordinator, observer: RecordingObserver) -> None:
    await coordinator.get(b"/k")
    await coordinator.range(b"/k/")
    await coordinator.txn([], [Put(b"/k", b"v")])
    lease = await coordinator.grant_lease(5)
    await coordinator.keep_alive(lease)
    await coordinator.revoke(lease)
    kinds = [Request.GET, Request.RANGE, Request.TRANSACTION, *[Request.LEASE] * 3]
    assert ended(observer) == [(kind, False) for kind in kinds]
    assert all(0 < event.seconds < 10 for event in observer.of(RequestEnded))


async def test_a_request_that_no_endpoint_answers_has_failed(
    nowhere: EtcdCoordinator, observer: RecordingObserver
) -> None:
    with pytest.raises(CoordinatorUnavailable):
        await nowhere.get(b"/k")
    with pytest.raises(WatchLost):
        await anext(aiter(nowhere.watch(b"/k", 1)))
    assert ended(observer) == [(Request.GET, True), (Request.WATCH, True)]
    assert not observer.of(WatchBroken), "it was never open"


async def test_a_watch_is_told_when_it_opens_and_not_when_its_reader_ends_it(
    coordinator: EtcdCoordinator, observer: RecordingObserver
) -> None:
    revision = (await coordinator.txn([], [Put(b"/w", b"v")])).revision
    async with aclosing(coordinator.watch(b"/w", revision)) as batches:
        assert (await anext(batches)).revision == revision
    assert len(observer.of(WatchOpened)) == 1
    assert ended(observer)[-1] == (Request.WATCH, False)
    assert not observer.of(WatchBroken)


async def test_a_compacted_watch_is_a_broken_one(
    coordinator: EtcdCoordinator, observer: RecordingObserver, etcd_address: str
) -> None:
    first = (await coordinator.txn([], [Put(b"/c", b"1")])).revision
    last = (await coordinator.txn([], [Put(b"/c", b"2")])).revision
    async with GRPC.connect(etcd_address) as channel:
        await rpc_pb2_grpc.KVStub(channel).Compact(rpc_pb2.CompactionRequest(revision=last))
    with pytest.raises(Compacted):
        await anext(aiter(coordinator.watch(b"/c", first)))
    assert len(observer.of(WatchOpened)) == len(observer.of(WatchBroken)) == 1
