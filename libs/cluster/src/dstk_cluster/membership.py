"""The registration of a storage node."""

import random
from dataclasses import replace

from typing_extensions import override

from dstk_cluster import records
from dstk_cluster.leased_entry import LeasedEntry
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.port import Coordinator
from dstk_cluster.records import Keys
from dstk_service.clock import Clock


class NodeIdTaken(Exception):
    """Another process has registered with this node's id, because two data directories are copies of each other."""


class Membership(LeasedEntry):
    """Keeps a node registered. `run` raises NodeIdTaken when another process registers with the same id later."""

    def __init__(
        self, coordinator: Coordinator, cluster: str, info: NodeInfo, seconds: int, clock: Clock, rng: random.Random
    ) -> None:
        super().__init__(coordinator, Keys(cluster).node(info.id), records.dump_node(info), seconds, clock, rng)
        self._info = info

    @property
    def info(self) -> NodeInfo:
        """The registered values."""
        return self._info

    def update(self, state: NodeState) -> None:
        """Changes the state. `run` writes it as soon as etcd answers."""
        self._info = replace(self._info, state=state)
        self.replace(records.dump_node(self._info))

    @override
    def check(self, found: bytes) -> None:
        owner = records.load_node(self._info.id, found)
        if owner.incarnation != self._info.incarnation:
            raise NodeIdTaken(
                f"another process at {owner.address} has registered as node {self._info.id!r}: two data directories "
                "have the same node.json. Stop one of them, and give it an empty directory"
            )
