"""The in-memory twin of the controller's ClusterReader and Executor: a cluster that is only a map. For tests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from typing_extensions import override

from dstk_cluster.model import ClusterMap, NodeInfo, PartitionInfo
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId
from dstk_storage.domain.controller.model import Action, Attempt, Load, Step
from dstk_storage.domain.controller.ports import (
    ClusterReader,
    ClusterSample,
    Executor,
    PartitionSample,
    StepFailed,
    StepResult,
)


@dataclass
class MemoryCluster(ClusterReader, Executor):
    """Steps take effect at once; `catch_up` brings added replicas into sync. `failing`: attempts that fail."""

    nodes: dict[NodeId, NodeInfo]
    partitions: dict[PartitionId, PartitionInfo]
    loads: dict[PartitionId, Load] = field(default_factory=dict)
    counters: dict[PartitionId, int] = field(default_factory=dict)
    read_only: frozenset[NodeId] = frozenset()
    failing: set[Attempt] = field(default_factory=set)
    executed: list[Step] = field(default_factory=list)
    revision: int = 1

    @classmethod
    def of(
        cls, nodes: Iterable[NodeInfo], partitions: Iterable[PartitionInfo], loads: Mapping[int, Load]
    ) -> "MemoryCluster":
        """Makes a cluster of nodes, partitions and loads."""
        known = {PartitionId(number): load for number, load in loads.items()}
        return cls({info.id: info for info in nodes}, {info.id: info for info in partitions}, known)

    @property
    def map(self) -> ClusterMap:
        """The current map. Raises MapInvalid."""
        return ClusterMap(self.revision, "world", "uid", tuple(self.partitions.values()), dict(self.nodes))

    @override
    def current(self) -> ClusterMap | None:
        return self.map

    @override
    async def sample(self) -> ClusterSample:
        current = self.map
        samples = {
            info.id: self._sample(info)
            for info in current.partitions
            if info.primary in self.nodes and info.id in self.loads
        }
        return ClusterSample(current, self.read_only, samples)

    @override
    async def execute(self, step: Step) -> StepResult:
        if step.attempt in self.failing:
            raise StepFailed(f"{step.action} fails in this test")
        return self.apply(step)

    def catch_up(self) -> None:
        """Brings all replicas on living nodes into sync."""
        for info in list(self.partitions.values()):
            synced = tuple(n for n in info.replicas if n in self.nodes or n in info.in_sync)
            if info.primary in self.nodes and synced != info.in_sync:
                self._put(replace(info, in_sync=synced))

    def fail_over(self) -> None:
        """Replaces primaries that are not alive by a living replica in sync, if there is one, as replication does."""
        for info in list(self.partitions.values()):
            alive = tuple(n for n in info.in_sync if n in self.nodes)
            if alive and info.primary not in self.nodes:
                self._put(replace(info, primary=alive[0], in_sync=alive))
            elif alive and alive != info.in_sync:
                self._put(replace(info, in_sync=alive))

    def apply(self, step: Step) -> StepResult:
        """Applies the step. Asserts what the Admin service would check."""
        self.executed.append(step)
        info = self.partitions[step.partition]
        assert info.primary in self.nodes, f"the primary is not alive: {step}"
        match step.action:
            case Action.SPLIT:
                return self._split(info)
            case Action.MERGE:
                return self._merge(info, step)
        assert step.node is not None
        self._place(info, step.action, step.node)
        return StepResult()

    def _place(self, info: PartitionInfo, action: Action, target: NodeId) -> None:
        if action is Action.ADD_REPLICA:
            assert target in self.nodes
            assert target not in info.replicas
            self._put(replace(info, replicas=(*info.replicas, target)))
        elif action is Action.TRANSFER_PRIMARY:
            assert target in info.in_sync
            assert target != info.primary
            self._put(replace(info, primary=target))
        else:
            assert target in info.replicas
            assert target != info.primary
            others = [n for n in info.in_sync if n not in {info.primary, target}]
            assert others or target not in info.in_sync or len(info.replicas) == len({info.primary, target})
            without = tuple(n for n in info.replicas if n != target)
            self._put(replace(info, replicas=without, in_sync=tuple(n for n in info.in_sync if n != target)))

    def _split(self, info: PartitionInfo) -> StepResult:
        at = _between(info.range)
        lower, upper = info.range.split(at)
        number = PartitionId(max(self.partitions) + 1)
        self._put(replace(info, range=lower))
        self._put(replace(info, id=number, range=upper))
        if (load := self.loads.get(info.id)) is not None:
            self.loads[info.id] = self.loads[number] = _half(load)
        return StepResult(upper=number)

    def _merge(self, info: PartitionInfo, step: Step) -> StepResult:
        assert step.upper is not None
        upper = self.partitions.pop(step.upper)
        assert upper.range.start == info.range.end == step.at
        assert upper.primary == info.primary
        assert set(upper.replicas) == set(info.replicas)
        assert set(info.in_sync) == set(info.replicas)
        assert set(upper.in_sync) == set(upper.replicas)
        self._put(replace(info, range=KeyRange(info.range.start, upper.range.end)))
        self.loads[info.id] = _sum(self.loads[info.id], self.loads.pop(upper.id))
        return StepResult(upper=upper.id)

    def _put(self, info: PartitionInfo) -> None:
        self.revision += 1
        self.partitions[info.id] = replace(info, epoch=info.epoch + 1)

    def _sample(self, info: PartitionInfo) -> PartitionSample:
        load = self.loads[info.id]
        return PartitionSample(info.primary, info.range, load.bytes, load.records, self.counters.get(info.id, 0), {})


def _between(key_range: KeyRange) -> Key:
    """Returns a key in the middle of the range, so that both halves can be split again many times."""
    low = int.from_bytes(key_range.start.ljust(32, b"\0"))
    high = 1 << 256 if key_range.end is None else int.from_bytes(key_range.end.ljust(32, b"\0"))
    return Key(((low + high) // 2).to_bytes(32))


def _half(load: Load) -> Load:
    def halved(value: float | None) -> float | None:
        return None if value is None else value / 2

    return Load(load.bytes // 2, load.records // 2, halved(load.operations), halved(load.sustained), halved(load.peak))


def _sum(one: Load, two: Load) -> Load:
    def added(first: float | None, second: float | None) -> float | None:
        return None if first is None or second is None else first + second

    return Load(
        one.bytes + two.bytes,
        one.records + two.records,
        added(one.operations, two.operations),
        added(one.sustained, two.sustained),
        added(one.peak, two.peak),
    )
