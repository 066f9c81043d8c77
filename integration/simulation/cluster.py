"""A simulated cluster with clients that record a history, and a nemesis that breaks things by the seed."""

import asyncio
import math
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from model.linearizability import Violation, violations
from model.register import Kind, Operation, Outcome

from dstk_cluster.engines import EngineRegistry
from dstk_cluster.mapstore import MapStore
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.model import PartitionInfo
from dstk_cluster.settings import SettingsStore
from dstk_keytypes import Key, NodeId, PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.errors import CommitFailed, EtagDiffers, Exists, Missing, StorageError
from dstk_storage.domain.events import ReplicaOutvoted, ReplicasDiffer
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime.replication import Replication
from dstk_storage.domain.writes import Condition, Writer
from dstk_storage.node import StorageNode
from simulation.etcd import SimCoordinator
from simulation.loop import LoopClock
from simulation.network import Lost, Network
from simulation.node import SimNode

NODES = ("n1", "n2", "n3", "n4")
FIRST_NODES = NODES[:3]
"""Those that hold replicas from the start."""

FEWEST_REPLICAS = 2
KEYS = [Key(bytes([letter])) for letter in b"abcdefghi"]
EXPIRING = [Key(name) for name in (b"b-expires", b"e-expires", b"h-expires")]
SPLITS = [Key(b"d"), Key(b"g")]
CALLERS = 8
TRIES = 40
FEWEST_ANSWERS = 50
ALARMS = (ReplicaOutvoted, ReplicasDiffer)
PAUSE = 0.05
GONE_SECONDS = 2.0
"""After which the controller has the replicas of a node made elsewhere."""


