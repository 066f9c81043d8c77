"""Nodes of one process: the Peers port without gRPC, for tests and the simulation."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from typing_extensions import override

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.adapters.peers import PeerTimeouts
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, Peers, PeerUnreachable, SnapshotChunk, Vote
from dstk_storage.servicers.replication import Follower, Receive

T = TypeVar("T")


class Host(Protocol):
    """A node as others reach it."""

    async def run(self, ask: Callable[[Follower, Receive], Coroutine[Any, Any, T]]) -> T:
        """Has the node answer a call. Raises PeerUnreachable when it does not."""


class MemoryHost(Host):
    """The process at a node's address: it listens from the beginning, answers from `begin` on, and is gone after `stop`."""

    def __init__(self) -> None:
        self.awake = asyncio.Event()
        """Cleared: its process is stopped."""
        self.awake.set()
        self.served: tuple[Follower, Receive] | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, follower: Follower, receive: Receive) -> None:
        """Answers calls from now on."""
        self.served = follower, receive

    def stop(self) -> None:
        """Ends the process: calls under way break."""
        self._gone.set_result(None)

    @override
    async def run(self, ask: Callable[[Follower, Receive], Coroutine[Any, Any, T]]) -> T:
        work = asyncio.create_task(self._answer(ask))
        await asyncio.wait((work, self._gone), return_when=asyncio.FIRST_COMPLETED)
        if self._gone.done():
            work.cancel()
            raise PeerUnreachable("nobody is there", refused=True)
        return await work

    async def _answer(self, ask: Callable[[Follower, Receive], Awaitable[T]]) -> T:
        await self.awake.wait()
        if self.served is None:
            raise PeerUnreachable("the node is starting")
        return await ask(*self.served)


class MemoryPeers(Peers):
    """Calls the other nodes' hosts. `hosts`: by node, as they are at any moment."""

    def __init__(self, me: NodeId, hosts: Mapping[NodeId, Host], timeouts: PeerTimeouts | None = None) -> None:
        self._me = me
        self._hosts = hosts
        self._timeouts = timeouts or PeerTimeouts()

    @override
    async def append(self, node: NodeId, appends: Sequence[Append]) -> Sequence[Appended]:
        return await self._call(node, self._timeouts.append, lambda follower, _: follower.on_append(appends))

    @override
    async def heartbeat(self, node: NodeId, heartbeat: Heartbeat) -> HeartbeatResponse:
        seconds = self._timeouts.heartbeat
        return await self._call(node, seconds, lambda follower, _: follower.on_heartbeat(heartbeat))

    @override
    async def request_vote(self, node: NodeId, partition: PartitionId, epoch: int, known: int) -> Vote:
        seconds = self._timeouts.request_vote
        return _found(
            await self._call(node, seconds, lambda follower, _: follower.on_request_vote(partition, epoch, known))
        )

    @override
    async def install_snapshot(self, node: NodeId, chunk: SnapshotChunk) -> None:
        if not await self._call(node, self._timeouts.snapshot, lambda _, receive: receive(chunk)):
            raise PeerUnreachable(f"{node} does not take a snapshot of partition {chunk.partition}")

    @override
    async def leave(self, node: NodeId) -> None:
        await self._call(node, self._timeouts.leave, lambda follower, _: follower.on_leave(self._me))

    @override
    async def digest(self, node: NodeId, partition: PartitionId, key_range: KeyRange) -> Digest:
        seconds = self._timeouts.digest
        return _found(await self._call(node, seconds, lambda follower, _: follower.on_digest(partition, key_range)))

    async def _call(
        self, node: NodeId, seconds: float, ask: Callable[[Follower, Receive], Coroutine[Any, Any, T]]
    ) -> T:
        host = self._hosts.get(node)
        if host is None:
            raise PeerUnreachable(f"{node} has no address")
        try:
            async with asyncio.timeout(seconds):
                return await host.run(ask)
        except TimeoutError:
            raise PeerUnreachable(f"{node} answers nothing") from None


def _found(answer: T | None) -> T:
    if answer is None:
        raise PeerUnreachable("no whole replica is there")
    return answer
