"""Joining a cluster, and making the partition map of a new one."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dstk_cluster.mapstore import MapStore
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.settings import SettingsStore
from dstk_cluster.view import ClusterView
from dstk_keytypes import Key
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FirstMap:
    """The partition map of a new cluster, made once `nodes` nodes are registered."""

    nodes: int
    splits: Sequence[Key]
    replicas: int


@dataclass(frozen=True, slots=True)
class Joined:
    """The cluster that the node belongs to."""

    cluster_uid: str
    secret: str
    """What nodes of the cluster prove to each other."""


async def join_cluster(bind: Callable[[str], None], map_store: MapStore, clock: Clock) -> Joined:
    """Binds the data directory to the cluster that etcd holds: calls `bind` with the cluster's uid. Waits for etcd. Raises
    what `bind` raises when the directory belongs to another cluster.
    """
    while True:
        try:
            uid = await map_store.ensure_cluster_uid()
            bind(uid)
            return Joined(uid, await map_store.ensure_secret())
        except CoordinatorUnavailable as error:
            log.warning("waiting for etcd to start", extra=LogFields(error=str(error)))
            await clock.sleep(RETRY_SECONDS)


async def make_map(map_store: MapStore, view: ClusterView, first: FirstMap, clock: Clock) -> None:
    """Makes the partition map once enough nodes are registered, unless there is one by then. The controller keeps up that many
    replicas until an operator changes its settings.
    """
    current = await view.wait_for(lambda current: bool(current.partitions) or len(current.nodes) >= first.nodes)
    while not current.partitions:
        try:
            await SettingsStore(map_store.coordinator, map_store.cluster).configure({"replicas": first.replicas})
            if await map_store.bootstrap(first.splits, sorted(current.nodes), first.replicas):
                extra = LogFields(action="make_map", nodes=sorted(current.nodes), count=len(first.splits) + 1)
                log.info("made the partition map", extra=extra)
        except CoordinatorUnavailable as error:
            log.warning("waiting for etcd to make the partition map", extra=LogFields(error=str(error)))
        await clock.sleep(RETRY_SECONDS / 5)
        current = view.current or current
