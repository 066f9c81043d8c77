"""A look at many replicas lets others run, and stays within limits with 100,000 of them."""

import gc
import time
from collections import deque
from collections.abc import Mapping
from itertools import pairwise

import pytest
from kit.machines import A, B, C, Unwatched, info_of, replica_of

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.adapters.metrics import NodeMetrics
from dstk_storage.adapters.partition_budget import PartitionBudget
from dstk_storage.application.replica_survey import survey
from dstk_storage.domain.activity import Activity
from dstk_storage.domain.history import Position
from dstk_storage.domain.log import PartitionLog
from dstk_storage.domain.partition import Estimate, Partition
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.progress import FollowerState, Progress
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.telemetry import METHODS
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.rpc import KeyMetrics
from dstk_telemetry.registry.kinds import Owner

NOW = 10.0


async def test_it_pauses_and_replicas_may_come_and_go_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstk_storage.application.replica_survey.CHUNK", 2)
    replicas = {PartitionId(number): replica_of(A, info_of(A)) for number in range(1, 6)}
    pauses = []

    async def pause() -> None:
        pauses.append(len(replicas))
        replicas.popitem()

    assert (await survey(replicas, NOW, 0, pause)).primaries == 5
    assert pauses == [5, 4]


MANY = 100_000


def many_replicas() -> Mapping[PartitionId, Replica]:
    """Of one node of three, which leads a third of them. Of one in ten, the followers are a write behind."""
    log, keeper = PartitionLog(), Unwatched()
    cursor = log.subscribe(Position(0, 0), lambda: None)
    whole, recent = KeyRange.everything(), deque[bytes]()

    def follower(number: int) -> Progress:
        acked = log.tail if number % 10 else Position(0, 1)
        return Progress(cursor, 1, 0.0, required=True, state=FollowerState.REPLICATE, acked=acked)

    def made(number: int) -> Replica:
        nodes = [(A, B, C), (B, C, A), (C, A, B)][number % 3]
        info = PartitionInfo(PartitionId(number), whole, 1, nodes[0], nodes, nodes)
        estimate, activity = Estimate(1000.0, 1e5 + number * 7919 % MANY), Activity(number, 2 * number, recent=recent)
        partition = Partition(info.id, whole, 1, log, estimate, activity)
        primary = Primary(1, 1, 0.0, {B: follower(number), C: follower(number)}, is_serving=True)
        return Replica(A, info, partition, 1, whole, keeper, primary if nodes[0] == A else None)

    return {PartitionId(number): made(number) for number in range(1, MANY + 1)}


@pytest.mark.slow
async def test_a_hundred_thousand_partitions_are_exported_within_limits() -> None:
    """All of them were used since the last scrape. CPU time, of all threads, and of the event loop's between two pauses."""
    replicas, budget, instruments = many_replicas(), PartitionBudget(), Instruments(Owner.STORAGE)
    turns = list[float]()

    async def pause() -> None:
        turns.append(time.thread_time())

    async def refresh() -> None:
        await pause()
        found = await survey(replicas, NOW, 3, pause)
        await budget.update(found.led, pause)
        await pause()

    instruments.refresh(refresh)
    instruments.read(budget.samples)
    KeyMetrics(instruments, METHODS)
    NodeMetrics(instruments, A)
    seconds, longest = [], []
    gc.collect()
    gc.freeze()
    for _ in range(5):
        for replica in replicas.values():
            replica.partition.activity.reads += 1
        turns.clear()
        begun = time.process_time()
        text, _ = await instruments.exposition()
        seconds.append(time.process_time() - begun)
        longest.append(max(later - earlier for earlier, later in pairwise(turns)))
    gc.unfreeze()
    assert len(text) < 2_000_000
    assert min(seconds) < 0.2, seconds
    assert min(longest) < 0.02, longest
