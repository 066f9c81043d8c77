"""What holds for every plan, and for following plans to the end, from any situation."""

import random
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.map_entries import node_info, partition_info
from kit.situations import plan

from dstk_cluster.model import NodeInfo, NodeState, PartitionInfo
from dstk_cluster.overrides import Override, present_nodes
from dstk_cluster.settings import DesiredState, NodeSpec
from dstk_keytypes import NodeId
from dstk_service.controller_settings import MIB, ControllerSettings
from dstk_storage.adapters.memory_cluster import MemoryCluster
from dstk_storage.domain.controller.model import Action, ActionRecord, Load, Situation, Step
from dstk_storage.domain.controller.plan_basis import PlanBasis
from dstk_storage.domain.controller.planner import make_plan

NOW = 1_700_000_000_000
NAMES = [NodeId(f"n{number}") for number in range(1, 7)]
ROUNDS = 400


@dataclass
class Play:
    """A cluster whose plans are followed."""

    cluster: MemoryCluster
    settings: ControllerSettings
    specs: dict[NodeId, NodeSpec]
    gone: dict[NodeId, float]
    overrides: tuple[Override, ...]
    now_ms: int = NOW
    records: list[ActionRecord] = field(default_factory=list)

    def situation(self) -> Situation:
        cluster = self.cluster
        return Situation(
            cluster.map,
            self.now_ms,
            self.settings,
            self.gone,
            cluster.read_only,
            self.specs,
            cluster.loads,
            records=tuple(self.records),
            overrides=self.overrides,
        )

    def take(self, step: Step) -> None:
        done = self.cluster.apply(step)
        self.records.append(
            ActionRecord(step.action, step.partition, self.now_ms, step.node, done.upper, step.replaces)
        )

    def wait(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)
        self.gone = {name: gone + seconds for name, gone in self.gone.items()}

    def usable(self) -> set[NodeId]:
        return {
            info.id
            for info in self.cluster.nodes.values()
            if info.state is NodeState.SERVING
            and self.specs.get(info.id, NodeSpec()).desired_state is DesiredState.ACTIVE
            and info.id not in self.cluster.read_only
        }


@st.composite
def loads(draw: st.DrawFn) -> Load:
    size = draw(st.one_of(st.integers(0, 3 * MIB), st.integers(0, 24 * MIB)))
    busy = draw(st.one_of(st.none(), st.floats(0, 400), st.floats(0, 5000)))
    return Load(size, draw(st.integers(0, 20_000)), busy, busy, busy)


@st.composite
def infos(draw: st.DrawFn) -> list[PartitionInfo]:
    keys: list[bytes] = sorted(draw(st.sets(st.binary(min_size=1, max_size=2), max_size=7)))
    keys = [key for key in keys if key > b"\0"]
    bounds: list[bytes | None] = [b"", *keys, None]
    found = []
    for at in range(len(bounds) - 1):
        replicas = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
        in_sync = draw(st.lists(st.sampled_from(replicas), min_size=1, unique=True))
        info = partition_info(at + 1, replicas, start=bounds[at] or b"", end=bounds[at + 1], in_sync=in_sync)
        found.append(replace(info, primary=in_sync[0]))
    return found


@st.composite
def nodes(draw: st.DrawFn) -> list[NodeInfo]:
    alive = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    zones, states = st.sampled_from(["", "a", "b"]), st.sampled_from([NodeState.SERVING] * 6 + list(NodeState))
    return [node_info(name, draw(zones), draw(states)) for name in alive]


@st.composite
def plays(draw: st.DrawFn) -> Play:
    partitions = draw(infos())
    cluster = MemoryCluster.of(draw(nodes()), partitions, {info.id: draw(loads()) for info in partitions})
    cluster.read_only = frozenset(draw(st.sets(st.sampled_from(NAMES), max_size=1)))
    wanted = ControllerSettings(
        replicas=draw(st.integers(1, 4)),
        split_bytes=draw(st.sampled_from([2 * MIB, 8 * MIB])),
        split_operations=draw(st.sampled_from([500.0, 2000.0])),
        merge_share=draw(st.sampled_from([0.0, 0.25, 0.5])),
        moves_at_once=draw(st.integers(1, 4)),
    )
    specs = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(DesiredState), max_size=3))
    gone = {name: draw(st.sampled_from([1.0, 290.0, 1000.0])) for name in NAMES if name not in cluster.nodes}
    override = st.builds(
        Override,
        st.sampled_from([info.id for info in partitions]),
        st.sampled_from(["split", "merge", "add_replica", "remove_replica", "transfer_primary", "adopted"]),
        st.just(NOW),
        st.sampled_from(NAMES),
        st.sampled_from([present_nodes(cluster.map), frozenset()]),
    )
    overrides = draw(st.lists(override, max_size=2))
    return Play(cluster, wanted, {name: NodeSpec(state) for name, state in specs.items()}, gone, tuple(overrides))


def safe_to_lose(play: Play, info: PartitionInfo) -> int:
    """How many replicas in sync are enough: as many as are wanted, where there are nodes for so many."""
    specs = {name: play.specs.get(name, NodeSpec()).desired_state for name in info.replicas}
    lost = {n for n in info.replicas if n not in play.cluster.nodes and play.gone.get(n, 0) >= 300}
    staying = {
        n for n in info.replicas if specs[n] not in {DesiredState.DRAINED, DesiredState.REMOVED} and n not in lost
    }
    return max(1, min(play.settings.replicas, len(staying | play.usable())))


