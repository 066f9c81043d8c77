"""The figures of a storage node that are looked up at a scrape."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

from dstk_cluster.view import CurrentMap
from dstk_keytypes import PartitionId
from dstk_service.clock import Clock
from dstk_storage.adapters.leveldb import LevelDBEngine
from dstk_storage.adapters.leveldb_figures import LEVELS, LevelDBFigures
from dstk_storage.adapters.partition_budget import PartitionBudget
from dstk_storage.application.controller_setup import ControllerSetup
from dstk_storage.application.replica_survey import ReplicaSurvey, survey
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.garbage import Garbage
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.replication.lease_book import LeaseBook
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.write_queue import WriteQueue
from dstk_storage.node_parts import Registration
from dstk_storage.ports import Disk, Offload
from dstk_telemetry.metrics.instruments import Instruments, Sample
from dstk_telemetry.registry import clients, commit, engine, partitions
from dstk_telemetry.registry import replication as registry

PATIENCE_SECONDS = 0.2
"""How long a scrape waits for the engine: a disk that hangs must not hide the other figures."""


class EngineGauges:
    """LevelDB's levels. `offload` keeps the call apart from those that close the engine."""

    def __init__(self, instruments: Instruments, database: LevelDBEngine, offload: Offload) -> None:
        self._database, self._offload = database, offload
        self._figures = LevelDBFigures((0,) * LEVELS, (0,) * LEVELS, 0, 0)
        self._asking: asyncio.Task[None] | None = None
        instruments.refresh(self._refresh)
        instruments.read(self._read)

    async def _refresh(self) -> None:
        """Asks the engine, unless an earlier scrape is still waiting for it."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait((self._asking,), timeout=PATIENCE_SECONDS)
        for task in done:
            task.result()

    async def _ask(self) -> None:
        self._figures = await self._offload(self._database.figures)

    def _read(self) -> Iterator[Sample]:
        figures = self._figures
        for level in range(LEVELS):
            yield engine.ENGINE_BYTES, (str(level),), figures.bytes[level]
            yield engine.ENGINE_TABLES, (str(level),), figures.tables[level]
        yield engine.COMPACTION_SECONDS, (), figures.compaction_seconds
        yield engine.COMPACTED_BYTES, (), figures.compacted_bytes


class ReplicaGauges:
    """The node's replicas, and the partitions that it leads."""

    def __init__(
        self,
        instruments: Instruments,
        replicas: Mapping[PartitionId, Replica],
        leases: LeaseBook,
        garbage: Garbage,
        view: CurrentMap,
        setup: ControllerSetup,
        clock: Clock,
    ) -> None:
        self._replicas, self._leases, self._garbage = replicas, leases, garbage
        self._view, self._setup, self._clock = view, setup, clock
        self._found, self._budget = ReplicaSurvey(), PartitionBudget()
        instruments.refresh(self._refresh)
        instruments.read(self._read)
        instruments.read(self._lag)
        instruments.read(self._budget.samples)

    async def _refresh(self) -> None:
        found = await survey(self._replicas, self._clock.monotonic(), self._wanted(), self._pause)
        self._found = found
        await self._budget.update(found.led, self._pause)

    async def _pause(self) -> None:
        await self._clock.sleep(0)

    def _wanted(self) -> int:
        """How many replicas in sync a partition should have: what the settings ask for, as far as there are nodes."""
        current = self._view.current
        return min(self._setup.wanted_replicas, 0 if current is None else len(current.nodes))

    def _read(self) -> Iterator[Sample]:
        found = self._found
        yield registry.REPLICAS, ("primary",), found.primaries
        yield registry.REPLICAS, ("follower",), found.followers
        yield registry.REPLICAS, ("learner",), found.learners
        yield registry.NOT_SERVING, (), found.not_serving
        yield registry.UNDER_REPLICATED, (), found.under_replicated
        yield registry.QUARANTINED, (), found.quarantined
        yield engine.GARBAGE, (), self._garbage.index + found.garbage

    def _lag(self) -> Iterator[Sample]:
        for peer in self._leases.peers:
            yield registry.LAG_ENTRIES, (peer,), self._found.lag_entries[peer]
            yield registry.LAG_SECONDS, (peer,), self._found.lag_seconds.get(peer, 0.0)


def read_pipeline(
    instruments: Instruments, queue: WriteQueue, committer: GroupCommitter, monotonic: Callable[[], float]
) -> None:
    """Exports what waits for the disk."""

    def read() -> Iterator[Sample]:
        writes, size = queue.waiting
        since = committer.waiting_since
        yield commit.QUEUE_WRITES, (), writes
        yield commit.QUEUE_BYTES, (), size
        yield commit.QUEUE_AGE, (), 0.0 if since is None else monotonic() - since

    instruments.read(read)


def read_disk(instruments: Instruments, disk: Disk, guard: DiskGuard, intake: Intake) -> None:
    """Exports how much room there is."""

    def read() -> Iterator[Sample]:
        yield commit.DISK_FREE, (), disk.free_bytes()
        yield commit.DISK_CAPACITY, (), disk.capacity_bytes()
        yield commit.DISK_RESERVE, (), guard.reserve
        yield commit.READ_ONLY, (), float(intake.data is not None)

    instruments.read(read)


def read_controller(instruments: Instruments, setup: ControllerSetup) -> None:
    """Exports what this node's controller does."""

    def read() -> Iterator[Sample]:
        figures = setup.figures()
        yield partitions.LEADS, (), float(figures.leads)
        yield partitions.PAUSED, (), float(figures.paused)
        yield partitions.BACKLOG, (), figures.backlog
        yield partitions.FINDINGS, (), figures.findings

    instruments.read(read)


def read_registration(instruments: Instruments, registration: Registration, monotonic: Callable[[], float]) -> None:
    """Exports the age of the node's lease."""

    def read() -> Iterator[Sample]:
        renewed = registration.renewed
        yield clients.LEASE_AGE, (), 0.0 if renewed is None else monotonic() - renewed

    instruments.read(read)
