"""The partition map: its invariant, how it is made, split and written down."""

import asyncio
import json
import random
from dataclasses import replace

import pytest
from kit.coordinators import LossyCoordinator
from kit.map_entries import partition_info

from dstk_cluster import records
from dstk_cluster.mapstore import MapConflict, MapStore
from dstk_cluster.model import Change, ClusterMap, MapInvalid, NodeInfo, NodeState, PartitionInfo, check_cover
from dstk_cluster.port import Coordinator, Put
from dstk_cluster.wire import difference, full, whole
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId

ONE, TWO = NodeId("storage-1"), NodeId("storage-2")


def cluster_map(*partitions: PartitionInfo) -> ClusterMap:
    return ClusterMap(1, "c", "uid", partitions, {})


@pytest.mark.parametrize(
    ("partitions", "complaint"),
    [
        ([partition_info(1, start=b"a")], "below b'a'"),
        ([partition_info(1, end=b"m")], "from b'm' on"),
        ([partition_info(1, end=b"m"), partition_info(2, start=b"n")], "from b'm' to b'n'"),
        ([partition_info(1, end=b"m"), partition_info(2, start=b"l")], "overlap"),
        ([partition_info(1), partition_info(2, start=b"l")], "overlap"),
    ],
)
def test_a_map_with_a_gap_or_an_overlap_cannot_be_built(partitions: list[PartitionInfo], complaint: str) -> None:
    with pytest.raises(MapInvalid, match=complaint):
        cluster_map(*partitions)


def test_every_key_has_its_partition_whatever_the_order_that_they_came_in() -> None:
    found = cluster_map(
        partition_info(3, start=b"t"), partition_info(1, end=b"g"), partition_info(2, start=b"g", end=b"t")
    )
    assert [found.partition_of(key).id for key in (b"", b"a", b"g", b"s\xff", b"t", b"\xff")] == [1, 1, 2, 2, 3, 3]
    assert [found.partition_below(end).id for end in (b"a", b"g", b"h", b"t", b"u", None)] == [1, 1, 2, 2, 3, 3]


def test_a_change_that_leaves_a_gap_is_refused() -> None:
    before = cluster_map(partition_info(1, end=b"g"), partition_info(2, start=b"g"))
    with pytest.raises(MapInvalid):
        before.apply(Change(2, removed_partitions=(PartitionId(2),)))
    after = before.apply(Change(2, partitions=(partition_info(1, epoch=2),), removed_partitions=(PartitionId(2),)))
    assert [p.id for p in after.partitions] == [1]
    assert after.revision == 2


def test_differences_lead_from_one_map_to_the_next() -> None:
    node = NodeInfo(ONE, "127.0.0.1:1", "z", NodeState.SERVING, 1, "0", "i")
    old = ClusterMap(1, "c", "u", (partition_info(1, end=b"g"), partition_info(2, start=b"g")), {ONE: node})
    new = ClusterMap(2, "c", "u", (partition_info(1, epoch=2),), {TWO: replace(node, id=TWO)})
    update = whole(difference(old, new))
    assert [p.id for p in update.partitions] == [1]
    assert list(update.removed_partitions) == [2]
    assert [n.id for n in update.nodes] == [TWO]
    assert list(update.removed_nodes) == [ONE]
    assert not update.full
    assert whole(full(new)).full
    assert whole(full(new)).cluster_uid == "u"
    assert not whole(difference(new, new)).partitions


async def test_bootstrap_deals_the_ranges_round_to_the_nodes(coordinator: Coordinator, cluster: str) -> None:
    store = MapStore(coordinator, cluster)
    assert not (await store.load()).partitions
    assert await store.bootstrap([Key.text("m"), Key.text("c"), Key.text("m")], [TWO, ONE])
    made = await store.load()
    assert [(p.range.start, p.range.end, p.primary) for p in made.partitions] == [
        (b"", b"c", ONE),
        (b"c", b"m", TWO),
        (b"m", None, ONE),
    ]
    assert {p.epoch for p in made.partitions} == {1}


async def test_of_nodes_that_bootstrap_at_once_one_makes_the_map(coordinator: Coordinator, cluster: str) -> None:
    stores = [MapStore(coordinator, cluster) for _ in range(4)]
    splits = [[Key.of(number * step) for number in range(1, 40)] for step in (1, 2, 3, 4)]
    outcomes = await asyncio.gather(*(store.bootstrap(keys, [ONE]) for store, keys in zip(stores, splits, strict=True)))
    assert sum(outcomes) == 1
    winner = splits[outcomes.index(True)]
    assert [p.range.start for p in (await stores[0].load()).partitions] == [b"", *winner]
    assert not await stores[0].bootstrap([], [ONE])


async def test_a_thousand_partitions_are_more_than_a_transaction_holds(coordinator: Coordinator, cluster: str) -> None:
    store = MapStore(coordinator, cluster)
    assert await store.bootstrap([Key.of(number) for number in range(999)], [ONE, TWO])
    assert len((await store.load()).partitions) == 1000


