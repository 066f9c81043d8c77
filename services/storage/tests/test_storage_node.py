"""A whole storage node in this process, on twins of everything outside it, run as `serve` runs it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kit.free_space import FakeDisk
from kit.offloads import inline
from typing_extensions import override

from dstk_cluster.engines import EngineRegistry
from dstk_cluster.mapstore import MapStore
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.model import NodeState
from dstk_cluster.view import ClusterView
from dstk_keytypes import Key, NodeId
from dstk_service.clock import SystemClock
from dstk_service.service import Background, Service
from dstk_service.testing import eventually
from dstk_storage.adapters.memory import MemoryBatch, MemoryEngine
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.adapters.memory_peers import MemoryPeers
from dstk_storage.application.bootstrap import FirstMap
from dstk_storage.application.routing import AddressBook
from dstk_storage.domain import layout
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.on_disk import partitions_on_disk
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.writes import Condition
from dstk_storage.node import NodePorts, NodeSettings, Offloads, StorageNode
from dstk_storage.node_parts import NodeListener
from dstk_storage.ports import Batch

ME, CLUSTER = NodeId("n1"), "c"
A = Key(b"a")


class NoLinks:
    def __init__(self, steps: list[str]) -> None:
        self._steps = steps

    def join(self, secret: str) -> None:
        assert secret
        self._steps.append("join")

    async def close(self) -> None:
        self._steps.append("close links")


class FakeListener(NodeListener):
    """Notes when it listens, admits other nodes, drains and closes."""

    name = "listener"

    def __init__(self, steps: list[str]) -> None:
        self._steps = steps

    @override
    async def start(self, background: Background) -> None:
        self.address = "host:1"
        self._steps.append("listen")

    @override
    def admit(self, secret: str) -> None:
        assert secret
        self._steps.append("admit")

    @override
    async def ready(self) -> None:
        self._steps.append("serve")

    @override
    async def drain(self) -> None:
        self._steps.append("end calls")

    @override
    async def close(self) -> None:
        self._steps.append("close listener")


class ClosingEngine(MemoryEngine):
    def __init__(self, steps: list[str]) -> None:
        super().__init__()
        self._steps = steps
        own = EngineIdentity.new(ME, CLUSTER, 0)
        self.reset({layout.ENGINE: own.encode()}, keep=False)

    @override
    def close(self) -> None:
        self._steps.append("close engine")


class FailingEngine(ClosingEngine):
    """Its disk fails at the first write of a partition's range."""

    has_failed = False

    @override
    def write(self, batch: Batch) -> None:
        assert isinstance(batch, MemoryBatch)
        if any(key.startswith(layout.PARTITIONS) for key, _ in batch.changes) and not self.has_failed:
            self.has_failed = self.failing = True
        super().write(batch)


class OneNode:
    """The node and what it is made of; `steps` is what happened outside it, in order."""

    def __init__(self, engine_type: type[ClosingEngine] = ClosingEngine) -> None:
        self.steps: list[str] = []
        self.etcd, self.engine = MemoryCoordinator(SystemClock()), engine_type(self.steps)
        self.map_store = MapStore(self.etcd, CLUSTER)
        settings = NodeSettings(CLUSTER, first_map=FirstMap(1, [Key(b"m")], 1))
        self.node = StorageNode(ME, self._ports(), settings)

    def _ports(self) -> NodePorts:
        clock, rng, fake = SystemClock(), random.Random(1), MemoryCluster({}, {})
        return NodePorts(
            engine=self.engine,
            identity=EngineIdentity.decode(self.engine.get(layout.ENGINE) or b""),
            offloads=Offloads(inline, inline, inline, self._exclusive, self._release),
            disk=FakeDisk(),
            coordinator=self.etcd,
            map_store=self.map_store,
            view=ClusterView(self.map_store, clock, rng),
            addresses=AddressBook(),
            peers=MemoryPeers(ME, {}),
            links=NoLinks(self.steps),
            nodes=fake,
            executor=fake,
            clock=clock,
            rng=rng,
            bind=lambda uid: self.steps.append("bind"),
        )

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        yield

    async def _release(self) -> None:
        self.steps.append("end threads")

    async def state(self) -> NodeState | None:
        """What the cluster knows of the node; None: it is not registered."""
        found = (await self.map_store.load()).nodes.get(ME)
        return None if found is None else found.state

    async def is_serving(self) -> bool:
        return await self.state() is NodeState.SERVING


async def test_a_node_joins_serves_and_stops_in_order() -> None:
    one, stop = OneNode(), asyncio.Event()
    running = asyncio.create_task(Service(one.node.parts(FakeListener(one.steps))).run(stop))
    await eventually(lambda: running.done() or one.is_serving())
    await eventually(lambda: [status.serving for status in one.node.node_admin.partitions()] == [True, True])
    assert one.steps == ["listen", "bind", "join", "admit", "serve"]

    receipt = Receipt()
    etag = one.node.writer.put(A, b"value", Condition.NONE, 0, 0, 0, 1, receipt)
    await receipt.durable()
    found = one.node.store.get(A, 0, 1)
    assert found is not None
    assert (found.value, found.etag) == (b"value", etag)
    assert one.node.node_admin.status().etcd_reachable
    loads = await one.node.node_admin.loads("", 0)
    assert sorted((load.start, load.operations) for load in loads.loads) == [(b"", 2), (b"m", 0)], "a put and a get"
    assert not (await one.node.node_admin.loads(loads.session, loads.version)).loads, "nothing has changed"

    registry = EngineRegistry(one.etcd, CLUSTER)
    before = await registry.read(ME)
    stop.set()
    async with asyncio.timeout(60):
        await running
    assert one.steps[5:] == ["end calls", "close links", "close listener", "end threads", "close engine"]
    after = await registry.read(ME)
    assert before is not None
    assert after is not None
    assert after.mark > before.mark, "an engine that stopped in order proves that it has everything"
    assert await one.state() is None, "the registration goes last"


async def test_a_node_that_waits_for_etcd_can_be_stopped() -> None:
    one, stop = OneNode(), asyncio.Event()
    one.etcd.unreachable = True
    running = asyncio.create_task(Service(one.node.parts(FakeListener(one.steps))).run(stop))
    await eventually(lambda: one.steps == ["listen"])
    stop.set()
    async with asyncio.timeout(60):
        await running
    assert one.steps == ["listen", "end calls", "close links", "close listener", "end threads", "close engine"]


async def test_a_node_whose_disk_fails_while_it_starts_waits_for_the_disk() -> None:
    one, stop = OneNode(FailingEngine), asyncio.Event()
    running = asyncio.create_task(Service(one.node.parts(FakeListener(one.steps))).run(stop))
    await eventually(lambda: running.done() or one.node.store.committer.intake.failure is not None)
    await one.node.disk_guard.check()
    assert not running.done()
    assert await one.state() is not NodeState.SERVING
    assert not list(partitions_on_disk(one.engine))

    one.engine.failing = False
    await one.node.disk_guard.check()
    await eventually(lambda: running.done() or one.is_serving())
    assert [stored.range.start for stored in partitions_on_disk(one.engine)] == [b"", b"m"]
    stop.set()
    async with asyncio.timeout(60):
        await running
