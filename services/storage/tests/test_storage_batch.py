"""The life of a batch, the queue that it begins in, and the receipts that wait for it."""

import asyncio
from collections.abc import Callable
from itertools import product

import pytest
from kit.partitions import partition
from kit.proposers import KeepingProposer, UnreplicatedProposer

from dstk_storage.domain.admission import Admission, QueueLimits
from dstk_storage.domain.batch import COMMITTED, FAILED, GATHERING, PROPOSED, REPLICATED, Batch, BatchState
from dstk_storage.domain.errors import CommitFailed, QueueFull, ReadOnly, StorageError
from dstk_storage.domain.history import START, Position
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.log import Entry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.pending import PendingBatches
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.write_queue import MAX_BATCH_BYTES, MAX_IN_FLIGHT, WriteQueue

LEGAL = {
    (GATHERING, PROPOSED),
    (PROPOSED, REPLICATED),
    (REPLICATED, COMMITTED),
    (GATHERING, FAILED),
    (PROPOSED, FAILED),
    (REPLICATED, FAILED),
}
LOST = CommitFailed("lost")


def batch(state: BatchState = GATHERING, *, first: int = 1, key: bytes = b"k") -> Batch:
    return Batch(partition(), first, 1, [key], [b"record"], {key: (first, 0, 2)}, 2, state)


class BatchDisk:
    """Takes batches and keeps them. Its clock stands still."""

    def __init__(self) -> None:
        self.intake, self.woken, self.batches = Intake(), 0, list[Batch]()
        self.monotonic = lambda: 0.0

    def wake(self) -> None:
        self.woken += 1

    def commit(self, batch: Batch) -> None:
        assert batch.state is REPLICATED
        self.batches.append(batch)

    def write(self) -> None:
        """Everything that it has taken is on it."""
        for each in self.batches:
            each.end(None)
        self.batches.clear()


def queue(limits: QueueLimits | None = None) -> tuple[WriteQueue, BatchDisk, KeepingProposer]:
    disk, proposals = BatchDisk(), KeepingProposer()
    return WriteQueue(disk, proposals, limits or QueueLimits()), disk, proposals


def write(into: WriteQueue, target: Partition, size: int = 2, receipt: Receipt | None = None) -> Batch:
    found = into.gather(target, 1, size, receipt or Receipt())
    found.heads[b"k"] = (target.log.assign(1), 0, size)
    found.keys.append(b"k")
    found.records.append(b"record")
    return found


@pytest.mark.parametrize(("before", "after"), list(product(BatchState, BatchState)), ids=lambda state: state.name)
def test_a_batch_goes_from_state_to_state_along_its_life_alone(before: BatchState, after: BatchState) -> None:
    made = batch(before)
    if (before, after) in LEGAL:
        made.advance(after)
        assert made.state is after
    else:
        with pytest.raises(AssertionError, match=f"{before.name} -> {after.name}"):
            made.advance(after)


@pytest.mark.parametrize(("failure", "calls"), [(None, 0), (LOST, 1)])
def test_who_asks_hears_of_a_failure_in_the_step_in_which_it_fails(failure: StorageError | None, calls: int) -> None:
    made, failed = batch(REPLICATED), list[Batch]()
    made.on_failure = failed.append
    made.end(failure)
    assert failed == [made] * calls


@pytest.mark.parametrize("leave", [lambda made: made.advance(PROPOSED), lambda made: made.end(LOST)])
def test_what_leaves_gathering_makes_room_once(leave: Callable[[Batch], None]) -> None:
    admission = Admission(QueueLimits(writes=1))
    admission.writes, admission.bytes = 1, 2
    made = batch()
    made.admission = admission
    with pytest.raises(QueueFull):
        admission.check(1)
    leave(made)
    assert (admission.writes, admission.bytes) == (0, 0)
    admission.check(1)
    if not made.has_ended:
        made.end(LOST)
    assert (admission.writes, admission.bytes) == (0, 0)


def test_a_followers_batch_is_replicated_from_the_start() -> None:
    made = Batch.of_entry(partition(), Entry(START, 3, 1, [b"a", b"b"], [b"1", b"2"]))
    assert (made.state, made.position) == (REPLICATED, Position(3, 2))


