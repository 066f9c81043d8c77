"""The current partition map, kept up to date by a watch that resumes after every interruption."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, KeysView
from contextlib import aclosing
from typing import Protocol

from dstk_cluster.follow import Follower
from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import ClusterMap
from dstk_cluster.port import WatchBatch
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)


class CurrentMap(Protocol):
    """The partition map as a node knows it."""

    @property
    def current(self) -> ClusterMap | None:
        """The newest map; None before the first one."""


def map_obstacle(view: CurrentMap) -> str:
    """Why no request can be routed by the map; empty: it can."""
    if view.current is None:
        return "the partition map has not been read from etcd yet"
    return "" if view.current.partitions else "the cluster has no partition map yet: it is not bootstrapped"


class ClusterView:
    """Holds the newest known map; `run` keeps it up to date. While etcd is unreachable, the last map stays."""

    def __init__(self, store: MapStore, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._current: ClusterMap | None = None
        self._changed = asyncio.Event()
        self._follower = Follower(
            store.coordinator, store.keys.root, "the map", clock, rng, load=self._load, apply=self._apply
        )

    @property
    def current(self) -> ClusterMap | None:
        """The newest known map; None before the first one is read."""
        return self._current

    async def ready(self) -> ClusterMap:
        """Returns the map as soon as the cluster is bootstrapped and the map is known."""
        return await self.wait_for(lambda current: bool(current.partitions))

    async def wait_for(self, condition: Callable[[ClusterMap], bool]) -> ClusterMap:
        """Returns the first map that meets the condition, starting with the current one."""
        async with aclosing(self.maps()) as maps:
            async for current in maps:
                if condition(current):
                    return current
        raise AssertionError("maps never end")

    async def maps(self) -> AsyncGenerator[ClusterMap, None]:
        """Yields the current map, then newer ones. A slow reader gets the newest and misses those in between."""
        seen: ClusterMap | None = None
        while True:
            current, changed = self._current, self._changed
            if current is not None and current is not seen:
                seen = current
                yield current
            else:
                await changed.wait()

    async def run(self) -> None:
        """Follows the map in etcd until cancelled."""
        await self._follower.run()

    async def _load(self) -> int:
        current = await self._store.load()
        self._show(current)
        return current.revision

    async def _apply(self, batch: WatchBatch) -> int:
        current = self._current
        assert current is not None
        if not current.partitions:
            # Before the map is valid, it may be written in part: only reading all of it shows when it is complete.
            return await self._load()
        change = self._store.read_change(batch)
        if change.affects_the_map:  # otherwise it is an event, an election, a setting or a service
            self._show(current.apply(change))
        return batch.revision

    def _show(self, current: ClusterMap) -> None:
        if self._current is not None:
            _log_nodes(self._current.nodes.keys(), current.nodes.keys())
        self._current = current
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _log_nodes(before: KeysView[NodeId], now: KeysView[NodeId]) -> None:
    for node in sorted(now - before):
        log.info("%s joined the cluster", node, extra=LogFields(action="node_joined", node=node))
    for node in sorted(before - now):
        log.warning(
            "%s left the cluster, or is not heard of any more", node, extra=LogFields(action="node_left", node=node)
        )