@dataclass(slots=True)
class Run:
    """What a run showed."""

    seed: int
    history: list[Operation] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    divergences: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Operations whose outcome is known."""
        return sum(operation.outcome is not Outcome.UNKNOWN for operation in self.history)

    @property
    def failed(self) -> bool:
        """Whether something is wrong."""
        return bool(self.violations or self.divergences)

    @property
    def is_invalid(self) -> bool:
        """Whether it did too little to show anything: now and then the only node in sync is crashed again and again."""
        return self.answered < FEWEST_ANSWERS


class SimCluster:
    """Four nodes, three partitions on three of them, and callers."""

    def __init__(self, seed: int, *, compare_seconds: float = 0.0, paused: bool = False) -> None:
        self.paused = paused
        """Whether the controller takes no action."""
        self.rng = random.Random(seed)
        self.network = Network(random.Random(self.rng.random()))
        self.etcd = MemoryCoordinator(LoopClock())
        self.nodes: dict[NodeId, SimNode] = {}
        for name in NODES:
            coordinator = SimCoordinator(self.etcd, self.network, name)
            node = SimNode(NodeId(name), self.network, self.nodes, coordinator, self.rng.getrandbits(32))
            node.compare_seconds = compare_seconds
            self.nodes[node.me] = node
        self.run = Run(seed)
        self.written = 0

    async def start(self) -> None:
        """Starts all nodes, and makes the map when the cluster knows their engines, as nodes do that have registered."""
        await self.configure({"paused": self.paused, "gone_seconds": GONE_SECONDS})
        registry = EngineRegistry(self.etcd, "sim")
        for node in self.nodes.values():
            node.start()
        for name in self.nodes:
            while (known := await registry.read(name)) is None or not known.mark:
                await asyncio.sleep(0.01)
        await MapStore(self.etcd, "sim").bootstrap(SPLITS, [NodeId(name) for name in FIRST_NODES], replicas=3)

    async def configure(self, changes: Mapping[str, Any]) -> None:
        """Changes settings of the controller."""
        await SettingsStore(self.etcd, "sim").configure(changes)

    async def pause(self) -> None:
        """From now on the controller begins nothing more: what it does would go on for ever."""
        self.paused = True
        await self.configure({"paused": True})

    async def caller(self, name: str, until: float) -> None:
        """One operation after the other on random keys."""
        rng = random.Random(self.rng.random())
        etags, loop = dict[Key, int](), asyncio.get_running_loop()
        while loop.time() < until:
            key = rng.choice(KEYS)
            kind = rng.choice(
                [Kind.GET, Kind.GET, Kind.PUT, Kind.PUT, Kind.PUT_IF_ABSENT, Kind.PUT_IF_ETAG, Kind.DELETE]
            )
            if_etag = etags.get(key, 0)
            if kind is Kind.PUT_IF_ETAG and not if_etag:
                kind = Kind.GET
            self.written += 1
            value = f"{name}-{self.written}".encode()
            operation = await self._operate(name, rng, key, kind, value, if_etag)
            if operation is not None:
                self.run.history.append(operation)
                etags[key] = operation.etag or etags.get(key, 0)
            await asyncio.sleep(rng.expovariate(1 / 0.005))

    async def _operate(
        self, name: str, rng: random.Random, key: Key, kind: Kind, value: bytes, if_etag: int
    ) -> Operation | None:
        """Until it is answered, or its outcome is unknown; None: it certainly had no effect."""
        loop, called = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        wanted = if_etag if kind is Kind.PUT_IF_ETAG else 0
        for _ in range(TRIES):
            node = self.nodes[NodeId(rng.choice(NODES))]
            try:
                outcome, read, etag = await self.network.call(
                    name,
                    node.me,
                    lambda node=node: node.serve(lambda r: attempt(r, node.writer, key, kind, value, wanted)),
                )
            except (Lost, CommitFailed) as error:
                if isinstance(error, Lost) and error.nobody:
                    continue
                return Operation(key, kind, called, math.inf, Outcome.UNKNOWN, value, 0, wanted)
            except StorageError:
                await asyncio.sleep(rng.uniform(0, PAUSE))
                continue
            shown = read if kind is Kind.GET else value
            return Operation(key, kind, called, loop.time(), outcome, shown, etag, wanted)
        return None

    async def expiring_writer(self, until: float) -> None:
        """Puts records that expire soon, which the history does not know: the nodes must remove them (`expired`)."""
        rng, loop = random.Random(self.rng.random()), asyncio.get_running_loop()
        while loop.time() < until:
            key, ttl_ms = rng.choice(EXPIRING), rng.randint(100, 1000)
            node = self.nodes[NodeId(rng.choice(NODES))]
            with suppress(Lost, StorageError):
                write = partial(_expire, key, ttl_ms)
                await self.network.call("expiring", node.me, partial(node.ask, write))
            await asyncio.sleep(rng.expovariate(1 / 0.05))

    async def expired(self, within: float = 15.0) -> None:
        """Waits until no node has a record left that is to expire."""
        end = asyncio.get_running_loop().time() + within
        while left := [name for name, node in self.nodes.items() if _expires_something(node)]:
            if asyncio.get_running_loop().time() > end:
                self.run.divergences.append(f"{left} still have records that have expired")
                return
            await asyncio.sleep(0.1)

    async def witness(self, node: NodeId, partition: int, within: float = 0.05) -> None:
        """Reads everything of a partition from a node that has just taken it over; what it answers counts."""
        if (replica := self.replica(node, PartitionId(partition))) is None:
            return
        loop = asyncio.get_running_loop()
        keys = [key for key in KEYS if replica.range.contains(key)]
        until = loop.time() + within
        while loop.time() < until and not self.is_served(partition, node):
            await asyncio.sleep(0.001)
        await asyncio.gather(*(self._read_once(node, key) for key in keys))

    async def _read_once(self, node: NodeId, key: Key) -> None:
        called = asyncio.get_running_loop().time()
        serve = partial(attempt, writer=None, key=key, kind=Kind.GET, value=b"", if_etag=0)
        try:
            outcome, read, etag = await self.network.call("witness", node, lambda: self.nodes[node].serve(serve))
        except (Lost, StorageError):
            return
        returned = asyncio.get_running_loop().time()
        self.run.history.append(Operation(key, Kind.GET, called, returned, outcome, read, etag, 0))

    async def settle(self, within: float = 30.0) -> None:
        """Waits until every partition is served with all replicas in sync, and no node holds anything else."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while loop.time() < end:
            await asyncio.sleep(0.2)
            current = await MapStore(self.etcd, "sim").load()
            whole = all(len(info.in_sync) == len(info.replicas) for info in current.partitions)
            served = all(self.is_served(info.id, info.primary) for info in current.partitions)
            tidy = all(node.is_tidy(current.partitions) for node in self.nodes.values())
            calm = all(node.process is not None and not node.process.controller.running for node in self.nodes.values())
            if whole and served and tidy and (calm or not self.paused):
                return
        self.run.divergences.append(f"not healed {within} s after the last fault: {current.partitions}")

    def replica(self, node: NodeId, partition: PartitionId) -> Replica | None:
        """A node's replica, if the process runs and has one."""
        replication = self.nodes[node].replication
        return None if replication is None else replication.replicas.get(partition)

    def is_served(self, number: int, primary: NodeId) -> bool:
        """Whether this node holds itself for the partition's primary, and ready."""
        store = self.nodes[primary].store
        return store is not None and any(each.id == number and not each.quarantined for each in store.table)

    async def compare(self) -> None:
        """All replicas of a partition must hold the same records at the same position, and no node any others."""
        partitions = (await MapStore(self.etcd, "sim").load()).partitions
        for info in partitions:
            first, *others = [(node, self._contents(node, info)) for node in info.replicas]
            for other in others:
                if other[1] != first[1]:
                    self.run.divergences.append(f"partition {info.id} differs: {_difference(first, other)}")
        for name, node in self.nodes.items():
            held = [info.range for info in partitions if name in info.replicas]
            with node.engine.iterate(layout.DATA, layout.DATA_END) as pairs:
                stray = [key for key, _ in pairs if not any(part.contains(key[1:]) for part in held)]
            if stray:
                self.run.divergences.append(f"{name} holds what is not its own: {stray}")

    def false_alarms(self) -> None:
        """Nothing is damaged here, so that no comparison may have found anything."""
        for name, node in self.nodes.items():
            alarms = [each for each in node.observer.events if isinstance(each, ALARMS)]
            if alarms:
                self.run.divergences.append(f"{name} has found replicas to differ: {alarms}")

    def _contents(self, node: NodeId, info: PartitionInfo) -> dict[bytes, bytes | None]:
        engine = self.nodes[node].engine
        with engine.iterate(*layout.data_bounds(info.range)) as pairs:
            data: dict[bytes, bytes | None] = dict(pairs)
        metadata = (layout.position_key(info.id), layout.history_key(info.id), layout.snapshot_key(info.id))
        return data | {key: engine.get(key) for key in metadata}

    def judge(self) -> Run:
        """The verdict on the history."""
        self.run.violations = violations(self.run.history)
        return self.run


