"""The coordinator on etcd, with the stubs that aetcd generates.

aetcd's own client is not used: its watches hang when a stream ends or is cancelled, it knows only one host, and it sets no
deadlines. Here a call goes to the endpoint that answered last, and to the next one if that fails.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Any, TypeVar

import grpc
from aetcd.rpc import kv_pb2, rpc_pb2, rpc_pb2_grpc
from typing_extensions import override

from dstk_cluster.coordinator_events import Request, RequestEnded, WatchBroken, WatchOpened
from dstk_cluster.port import (
    Compacted,
    Coordinator,
    CoordinatorUnavailable,
    Delete,
    Entry,
    Put,
    RevisionIs,
    TxnResult,
    ValueIs,
    WatchBatch,
    WatchLost,
)
from dstk_service.observe import NULL, Observer
from dstk_service.trace import begin, outgoing, within
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel, Connector, Profile

T = TypeVar("T")

_LOST = {grpc.StatusCode.NOT_FOUND}


class EtcdCoordinator(Coordinator):
    """A coordinator on etcd. `endpoints`: host:port of each member; `timeout`: seconds for a call, all endpoints together."""

    def __init__(
        self, endpoints: Sequence[str], timeout: float = 3.0, connector: Connector = GRPC, observer: Observer = NULL
    ) -> None:
        if not endpoints:
            raise ValueError("no etcd endpoint is given: name at least one host:port")
        self._endpoints = list(endpoints)
        self._timeout, self._connector, self._observer = timeout, connector, observer
        self._members: dict[str, _Member] = {}

    @override
    async def get(self, key: bytes) -> Entry | None:
        request = rpc_pb2.RangeRequest(key=key)
        response = await self._call(Request.GET, lambda member: member.kv.Range, request)
        return _entry(response.kvs[0]) if response.kvs else None

    @override
    async def range(self, prefix: bytes) -> tuple[list[Entry], int]:
        request = rpc_pb2.RangeRequest(key=prefix, range_end=_after(prefix))
        response = await self._call(Request.RANGE, lambda member: member.kv.Range, request)
        return [_entry(kv) for kv in response.kvs], response.header.revision

    @override
    async def txn(self, compares: Sequence[RevisionIs | ValueIs], changes: Sequence[Put | Delete]) -> TxnResult:
        request = rpc_pb2.TxnRequest(compare=map(_compare, compares), success=map(_change, changes))
        response = await self._call(Request.TRANSACTION, lambda member: member.kv.Txn, request)
        return TxnResult(response.succeeded, response.header.revision)

    @override
    async def watch(self, prefix: bytes, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        create = rpc_pb2.WatchCreateRequest(
            key=prefix, range_end=_after(prefix), start_revision=from_revision, progress_notify=True
        )
        watch = _Watch(self._observer)
        try:
            async with aclosing(self._changes(create, watch)) as batches:
                async for batch in batches:
                    yield batch
        except (WatchLost, Compacted):
            watch.ended()
            raise

    async def _changes(self, create: rpc_pb2.WatchCreateRequest, watch: "_Watch") -> AsyncGenerator[WatchBatch, None]:
        # Ends of the stream, cancellations and broken connections alike raise WatchLost.
        # Without this metadata a member that is partitioned from the others keeps the watch open and sends nothing.
        call = self._member(self._endpoints[0]).watch.Watch(metadata=(("hasleader", "true"),))
        try:
            await call.write(rpc_pb2.WatchRequest(create_request=create))
            while True:
                response = await call.read()
                if response is grpc.aio.EOF:
                    raise WatchLost("the stream ended")
                if response.created and not response.canceled:
                    watch.opened()
                for batch in _batches(response):
                    yield batch
        except grpc.aio.AioRpcError as error:
            self._rotate()
            raise WatchLost(f"{error.code().name}: {error.details()}") from error
        except asyncio.InvalidStateError as error:
            raise WatchLost(str(error)) from error
        finally:
            call.cancel()

    @override
    async def grant_lease(self, seconds: int) -> int:
        request = rpc_pb2.LeaseGrantRequest(TTL=seconds)
        response = await self._call(Request.LEASE, lambda member: member.lease.LeaseGrant, request)
        return int(response.ID)

    @override
    async def keep_alive(self, lease: int) -> bool:
        # etcd answers for an ended lease with a time to live of 0, not with an error.

        async def once(member: _Member) -> bool:
            call = member.lease.LeaseKeepAlive(timeout=self._timeout, metadata=outgoing())
            try:
                await call.write(rpc_pb2.LeaseKeepAliveRequest(ID=lease))
                response = await call.read()
            finally:
                call.cancel()
            return response is not grpc.aio.EOF and response.TTL > 0

        return await self._failover(Request.LEASE, once)

    @override
    async def revoke(self, lease: int) -> None:
        request = rpc_pb2.LeaseRevokeRequest(ID=lease)

        async def once(member: _Member) -> None:
            try:
                await member.lease.LeaseRevoke(request, timeout=self._timeout, metadata=outgoing())
            except grpc.aio.AioRpcError as error:
                if error.code() not in _LOST:
                    raise

        await self._failover(Request.LEASE, once)

    @override
    async def close(self) -> None:
        for member in self._members.values():
            await member.channel.close()
        self._members.clear()

    async def _call(self, kind: Request, method: "Callable[[_Member], Any]", request: Any) -> Any:
        async def once(member: _Member) -> Any:
            return await method(member)(request, timeout=self._timeout / len(self._endpoints), metadata=outgoing())

        return await self._failover(kind, once)

    async def _failover(self, kind: Request, attempt: "Callable[[_Member], Awaitable[T]]") -> T:
        problems, begun, span = [], monotonic(), begin()
        for _ in self._endpoints:
            try:
                with within(None if span is None else span.context):
                    answer = await attempt(self._member(self._endpoints[0]))
            except grpc.aio.AioRpcError as error:
                problems.append(f"{self._endpoints[0]}: {error.code().name} {error.details()}")
                self._rotate()
            else:
                self._observer.observe(RequestEnded(kind, monotonic() - begun, failed=False, span=span))
                return answer
        self._observer.observe(RequestEnded(kind, monotonic() - begun, failed=True, span=span))
        raise CoordinatorUnavailable("etcd does not answer; " + "; ".join(problems))

    def _rotate(self) -> None:
        self._endpoints.append(self._endpoints.pop(0))

    def _member(self, endpoint: str) -> "_Member":
        if endpoint not in self._members:
            self._members[endpoint] = _Member(self._connector.connect(endpoint, Profile.ETCD))
        return self._members[endpoint]


class _Member:
    """A connection to a member. Stubs are kept, because making one costs as much as a call."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.kv = rpc_pb2_grpc.KVStub(channel)
        self.lease = rpc_pb2_grpc.LeaseStub(channel)
        self.watch = rpc_pb2_grpc.WatchStub(channel)


