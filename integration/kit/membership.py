"""What a storage node of a cluster of processes shows when it calls another one."""

from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from kit.process_cluster import ProcessCluster


async def secret_of(cluster: ProcessCluster) -> str:
    """From etcd, as the nodes read it."""
    coordinator = EtcdCoordinator([cluster.address("etcd")])
    try:
        return await MapStore(coordinator, "test").ensure_secret()
    finally:
        await coordinator.close()
