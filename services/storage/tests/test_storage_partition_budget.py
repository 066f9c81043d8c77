"""Which partitions have series of their own, and that sums never fall."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.adapters.partition_budget import PartitionBudget
from dstk_storage.domain.activity import Activity
from dstk_storage.domain.partition import Estimate, Partition
from dstk_telemetry.registry import partitions

Counts = dict[int, tuple[int, int]]
WHOLE = KeyRange.everything()


def led(counts: Counts) -> list[Partition]:
    return [
        Partition(PartitionId(number), WHOLE, 1, estimate=Estimate(10.0, 100.0 * number), activity=Activity(*each))
        for number, each in counts.items()
    ]


async def no_pause() -> None:
    """Nothing else is to run."""


async def update(budget: PartitionBudget, partitions: list[Partition]) -> None:
    await budget.update(partitions, no_pause)


def read(budget: PartitionBudget, name: str) -> dict[str, float]:
    return {values[0]: value for metric, values, value in budget.samples() if metric.name == name}


async def test_the_busiest_and_the_largest_have_series_of_their_own() -> None:
    budget = PartitionBudget(top=1)
    await update(budget, led({1: (0, 0), 2: (0, 0), 3: (0, 0)}))
    await update(budget, led({1: (5, 0), 2: (1, 2), 3: (0, 0)}))
    assert read(budget, partitions.READS.name) == {"1": 5, "3": 0, "others": 1}
    assert read(budget, partitions.WRITES.name) == {"1": 0, "3": 0, "others": 2}
    assert read(budget, partitions.RECORDS.name) == {"1": 10, "3": 10, "others": 10}
    assert read(budget, partitions.SIZE.name) == {"1": 100, "3": 300, "others": 200}


async def test_what_a_partition_does_is_in_its_own_series_while_it_has_one_and_else_in_the_sums() -> None:
    budget = PartitionBudget(top=1)
    await update(budget, led({1: (10, 0), 2: (9, 0), 3: (0, 0)}))
    assert read(budget, partitions.READS.name) == {"1": 10, "3": 0, "others": 9}
    await update(budget, led({1: (11, 0), 2: (19, 0), 3: (0, 0)}))
    assert read(budget, partitions.READS.name) == {"2": 10, "3": 0, "others": 10}
    await update(budget, led({1: (21, 0), 2: (20, 0), 3: (0, 0)}))
    assert read(budget, partitions.READS.name) == {"1": 20, "3": 0, "others": 11}, "1 goes on from 10"


async def test_what_is_done_during_an_update_is_counted_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dstk_storage.application.replica_survey.CHUNK", 1)
    budget, all_of_them = PartitionBudget(top=1), led({1: (9, 0), 2: (1, 0), 3: (0, 0)})

    async def pause() -> None:
        for each in all_of_them:
            each.activity.reads += 1

    await budget.update(all_of_them, pause)
    seen = {"1": 9, "3": 2, "others": 2}
    assert read(budget, partitions.READS.name) == seen
    await update(budget, all_of_them)
    assert sum(read(budget, partitions.READS.name).values()) == sum(each.activity.reads for each in all_of_them) == 16


STEPS = st.lists(
    st.dictionaries(st.integers(1, 6), st.tuples(st.integers(0, 5), st.integers(0, 5))), min_size=1, max_size=12
)


@given(STEPS, st.integers(1, 3))
def test_sums_never_fall_and_nothing_is_counted_twice(steps: list[Counts], top: int) -> None:
    """Each step says which partitions are led, and what they have done since: a partition that comes back begins at zero."""
    budget, now, done = PartitionBudget(top), Counts(), Counter[str]()
    sums = [0.0]
    own, gone = Counter[str](), Counter[str]()
    for step in steps:
        now = {
            number: (now.get(number, (0, 0))[0] + reads, now.get(number, (0, 0))[1] + writes)
            for number, (reads, writes) in step.items()
        }
        done["all"] += sum(reads for reads, _ in step.values())
        asyncio.run(update(budget, led(now)))
        shown = read(budget, partitions.READS.name)
        sums.append(shown.pop(partitions.OTHERS))
        assert len(shown) <= 2 * top
        own.update({name: step[int(name)][0] for name in shown})
        assert all(own[name] - gone[name] == value for name, value in shown.items())
        gone.update({name: own[name] - gone[name] for name in own if int(name) not in step})
    assert all(later >= earlier for earlier, later in pairwise(sums))
    assert sums[-1] + own.total() == done["all"]
