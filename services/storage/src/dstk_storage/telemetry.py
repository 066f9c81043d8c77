"""What a storage node measures of itself."""

from collections.abc import Sequence

from grpc_health.v1 import health_pb2

from dstk.v1 import admin_pb2, kv_pb2, replication_pb2, statistics_pb2, topology_pb2
from dstk_keytypes import NodeId
from dstk_service import logs
from dstk_service.clock import Clock
from dstk_service.config import OFF
from dstk_service.observe import Observer, Observers
from dstk_service.readiness import Readiness
from dstk_service.service import Part
from dstk_storage import __version__
from dstk_storage.adapters import gauges
from dstk_storage.adapters.leveldb import LevelDBEngine
from dstk_storage.adapters.metrics import NodeMetrics
from dstk_storage.adapters.spans import NODE_SPANS
from dstk_storage.config import StorageConfig
from dstk_storage.node import NodePorts, StorageNode
from dstk_telemetry.metrics.coordination import EtcdMetrics, read_map
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.rpc import KeyMetrics, methods_of
from dstk_telemetry.metrics.runtime import RuntimeMetrics
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry.kinds import Owner
from dstk_telemetry.sentry import ErrorReports
from dstk_telemetry.tracing.etcd import ETCD_SPANS
from dstk_telemetry.tracing.servers import SERVER_SPANS
from dstk_telemetry.tracing.tracing import TraceSettings, Tracing, resource

_SERVED = admin_pb2, kv_pb2, replication_pb2, statistics_pb2, topology_pb2, health_pb2
METHODS = methods_of(*(each.DESCRIPTOR for each in _SERVED))
"""What a storage node serves."""


class NodeTelemetry:
    """The observers of the node `me`, of its coordinator and of its links to other nodes, and then the parts that export what
    they count and trace. With OFF there are no metrics. `reports` are told the node's id.
    """

    def __init__(self, config: StorageConfig, me: NodeId, clock: Clock, reports: ErrorReports) -> None:
        self._me, self._listen, self._clock = me, config.operations_listen, clock
        reports.node = me
        metrics: Sequence[Observer] = ()
        etcd: Sequence[Observer] = ()
        if self._listen != OFF:
            made = self._instruments = Instruments(Owner.STORAGE)
            metrics = KeyMetrics(made, METHODS), NodeMetrics(made, me)
            etcd = (EtcdMetrics(made, clock.monotonic),)
        process, settings = resource("storage", me, __version__, config.cluster), TraceSettings.of(config)
        tracing = self._tracing = Tracing(settings, process, SERVER_SPANS, ETCD_SPANS, NODE_SPANS)
        self.sampler = tracing.sampler
        self._drops = {"traces": lambda: tracing.dropped, "errors": lambda: reports.dropped, "logs": logs.lost}
        self.of_node = *metrics, *tracing.observers
        self.of_etcd = Observers(*etcd, *tracing.observers)
        self.of_peers = Observers(*tracing.observers)

    def parts(self, node: StorageNode, ports: NodePorts, database: LevelDBEngine, readiness: Readiness) -> list[Part]:
        """They start before all others, and close after them."""
        if self._listen == OFF:
            return [self._tracing]
        made, clock, committer = self._instruments, self._clock, node.store.committer
        read_map(made, ports.view)
        gauges.EngineGauges(made, database, ports.offloads.read)
        kept = node.replication.replicas, node.replication.machines.leases, committer.garbage
        gauges.ReplicaGauges(made, *kept, ports.view, node.controller, clock)
        gauges.read_pipeline(made, node.queue, committer, clock.monotonic)
        gauges.read_disk(made, ports.disk, node.disk_guard, committer.intake)
        gauges.read_controller(made, node.controller)
        gauges.read_registration(made, node.registration, clock.monotonic)
        runtime = RuntimeMetrics(made, __version__, self._me, node.observer, readiness, self._drops)
        return [self._tracing, OperationsServer(self._listen, made, readiness), runtime]
