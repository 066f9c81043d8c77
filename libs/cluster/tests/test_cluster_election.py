"""One leader at most, at any moment; a new one soon."""

import asyncio
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.coordinators import LossyCoordinator
from kit.spoiled import holds_once

from dstk_cluster.election import LEASE_SECONDS, Election
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.port import Coordinator, Delete
from dstk_cluster.records import Keys
from dstk_keytypes import NodeId
from dstk_service.clock import Clock, SystemClock
from dstk_service.testing import ManualClock, eventually

NAMES = ("n1", "n2", "n3")


def candidates(coordinator: Coordinator, clock: Clock, cluster: str = "c") -> list[Election]:
    return [Election(coordinator, cluster, NodeId(name), clock, random.Random(at)) for at, name in enumerate(NAMES)]


def acting(elections: list[Election]) -> list[Election]:
    return [election for election in elections if election.acting]


async def test_one_is_elected_and_all_know_it(coordinator: Coordinator, cluster: str) -> None:
    elections = candidates(coordinator, SystemClock(), cluster)
    await asyncio.gather(*(election.step() for election in elections))
    await asyncio.gather(*(election.step() for election in elections))
    (leader,) = acting(elections)
    assert {election.leader for election in elections} == {leader.leader}


@pytest.mark.slow
async def test_after_the_leaders_death_another_acts_within_three_seconds_or_so(
    coordinator: Coordinator, cluster: str
) -> None:
    await holds_once(lambda trial: another_acts(coordinator, f"{cluster}-{trial}"), range(5))


async def another_acts(coordinator: Coordinator, cluster: str) -> None:
    clock = SystemClock()
    elections = candidates(coordinator, clock, cluster)
    tasks = {election: asyncio.create_task(election.run()) for election in elections}
    try:
        await eventually(lambda: acting(elections))
        (first,) = acting(elections)
        tasks[first].cancel()
        died = clock.monotonic()
        await eventually(lambda: acting([other for other in elections if other is not first]))
        assert not first.acting
        assert clock.monotonic() - died < LEASE_SECONDS + 2.5, "etcd looks for ended leases twice a second"
    finally:
        for task in tasks.values():
            task.cancel()


async def test_who_resigns_is_followed_at_once(coordinator: Coordinator, cluster: str) -> None:
    one, two, _ = candidates(coordinator, SystemClock(), cluster)
    await one.step()
    await two.step()
    assert one.acting and not two.acting
    await one.resign()
    assert not one.acting
    await two.step()
    assert two.acting


async def test_a_leader_that_etcd_does_not_hear_stops_before_another_can_begin() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    one, two, _ = candidates(coordinator, clock)
    await one.step()
    coordinator.unreachable = True
    await clock.advance(LEASE_SECONDS * 0.8)
    await one.step()
    assert one.acting
    await clock.advance(LEASE_SECONDS * 0.1)
    assert not one.acting
    coordinator.unreachable = False
    await two.step()
    assert not two.acting, "the lease runs still"
    await clock.advance(LEASE_SECONDS * 0.1)
    await two.step()
    assert two.acting
    await one.step()
    assert not one.acting
    assert one.leader == "n2"


async def test_a_leader_whose_key_was_removed_by_hand_stops(coordinator: Coordinator, cluster: str) -> None:
    one, two, _ = candidates(coordinator, SystemClock(), cluster)
    await one.step()
    await coordinator.txn([], [Delete(Keys(cluster).root + b"controller")])
    await two.step()
    await one.step()
    assert two.acting and not one.acting


async def test_an_election_whose_answer_was_lost_is_found_out() -> None:
    coordinator = LossyCoordinator(clock := ManualClock())
    one, *_ = candidates(coordinator, clock)
    coordinator.unanswered = range(sys.maxsize)
    await one.step()
    assert not one.acting
    coordinator.unanswered = ()
    await one.step()
    assert one.acting


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1.5)), max_size=40), st.randoms())
def test_never_do_two_act_at_once(script: list[tuple[int, float]], rng: random.Random) -> None:
    """Steps of three nodes, cuts and time in any order."""

    async def play() -> None:
        coordinator = MemoryCoordinator(clock := ManualClock())
        elections = candidates(coordinator, clock)
        for what, seconds in script:
            if what < len(elections):
                await elections[what].step()
            elif what == len(elections):
                coordinator.unreachable = rng.random() < 0.5
            await clock.advance(seconds)
            assert len(acting(elections)) <= 1

    asyncio.run(play())