async def attempt(
    replication: Replication, writer: Writer | None, key: Key, kind: Kind, value: bytes, if_etag: int
) -> tuple[Outcome, bytes | None, int]:
    """One operation at a node, as its servicer does it: (outcome, value read, etag)."""
    store, now_ms, receipt = replication.ports.store, replication.ports.clock.now_ms(), Receipt()
    try:
        if kind is Kind.GET:
            stored = store.get(key, 0, now_ms)
            return (Outcome.MISSING, None, 0) if stored is None else (Outcome.DONE, stored.value, stored.etag)
        assert writer is not None
        if kind is Kind.DELETE:
            etag = writer.delete(key, 0, 0, 0, now_ms, receipt)
        else:
            etag = writer.put(key, value, _CONDITIONS[kind], if_etag, 0, 0, now_ms, receipt)
        answer: tuple[Outcome, bytes | None, int] = (Outcome.DONE, None, etag)
    except Missing:
        answer = (Outcome.MISSING, None, 0)
    except (Exists, EtagDiffers) as refusal:
        answer = (Outcome.REFUSED, None, refusal.current_etag)
    await receipt.durable()
    return answer


async def _expire(key: Key, ttl_ms: int, process: StorageNode) -> None:
    receipt, now_ms = Receipt(), process.replication.ports.clock.now_ms()
    process.writer.put(key, b"expires", Condition.NONE, 0, ttl_ms, 0, now_ms, receipt)
    await receipt.durable()


def _expires_something(node: SimNode) -> bool:
    return any(node.engine.get(layout.DATA + key) is not None for key in EXPIRING)


_CONDITIONS = {Kind.PUT: Condition.NONE, Kind.PUT_IF_ABSENT: Condition.IF_ABSENT, Kind.PUT_IF_ETAG: Condition.IF_ETAG}


def _difference(one: tuple[NodeId, dict[bytes, bytes | None]], two: tuple[NodeId, dict[bytes, bytes | None]]) -> str:
    (here, first), (there, second) = one, two
    keys = [key for key in sorted({*first, *second}) if first.get(key) != second.get(key)]
    return "; ".join(f"{key!r}: {first.get(key)!r} at {here}, {second.get(key)!r} at {there}" for key in keys[:6])