class _Watch:
    """Tells the observer how a watch begins and ends."""

    def __init__(self, observer: Observer) -> None:
        self._observer, self._begun, self._is_open = observer, monotonic(), False

    def opened(self) -> None:
        """The server has confirmed it."""
        self._is_open = True
        self._observer.observe(RequestEnded(Request.WATCH, monotonic() - self._begun, failed=False))
        self._observer.observe(WatchOpened())

    def ended(self) -> None:
        """It broke, or could not be opened."""
        if self._is_open:
            self._observer.observe(WatchBroken())
        else:
            self._observer.observe(RequestEnded(Request.WATCH, monotonic() - self._begun, failed=True))


def _after(prefix: bytes) -> bytes:
    """Returns the end of the range of keys with the prefix. Prefixes are ASCII here."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _entry(kv: kv_pb2.KeyValue) -> Entry:
    return Entry(kv.key, kv.value, kv.mod_revision)


def _compare(compare: RevisionIs | ValueIs) -> rpc_pb2.Compare:
    if isinstance(compare, ValueIs):
        return rpc_pb2.Compare(
            result=rpc_pb2.Compare.EQUAL, target=rpc_pb2.Compare.VALUE, key=compare.key, value=compare.value
        )
    return rpc_pb2.Compare(
        result=rpc_pb2.Compare.EQUAL, target=rpc_pb2.Compare.MOD, key=compare.key, mod_revision=compare.revision
    )


def _change(change: Put | Delete) -> rpc_pb2.RequestOp:
    if isinstance(change, Put):
        put = rpc_pb2.PutRequest(key=change.key, value=change.value, lease=change.lease)
        return rpc_pb2.RequestOp(request_put=put)
    return rpc_pb2.RequestOp(request_delete_range=rpc_pb2.DeleteRangeRequest(key=change.key))


def _batches(response: rpc_pb2.WatchResponse) -> list[WatchBatch]:
    """Groups the events of a response by revision. Raises Compacted, WatchLost."""
    if response.compact_revision:
        raise Compacted(f"etcd has compacted up to revision {response.compact_revision}")
    if response.canceled:
        raise WatchLost(f"etcd cancelled the watch: {response.cancel_reason}")
    by_revision: dict[int, tuple[list[Entry], list[bytes]]] = {}
    for event in response.events:
        puts, deletes = by_revision.setdefault(event.kv.mod_revision, ([], []))
        if event.type == kv_pb2.Event.DELETE:
            deletes.append(event.kv.key)
        else:
            puts.append(_entry(event.kv))
    return [WatchBatch(revision, tuple(p), tuple(d)) for revision, (p, d) in sorted(by_revision.items())]
