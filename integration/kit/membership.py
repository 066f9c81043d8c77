"""The secret that a storage node of a process cluster shows to other nodes."""

from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from kit.process_cluster import ProcessCluster


async def secret_of(cluster: ProcessCluster) -> str:
    """Reads the secret from etcd, as nodes do."""
    coordinator = EtcdCoordinator([cluster.address("etcd")])
    try:
        return await MapStore(coordinator, "test").ensure_secret()
    finally:
        await coordinator.close()
