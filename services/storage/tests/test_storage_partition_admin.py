"""Refusals of changes by a node whose map may be behind."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kit.map_entries import node_info, partition_info

from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import Key, NodeId, PartitionId
from dstk_service.errors import InvalidArgument, NotServing
from dstk_storage.application.partition_admin import PartitionAdmin

ME = NodeId("storage-1")
HALVES = partition_info(1, end=b"m", epoch=2), partition_info(2, start=b"m", epoch=2)
WHOLE = partition_info(1, epoch=3)


class HeldMap:
    """The map as the node knows it."""

    def __init__(self, *partitions: PartitionInfo) -> None:
        self.current = ClusterMap(1, "c", "uid", partitions, {ME: node_info(ME)})

    async def ready(self) -> ClusterMap:
        return self.current


class Etcd:
    """The map as it is. `answers` False: etcd has no leader."""

    def __init__(self, *entries: PartitionInfo, answers: bool = True) -> None:
        self._entries, self._answers = {entry.id: entry for entry in entries}, answers

    async def read(self, partition: PartitionId) -> PartitionInfo | None:
        if not self._answers:
            raise CoordinatorUnavailable("no leader")
        return self._entries.get(partition)


def admin(view: HeldMap, etcd: Etcd) -> PartitionAdmin:
    unused: Any = None
    return PartitionAdmin(ME, view, unused, unused, etcd, unused, unused, unused, unused)


def split(node: PartitionAdmin) -> Awaitable[object]:
    return node.split(Key(b"m"))


def merge(node: PartitionAdmin) -> Awaitable[object]:
    return node.merge(Key(b"m"))


@pytest.mark.parametrize(
    ("change", "held"), [(split, HALVES), (merge, (WHOLE,))], ids=["a split where one is", "a merge where none is"]
)
async def test_what_the_newest_map_rules_out_is_a_wrong_argument(
    change: Callable[[PartitionAdmin], Awaitable[object]], held: tuple[PartitionInfo, ...]
) -> None:
    with pytest.raises(InvalidArgument, match="partition"):
        await change(admin(HeldMap(*held), Etcd(*held)))


@pytest.mark.parametrize(
    ("change", "held", "true"),
    [(split, HALVES, (WHOLE,)), (merge, (WHOLE,), HALVES)],
    ids=["a split after a merge", "a merge after a split"],
)
async def test_a_node_whose_map_is_behind_asks_to_try_again(
    change: Callable[[PartitionAdmin], Awaitable[object]],
    held: tuple[PartitionInfo, ...],
    true: tuple[PartitionInfo, ...],
) -> None:
    with pytest.raises(NotServing, match="behind"):
        await change(admin(HeldMap(*held), Etcd(*true)))


async def test_without_etcd_nobody_knows_whether_the_map_is_behind() -> None:
    with pytest.raises(NotServing, match="etcd"):
        await split(admin(HeldMap(*HALVES), Etcd(answers=False)))
