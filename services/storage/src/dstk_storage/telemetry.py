"""What a storage node measures of itself."""

from collections.abc import Sequence

from grpc_health.v1 import health_pb2

from dstk.v1 import admin_pb2, kv_pb2, replication_pb2, topology_pb2
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.config import OFF
from dstk_service.observe import NULL, Observer
from dstk_service.readiness import Readiness
from dstk_service.service import Part
from dstk_storage import __version__
from dstk_storage.adapters import gauges
from dstk_storage.adapters.leveldb import LevelDBEngine
from dstk_storage.adapters.metrics import NodeMetrics
from dstk_storage.node import NodePorts, StorageNode
from dstk_telemetry.metrics.coordination import EtcdMetrics, read_map
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.rpc import CallMetrics, methods_of
from dstk_telemetry.metrics.runtime import RuntimeMetrics
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry.kinds import Owner

METHODS = methods_of(*(each.DESCRIPTOR for each in (admin_pb2, kv_pb2, replication_pb2, topology_pb2, health_pb2)))
"""What a storage node serves."""


class NodeTelemetry:
    """The observers of the node `me` and of its coordinator, and then the parts that export what they count. With OFF there are
    none.
    """

    def __init__(self, listen: str, me: NodeId, clock: Clock) -> None:
        self._me, self._listen, self._clock = me, listen, clock
        self.of_node: Sequence[Observer] = ()
        self.of_etcd: Observer = NULL
        if listen != OFF:
            made = self._instruments = Instruments(Owner.STORAGE)
            self.of_node = CallMetrics(made, METHODS), NodeMetrics(made, me)
            self.of_etcd = EtcdMetrics(made, clock.monotonic)

    def parts(self, node: StorageNode, ports: NodePorts, database: LevelDBEngine, readiness: Readiness) -> list[Part]:
        """They start before all others, and close after them."""
        if self._listen == OFF:
            return []
        made, clock, committer = self._instruments, self._clock, node.store.committer
        read_map(made, ports.view)
        gauges.EngineGauges(made, database, ports.offloads.read)
        kept = node.replication.replicas, node.replication.machines.leases, committer.garbage
        gauges.ReplicaGauges(made, *kept, ports.view, node.controller, clock)
        gauges.read_pipeline(made, node.queue, committer, clock.monotonic)
        gauges.read_disk(made, ports.disk, node.disk_guard, committer.intake)
        gauges.read_controller(made, node.controller)
        gauges.read_registration(made, node.registration, clock.monotonic)
        runtime = RuntimeMetrics(made, __version__, self._me, node.observer, readiness)
        return [OperationsServer(self._listen, made, readiness), runtime]
