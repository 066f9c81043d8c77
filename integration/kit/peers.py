"""Storage nodes as other nodes see them, on real gRPC or in memory: they can be started, killed, moved and stopped."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from simulation.links import NetworkHost
from simulation.network import Network

from dstk.v1 import replication_pb2_grpc
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.observe import NULL, Observer
from dstk_service.transport.credentials import SECRET, NodeCredentials
from dstk_service.transport.grpc_server import GrpcServer
from dstk_storage.adapters.memory_peers import Host, MemoryHost, MemoryPeers
from dstk_storage.adapters.peers import GrpcPeers, PeerTimeouts
from dstk_storage.domain.history import START, Position
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Digest, PeerUnreachable, SnapshotChunk, Vote
from dstk_storage.servicers.replication import ReplicationServicer
from dstk_storage.servicers.translate import Translator
from kit.owners import NoOwners
from kit.ports import free_port
from kit.turns import turns

ME, B = NodeId("me"), NodeId("b")
SHARED = "of the cluster"
SHOWN = ((SECRET, SHARED),)
PATIENT = PeerTimeouts(append=60, heartbeat=60, request_vote=60, snapshot=60, digest=60, leave=60)
"""For tests in which no time is meant to run out, however busy the machine."""
HASTY = PeerTimeouts(append=0.5, heartbeat=0.3, request_vote=0.3, snapshot=0.5, digest=0.5, leave=0.3)


class Recorder:
    """A follower that records requests, and gives the answers that the test sets."""

    def __init__(self) -> None:
        self.groups: list[Sequence[Append]] = []
        self.gates: list[asyncio.Event] = []
        """One a group, in order: it is answered when its gate is open. Groups beyond them are answered at once."""
        self.answered = 0
        self.answer: Callable[[Append], Appended] = taken
        self.heartbeats: list[Heartbeat] = []
        self.refused: dict[PartitionId, int] = {}
        self.vote_requests: list[tuple[PartitionId, int, int]] = []
        self.vote: Vote | None = None
        self.chunks: list[SnapshotChunk] = []
        self.copy_gate = asyncio.Event()
        self.copy_gate.set()
        self.copied = 0
        self.takes = True
        self.leaves: list[NodeId] = []
        self.ranges: list[tuple[PartitionId, KeyRange]] = []
        self.digest: Digest | None = None

    async def on_append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        at = len(self.groups)
        self.groups.append(appends)
        if at < len(self.gates):
            await self.gates[at].wait()
        self.answered += 1
        return [self.answer(append) for append in appends]

    async def on_heartbeat(self, heartbeat: Heartbeat) -> HeartbeatResponse:
        self.heartbeats.append(heartbeat)
        return HeartbeatResponse(heartbeat.session, heartbeat.version, self.refused)

    async def on_request_vote(self, partition: PartitionId, epoch: int, known: int) -> Vote | None:
        self.vote_requests.append((partition, epoch, known))
        return self.vote

    async def on_leave(self, node: NodeId) -> None:
        self.leaves.append(node)

    async def on_digest(self, partition: PartitionId, key_range: KeyRange) -> Digest | None:
        self.ranges.append((partition, key_range))
        return self.digest

    async def receive(self, chunk: SnapshotChunk) -> bool:
        self.chunks.append(chunk)
        await self.copy_gate.wait()
        self.copied += 1
        return self.takes


def taken(append: Append) -> Appended:
    """The answer of a follower that has all entries."""
    position = append.entries[-1].position if append.entries else START
    return Appended(append.partition, accepted=True, position=position, promised=append.epoch)


def stands_at(epoch: int, sequence: int) -> Callable[[Append], Appended]:
    """Answers of a follower that appends nothing."""
    position = Position(epoch, sequence)
    return lambda append: Appended(append.partition, accepted=False, position=position, promised=epoch)


class MemoryNodes:
    """Nodes of this process."""

    def __init__(self, timeouts: PeerTimeouts) -> None:
        self._hosts: dict[NodeId, MemoryHost] = {}
        self.peers = MemoryPeers(ME, self._hosts, timeouts)

    async def start(self, node: NodeId, follower: Recorder | None, *, elsewhere: bool = False) -> None:
        """Starts or restarts a node; None: it is not up yet."""
        host = self._hosts[node] = MemoryHost()
        if follower is not None:
            host.begin(follower, follower.receive)

    async def kill(self, node: NodeId) -> None:
        """Ends the node's process and its connections."""
        self._hosts[node].stop()

    def pause(self, node: NodeId) -> None:
        """Pauses the node's process."""
        self._hosts[node].awake.clear()

    def resume(self, node: NodeId) -> None:
        """Resumes the node's process."""
        self._hosts[node].awake.set()

    async def close(self) -> None:
        """Nothing to end."""


