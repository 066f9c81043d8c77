"""Joining a cluster, and making the map of a new one."""

import logging
from collections.abc import Sequence

from dstk_cluster.mapstore import MapStore
from dstk_cluster.port import CoordinatorUnavailable
from dstk_cluster.settings import SettingsStore
from dstk_cluster.view import ClusterView
from dstk_keytypes import Key
from dstk_service.clock import Clock
from dstk_storage.adapters.datadir import DataDir, Identity

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


async def join_cluster(data_dir: DataDir, identity: Identity, map_store: MapStore, clock: Clock) -> tuple[str, str]:
    """Binds the data directory to the cluster that etcd holds, and returns that one's uid and secret; waits for etcd. Raises
    DataDirError when it is bound to another one.
    """
    while True:
        try:
            uid = data_dir.join(identity, await map_store.ensure_cluster_uid()).cluster_uid
            return uid, await map_store.ensure_secret()
        except CoordinatorUnavailable as error:
            log.warning("waiting for etcd to start", extra={"reason": str(error)})
            await clock.sleep(RETRY_SECONDS)


async def make_map(
    map_store: MapStore,
    view: ClusterView,
    nodes_expected: int,
    split_keys: Sequence[Key],
    replicas: int,
    clock: Clock,
) -> None:
    """Makes the partition map once enough nodes are registered, unless there is one by then. So many replicas are from then on
    what the controller keeps up, until somebody changes its settings.
    """
    current = await view.wait_for(lambda current: bool(current.partitions) or len(current.nodes) >= nodes_expected)
    while not current.partitions:
        try:
            await SettingsStore(map_store.coordinator, map_store.cluster).configure({"replicas": replicas})
            if await map_store.bootstrap(split_keys, sorted(current.nodes), replicas):
                log.info(
                    "made the partition map", extra={"partitions": len(split_keys) + 1, "nodes": len(current.nodes)}
                )
        except CoordinatorUnavailable as error:
            log.warning("waiting for etcd to make the partition map", extra={"reason": str(error)})
        await clock.sleep(RETRY_SECONDS / 5)
        current = view.current or current