async def test_all_who_wait_for_a_batch_learn_how_it_ended_and_one_who_leaves_disturbs_nobody() -> None:
    made = batch(REPLICATED)
    impatient, patient = (asyncio.create_task(made.outcome()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    made.end(LOST)
    assert await patient is LOST
    assert await made.outcome() is LOST, "also who comes late"


async def test_a_receipt_is_durable_when_all_batches_are_that_it_rests_on() -> None:
    receipt, batches = Receipt(), [batch(REPLICATED), batch(REPLICATED)]
    assert receipt.is_empty
    for each in (*batches, batches[0]):
        receipt.rest_on(each)
    assert not receipt.is_empty
    waiting = asyncio.create_task(receipt.durable())
    batches[0].end(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    batches[1].end(None)
    await waiting


async def test_a_receipt_fails_with_any_of_its_batches() -> None:
    receipt, batches = Receipt(), [batch(REPLICATED), batch(REPLICATED)]
    for each in batches:
        receipt.rest_on(each)
    batches[0].end(None)
    batches[1].end(LOST)
    with pytest.raises(CommitFailed, match="lost"):
        await receipt.durable()


async def test_receipts_of_two_requests_are_told_apart() -> None:
    """Until now, what to wait for was node-wide: who asked first took the other's batches along."""
    into, _disk, proposals = queue()
    receipts, targets = [Receipt(), Receipt()], [partition(1), partition(2)]
    for target, receipt in zip(targets, receipts, strict=True):
        write(into, target, receipt=receipt)
    into.propose_ready()
    for each in proposals.batches:
        each.advance(REPLICATED)
    proposals.batches[0].end(None)
    proposals.batches[1].end(LOST)
    await receipts[0].durable()
    with pytest.raises(CommitFailed):
        await receipts[1].durable()


def test_writes_of_a_partition_gather_until_they_are_proposed() -> None:
    into, disk, proposals = queue()
    target = partition()
    first = write(into, target)
    assert write(into, target) is first
    assert disk.woken == 1
    into.propose_ready()
    assert proposals.batches == [first]
    assert write(into, target) is not first


def test_a_partition_has_a_few_batches_in_flight_and_the_next_one_gathers_meanwhile() -> None:
    into, _disk, proposals = queue()
    target = partition()
    for _ in range(MAX_IN_FLIGHT):
        write(into, target)
        into.propose_ready()
    last = write(into, target)
    into.propose_ready()
    assert write(into, target) is last
    assert len(proposals.batches) == MAX_IN_FLIGHT
    proposals.batches[0].advance(REPLICATED)
    into.propose_ready()
    assert len(proposals.batches) == MAX_IN_FLIGHT, "it is in flight until it is on this disk"
    proposals.batches[0].end(None)
    into.propose_ready()
    assert proposals.batches[-1] is last


def test_full_batches_of_a_partition_are_proposed_in_order() -> None:
    into, _disk, proposals = queue()
    target = partition()
    made = [write(into, target, MAX_BATCH_BYTES) for _ in range(MAX_IN_FLIGHT + 2)]
    into.propose_ready()
    assert proposals.batches == made[:MAX_IN_FLIGHT]
    proposals.batches[0].end(LOST)
    into.propose_ready()
    assert proposals.batches == made[: MAX_IN_FLIGHT + 1]


def test_what_is_abandoned_is_never_proposed_and_takes_no_room() -> None:
    into, _disk, proposals = queue(QueueLimits(writes=1))
    target = partition()
    write(into, target)
    target.pending.abandon(LOST)
    into.propose_ready()
    assert proposals.batches == []
    into.admit(1)
    assert write(into, target).state is GATHERING


def test_the_queue_takes_no_more_than_its_limits_nor_what_the_disk_refuses() -> None:
    into, disk, _proposals = queue(QueueLimits(writes=2, bytes=10))
    assert into.room(100) == (2, 100), "a first write always goes in"
    write(into, partition())
    assert into.room(3) == (1, 8)
    for size in (9, 11):
        with pytest.raises(QueueFull):
            into.admit(size)
    disk.intake.fail(ReadOnly("the disk failed"))
    for admit in (into.admit, into.admit_removal):
        with pytest.raises(ReadOnly):
            admit(1)


def test_what_nobody_replicates_goes_to_the_log_and_to_the_disk_at_once() -> None:
    disk = BatchDisk()
    into, target = WriteQueue(disk, UnreplicatedProposer(disk), QueueLimits()), partition()
    made = write(into, target)
    into.propose_ready()
    assert disk.batches == [made]
    assert target.log.handed == target.log.tail == made.position == Position(1, 1)
    disk.write()
    assert target.pending.is_empty()


def test_pending_batches_show_their_newest_writes() -> None:
    pending = PendingBatches()
    for first, state in ((1, COMMITTED), (2, REPLICATED), (3, GATHERING)):
        pending.open(batch(state, first=first, key=b"%d" % (first % 2)))
    assert pending.head(b"0") == (2, 0, 2)
    assert pending.head(b"1") == (3, 0, 2)
    assert pending.head(b"2") is None
    newest = pending.newest()
    assert newest is not None
    assert newest.first == 3
    pending.abandon(LOST)
    assert newest.failure is LOST
    assert pending.head(b"1") is None, "what has ended is on disk, or nowhere"
    assert pending.head(b"0") == (2, 0, 2), "what is on its way to the disk goes on"
