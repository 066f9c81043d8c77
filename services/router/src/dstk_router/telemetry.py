"""What a router measures of itself."""

import os
import socket
from collections.abc import Sequence

from grpc_health.v1 import health_pb2

from dstk.v1 import admin_pb2, kv_pb2, topology_pb2
from dstk_client.locating import ThickLocator
from dstk_cluster.view import ClusterView
from dstk_router import __version__
from dstk_service.clock import Clock
from dstk_service.config import OFF
from dstk_service.observe import NULL, Observer, Observers
from dstk_service.readiness import Readiness
from dstk_service.service import Part
from dstk_telemetry.metrics.client import ClientMetrics, read_queue
from dstk_telemetry.metrics.coordination import EtcdMetrics, read_map
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.rpc import CallMetrics, methods_of
from dstk_telemetry.metrics.runtime import RuntimeMetrics
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry.kinds import Owner

METHODS = methods_of(*(each.DESCRIPTOR for each in (admin_pb2, kv_pb2, topology_pb2, health_pb2)))
"""What a router serves."""


class RouterTelemetry:
    """The observers of a router and of its coordinator, and then the parts that export what they count. With OFF there are
    none.
    """

    def __init__(self, listen: str, clock: Clock) -> None:
        self._listen = listen
        self.of_router: Sequence[Observer] = ()
        self.of_etcd: Observer = NULL
        if listen != OFF:
            made = self._instruments = Instruments(Owner.ROUTER)
            self.of_router = CallMetrics(made, METHODS), ClientMetrics(made)
            self.of_etcd = EtcdMetrics(made, clock.monotonic)

    def parts(self, observers: Observers, view: ClusterView, locator: ThickLocator, readiness: Readiness) -> list[Part]:
        """They start before all others, and close after them."""
        if self._listen == OFF:
            return []
        made = self._instruments
        read_map(made, view)
        read_queue(made, lambda: locator.queued)
        runtime = RuntimeMetrics(made, __version__, _name(), observers, readiness)
        return [OperationsServer(self._listen, made, readiness), runtime]


def _name() -> str:
    """A router has no id: the machine and the process tell it from others."""
    return f"{socket.gethostname()}-{os.getpid()}"