async def test_what_a_dead_bootstrap_left_behind_is_replaced(cluster: str) -> None:
    coordinator = LossyCoordinator()
    coordinator.unreachable_from = 3
    store = MapStore(coordinator, cluster)
    splits = [Key.of(number) for number in range(300)]
    with pytest.raises(Exception, match="unreachable"):
        await store.bootstrap(splits, [ONE])
    coordinator.unreachable = False
    assert not (await store.load()).partitions, "a map in pieces must not count"
    assert not await store.bootstrap([Key.text("x")], [TWO]), "the lock of the dead one stands until its lease ends"
    coordinator.expire(1)
    assert await store.bootstrap([Key.text("x")], [TWO])
    assert [p.primary for p in (await store.load()).partitions] == [TWO, TWO]


async def test_a_split_replaces_one_partition_by_two_of_the_next_epoch(coordinator: Coordinator, cluster: str) -> None:
    store = MapStore(coordinator, cluster)
    await store.bootstrap([Key.text("m")], [ONE, TWO])
    before = await store.load()
    lower, upper = await store.split(before.partitions[1], Key.text("t"))
    after = await store.load()
    assert after.partitions == (before.partitions[0], lower, upper)
    assert (lower.epoch, upper.epoch, lower.id, upper.id) == (2, 2, 2, 3)
    assert upper.replicas == before.partitions[1].replicas
    with pytest.raises(MapConflict):
        await store.split(before.partitions[1], Key.text("u"))


async def test_of_splits_at_once_one_wins_and_the_map_stays_whole(coordinator: Coordinator, cluster: str) -> None:
    store = MapStore(coordinator, cluster)
    await store.bootstrap([], [ONE])
    whole = (await store.load()).partitions[0]
    outcomes = await asyncio.gather(
        *(store.split(whole, Key.of(number)) for number in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, MapConflict) for outcome in outcomes) == 7
    check_cover((await store.load()).partitions)


async def test_partition_ids_are_never_given_twice(coordinator: Coordinator, cluster: str) -> None:
    store, rng = MapStore(coordinator, cluster), random.Random(1)
    await store.bootstrap([], [ONE])
    for number in rng.sample(range(1000), 20):
        current = await store.load()
        await store.split(current.partition_of(Key.of(number)), Key.of(number))
    assert sorted(p.id for p in (await store.load()).partitions) == list(range(1, 22))


async def test_the_cluster_uid_is_made_once(coordinator: Coordinator, cluster: str) -> None:
    uids = await asyncio.gather(*(MapStore(coordinator, cluster).ensure_cluster_uid() for _ in range(8)))
    assert len(set(uids)) == 1
    assert (await MapStore(coordinator, cluster).load()).uid == uids[0]


async def test_the_secret_of_storage_nodes_is_made_once_and_is_no_part_of_the_map(
    coordinator: Coordinator, cluster: str
) -> None:
    store = MapStore(coordinator, cluster)
    made = await asyncio.gather(*(MapStore(coordinator, cluster).ensure_secret() for _ in range(8)))
    assert len(set(made)) == 1
    assert made[0] not in repr(await store.load())


def test_what_stands_in_etcd_reads_as_it_always_did() -> None:
    """A transcript: what a released version wrote must be read by all later ones."""
    info = PartitionInfo(PartitionId(7), KeyRange(b"a\xff", None), 3, ONE, (ONE, TWO), (ONE,))
    written = records.dump_partition(info)
    assert json.loads(written) == {
        "version": 1,
        "start": "61ff",
        "end": None,
        "epoch": 3,
        "primary": "storage-1",
        "replicas": ["storage-1", "storage-2"],
        "in_sync": ["storage-1"],
    }
    assert records.load_partition(PartitionId(7), written) == info
    node = NodeInfo(ONE, "10.0.0.1:7000", "z1", NodeState.LEAVING, 5, "0.1.0", "abc")
    assert json.loads(records.dump_node(node)) == {
        "version": 1,
        "address": "10.0.0.1:7000",
        "zone": "z1",
        "state": "leaving",
        "capacity_bytes": 5,
        "software": "0.1.0",
        "incarnation": "abc",
    }
    assert records.load_node(ONE, records.dump_node(node)) == node


async def test_an_entry_is_changed_that_another_version_of_this_program_has_written(
    coordinator: Coordinator, cluster: str
) -> None:
    store = MapStore(coordinator, cluster)
    await store.bootstrap([], [ONE])
    old = await store.read(PartitionId(1))
    assert old is not None
    fields = json.loads(records.dump_partition(old))
    key = store.keys.partition(old.id)
    await coordinator.txn([], [Put(key, json.dumps(dict(sorted(fields.items())), indent=1).encode())])
    assert await store.change(old, replace(old, epoch=2))
    assert not await store.change(old, replace(old, epoch=3))
    assert await store.read(old.id) == replace(old, epoch=2)
