"""Damage that no checksum shows, on virtual time: it is found by comparing replicas, and mended where a majority agrees."""

import asyncio

import pytest

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId
from dstk_storage.domain import layout
from dstk_storage.domain.replication import digests
from simulation.cluster import KEYS, SimCluster
from simulation.comparing import (
    EVERY_SECONDS,
    compared,
    filled,
    holds,
    is_equal,
    is_mended,
    is_outvoted,
    is_told,
    last,
    outvoted,
    rot,
    undecided,
)
from simulation.node import SimNode
from simulation.playing import FIRST, entry, get, leader, play, put, until

FOUND_SECONDS = 6.0
B, C = KEYS[1], KEYS[2]
A = KEYS[0]


@pytest.fixture(autouse=True)
def small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares each key separately."""
    monkeypatch.setattr(digests, "STRETCH_RECORDS", 1)


@pytest.mark.parametrize("value", [b"wrong", b"right, but longer", b"", None])
@pytest.mark.parametrize("leads", [True, False])
def test_the_odd_one_of_three_is_found_and_rebuilt(value: bytes | None, leads: bool) -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        victim = next(node for node in info.replicas if (node == info.primary) == leads)
        rot(cluster, victim, B, value)
        await until(lambda: is_mended(cluster, victim, B), within=FOUND_SECONDS)
        assert outvoted(cluster) == [victim]
        after = await entry(cluster, FIRST)
        assert (after.primary == victim) is False
        assert await get(cluster, B) == b"right"

    compared(scenario)


@pytest.mark.parametrize("leads", [True, False])
def test_a_lost_write_is_found_on_an_idle_partition(leads: bool) -> None:
    """The records and the position, which are written together, are lost together."""

    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        victim = next(node for node in info.replicas if (node == info.primary) == leads)
        engine = cluster.nodes[victim].engine
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(engine, "write", lambda _batch: patched.undo())  # the next write alone is lost
            await put(cluster, B, b"newer")
        assert holds(cluster, victim, B) == b"right"
        await until(lambda: _has(cluster, victim), within=FOUND_SECONDS)
        assert outvoted(cluster) == [victim]
        assert await get(cluster, B) == b"newer"

    async def _has(cluster: SimCluster, node: NodeId) -> bool:
        return holds(cluster, node, B) == b"newer" and node in (await entry(cluster, FIRST)).in_sync

    compared(scenario)


def test_what_only_the_record_header_tells_is_compared_too() -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        victim = next(node for node in info.replicas if node != info.primary)
        engine = cluster.nodes[victim].engine
        raw = engine.get(layout.DATA + B)
        assert raw is not None
        batch = engine.batch()
        batch.put(layout.DATA + B, layout.encode_record(b"right", 1 << 40, 0, 0))
        engine.write(batch)
        await until(lambda: _equals(cluster, victim, raw), within=FOUND_SECONDS)

    async def _equals(cluster: SimCluster, node: NodeId, raw: bytes) -> bool:
        return cluster.nodes[node].engine.get(layout.DATA + B) == raw

    compared(scenario)


def test_without_a_majority_nothing_is_changed_and_itis_told_once() -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        gone, victim = (node for node in info.replicas if node != info.primary)
        await (await leader(cluster, FIRST)).reconfigurations.remove_replica(FIRST, gone)
        before = await entry(cluster, FIRST)
        rot(cluster, victim, B)
        await until(lambda: is_told(cluster, before), within=FOUND_SECONDS)
        await asyncio.sleep(3 * EVERY_SECONDS)
        assert await entry(cluster, FIRST) == before
        assert holds(cluster, victim, B) == b"wrong"
        found = last(cluster, before)
        assert found is not None
        assert found.nodes == tuple(sorted(before.replicas))
        assert undecided(cluster) == [before.primary]
        assert outvoted(cluster) == []
        rot(cluster, victim, B, b"right")
        await until(lambda: is_equal(cluster, before), within=FOUND_SECONDS)

    compared(scenario)


def test_three_that_all_differ_are_left_alone() -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        for node in info.replicas[:2]:
            rot(cluster, node, B, node.encode())
        await until(lambda: is_told(cluster, info), within=FOUND_SECONDS)
        assert outvoted(cluster) == []
        for node in info.replicas[:2]:
            rot(cluster, node, B, b"right")
        await until(lambda: is_equal(cluster, info), within=FOUND_SECONDS)

    compared(scenario)


def test_an_unreachable_replica_makes_no_majority_of_the_others() -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        gone, victim = (node for node in info.replicas if node != info.primary)
        cluster.nodes[gone].crash()
        rot(cluster, victim, B)
        await until(lambda: is_told(cluster, info), within=2 * FOUND_SECONDS)
        assert outvoted(cluster) == []
        cluster.nodes[gone].start()
        await until(lambda: is_mended(cluster, victim, B), within=3 * FOUND_SECONDS)
        assert outvoted(cluster) == [victim]

    compared(scenario)


def test_replicas_that_are_damaged_in_different_places_are_all_mended_from_the_one_that_is_not() -> None:
    """Were the first one copied from the primary at once, it would outvote the right one where the primary is wrong."""

    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        other, right = (node for node in info.replicas if node != info.primary)
        rot(cluster, other, A)
        rot(cluster, info.primary, C)
        await until(lambda: _are_mended(cluster, info), within=4 * FOUND_SECONDS)
        assert right not in outvoted(cluster)
        assert set(outvoted(cluster)) == {other, info.primary}

    async def _are_mended(cluster: SimCluster, info: PartitionInfo) -> bool:
        return all([await is_mended(cluster, node, A, C) for node in info.replicas])

    compared(scenario)


@pytest.mark.parametrize("leads", [True, False])
def test_the_odd_one_is_copied_anew_though_etcd_was_away_when_it_was_found(leads: bool) -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        victim = next(node for node in info.replicas if (node == info.primary) == leads)
        cluster.etcd.unreachable = True
        rot(cluster, victim, B)
        await until(lambda: is_outvoted(cluster, victim), within=FOUND_SECONDS)
        await asyncio.sleep(1)
        assert holds(cluster, victim, B) == b"wrong"
        cluster.etcd.unreachable = False
        await until(lambda: is_mended(cluster, victim, B), within=4 * FOUND_SECONDS)
        assert await get(cluster, B) == b"right"

    compared(scenario)


@pytest.mark.parametrize("leads", [True, False])
def test_the_odd_one_is_copied_anew_though_a_node_crashes_when_it_was_found(leads: bool) -> None:
    """Whatever was known of it is lost with the process that knew it: the next comparison finds it."""

    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        victim = next(node for node in info.replicas if (node == info.primary) == leads)
        rot(cluster, victim, B)
        await until(lambda: is_outvoted(cluster, victim), within=FOUND_SECONDS)
        cluster.nodes[info.primary].crash()
        await asyncio.sleep(0.5)
        cluster.nodes[info.primary].start()
        await until(lambda: is_mended(cluster, victim, B), within=6 * FOUND_SECONDS)

    compared(scenario)


def test_while_callers_write_all_the_time_comparisons_end_and_find_nothing() -> None:
    async def scenario(cluster: SimCluster) -> None:
        loop = asyncio.get_running_loop()
        callers = [asyncio.create_task(cluster.caller(f"c{n}", loop.time() + 8)) for n in range(8)]
        await asyncio.gather(*callers)
        cluster.judge()
        assert cluster.run.violations == []
        cluster.false_alarms()
        assert await is_equal(cluster, await entry(cluster, FIRST))

    compared(scenario)


def test_a_restart_remembers_when_replicas_were_compared() -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        await until(lambda: is_equal(cluster, info), within=FOUND_SECONDS)
        await asyncio.sleep(0.1)
        before = last(cluster, info)
        node = cluster.nodes[info.primary]
        node.crash()
        node.compare_seconds = 0.0
        node.start()
        await until(lambda: _has_loaded(node))
        assert node.store is not None
        found = node.store.local(FIRST)
        assert found is not None
        assert found.compared == before

    async def _has_loaded(node: SimNode) -> bool:
        return node.store is not None and node.store.local(FIRST) is not None

    compared(scenario)


def test_a_digest_tells_the_position_that_its_snapshot_had() -> None:
    """A batch that comes between does not count in either."""

    async def scenario(cluster: SimCluster) -> None:
        info = await filled(cluster)
        node = cluster.nodes[info.primary]
        with node.engine.snapshot() as snapshot:
            position = snapshot.get(layout.position_key(FIRST))
            await put(cluster, B, b"later")
            assert snapshot.get(layout.position_key(FIRST)) == position
            assert snapshot.get(layout.DATA + B) != node.engine.get(layout.DATA + B)
        found = digests.digest(node.engine, FIRST, KeyRange(B, C))
        assert found is not None
        assert found.position == layout.decode_position(node.engine.get(layout.position_key(FIRST)) or b"")

    play(scenario)