def check(play: Play, steps: list[Step]) -> None:
    cluster = play.cluster
    touched = [number for step in steps for number in step.touches]
    assert len(touched) == len(set(touched)), "one step a partition at a time"
    coming = sum(
        n in cluster.nodes and n not in info.in_sync for info in cluster.partitions.values() for n in info.replicas
    )
    adds = [step for step in steps if step.action is Action.ADD_REPLICA]
    assert not adds or coming + len(adds) <= play.settings.moves_at_once
    assert sum(step.action is Action.SPLIT for step in steps) <= 2
    for step in steps:
        info = cluster.partitions[step.partition]
        assert info.primary in cluster.nodes, "nobody could do it"
        assert step.reason
        if step.action in {Action.ADD_REPLICA, Action.TRANSFER_PRIMARY}:
            assert step.node in play.usable()
        if step.action is Action.REMOVE_REPLICA:
            left = [n for n in info.in_sync if n != step.node]
            assert len(left) >= min(len(info.in_sync), safe_to_lose(play, info))
            assert info.primary != step.node and len(info.replicas) > 1
            assert play.specs.get(step.node or info.primary, NodeSpec()).desired_state is not DesiredState.CORDONED or (
                step.node not in cluster.nodes
            )


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(plays())
def test_every_plan_is_safe_and_says_why(play: Play) -> None:
    situation = play.situation()
    steps = plan(situation)
    check(play, steps)
    assert make_plan(situation) == make_plan(situation)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(plays(), st.sampled_from([1.0, 30.0, 3600.0]), st.randoms(use_true_random=False))
def test_following_the_plan_comes_to_rest_and_never_flaps(play: Play, pause: float, rng: random.Random) -> None:
    """Steps are made in any order, replicas catch up when they like, time passes quickly or slowly."""
    play.cluster.fail_over()
    made: dict[bytes, Action] = {}
    quiet = 0
    for _ in range(ROUNDS):
        steps = plan(play.situation())
        check(play, steps)
        quiet = 0 if steps else quiet + 1
        if quiet > 3:
            break
        for step in rng.sample(steps, len(steps)):
            take(play, step, made)
        if quiet or rng.random() < 0.8:
            play.cluster.catch_up()
        play.wait(pause if steps else 600.0)
    else:
        raise AssertionError(f"no rest after {ROUNDS} rounds: {steps}")
    play.cluster.catch_up()
    assert plan(play.situation()) == []


def take(play: Play, step: Step, made: dict[bytes, Action]) -> None:
    before = set(play.cluster.partitions)
    play.take(step)
    if step.action is Action.MERGE:
        assert made.setdefault(step.at, Action.MERGE) is Action.MERGE, "split and merged again"
    if step.action is Action.SPLIT:
        (number,) = set(play.cluster.partitions) - before
        at = play.cluster.partitions[number].range.start
        assert made.setdefault(at, Action.SPLIT) is Action.SPLIT, "merged and split again"


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(plays(), st.randoms(use_true_random=False))
def test_without_a_memory_it_comes_to_rest_as_well_unless_single_replicas_move(play: Play, rng: random.Random) -> None:
    """A new leader may know nothing of what was done; then only the figures hold it."""
    play.settings = replace(play.settings, replicas=max(2, play.settings.replicas))
    play.overrides = ()
    play.cluster.fail_over()
    for _ in range(ROUNDS):
        steps = plan(play.situation())
        if not steps:
            break
        for step in rng.sample(steps, len(steps)):
            play.take(step)
            if rng.random() < 0.1:
                play.records.clear()
        play.cluster.catch_up()
        play.wait(600.0)
    else:
        raise AssertionError(f"no rest after {ROUNDS} rounds: {steps}")


@pytest.mark.slow
def test_a_large_cluster_is_planned_in_reasonable_time() -> None:
    """Ten thousand partitions on thirty nodes; a generous bound, for it runs beside other things."""
    members: list[NodeInfo] = [node_info(f"n{at}", f"z{at % 3}") for at in range(30)]
    names = [info.id for info in members]
    size = 10_000
    found = [
        partition_info(
            at + 1,
            [names[(at + step) % 30] for step in range(3)],
            start=at.to_bytes(3) if at else b"",
            end=(at + 1).to_bytes(3) if at + 1 < size else None,
        )
        for at in range(size)
    ]
    busy: dict[int, Any] = {info.id: Load((info.id % 50 + 80) * MIB, 10**5, 50.0, 50.0, 50.0) for info in found}
    cluster = MemoryCluster.of(members, found, busy)
    situation = Situation(cluster.map, NOW, loads=cluster.loads)
    began = time.process_time()
    plan(situation)
    assert time.process_time() - began < 5


@settings(deadline=None, max_examples=200)
@given(plays(), st.sampled_from(Action), st.sampled_from([0, 295, 595, 86_395]), st.integers(0, 12))
def test_a_plan_that_still_holds_is_the_one_that_would_be_made_now(
    play: Play, action: Action, age: int, seconds: int
) -> None:
    at_ms = NOW - age * 1000
    play.records = [ActionRecord(action, number, at_ms) for number in play.cluster.partitions]
    play.gone = dict.fromkeys(play.gone, 295.0)
    play.overrides = tuple(replace(override, at_ms=at_ms) for override in play.overrides)
    before = play.situation()
    play.wait(seconds)
    now = play.situation()
    if PlanBasis.of(before).covers(now):
        assert shape(before) == shape(now)


def shape(state: Situation) -> tuple[list[Step], list[tuple[int, NodeId | None]]]:
    """A plan without its reasons, which quote for how long a node has been gone."""
    made = make_plan(state)
    return [replace(step, reason="") for step in made.steps], [(each.partition, each.node) for each in made.findings]
