"""The controller at work: on a map in memory, on a clock that the test moves, elected through the in-memory coordinator."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from kit.map_entries import node_info, partition_info
from kit.offloads import inline

from dstk_cluster.election import Election
from dstk_cluster.events import EventLog, Outcome
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.overrides import Override, OverrideStore, present_nodes
from dstk_cluster.settings import DesiredState, NodeSpec, SettingsStore
from dstk_keytypes import NodeId, PartitionId
from dstk_service.controller_settings import MIB
from dstk_service.testing import ManualClock
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.domain.controller.controller import Controller, Parts
from dstk_storage.domain.controller.model import Action, Load, Plan, Situation, Step
from dstk_storage.domain.controller.planner import make_plan
from dstk_storage.domain.controller.ports import StepResult
from dstk_storage.domain.controller.situation_reader import Sources

N1, N2, N3, N4 = (NodeId(f"n{number}") for number in range(1, 5))
P1, P2 = PartitionId(1), PartitionId(2)
FOUR = [node_info(f"n{number}") for number in range(1, 5)]
QUIET = Load(10 * MIB, 10_000)


@dataclass
class ControlledCluster:
    """One cluster, one etcd, and the controllers of several nodes."""

    cluster: MemoryCluster
    clock: ManualClock
    etcd: MemoryCoordinator
    controllers: dict[str, Controller]
    elections: dict[str, Election]
    tasks: dict[str, list[asyncio.Task[None]]]

    @property
    def settings(self) -> SettingsStore:
        return SettingsStore(self.etcd, "c")

    @property
    def overrides(self) -> OverrideStore:
        return OverrideStore(self.etcd, "c")

    async def events(self) -> list[tuple[str, int, Outcome]]:
        newest = await EventLog(self.etcd, "c", N1, self.clock).newest()
        return [(event.action, event.partition, event.outcome) for event in reversed(newest)]

    def kill(self, name: str) -> None:
        for task in self.tasks.pop(name):
            task.cancel()

    def done(self) -> list[tuple[str, int, str | None]]:
        return [(step.action, step.partition, step.node) for step in self.cluster.executed]


@asynccontextmanager
async def controlled(cluster: MemoryCluster, *names: str, executor: Any = None) -> AsyncIterator[ControlledCluster]:
    clock = ManualClock()
    etcd = MemoryCoordinator(clock)
    made = ControlledCluster(cluster, clock, etcd, {}, {}, {})
    for name in names or ("n1",):
        election = Election(etcd, "c", NodeId(name), clock, random.Random(1))
        events = EventLog(etcd, "c", NodeId(name), clock)
        sources = Sources(cluster, SettingsStore(etcd, "c"), OverrideStore(etcd, "c"), events, clock)
        controller = Controller(Parts(NodeId(name), election, sources, executor or cluster, inline))
        made.controllers[name], made.elections[name] = controller, election
        loops: list[Awaitable[None]] = [election.run(), controller.run()]
        made.tasks[name] = [asyncio.ensure_future(loop) for loop in loops]
        await clock.advance(0.1)
    try:
        yield made
        assert not any(task.done() for tasks in made.tasks.values() for task in tasks)
    finally:
        for name in list(made.tasks):
            made.kill(name)


def one_partition(*replicas: str) -> MemoryCluster:
    return MemoryCluster.of(FOUR, [partition_info(1, replicas)], {1: QUIET})


async def test_a_lost_replica_is_rebuilt_and_listed(caplog: pytest.LogCaptureFixture) -> None:
    cluster = one_partition("n1", "n2", "n3")
    with caplog.at_level(logging.INFO):
        async with controlled(cluster) as here:
            await here.clock.advance(2)
            assert here.done() == []
            del cluster.nodes[N3]
            cluster.fail_over()
            await here.clock.advance(295)
            assert here.done() == [], "it may come back"
            await here.clock.advance(10)
            assert here.done() == [("add_replica", 1, "n4")]
            cluster.catch_up()
            await here.clock.advance(5)
            assert here.done()[1:] == [("remove_replica", 1, "n3")]
            assert await here.events() == [("add_replica", 1, Outcome.DONE), ("remove_replica", 1, Outcome.DONE)]
    lines = [record for record in caplog.records if record.message == "controller: add_replica"]
    assert [(line.__dict__["outcome"], line.__dict__["node"]) for line in lines] == [("success", "n4")]
    assert "n3 has been gone for 300 s" in lines[0].__dict__["reason"]


async def test_an_unchanged_cluster_is_planned_for_only_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Situation] = []

    def counted(situation: Situation) -> Plan:
        plans.append(situation)
        return make_plan(situation)

    monkeypatch.setattr("dstk_storage.domain.controller.controller.make_plan", counted)
    cluster = one_partition("n1", "n2", "n3")
    async with controlled(cluster) as here:
        await here.clock.advance(120)
        plans.clear()
        await here.clock.advance(60)
        assert 5 <= len(plans) <= 7
        for change in (
            lambda: here.settings.configure({"paused": True}),
            lambda: here.settings.set_node(N1, NodeSpec(DesiredState.CORDONED)),
            lambda: here.overrides.keep([Override(P1, "split", here.clock.now_ms())]),
        ):
            plans.clear()
            await change()
            await here.clock.advance(1)
            assert plans, "a change is planned for at the next inspection"
        plans.clear()
        cluster.loads[P1] = Load(300 * MIB, 10_000)
        await here.clock.advance(1)
        assert [step.action for step in here.controllers["n1"].plan.steps] == [Action.SPLIT]


async def test_paused_it_says_what_it_would_do_and_does_nothing() -> None:
    async with controlled(one_partition("n1", "n2")) as here:
        await here.settings.configure({"paused": True})
        await here.clock.advance(10)
        assert here.done() == []
        assert [step.action for step in here.controllers["n1"].plan.steps] == ["add_replica"]
        await here.settings.configure({"paused": False})
        await here.clock.advance(2)
        assert [action for action, *_ in here.done()] == ["add_replica"]


async def test_only_the_leader_acts_and_another_goes_on_after_it() -> None:
    cluster = one_partition("n1", "n2")
    async with controlled(cluster, "n1", "n2") as here:
        await here.settings.configure({"paused": True})
        await here.clock.advance(2)
        assert here.elections["n1"].acting
        assert here.controllers["n2"].leader == "n1"
        assert not here.controllers["n2"].plan.steps
        preview = await here.controllers["n2"].preview()
        assert [step.action for step in preview.steps] == ["add_replica"], "it can say what would be done"
        here.kill("n1")
        await here.settings.configure({"paused": False})
        await here.clock.advance(4)
        assert len(here.done()) == 1
        assert here.controllers["n2"].leader == "n2"
        (event,) = await EventLog(here.etcd, "c", N1, here.clock).newest()
        assert event.node == "n2"


async def test_a_node_that_was_gone_before_the_leader_died_is_not_waited_for_again() -> None:
    cluster = one_partition("n1", "n2", "n3")
    async with controlled(cluster, "n1", "n2") as here:
        await here.clock.advance(2)
        del cluster.nodes[N3]
        cluster.fail_over()
        await here.clock.advance(250)
        here.kill("n1")
        await here.clock.advance(60)
        assert here.done() == [("add_replica", 1, "n4")]


async def test_what_fails_is_tried_elsewhere_and_later_and_holds_up_nothing_else() -> None:
    partitions = [partition_info(1, ["n1", "n2"], end=b"b"), partition_info(2, ["n2", "n1"], start=b"b")]
    cluster = MemoryCluster.of(FOUR, partitions, {1: QUIET, 2: QUIET})
    cluster.failing = {(Action.ADD_REPLICA, P1, name) for name in (N3, N4)}
    async with controlled(cluster) as here:
        await here.clock.advance(60)
        assert [partition for _, partition, _ in here.done()] == [2]
        failures = [(action, number) for action, number, outcome in await here.events() if outcome is Outcome.FAILED]
        assert set(failures) == {("add_replica", 1)}
        assert 6 <= len(failures) <= 12, "each of two nodes after 2, 4, 8, 16, 32 seconds"
        cluster.failing.clear()
        await here.clock.advance(60)
        assert len(cluster.partitions[P1].replicas) == 3


async def test_a_step_that_hangs_holds_up_no_other_partition() -> None:
    class Hanging:
        async def execute(self, step: Step) -> StepResult:
            if step.partition == P1:
                await asyncio.Event().wait()
            return cluster.apply(step)

    partitions = [partition_info(1, ["n1", "n2"], end=b"b"), partition_info(2, ["n2", "n1"], start=b"b")]
    cluster = MemoryCluster.of(FOUR, partitions, {1: QUIET, 2: QUIET})
    async with controlled(cluster, executor=Hanging()) as here:
        await here.clock.advance(10)
        assert [number for _, number, _ in here.done()] == [2]
        assert [step.partition for step in here.controllers["n1"].running] == [1]
        assert ("add_replica", 1, Outcome.RUNNING) in await here.events(), "its event is listed before it ends"


async def test_an_unexpected_error_is_a_failure_of_that_step() -> None:
    class Broken:
        async def execute(self, step: Step) -> StepResult:
            raise ZeroDivisionError(f"{step.action}")

    async with controlled(one_partition("n1", "n2"), executor=Broken()) as here:
        await here.clock.advance(3)
        (event, *_) = await EventLog(here.etcd, "c", N1, here.clock).newest()
        assert event.outcome is Outcome.FAILED
        assert "unexpected ZeroDivisionError" in event.error


async def test_without_etcd_it_rests_and_goes_on_afterwards() -> None:
    async with controlled(one_partition("n1", "n2")) as here:
        here.etcd.unreachable = True
        await here.clock.advance(20)
        assert here.done() == []
        here.etcd.unreachable = False
        await here.clock.advance(5)
        assert [action for action, *_ in here.done()] == ["add_replica"]


async def test_a_desired_state_drains_a_node_to_its_end() -> None:
    cluster = one_partition("n1", "n2", "n3")
    async with controlled(cluster) as here:
        await here.settings.set_node(N1, NodeSpec(DesiredState.DRAINED))
        for _ in range(10):
            await here.clock.advance(2)
            cluster.catch_up()
        assert here.done() == [("add_replica", 1, "n4"), ("transfer_primary", 1, "n2"), ("remove_replica", 1, "n1")]


def neighbours() -> MemoryCluster:
    """Five small partitions in the same executor, on nodes that have counted for long."""
    bounds: list[bytes | None] = [b"", b"b", b"c", b"d", b"e", None]
    found = [partition_info(at + 1, ["n1", "n2", "n3"], start=bounds[at] or b"", end=bounds[at + 1]) for at in range(5)]
    return MemoryCluster.of(FOUR[:3], found, dict.fromkeys(range(1, 6), QUIET))


async def test_what_the_first_controller_finds_is_merged_only_after_a_day() -> None:
    async with controlled(neighbours()) as here:
        await here.clock.advance(120)
        assert "merge" not in [action for action, *_ in here.done()]
        assert {override.action for override in await here.overrides.load()} == {"adopted"}


async def test_old_overrides_are_forgotten() -> None:
    cluster = one_partition("n1", "n2", "n3")
    async with controlled(cluster) as here:
        await here.overrides.keep([Override(P2, "split", here.clock.now_ms()), Override(P1, "transfer_primary", 0)])
        await here.overrides.keep(
            [kept := Override(P1, "merge", here.clock.now_ms(), None, present_nodes(cluster.map))]
        )
        await here.clock.advance(3)
        assert [override for override in await here.overrides.load() if override.action != "adopted"] == [kept]


async def test_a_finding_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    cluster = MemoryCluster.of(FOUR[:1], [partition_info(1, ["n2"])], {})
    with caplog.at_level(logging.WARNING):
        async with controlled(cluster) as here:
            await here.settings.set_node(N2, NodeSpec(DesiredState.REMOVED))
            await here.clock.advance(10)
    assert len([record for record in caplog.records if "only replica is on n2" in record.message]) == 1


async def test_a_finding_about_the_whole_cluster_names_no_partition(caplog: pytest.LogCaptureFixture) -> None:
    cluster = MemoryCluster.of(FOUR[:2], [partition_info(1, ["n1", "n2"])], {})
    with caplog.at_level(logging.INFO):
        async with controlled(cluster) as here:
            await here.clock.advance(10)
    (line,) = [record for record in caplog.records if "2 usable nodes" in record.message]
    assert line.__dict__["action"] == "controller_finding"
    assert "partition" not in line.__dict__
