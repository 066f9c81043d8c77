"""The other nodes, through gRPC: the adapter of the Peers port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import grpc
from grpc_status import rpc_status
from typing_extensions import override

from dstk.v1 import replication_pb2 as pb
from dstk.v1 import replication_pb2_grpc
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.cancellation import Cancellation
from dstk_service.observe import NULL, Observer
from dstk_service.transport.credentials import NodeCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel, Connector, Profile
from dstk_storage.adapters import peer_wire as wire
from dstk_storage.adapters.peer_lane import AppendLane
from dstk_storage.adapters.peer_parts import chunks
from dstk_storage.adapters.peer_probe import is_gone
from dstk_storage.adapters.peer_traces import calling, sending
from dstk_storage.adapters.peer_votes import VoteRequests
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, Peers, PeerUnreachable, SnapshotChunk, Vote

_FROM_TRANSPORT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
"""What a call ends with when its connection does; INTERNAL is how grpc.aio calls a message that it could not write any more."""


@dataclass(frozen=True, slots=True)
class PeerTimeouts:
    """Seconds until a node that does not answer counts as unreachable. `append`: without any answer on the stream."""

    append: float = 2.0
    heartbeat: float = 0.5
    request_vote: float = 0.5
    snapshot: float = 10.0
    digest: float = 10.0
    leave: float = 1.0


class GrpcPeers(Peers):
    """Calls other nodes. `address_of` returns the current host:port of a node; a node may come back elsewhere at any time.
    `credentials`: what this node shows; `join` must complete them before the first call.
    """

    def __init__(
        self,
        me: NodeId,
        address_of: Callable[[NodeId], str | None],
        credentials: NodeCredentials,
        timeouts: PeerTimeouts | None = None,
        connector: Connector = GRPC,
        observer: Observer = NULL,
    ) -> None:
        self._me, self._observer = me, observer
        self._address_of = address_of
        self._credentials, self._connector = credentials, connector
        self._timeouts = timeouts or PeerTimeouts()
        self._links: dict[NodeId, _Link] = {}
        self._closing: dict[asyncio.Task[None], None] = {}

    def join(self, secret: str) -> None:
        """Proves the cluster's secret from now on."""
        self._credentials.join(secret)

    @override
    async def append(self, node: NodeId, appends: Sequence[Append]) -> Sequence[Appended]:
        with sending(self._observer, node, appends):
            async with self._reaching(node) as link:
                return await link.lane.exchange(appends)

    @override
    async def heartbeat(self, node: NodeId, heartbeat: Heartbeat) -> HeartbeatResponse:
        async with self._reaching(node) as link:
            response = await link.call(
                link.signals.Heartbeat, wire.heartbeat_request(heartbeat), self._timeouts.heartbeat
            )
        return wire.read_heartbeat_response(response)

    @override
    async def request_vote(self, node: NodeId, partition: PartitionId, epoch: int, known: int) -> Vote:
        question = pb.VoteRequest(partition_id=partition, epoch=epoch, known=known)
        async with self._reaching(node) as link:
            vote = await link.vote_requests.ask(question)
        if vote is None:
            raise PeerUnreachable(f"{node} has no whole replica of partition {partition}")
        return vote

    @override
    async def install_snapshot(self, node: NodeId, chunk: SnapshotChunk) -> None:
        for piece in chunks(chunk):
            async with self._reaching(node) as link:
                response = await link.call(
                    link.snapshots.InstallSnapshot, wire.snapshot_request(piece), self._timeouts.snapshot
                )
            if not response.taken:
                raise PeerUnreachable(f"{node} does not take a snapshot of partition {chunk.partition}")

    @override
    async def leave(self, node: NodeId) -> None:
        async with self._reaching(node) as link:
            await link.call(link.signals.Leave, pb.LeaveRequest(sender=self._me), self._timeouts.leave)

    @override
    async def digest(self, node: NodeId, partition: PartitionId, key_range: KeyRange) -> Digest:
        request = wire.digest_request(partition, key_range)
        async with self._reaching(node) as link:
            response = await link.call(link.snapshots.Digest, request, self._timeouts.digest)
        if (digest := wire.read_digest(response)) is None:
            raise PeerUnreachable(f"{node} has no whole replica of partition {partition}")
        return digest

    async def close(self) -> None:
        """Closes all connections. Calls in progress raise PeerUnreachable."""
        for node in list(self._links):
            self._retire(node)
        await asyncio.gather(*self._closing)

    @asynccontextmanager
    async def _reaching(self, node: NodeId) -> "AsyncIterator[_Link]":
        """Whatever goes wrong inside becomes PeerUnreachable, but for the caller's own cancellation."""
        link, cancellation = self._link(node), Cancellation()
        try:
            yield link
        except grpc.aio.AioRpcError as error:
            raise await _unreachable(node, link.address, error) from error
        except PeerUnreachable as error:
            raise PeerUnreachable(f"{node} at {link.address}: {error}") from None
        except TimeoutError:
            raise PeerUnreachable(f"{node} at {link.address} answers nothing") from None
        except (asyncio.CancelledError, asyncio.InvalidStateError, grpc.aio.UsageError):
            # closing a channel looks to its callers as if they had been cancelled
            if not link.closed or cancellation.requested:
                raise
            raise PeerUnreachable(f"the connection to {node} at {link.address} was given up") from None

    def _link(self, node: NodeId) -> "_Link":
        address, link = self._address_of(node), self._links.get(node)
        if link is not None and link.address != address:
            self._retire(node)
            link = None
        if address is None:
            raise PeerUnreachable(f"{node} has no address")
        if link is None:
            show = self._credentials, ((wire.ADDRESSEE, node),)
            connect = partial(self._connector.connect, address, Profile.PEERS, *show)
            link = _Link(node, address, connect, self._timeouts, self._observer)
            self._links[node] = link
        return link

    def _retire(self, node: NodeId) -> None:
        task = asyncio.create_task(self._links.pop(node).close())
        self._closing[task] = None
        task.add_done_callback(lambda done: self._closing.pop(done, None))


