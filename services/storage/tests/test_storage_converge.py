"""What a replica keeps when its partition's range changes, and what is left over; where a partition is cut."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.expiring import put_expiring
from kit.partitions import partition
from kit.stores import assignment

from dstk_cluster.model import Merged, SplitOff
from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.domain import split_point
from dstk_storage.domain.converge import Assignment, Convergence, converge, remainder
from dstk_storage.domain.history import START, History, Position, Term
from dstk_storage.domain.partition import Partition
from dstk_storage.ports import Engine

ONE, TWO = PartitionId(1), PartitionId(2)
LOG = History((Term(1, 1), Term(3, 5)), 9)
held = partial(partition, epoch=3, history=LOG)
"""A partition as it is on this node before the map changes."""


def outcome(local: list[Partition], *assigned: Assignment, founding: bool = True) -> Convergence:
    return converge(local, assigned, lambda _: 0, founding=founding)


def test_a_split_keeps_the_log_on_both_sides() -> None:
    found = outcome([held(1, b"", None)], assignment(1, b"", b"m", 4), assignment(2, b"m", None, 4, SplitOff(ONE)))
    assert [(each.log.history, each.log.last, each.needs_snapshot) for each in found.held] == [(LOG, 9, False)] * 2
    assert found.orphaned_ranges == []


def test_an_upper_half_of_a_partition_that_is_not_here_is_to_be_copied() -> None:
    found = outcome([], assignment(2, b"m", None, 4, SplitOff(ONE)))
    assert (found.held[0].needs_snapshot, found.held[0].log.position) == (True, START)


@pytest.mark.parametrize(("founding", "epoch", "whole"), [(True, 1, True), (True, 2, False), (False, 1, False)])
def test_what_is_new_begins_whole_on_an_engine_older_than_the_map_alone(
    founding: bool, epoch: int, whole: bool
) -> None:
    found = outcome([], assignment(1, b"", None, epoch), founding=founding)
    assert found.held[0].needs_snapshot is not whole
    assert found.moved == found.held


def test_halves_of_an_incomplete_replica_are_incomplete() -> None:
    whole = held(1, b"", None)
    whole.needs_snapshot = True
    found = outcome([whole], assignment(1, b"", b"m", 4), assignment(2, b"m", None, 4, SplitOff(ONE)))
    assert [each.needs_snapshot for each in found.held] == [True, True]


def test_what_is_split_off_while_something_is_on_its_way_to_disk_is_to_be_copied() -> None:
    """It would not know how much it has; the lower half's log goes on to tell of it."""
    found = outcome(
        [held(1, b"", None, writing=1)], assignment(1, b"", b"m", 4), assignment(2, b"m", None, 4, SplitOff(ONE))
    )
    assert [(each.id, each.needs_snapshot) for each in found.held] == [(ONE, False), (TWO, True)]


def test_a_partition_of_a_new_cluster_begins_empty_and_whole() -> None:
    assert not outcome([], assignment(1, epoch=1)).held[0].needs_snapshot
    assert outcome([], assignment(1, epoch=2)).held[0].needs_snapshot


def merged(lower: Position, upper: Position) -> Assignment:
    return assignment(1, b"", None, 7, Merged(7, lower, TWO, upper))


def test_parts_that_stand_where_they_should_are_merged_above_both() -> None:
    upper = History((Term(2, 1),), 20)
    found = outcome([held(1, b"", b"m"), held(2, b"m", None, history=upper)], merged(LOG.position, upper.position))
    assert [each.id for each in found.held] == [ONE]
    assert found.held[0].log.history == History((Term(7, 1),), 21)
    assert not found.held[0].needs_snapshot
    assert [each.id for each in found.dropped] == [TWO]
    assert found.orphaned_ranges == []


@pytest.mark.parametrize(
    "local",
    [
        [held(1, b"", b"m")],
        [held(1, b"", b"m"), held(2, b"m", None, history=History((Term(2, 1),), 19))],
        [held(1, b"", b"k"), held(2, b"m", None, history=History((Term(2, 1),), 20))],
        [held(1, b"", b"m", writing=1), held(2, b"m", None, history=History((Term(2, 1),), 20))],
        [held(1, b"", b"m"), held(2, b"m", None, history=History((Term(2, 1),), 20), writing=1)],
    ],
    ids=["one is missing", "one is behind", "there is a gap", "one is still written", "so is the other"],
)
def test_parts_that_do_not_are_to_be_copied(local: list[Partition]) -> None:
    found = outcome(local, merged(LOG.position, Position(2, 20)))
    assert (found.held[0].needs_snapshot, found.held[0].log.position) == (True, START)


def test_what_the_node_holds_no_more_is_left_over() -> None:
    local = [held(1, b"a", b"m"), held(2, b"m", b"t")]
    found = outcome(local, assignment(1, b"a", b"f", 4))
    assert [each.id for each in found.dropped] == [TWO]
    assert found.orphaned_ranges == [KeyRange(b"f", b"m"), KeyRange(b"m", b"t")]


bounds = st.binary(max_size=1)
ranges = st.builds(
    lambda low, high: KeyRange(low if high is None else min(low, high), None if high is None else max(low, high)),
    bounds,
    st.none() | bounds,
)


@given(st.lists(ranges, max_size=3), st.lists(ranges, max_size=3), st.binary(min_size=1, max_size=2))
def test_what_remains_is_what_is_in_one_of_these_and_none_of_those(
    whole: list[KeyRange], taken: list[KeyRange], key: bytes
) -> None:
    inside = any(part.contains(key) for part in whole) and not any(part.contains(key) for part in taken)
    assert any(part.contains(key) for part in remainder(whole, taken)) == inside


async def test_a_partition_is_cut_in_the_middle_of_its_bytes(engine: Engine) -> None:
    put_expiring(engine, [b"%03d" % number for number in range(200)], size=100)
    put_expiring(engine, [b"9%03d" % number for number in range(200)], size=900)
    at = split_point.by_size(engine, KeyRange.everything())
    assert at is not None
    assert b"100" < at < b"9200"


@pytest.mark.parametrize("keys", [[], [b"a"]])
async def test_what_has_no_two_keys_is_not_cut(engine: Engine, keys: list[bytes]) -> None:
    put_expiring(engine, keys)
    assert split_point.by_size(engine, KeyRange.everything()) is None


def test_a_hot_partition_is_cut_at_the_median_of_its_operations() -> None:
    recent = [b"%d" % number for number in range(10, 90)]
    assert split_point.by_load(recent, KeyRange.everything()) == b"50"
    assert split_point.by_load([b"k"] * 50, KeyRange.everything()) is None, "one hot key cannot be cut"
    assert split_point.by_load(recent[:5], KeyRange.everything()) is None, "too few to tell"
