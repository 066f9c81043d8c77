"""The composition root of the router."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping

from typing_extensions import override

from dstk.v1 import admin_pb2_grpc, kv_pb2_grpc, metrics_pb2_grpc, topology_pb2, topology_pb2_grpc
from dstk_client.admin import AdminLinks
from dstk_client.asking import CHANGE_SECONDS
from dstk_client.connecting import routed
from dstk_client.topology import MapSource, Topology
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.services import ServiceDirectory, ServiceKind
from dstk_cluster.topology import TopologyServicer, updates
from dstk_cluster.view import ClusterView, map_obstacle
from dstk_router.admin import AdminServicer
from dstk_router.config import RouterConfig
from dstk_router.keyvalue import KeyValueServicer
from dstk_router.metrics import MetricsServicer
from dstk_router.metrics_services import MetricsServices, metrics_links
from dstk_router.retry_report import RetryReport
from dstk_router.telemetry import RouterTelemetry
from dstk_service import tokens
from dstk_service.clock import SystemClock
from dstk_service.logs.fields import LogFields
from dstk_service.observe import Observers
from dstk_service.readiness import ReadinessHealth
from dstk_service.service import Background, Closing, Listener, Part, Service
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_transport import GrpcTransport
from dstk_service.transport.port import Server
from dstk_telemetry.sentry import ErrorReports

log = logging.getLogger(__name__)


class ViewSource(MapSource):
    """A source of the client's map: the router's own view of etcd instead of another server."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    @override
    def updates(self) -> AsyncGenerator[topology_pb2.TopologyUpdate, None]:
        return updates(self._view)


class MapFollower(Part):
    """The router's map: it is read from etcd and kept up to date. Starts once there is a map."""

    name = "map"

    def __init__(self, view: ClusterView, topology: Topology) -> None:
        self._view, self._topology = view, topology

    @override
    async def start(self, background: Background) -> None:
        background(self._view.run())
        current = await self._view.ready()
        await self._topology.ready.wait()
        log.info("the partition map has arrived", extra=LogFields(count=len(current.partitions)))


async def serve(config: RouterConfig, stop: asyncio.Event, reports: ErrorReports) -> None:
    """Runs a router until `stop` is set; then calls under way may end. Raises OSError."""
    rng = random.Random()  # noqa: S311 - jitter
    clock = SystemClock()
    telemetry = RouterTelemetry(config, clock, reports)
    coordinator = EtcdCoordinator(config.etcd.split(","), observer=telemetry.of_etcd)
    view = ClusterView(MapStore(coordinator, config.cluster), clock, rng)
    metrics_services = ServiceDirectory(coordinator, config.cluster, ServiceKind.METRICS, clock, rng)
    report = RetryReport(clock)
    observer = Observers(report, *telemetry.of_router)
    async with routed(ViewSource(view), config.request_seconds, observer) as (client, locator):
        operator = OperatorCredentials(tokens.read(config.admin_token_file) if config.admin_token_file else None)
        links = AdminLinks(GRPC, operator, CHANGE_SECONDS)
        server = GrpcTransport().listen(
            config.listen,
            operator=operator,
            observer=observer,
            sampler=telemetry.sampler,
            shared_port=config.workers > 1,
        )
        admin = AdminServicer(locator.topology, links)
        to_metrics = metrics_links(GRPC)
        metrics = MetricsServicer(MetricsServices(metrics_services, to_metrics))
        watched = observer, telemetry.sampler
        keyvalue = KeyValueServicer(client, server.drain, server.answers, config.request_seconds, *watched)
        _add_servicers(server, view, keyvalue, admin, metrics)
        listener = Listener(server, config.shutdown_seconds)

        def readiness() -> Mapping[str, str]:
            return {"serving": listener.obstacle, "map": map_obstacle(view)}

        await Service(
            [
                *telemetry.parts(observer, view, locator, readiness),
                report,
                Closing("etcd", coordinator.close),
                Closing("admin links", links.close),
                Closing("metrics links", to_metrics.close),
                listener,
                metrics_services,
                MapFollower(view, locator.topology),
                ReadinessHealth(server, "dstk.v1.KeyValue", readiness, clock),
            ]
        ).run(stop)


def _add_servicers(
    server: Server, view: ClusterView, keyvalue: KeyValueServicer, admin: AdminServicer, metrics: MetricsServicer
) -> None:
    server.add(kv_pb2_grpc.add_KeyValueServicer_to_server, keyvalue, "dstk.v1.KeyValue")
    server.add(topology_pb2_grpc.add_TopologyServicer_to_server, TopologyServicer(view), "dstk.v1.Topology")
    server.add(admin_pb2_grpc.add_AdminServicer_to_server, admin, "dstk.v1.Admin")
    server.add(metrics_pb2_grpc.add_MetricsServicer_to_server, metrics, "dstk.v1.Metrics")
