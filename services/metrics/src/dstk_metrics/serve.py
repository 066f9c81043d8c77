"""The composition root of the metrics service."""

import asyncio
import random
from collections.abc import Mapping

from dstk.v1 import metrics_pb2_grpc
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.services import ServiceInfo, ServiceKind, ServiceRegistration, new_id
from dstk_cluster.view import ClusterView, map_obstacle
from dstk_metrics import __version__
from dstk_metrics.adapters.measuring import NodeMeasuring
from dstk_metrics.application.metrics import Metrics
from dstk_metrics.application.ranges import RangeAnswers
from dstk_metrics.application.surveying import Surveyor
from dstk_metrics.config import MetricsConfig
from dstk_metrics.console.parts import console_parts, server_among
from dstk_metrics.console.server import ConsoleServer
from dstk_metrics.feeding import Feeding
from dstk_metrics.history import History
from dstk_metrics.servicers.metrics import MetricsServicer
from dstk_metrics.telemetry import MetricsTelemetry, Sources
from dstk_service.addresses import reachable
from dstk_service.clock import SystemClock
from dstk_service.readiness import ReadinessHealth
from dstk_service.service import Closing, Listener, Service
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_transport import GrpcTransport
from dstk_telemetry.sentry import ErrorReports

SERVICE = "dstk.v1.Metrics"


async def serve(config: MetricsConfig, stop: asyncio.Event, reports: ErrorReports) -> None:
    """Runs a metrics service until `stop` is set; then calls under way may end. Raises OSError."""
    rng = random.Random()  # noqa: S311 - jitter
    clock = SystemClock()
    telemetry = MetricsTelemetry(config, clock, reports)
    coordinator = EtcdCoordinator(config.etcd.split(","), observer=telemetry.of_etcd)
    view = ClusterView(MapStore(coordinator, config.cluster), clock, rng)
    feeding = Feeding(config.feed_seconds, GRPC, clock, rng, telemetry.of_metrics)
    history, measuring = History(config, view, clock), NodeMeasuring(GRPC, telemetry.of_metrics)
    metrics = Metrics(
        lists=feeding.lists,
        hot=feeding.hot,
        ranges=RangeAnswers(view, feeding.counts, Surveyor(view, measuring, clock)),
        history=history.answers,
        streams=feeding.streams,
    )
    server = GrpcTransport().listen(config.listen, observer=telemetry.of_metrics, sampler=telemetry.sampler)
    server.add(metrics_pb2_grpc.add_MetricsServicer_to_server, MetricsServicer(metrics), SERVICE)
    listener = Listener(server, config.shutdown_seconds)
    console = console_parts(config, metrics, view, clock)
    fed = feeding.book, feeding.feeds, feeding.pace, feeding.stale_after_s
    sources = Sources(*fed, history.counters, server_among(console))

    def readiness() -> Mapping[str, str]:
        return {"serving": listener.obstacle, "map": map_obstacle(view)}

    def described() -> ServiceInfo:
        return _described(config, listener.address, sources.console, rng)

    cluster = coordinator, config.cluster, ServiceKind.METRICS
    await Service(
        [
            *telemetry.parts(view, sources, readiness),
            Closing("etcd", coordinator.close),
            Closing("measuring", measuring.close),
            *history.parts,
            feeding.feeds,
            *console,
            listener,
            *feeding.followers(view, history.keeper),
            ReadinessHealth(server, SERVICE, readiness, clock),
            ServiceRegistration(*cluster, described, config.lease_seconds, clock, rng),
        ]
    ).run(stop)


def _described(config: MetricsConfig, listening: str, console: ConsoleServer | None, rng: random.Random) -> ServiceInfo:
    """What routers learn of this process. Raises OSError when it cannot tell by which addresses others reach it."""
    etcd = config.etcd.split(",")
    address = config.advertise or reachable(listening, etcd)
    return ServiceInfo(
        new_id(rng), address, __version__, f"http://{reachable(console.address, etcd)}" if console else ""
    )
