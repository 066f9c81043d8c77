"""The Replication service: what other nodes ask of this one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import grpc
from typing_extensions import override

from dstk.v1 import replication_pb2 as pb
from dstk.v1 import replication_pb2_grpc
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.drain import Drain
from dstk_service.errors import NotServing
from dstk_service.observe import NULL, Observer
from dstk_storage.adapters import peer_wire as wire
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, SnapshotChunk, Vote
from dstk_storage.servicers.appends import Appends
from dstk_storage.servicers.translate import Translator

T = TypeVar("T")

RETRY_SECONDS = 0.1


class Follower(Protocol):
    """A node as other nodes know it (domain/replication/runtime/peer_api.py)."""

    async def on_append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Takes entries, before it first waits; answers when they are on disk."""

    async def on_heartbeat(self, heartbeat: Heartbeat) -> HeartbeatResponse:
        """Hears a sign of life: the claims that are not followed, each with the epoch that was promised."""

    async def on_request_vote(self, partition: PartitionId, epoch: int, known: int) -> Vote | None:
        """Promises an epoch; None: no whole replica is here."""

    async def on_leave(self, node: NodeId) -> None:
        """Evicts a node from the in-sync sets of what this one leads: it is about to stop."""

    async def on_digest(self, partition: PartitionId, key_range: KeyRange) -> Digest | None:
        """The checksum of a range; None: no whole replica is here."""


Receive = Callable[[SnapshotChunk], Coroutine[Any, Any, bool]]
"""Takes a chunk of a snapshot to disk (domain/replication/runtime/snapshot_receiver.py)."""


class ReplicationServicer(replication_pb2_grpc.ReplicationServicer):
    """Refuses everything as not serving until `begin`, and always what is addressed to another node than `me`: an address may
    have passed from one node to another, and an answer of the wrong one would count as that of a replica that has nothing.

    What changes this node's replicas is followed through even when its caller goes away: the domain is nowhere left in the
    middle.
    """

    def __init__(self, me: NodeId, translate: Translator, drain: Drain, observer: Observer = NULL) -> None:
        self._me, self._observer = me, observer
        self._translate = translate
        self._drain = drain
        self._served: tuple[Follower, Receive] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, follower: Follower, receive: Receive) -> None:
        """From now on answers calls. The transport refuses callers that are not nodes of this cluster (NodeCredentials)."""
        self._served = follower, receive

    async def settle(self) -> None:
        """Waits until nothing that was begun is under way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @override
    async def Append(  # type: ignore[override] # it reads and writes through the context
        self, request_iterator: AsyncIterator[pb.AppendRequest], context: grpc.aio.ServicerContext
    ) -> None:
        with self._translate:
            appends = Appends(lambda: self._up(context)[0].on_append, self._drain, context, self._observer)
            await appends.run(self._tasks)

    @override
    async def Heartbeat(self, request: pb.HeartbeatRequest, context: grpc.aio.ServicerContext) -> pb.HeartbeatResponse:
        follower, _ = self._up(context)
        return wire.heartbeat_response(await follower.on_heartbeat(wire.read_heartbeat(request)))

    @override
    async def RequestVote(
        self, request: pb.RequestVoteRequest, context: grpc.aio.ServicerContext
    ) -> pb.RequestVoteResponse:
        follower, _ = self._up(context)
        votes = (follower.on_request_vote(*each) for each in wire.read_vote_requests(request))
        return wire.request_vote_response(await self._through(_each(votes)))

    @override
    async def InstallSnapshot(
        self, request: pb.InstallSnapshotRequest, context: grpc.aio.ServicerContext
    ) -> pb.InstallSnapshotResponse:
        _, receive = self._up(context)
        return pb.InstallSnapshotResponse(taken=await self._through(receive(wire.read_chunk(request))))

    @override
    async def Leave(self, request: pb.LeaveRequest, context: grpc.aio.ServicerContext) -> pb.LeaveResponse:
        follower, _ = self._up(context)
        await self._through(follower.on_leave(NodeId(request.sender)))
        return pb.LeaveResponse()

    @override
    async def Digest(self, request: pb.DigestRequest, context: grpc.aio.ServicerContext) -> pb.DigestResponse:
        follower, _ = self._up(context)
        key_range = KeyRange(request.start, request.end or None)
        with self._translate:
            return wire.digest_response(await follower.on_digest(PartitionId(request.partition_id), key_range))

    def _up(self, context: grpc.aio.ServicerContext) -> tuple[Follower, Receive]:
        given = dict(context.invocation_metadata() or ())
        meant = given.get(wire.ADDRESSEE, self._me)
        if meant != self._me:
            raise NotServing(f"this is {self._me}, not {str(meant)!r}", RETRY_SECONDS)
        if self._served is None:
            raise NotServing("this node is starting", RETRY_SECONDS)
        return self._served

    async def _through(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for work that goes on if the caller does not."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with self._translate:
            return await asyncio.shield(task)


async def _each(answers: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    return await asyncio.gather(*answers)
