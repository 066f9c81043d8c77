"""Operators' calls and automatic changes, one at a time, on virtual time and without a nemesis."""

import asyncio
from typing import Any

import pytest

from dstk_keytypes import Key, NodeId, PartitionId
from dstk_storage.domain import layout
from dstk_storage.domain.errors import NotPrimary, PreconditionFailed, StorageError
from dstk_storage.domain.replication.runtime.repair import Repair
from dstk_storage.domain.room import Room
from simulation.cluster import KEYS, SimCluster
from simulation.etcd import ETCD
from simulation.playing import FIRST, SECOND, A, D, E, F, G, entry, fill_disks, get, leader, play, put, until

HANGING_SECONDS = 8.0


def test_a_split_moves_nothing_and_etags_go_on_growing_on_both_sides() -> None:
    async def scenario(cluster: SimCluster) -> None:
        last = [await put(cluster, key, b"before") for key in (D, F)][-1]
        lower, upper = await (await leader(cluster, SECOND)).reconfigurations.split(SECOND, E)
        assert (lower.range.end, upper.range.start) == (E, E)
        assert [await get(cluster, key) for key in (D, F)] == [b"before", b"before"]
        assert await put(cluster, F, b"after") == await put(cluster, D, b"after") == last + 1

    play(scenario)


def test_neighbours_are_merged_and_etags_go_on_growing() -> None:
    async def scenario(cluster: SimCluster) -> None:
        highest = max([await put(cluster, key, b"before") for key in (A, A, A, D)])
        upper = await entry(cluster, SECOND)
        with pytest.raises(NotPrimary):
            await (await leader(cluster, FIRST)).reconfigurations.merge(FIRST, SECOND)
        await (await leader(cluster, SECOND)).reconfigurations.transfer(SECOND, (await entry(cluster, FIRST)).primary)
        await cluster.settle()
        merged = await (await leader(cluster, FIRST)).reconfigurations.merge(FIRST, SECOND)
        assert merged.range.end == upper.range.end
        assert [await get(cluster, key) for key in (A, D)] == [b"before", b"before"]
        assert await put(cluster, D, b"after") > highest

    play(scenario)


def test_a_merge_is_refused_while_a_replica_is_out_of_sync() -> None:
    async def scenario(cluster: SimCluster) -> None:
        home = await leader(cluster, FIRST)
        await (await leader(cluster, SECOND)).reconfigurations.transfer(SECOND, home.ports.me)
        await cluster.settle()
        gone = next(node for node in (await entry(cluster, FIRST)).replicas if node != home.ports.me)
        cluster.nodes[gone].crash()
        await until(lambda: _is_out(cluster, FIRST, gone))
        with pytest.raises(PreconditionFailed, match="in sync"):
            await home.reconfigurations.merge(FIRST, SECOND)
        cluster.nodes[gone].start()

    async def _is_out(cluster: SimCluster, number: int, node: NodeId) -> bool:
        return node not in (await entry(cluster, number)).in_sync

    play(scenario)


def test_a_replica_moves_and_its_old_node_keeps_nothing() -> None:
    async def scenario(cluster: SimCluster) -> None:
        for key in KEYS:
            await put(cluster, key, b"value")
        home = await leader(cluster, FIRST)
        info = await entry(cluster, FIRST)
        newcomer = next(node for node in cluster.nodes if node not in info.replicas)
        leaver = next(node for node in info.replicas if node != info.primary)
        await home.reconfigurations.add_replica(FIRST, newcomer)
        await cluster.settle()
        await home.reconfigurations.remove_replica(FIRST, leaver)
        assert sorted((await entry(cluster, FIRST)).replicas) == sorted({*info.replicas, newcomer} - {leaver})

    play(scenario)


def test_a_node_that_starts_without_etcd_deletes_what_moved_away_meanwhile() -> None:
    """It is not settled before: it cannot know yet that the map gives it less than its disk holds."""

    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"value")
        leaver = (await leader(cluster, FIRST)).ports.me
        cluster.nodes[leaver].crash()
        for number in (FIRST, SECOND, PartitionId(3)):
            await until(lambda number=number: _has_moved(cluster, number, leaver))
            await (await leader(cluster, number)).reconfigurations.remove_replica(number, leaver)
        cluster.network.cut(leaver, ETCD)
        cluster.nodes[leaver].start()
        asyncio.get_running_loop().call_later(1.0, cluster.network.heal)

    async def _has_moved(cluster: SimCluster, number: int, away: NodeId) -> bool:
        info = await entry(cluster, number)
        return info.primary != away and cluster.is_served(number, info.primary)

    play(scenario)


