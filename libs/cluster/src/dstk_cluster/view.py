"""The current partition map, kept up to date by a watch that resumes after every interruption."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, KeysView
from contextlib import aclosing
from typing import Final, Protocol

from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import ClusterMap
from dstk_cluster.port import Compacted, CoordinatorUnavailable, WatchBatch, WatchLost
from dstk_keytypes import NodeId
from dstk_service.backoff import Backoff
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

BACKOFF: Final = Backoff(first=0.1, longest=2.0)
"""Between attempts to reach etcd."""


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
    """Holds the newest known map; `run` keeps it up to date.

    A broken watch resumes at the revision after the last one seen, so that no change is missed. After a compaction the whole
    map is read again. While etcd is unreachable, the last map stays.
    """

    def __init__(self, store: MapStore, clock: Clock, rng: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng
        self._current: ClusterMap | None = None
        self._seen = 0
        """The revision up to which all changes are known."""
        self._changed = asyncio.Event()
        self._failures = 0
        self._stale = True

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
        while True:
            try:
                await self._follow()
            except Compacted as error:
                log.warning(
                    "the history of the map was compacted: reading the whole map", extra=LogFields(error=str(error))
                )
                self._stale = True
            except (WatchLost, CoordinatorUnavailable) as error:
                await self._pause(error)

    async def _follow(self) -> None:
        current = self._current
        if self._stale or current is None:
            current = await self._store.load()
            self._recovered()
            self._show(current)
        watch = self._store.coordinator.watch(self._store.keys.root, self._seen + 1)
        async with aclosing(watch) as batches:
            async for batch in batches:
                self._recovered()
                await self._apply(batch)

    async def _apply(self, batch: WatchBatch) -> None:
        current = self._current
        assert current is not None
        if current.partitions:
            change = self._store.read_change(batch)
            if change.affects_the_map:  # otherwise it is an event, an election or a setting
                self._show(current.apply(change))
            self._seen = batch.revision
        else:
            # Before the map is valid, it may be written in part: only reading all of it shows when it is complete.
            self._show(await self._store.load())

    def _show(self, current: ClusterMap) -> None:
        self._stale = False
        if self._current is not None:
            _log_nodes(self._current.nodes.keys(), current.nodes.keys())
        self._current, self._seen = current, current.revision
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _recovered(self) -> None:
        if self._failures:
            log.info("etcd answers again: the map is up to date")
        self._failures = 0

    async def _pause(self, error: Exception) -> None:
        self._failures += 1
        pause = BACKOFF.jittered(self._failures, self._rng)
        if self._failures > 1:
            log.warning("waiting for etcd", extra=LogFields(error=str(error), retry_seconds=round(pause, 2)))
        await self._clock.sleep(pause)


def _log_nodes(before: KeysView[NodeId], now: KeysView[NodeId]) -> None:
    for node in sorted(now - before):
        log.info("%s joined the cluster", node, extra=LogFields(action="node_joined", node=node))
    for node in sorted(before - now):
        log.warning(
            "%s left the cluster, or is not heard of any more", node, extra=LogFields(action="node_left", node=node)
        )
