"""What a follower has accepted and its disk does not take: none of it is acknowledged, and nothing follows it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from kit.logs import entry
from kit.machines import WHOLE, A, B, P, info_of
from kit.offloads import BlockedOffload
from kit.stores import LocalStore, assignment, founding
from typing_extensions import override

from dstk_keytypes import NodeId
from dstk_service.observe import Event, Observer
from dstk_service.testing import ManualClock
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.events import WriteFailed
from dstk_storage.domain.history import START, History
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.machines import Machines
from dstk_storage.domain.replication.ports import Append, Appended
from dstk_storage.domain.replication.runtime.informed import Informed
from dstk_storage.domain.replication.runtime.local_disk import LocalDisk
from dstk_storage.domain.replication.runtime.peer_api import PeerApi
from dstk_storage.domain.replication.timing import Timing

T = TypeVar("T")
FIRST = entry(START, 1, b"a")
SECOND = entry(FIRST.position, 1, b"b")


def append_of(*entries: Entry) -> Append:
    return Append(P, 1, WHOLE, entries, 1)


class ImagingOffload(BlockedOffload):
    """Keeps what is on the disk behind each call."""

    def __init__(self, engine: MemoryEngine) -> None:
        super().__init__()
        self.images: list[dict[bytes, bytes]] = []
        self._engine = engine

    @override
    async def __call__(self, call: Callable[[], T], /) -> T:
        result = await super().__call__(call)
        self.images.append(self._engine.image())
        return result


class FailureWatch(Observer):
    """Calls `on_failed` right behind the step in which a write fails."""

    def __init__(self) -> None:
        self.on_failed: Callable[[], None] = lambda: None

    @override
    def observe(self, event: Event) -> None:
        if isinstance(event, WriteFailed):
            asyncio.get_running_loop().call_soon(self.on_failed)


async def _nobody_leaves(_node: NodeId) -> None:
    """No follower is evicted here."""


class LossyFollower:
    """Node B, a follower of A, whose engine may be busy or fail."""

    def __init__(self) -> None:
        self.engine, self.failures = MemoryEngine(), FailureWatch()
        self.thread = ImagingOffload(self.engine)
        self.store = LocalStore(founding(self.engine), self.thread, observer=self.failures)
        self.store.load()
        self.store.converge([assignment(1)])
        disk, clock = LocalDisk(self.store), ManualClock()
        self.machines = machines = Machines.of(B, Timing(), disk, 0.0, 1)
        (newest,) = machines.roster.adopt({P: info_of(A, B)}, 0.0)
        partition = self.store.local(P)
        assert partition is not None
        machines.roster.line_up([(newest, partition)])
        informed = Informed(machines.replicas, clock)
        self.peer_api = PeerApi(
            machines.replicas,
            machines.followers,
            informed,
            disk,
            self.engine,
            self.thread,
            clock,
            lambda: None,
            _nobody_leaves,
        )

    def recover(self) -> None:
        self.engine.failing = False
        self.engine.reopen()
        self.store.reread(lambda _partition: None)
        self.store.committer.intake.recovered()

    async def send(self, *appends: Append) -> "list[asyncio.Task[list[Appended]]]":
        """Messages of the primary, which wait for the disk one behind another."""
        sent = []
        for each in appends:
            sent.append(asyncio.create_task(self.peer_api.on_append([each])))
            for _ in range(3):
                await asyncio.sleep(0)
        return sent


@asynccontextmanager
async def following() -> AsyncIterator[LossyFollower]:
    """Raises what ends the commit loop."""
    node = LossyFollower()
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(node.store.run())
        await node.store.durable()
        node.thread.images.clear()
        yield node
        loop.cancel()


async def test_a_follower_that_recovers_at_once_accepts_nothing_behind_what_it_has_lost() -> None:
    async with following() as node:
        behind_the_gap: list[object] = []

        def recover() -> None:
            """Before anybody who waits for the failed write has had a turn."""
            node.recover()
            behind_the_gap.append(node.machines.followers.take(append_of(SECOND)))

        node.failures.on_failed, node.engine.failing = recover, True
        (lost,) = await node.send(append_of(FIRST))
        assert not (await lost)[0].accepted
        assert behind_the_gap == [None]
        again = await node.send(append_of(FIRST, SECOND))
        assert (await again[0])[0].position == SECOND.position


async def test_what_waits_for_the_disk_when_the_log_is_reset_is_neither_written_nor_acknowledged() -> None:
    async with following() as node:
        node.thread.free.clear()
        sent = await node.send(append_of(FIRST), append_of(SECOND))
        partition = node.machines.replicas[P].partition
        partition.needs_snapshot = True
        partition.log.reset(History())
        node.store.committer.persist_metadata(partition)
        node.thread.free.set()
        for answer in sent:
            (appended,) = await answer
            assert not appended.accepted
            assert appended.position == START
        assert layout.DATA + b"b" not in node.engine.image()
        assert partition.log.position == START


async def test_nothing_that_was_meant_for_the_old_engine_is_written_to_the_empty_one() -> None:
    """A crash right behind such a write would leave a replica that says that it is whole, without a record."""
    async with following() as node:
        node.thread.free.clear()
        sent = await node.send(append_of(FIRST), append_of(SECOND))
        node.engine.reset({}, keep=False)
        node.store.restart_empty()
        node.thread.free.set()
        for answer in sent:
            assert not (await answer)[0].accepted
        await node.store.durable()
        assert node.thread.images[0] == {}
        assert layout.snapshot_key(P) in node.engine.image(), "it is to be copied"
        assert {layout.DATA + b"a", layout.DATA + b"b"}.isdisjoint(node.engine.image())
        assert node.store.committer.intake.failure is None