def test_a_hanging_disk_holds_up_the_first_partition_that_notices_and_no_other() -> None:
    async def scenario(cluster: SimCluster) -> None:
        clock = asyncio.get_running_loop()
        home = await leader(cluster, FIRST)
        for number in (2, 3):
            await (await leader(cluster, number)).reconfigurations.transfer(PartitionId(number), home.ports.me)
            await cluster.settle()
        victim = next(node for node in (await entry(cluster, FIRST)).replicas if node != home.ports.me)
        cluster.nodes[victim].hangs_until = clock.time() + HANGING_SECONDS
        waits = []
        for key in (A, D, G):
            begun = clock.time()
            await put(cluster, key, b"value")
            waits.append(clock.time() - begun)
        stall = home.ports.timing.stall
        assert stall <= waits[0] < stall + 1, waits
        assert max(waits[1:]) < 0.5, waits
        in_sync = [(await entry(cluster, number)).in_sync for number in (1, 2, 3)]
        assert not any(victim in each for each in in_sync), in_sync

    play(scenario)


def test_a_primary_whose_disk_hangs_leaves_it_to_the_others() -> None:
    async def scenario(cluster: SimCluster) -> None:
        clock = asyncio.get_running_loop()
        before = (await entry(cluster, FIRST)).primary
        victim = cluster.nodes[before]
        victim.hangs_until = clock.time() + HANGING_SECONDS
        held_up = asyncio.create_task(put(cluster, A, b"held up"))
        await until(lambda: leads_no_more(cluster, before))
        await put(cluster, A, b"value")
        assert clock.time() < victim.hangs_until, "its disk was waited for"
        assert await get(cluster, A) == b"value"
        assert before not in (await entry(cluster, FIRST)).in_sync
        await held_up  # it was on all disks but that one

    async def leads_no_more(cluster: SimCluster, node: NodeId) -> bool:
        return (await entry(cluster, FIRST)).primary != node

    play(scenario)


def test_what_would_lose_data_is_refused() -> None:
    async def scenario(cluster: SimCluster) -> None:
        home = await leader(cluster, FIRST)
        info = await entry(cluster, FIRST)
        others = [node for node in info.replicas if node != info.primary]
        with pytest.raises(PreconditionFailed, match="primary"):
            await home.reconfigurations.remove_replica(FIRST, info.primary)
        cluster.nodes[others[0]].crash()
        await until(lambda: _alone_with(cluster, others[1]))
        with pytest.raises(PreconditionFailed, match="only other replica"):
            await home.reconfigurations.remove_replica(FIRST, others[1])
        with pytest.raises(PreconditionFailed, match="in sync"):
            await home.reconfigurations.transfer(FIRST, others[0])
        cluster.nodes[others[0]].start()

    async def _alone_with(cluster: SimCluster, other: NodeId) -> bool:
        info = await entry(cluster, FIRST)
        return set(info.in_sync) == {info.primary, other}

    play(scenario)


def test_a_node_that_leaves_hands_over_everything_and_nobody_waits_for_it() -> None:
    async def scenario(cluster: SimCluster) -> None:
        node = cluster.nodes[(await entry(cluster, FIRST)).primary]
        assert node.replication is not None
        await node.replication.reconfigurations.leave()
        entries = [await entry(cluster, number) for number in (1, 2, 3)]
        assert all(node.me != info.primary and node.me not in info.in_sync for info in entries)
        node.crash()
        before = asyncio.get_running_loop().time()
        for key in KEYS:
            await put(cluster, key, b"value")
        assert asyncio.get_running_loop().time() - before < 1
        node.start()

    play(scenario)