class _Link:
    """Connections to one address. Appends, snapshots and heartbeats have one each: behind megabytes a heartbeat would come
    too late.
    """

    def __init__(
        self, node: NodeId, address: str, connect: Callable[[], Channel], timeouts: PeerTimeouts, observer: Observer
    ) -> None:
        self.address = address
        self._node, self._observer = node, observer
        self.closed = False
        self.lane = AppendLane(node, self._open_stream, timeouts.append)
        self.vote_requests = VoteRequests(
            lambda request: self.call(self.signals.RequestVote, request, timeouts.request_vote)
        )
        self._connect = connect
        self._channels: list[Channel] = []

    async def call(self, method: Callable[..., Any], request: Any, seconds: float) -> Any:
        """A unary call. Raises AioRpcError."""
        with calling(self._observer, self._node, type(request).__name__.removesuffix("Request")) as metadata:
            return await method(request, timeout=seconds, metadata=metadata)

    @cached_property
    def signals(self) -> replication_pb2_grpc.ReplicationStub:
        """For what is short and must be quick."""
        return self._open()

    @cached_property
    def snapshots(self) -> replication_pb2_grpc.ReplicationStub:
        """For what is long and has time."""
        return self._open()

    @cached_property
    def _appends(self) -> replication_pb2_grpc.ReplicationStub:
        return self._open()

    def _open_stream(self) -> grpc.aio.StreamStreamCall:
        return self._appends.Append()

    def _open(self) -> replication_pb2_grpc.ReplicationStub:
        channel = self._connect()
        self._channels.append(channel)
        return replication_pb2_grpc.ReplicationStub(channel)

    async def close(self) -> None:
        """Ends what is under way."""
        self.closed = True
        self.lane.drop()
        for channel in self._channels:
            await channel.close()


async def _unreachable(node: NodeId, address: str, error: grpc.aio.AioRpcError) -> PeerUnreachable:
    # a status with details was written by a node, which thereby lives
    from_transport = error.code() in _FROM_TRANSPORT and rpc_status.from_call(error) is None
    refused = from_transport and await is_gone(address)
    return PeerUnreachable(f"{node} at {address}: {error.code().name} {error.details()}", refused=refused)