class SimulatedNodes(MemoryNodes):
    """Nodes of this process behind the network of the simulation."""

    def __init__(self, timeouts: PeerTimeouts) -> None:
        super().__init__(timeouts)
        self._network, self._reached = Network(random.Random(1)), dict[NodeId, Host]()
        self.peers = MemoryPeers(ME, self._reached, timeouts)

    async def start(self, node: NodeId, follower: Recorder | None, *, elsewhere: bool = False) -> None:
        """Starts a node, for the first time or again; None: it is not up yet."""
        await super().start(node, follower, elsewhere=elsewhere)
        self._reached[node] = NetworkHost(ME, node, self._network, self._hosts[node].run)


class GrpcNodes:
    """Real servers on loopback, each behind a proxy that can behave like a killed or paused process."""

    def __init__(
        self, timeouts: PeerTimeouts, token: str | None = None, given: str | None = None, observer: Observer = NULL
    ) -> None:
        self._token, self._observer = token, observer
        self.servers: dict[NodeId, GrpcServer] = {}
        self._proxies: dict[NodeId, Proxy] = {}
        self.peers = GrpcPeers(ME, self.address, NodeCredentials(given, SHARED), timeouts, observer=observer)

    def address(self, node: NodeId) -> str | None:
        """Where a node is reached."""
        proxy = self._proxies.get(node)
        return None if proxy is None else f"127.0.0.1:{proxy.port}"

    async def start(self, node: NodeId, follower: Recorder | None, *, elsewhere: bool = False) -> None:
        """Starts or restarts a node; None: it is not up yet."""
        server = self.servers[node] = GrpcServer(
            "127.0.0.1:0", node=NodeCredentials(self._token, SHARED), observer=self._observer
        )
        servicer = ReplicationServicer(node, Translator(NoOwners()), server.drain, self._observer)
        if follower is not None:
            servicer.begin(follower, follower.receive)
        server.add(replication_pb2_grpc.add_ReplicationServicer_to_server, servicer, "dstk.v1.Replication")
        address = await server.start()
        old = self._proxies.get(node)
        proxy = self._proxies[node] = Proxy(free_port() if old is None or elsewhere else old.port)
        await proxy.open(int(address.rpartition(":")[2]))

    async def kill(self, node: NodeId) -> None:
        """Ends the node's process and its connections."""
        await self._proxies[node].close()
        await self.servers.pop(node).stop(0)

    def exchange_addresses(self, one: NodeId, other: NodeId) -> None:
        """Swaps the addresses of two nodes without notice."""
        self._proxies[one], self._proxies[other] = self._proxies[other], self._proxies[one]

    def pause(self, node: NodeId) -> None:
        """Pauses the node's process."""
        self._proxies[node].flowing.clear()

    def resume(self, node: NodeId) -> None:
        """Resumes the node's process."""
        self._proxies[node].flowing.set()

    async def close(self) -> None:
        """Ends everything."""
        await self.peers.close()
        for node in list(self.servers):
            await self.kill(node)


FakeNodes = MemoryNodes | GrpcNodes


class Proxy:
    """A TCP port in front of another one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._ways: dict[asyncio.Task[None], None] = {}
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, target: int) -> None:
        """Forwards from now on."""

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            try:
                there, back = await asyncio.open_connection("127.0.0.1", target)
            except OSError:  # the node has ended
                writer.transport.abort()
                return
            self._writers.append(back)
            for way in (self._forward(reader, back), self._forward(there, writer)):
                self._ways[asyncio.create_task(way)] = None

        self._server = await asyncio.start_server(connect, "127.0.0.1", self.port)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self.flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def close(self) -> None:
        """Refuses connections, and resets those that there are."""
        self._server.close()
        await turns()  # connections that were accepted are handed over
        for way in self._ways:
            way.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._ways, return_exceptions=True)


KINDS: dict[str, Callable[[PeerTimeouts], FakeNodes]] = {
    "memory": MemoryNodes,
    "simulated": SimulatedNodes,
    "grpc": GrpcNodes,
}


@asynccontextmanager
async def fake_nodes(kind: str, timeouts: PeerTimeouts) -> AsyncIterator[FakeNodes]:
    """One of them, by its kind."""
    made = KINDS[kind](timeouts)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def real(
    token: str | None = None, given: str | None = None, timeouts: PeerTimeouts = PATIENT
) -> AsyncIterator[tuple[GrpcNodes, Recorder]]:
    """One node behind real gRPC."""
    nodes, follower = GrpcNodes(timeouts, token, given), Recorder()
    await nodes.start(B, follower)
    try:
        yield nodes, follower
    finally:
        await nodes.close()


async def failure(call: Awaitable[object]) -> PeerUnreachable:
    with pytest.raises(PeerUnreachable) as caught:
        await call
    return caught.value