def test_a_replica_that_differs_is_found_and_rebuilt() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"right")
        await put(cluster, Key(b"b"), b"right")
        home = await leader(cluster, FIRST)
        victim = next(node for node in (await entry(cluster, FIRST)).replicas if node != home.ports.me)
        batch = cluster.nodes[victim].engine.batch()
        batch.put(layout.DATA + A, layout.encode_record(b"wrong", 1, 1, 0))
        cluster.nodes[victim].engine.write(batch)
        repair = Repair(home.comparing, home.distrust, FIRST)
        await repair.compare()
        assert {each.node: bool(each.differing) for each in repair.replicas if each.complete}[victim]
        assert sum(bool(each.differing) for each in repair.replicas) == 1
        await repair.apply()
        await cluster.settle()
        again = Repair(home.comparing, home.distrust, FIRST)
        await again.compare()
        assert not any(each.differing for each in again.replicas)
        assert again.records == 2

    play(scenario)


def test_a_lost_in_sync_set_can_be_given_up_but_a_living_primary_not() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"old")
        info = await entry(cluster, FIRST)
        left = next(node for node in info.replicas if node != info.primary)
        home = cluster.nodes[left].replication
        assert home is not None
        with pytest.raises(PreconditionFailed, match="lives"):
            await home.reconfigurations.force(FIRST)
        cluster.nodes[left].crash()
        await until(lambda: _is_out(cluster, left))
        await put(cluster, A, b"new")
        for node in info.in_sync:
            cluster.nodes[node].crash()
        cluster.nodes[left].start()
        await asyncio.sleep(5)
        home = cluster.nodes[left].replication
        assert home is not None
        assert home.replicas[FIRST].primary is None, "it lacks a write, and must not take over by itself"
        await home.reconfigurations.force(FIRST)
        assert await get(cluster, A) == b"old"
        for node in info.in_sync:
            if node != left:
                cluster.nodes[node].start()

    async def _is_out(cluster: SimCluster, node: NodeId) -> bool:
        return node not in (await entry(cluster, FIRST)).in_sync

    play(scenario)


@pytest.mark.parametrize("leads", [True, False])
def test_a_node_with_a_corrupt_block_begins_anew_and_loses_nothing(leads: bool) -> None:
    async def scenario(cluster: SimCluster) -> None:
        for key in KEYS:
            await put(cluster, key, b"value")
        info = await entry(cluster, FIRST)
        victim = next(node for node in info.replicas if (node == info.primary) == leads)
        engine = cluster.nodes[victim].engine
        engine.corrupt.add(layout.DATA + A)
        with pytest.raises(Exception, match="checksum"):
            engine.get(layout.DATA + A)
        await until(lambda: _is_renewed(engine))
        await cluster.settle()
        assert [await get(cluster, key) for key in KEYS] == [b"value"] * len(KEYS)

    async def _is_renewed(engine: Any) -> bool:
        return not engine.corruption

    play(scenario)


def test_a_primary_whose_disk_is_full_hands_over_and_a_full_follower_is_let_go() -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await entry(cluster, FIRST)
        await fill_disks(cluster, Room.EXHAUSTED, info.primary)
        await until(lambda: _led_by_another(cluster, info.primary))
        await put(cluster, A, b"value")
        assert info.primary not in (await entry(cluster, FIRST)).in_sync
        await fill_disks(cluster, Room.AMPLE, info.primary)

    async def _led_by_another(cluster: SimCluster, node: NodeId) -> bool:
        found = await entry(cluster, FIRST)
        return found.primary != node and node not in found.in_sync

    play(scenario)


def test_where_all_disks_are_full_reads_go_on_and_nobody_is_let_go() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"value")
        await fill_disks(cluster, Room.EXHAUSTED)
        await asyncio.sleep(3)
        assert await get(cluster, A) == b"value"
        with pytest.raises(StorageError):
            await put(cluster, A, b"other")
        assert len((await entry(cluster, FIRST)).in_sync) == 3
        await fill_disks(cluster, Room.AMPLE)

    play(scenario)


def test_a_replica_that_is_added_twice_at_once_is_added_once() -> None:
    """An operator and the controller may ask for the same one at the same moment."""

    async def scenario(cluster: SimCluster) -> None:
        home = await leader(cluster, FIRST)
        replicas = (await entry(cluster, FIRST)).replicas
        newcomer = next(node for node in cluster.nodes if node not in replicas)
        adding = (home.reconfigurations.add_replica(FIRST, newcomer) for _ in range(3))
        await asyncio.gather(*adding, return_exceptions=True)
        assert (await entry(cluster, FIRST)).replicas.count(newcomer) == 1

    play(scenario)
