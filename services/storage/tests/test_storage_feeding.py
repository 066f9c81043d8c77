"""Which answers of a follower count: several messages are on their way to it at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.clock import SystemClock
from dstk_service.testing import eventually
from dstk_storage.domain.history import START, History, Position, Term
from dstk_storage.domain.log import Entry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.feeding import SOON_RETRY_SECONDS, Feeding
from dstk_storage.domain.replication.leases import Timing
from dstk_storage.domain.replication.ports import Append, Appended
from dstk_storage.domain.replication.replica import Progress, Replica

P, WHOLE = PartitionId(1), KeyRange(b"", None)
A, B = NodeId("a"), NodeId("b")


class World:
    """A primary with one learner, whose answers come when the test says so."""

    def __init__(self) -> None:
        info = PartitionInfo(P, WHOLE, 1, A, (A, B), (A,))
        self.replica = Replica(A, info, Partition(P, WHOLE, 1), 1, WHOLE)
        self.replicas = {P: self.replica}
        self.sent: list[tuple[Append, asyncio.Future[Sequence[Appended]]]] = []
        self.admitted: list[NodeId] = []
        self.outbidding: list[int] = []
        self.around = SimpleNamespace(peers=self, clock=SystemClock(), store=self, committer=self, timing=Timing())
        self.care = self.changes = self
        self.tasks: list[asyncio.Task[None]] = []
        self.feeding = Feeding(self)  # type: ignore[arg-type]
        self.feeding.count_joining()

    @property
    def progress(self) -> Progress:
        assert self.replica.primary is not None
        return self.replica.primary.followers[B]

    def lead(self, epoch: int) -> None:
        self.replica.lead(epoch, (A,), (A, B), 0.0).serving = True
        self.progress.answered = self.around.clock.monotonic()

    def spawn(self, work: Any) -> None:
        self.tasks.append(asyncio.create_task(work))

    def renew(self, replica: Replica) -> None:
        """Leases are not looked at here."""

    def is_welcome(self, _node: NodeId) -> bool:
        return True

    def has_written(self, node: NodeId) -> None:
        """Of no interest here."""

    def begins_anew(self, node: NodeId) -> None:
        """Of no interest here."""

    async def admit(self, _replica: Replica, node: NodeId) -> None:
        self.admitted.append(node)

    async def append(self, _node: NodeId, appends: Sequence[Append]) -> Sequence[Appended]:
        answer: asyncio.Future[Sequence[Appended]] = asyncio.get_running_loop().create_future()
        self.sent.append((appends[0], answer))
        return await answer

    async def write(self, *, lands: bool) -> Position:
        """One more entry goes to the learner; `lands`: it is on this disk."""
        replica = self.replica
        entry = Entry(replica.tail, 2, replica.tail.seq + 1, [b"k"], [b"\x01\x00record"])
        replica.log.append(entry)
        if lands:
            replica.log.hand(entry.position)
            replica.log.applied(History((Term(2, 1),), entry.first))
        self.feeding.wake(replica)
        await _let_run()
        return entry.position

    async def outbid(self, _replica: Replica, promised: int) -> None:
        self.outbidding.append(promised)

    async def answer(self, number: int, position: Position, *, rebuilding: bool = False, promised: int = 2) -> None:
        """The learner's answer to the message of that number arrives."""
        self.sent[number][1].set_result([Appended(P, True, position, promised, rebuilding)])
        await _let_run()

    async def answer_behind(self, number: int) -> None:
        """The learner does not know the entry of the map yet that the message of that number is about."""
        self.sent[number][1].set_result([Appended(P, False, START, 0, behind=True)])
        await _let_run()


async def _let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.lead(2)
    yield made
    for task in made.tasks:
        task.cancel()


async def becomes_required(world: World) -> Position:
    """The answer to message 2 is still on its way when the learner becomes required; message 3 asks where it stands."""
    await world.write(lands=True)
    await world.answer(0, START)
    last = await world.write(lands=False)
    assert [len(append.entries) for append, _ in world.sent] == [0, 1, 1]
    await world.answer(1, Position(2, 1))
    assert world.progress.required
    assert [len(append.entries) for append, _ in world.sent[3:]] == [0]
    return last


async def test_what_a_learner_says_after_it_became_required_takes_it_in(world: World) -> None:
    last = await becomes_required(world)
    await world.answer(3, last)
    assert world.progress.known
    assert world.admitted == [B]


async def test_an_answer_that_was_on_its_way_when_a_learner_became_required_does_not_count(world: World) -> None:
    last = await becomes_required(world)
    await world.answer(2, last)
    assert not world.progress.known
    assert world.progress.acked == START
    assert world.admitted == []
    await world.answer(3, START, rebuilding=True)
    assert world.progress.copying, "it has lost everything meanwhile, and says so when it is asked anew"
    assert world.admitted == []


async def test_what_is_no_whole_replica_does_not_stand_where_an_empty_partition_does(world: World) -> None:
    primary = world.replica.primary
    assert primary is not None
    world.progress.require(world.around.clock.monotonic())
    world.feeding.wake(world.replica)
    await _let_run()
    await world.answer(0, START, rebuilding=True)
    assert world.progress.copying
    assert not primary.at_rest(START), "a split would take it for in sync"


async def test_an_answer_to_an_earlier_term_of_office_does_not_count(world: World) -> None:
    await world.write(lands=True)
    world.replica.resign()
    world.lead(3)
    await world.answer(0, Position(2, 1))
    assert not world.progress.known


async def test_what_a_learner_took_that_had_promised_more_is_sent_again(world: World) -> None:
    """Its answer only says by which epoch it would go; nothing else would ever ask a learner of an idle partition again."""
    last = await world.write(lands=True)
    await world.answer(0, START)
    assert [len(append.entries) for append, _ in world.sent] == [0, 1]
    await world.answer(1, last, promised=9)
    assert world.outbidding == [9]
    world.feeding.wake(world.replica)
    await _let_run()
    assert [len(append.entries) for append, _ in world.sent] == [0, 1, 1]
    await world.answer(2, last)
    assert world.progress.required


async def test_a_learner_that_has_answered_no_heartbeat_of_late_is_not_waited_for_yet(world: World) -> None:
    """One that is back from a restart answers entries before heartbeats; the lease that rests on it would be long over."""
    world.progress.answered = world.around.clock.monotonic() - world.around.timing.lease
    await world.write(lands=True)
    await world.answer(0, Position(2, 1))
    assert world.progress.known
    assert not world.progress.required
    world.progress.answered = world.around.clock.monotonic()
    world.feeding.consider(world.replica, B, world.progress)
    assert world.progress.required


async def test_a_follower_whose_map_is_old_is_asked_again_soon_while_callers_wait(world: World) -> None:
    primary = world.replica.primary
    assert primary is not None
    primary.serving, primary.since = False, world.around.clock.monotonic()
    world.feeding.wake(world.replica)
    await _let_run()
    await world.answer_behind(0)
    await eventually(lambda: len(world.sent) == 2, within=5.0)
    primary.serving = True
    await world.answer_behind(1)
    await asyncio.sleep(4 * SOON_RETRY_SECONDS)
    assert len(world.sent) == 2, "the next look at the followers is soon enough"
