"""Routing against a plain model, and healing by single entries."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kit.map_entries import map_entry

from dstk.v1 import topology_pb2
from dstk_client.routing import Route, RoutingTable
from dstk_client.topology import Topology

keys = st.binary(min_size=1, max_size=3)


def tables(epoch: int = 1) -> st.SearchStrategy[list[Route]]:
    """Partitions that cover the key space."""

    def cut(splits: set[bytes]) -> list[Route]:
        bounds = [b"", *sorted(splits), b""]
        return [
            Route(number + 1, bounds[number], bounds[number + 1], epoch, f"n{number % 3}")
            for number in range(len(bounds) - 1)
        ]

    return st.sets(keys, max_size=8).map(cut)


def holds(route: Route, key: bytes) -> bool:
    return route.start <= key and (not route.end or key < route.end)


@given(tables(), keys)
def test_every_key_finds_the_one_route_that_holds_it(routes: list[Route], key: bytes) -> None:
    assert RoutingTable(reversed(routes)).route(key) == next(route for route in routes if holds(route, key))


@given(tables(), st.binary(max_size=3))
def test_below_an_end_is_the_last_route_that_starts_before_it(routes: list[Route], end: bytes) -> None:
    found = RoutingTable(routes).route_below(end)
    below = [route for route in routes if not end or route.start < end]
    assert found == (below[-1] if below else None)


@given(tables(), st.data())
def test_a_newer_entry_replaces_what_it_overlaps_and_nothing_else(routes: list[Route], data: st.DataObject) -> None:
    new = data.draw(tables(epoch=2).flatmap(st.sampled_from))
    table = RoutingTable(routes)
    assert table.learn(new)
    _is_sorted_and_disjoint(table)
    assert table.route(new.start + b"\x00") == new or (new.end and new.start + b"\x00" >= new.end)
    for route in routes:
        overlaps = (not route.end or new.start < route.end) and (not new.end or route.start < new.end)
        assert (route in table.routes) is not overlaps


@given(tables(epoch=2), st.data())
def test_an_older_entry_changes_nothing(routes: list[Route], data: st.DataObject) -> None:
    old = data.draw(tables(epoch=1).flatmap(st.sampled_from))
    table = RoutingTable(routes)
    assert not table.learn(old)
    assert list(table.routes) == routes


@given(st.lists(tables(epoch=1).flatmap(st.sampled_from).map(lambda r: r), max_size=12), st.data())
def test_whatever_is_learned_the_table_stays_sorted_and_without_overlap(
    entries: list[Route], data: st.DataObject
) -> None:
    table = RoutingTable()
    for entry in entries:
        table.learn(entry._replace(epoch=data.draw(st.integers(1, 5))))
        _is_sorted_and_disjoint(table)


def test_an_empty_table_and_a_gap_have_no_route() -> None:
    assert RoutingTable().route(b"a") is None
    assert RoutingTable().route_below(b"") is None
    table = RoutingTable([Route(1, b"b", b"c", 1, "n")])
    assert table.route(b"a") is table.route(b"c") is table.route_below(b"b") is table.route_below(b"") is None


def _is_sorted_and_disjoint(table: RoutingTable) -> None:
    for lower, upper in zip(table.routes, table.routes[1:], strict=False):
        assert lower.end
        assert lower.end <= upper.start


def update(*partitions: topology_pb2.Partition, **fields: Any) -> topology_pb2.TopologyUpdate:
    return topology_pb2.TopologyUpdate(partitions=partitions, **fields)


def test_updates_build_on_the_full_one() -> None:
    topology = Topology()
    topology.apply(update(full=True))
    assert not topology.ready.is_set()
    topology.apply(
        update(map_entry(1, b"", b"", 1), nodes=[topology_pb2.Node(id="storage-1", address="a:1")], full=True)
    )
    assert topology.ready.is_set()
    topology.apply(update(map_entry(1, b"", b"m", 2), map_entry(2, b"m", b"", 2)))
    assert [route.id for route in topology.table.routes] == [1, 2]
    topology.apply(update(map_entry(1, b"", b"", 3), removed_partitions=[2], removed_nodes=["storage-1"]))
    assert [route.id for route in topology.table.routes] == [1]
    assert topology.addresses == {"storage-1": "a:1"}, "the address stays: the node may only be slow to renew its lease"
    topology.apply(update(full=True))
    assert not topology.table.routes


def test_healing_takes_the_newer_entry_and_its_address() -> None:
    topology = Topology()
    topology.apply(update(map_entry(1, b"", b"", 1), full=True))
    topology.heal(map_entry(1, b"", b"m", 2), "a:2")
    assert topology.addresses == {"storage-1": "a:2"}
    assert topology.table.route(b"z") is None
    topology.heal(map_entry(1, b"", b"", 1), "a:3")
    assert topology.table.route(b"z") is None
    topology.apply(update(map_entry(2, b"m", b"", 2)))
    assert [route.id for route in topology.table.routes] == [1, 2]


def test_the_whole_entries_are_kept_as_new_as_the_routes() -> None:
    topology = Topology()
    first, second = map_entry(1, end=b"m", learners=["n2"]), map_entry(2, start=b"m", learners=["n3"])
    topology.apply(update(first, second, full=True))
    topology.heal(map_entry(1, end=b"m", epoch=2, followers=["n2"]), "a:2")
    topology.heal(second, "a:2")
    assert {number: list(entry.in_sync) for number, entry in topology.entries.items()} == {
        1: ["storage-1", "n2"],
        2: ["storage-1"],
    }
    assert list(topology.entries[2].replicas) == ["storage-1", "n3"]
    topology.apply(update(map_entry(1, epoch=3), removed_partitions=[2]))
    assert list(topology.entries) == [1]
    topology.apply(update(full=True))
    assert topology.entries == {}
