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
from dstk_metrics.adapters.node_feeds import NodeFeeds
from dstk_metrics.application.counts import Counts
from dstk_metrics.application.following import MapFollower, Rechecker, ReportTaker
from dstk_metrics.application.hot import HeatFollower, HotLists
from dstk_metrics.application.metrics import Metrics
from dstk_metrics.application.ranges import RangeAnswers
from dstk_metrics.application.slicing import Slicer
from dstk_metrics.application.stats import STALE_INTERVALS, PartitionLists, TotalsStreams
from dstk_metrics.application.surveying import Surveyor
from dstk_metrics.config import MetricsConfig
from dstk_metrics.console.parts import console_parts, server_among
from dstk_metrics.console.server import ConsoleServer
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.hot import Heat
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.recheck import Recheck
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
    book, pace, stale_after_s = Book(), Pace(config.feed_seconds), STALE_INTERVALS * config.feed_seconds
    heat, recheck = Heat(book, stale_after_s), Recheck()
    feeds = NodeFeeds(GRPC, ReportTaker(book, heat, recheck, clock), pace, clock, rng, telemetry.of_metrics)
    history = History(config, view, clock)
    measuring = NodeMeasuring(GRPC, telemetry.of_metrics)
    metrics = Metrics(
        lists=PartitionLists(book, clock, stale_after_s),
        hot=HotLists(book, heat, clock, pace, stale_after_s),
        ranges=RangeAnswers(view, Counts(book, clock, stale_after_s), Surveyor(view, measuring, clock)),
        history=history.answers,
        streams=TotalsStreams(book, clock, pace, stale_after_s),
    )
    server = GrpcTransport().listen(config.listen, observer=telemetry.of_metrics, sampler=telemetry.sampler)
    servicer = MetricsServicer(metrics)
    server.add(metrics_pb2_grpc.add_MetricsServicer_to_server, servicer, SERVICE)
    listener = Listener(server, config.shutdown_seconds)

    console = console_parts(config, metrics, view, clock)

    sources = Sources(book, feeds, pace, stale_after_s, history.counters, server_among(console))

    def readiness() -> Mapping[str, str]:
        return {"serving": listener.obstacle, "map": map_obstacle(view)}

    registration = ServiceRegistration(
        coordinator,
        config.cluster,
        ServiceKind.METRICS,
        lambda: _described(config, listener.address, sources.console, rng),
        config.lease_seconds,
        clock,
        rng,
    )

    await Service(
        [
            *telemetry.parts(view, sources, readiness),
            Closing("etcd", coordinator.close),
            Closing("measuring", measuring.close),
            *history.parts,
            feeds,
            *console,
            listener,
            MapFollower(view, book, feeds, pace),
            HeatFollower(heat, clock),
            Rechecker(recheck, feeds, clock),
            Slicer(book, history.keeper, clock, stale_after_s),
            ReadinessHealth(server, SERVICE, readiness, clock),
            registration,
        ]
    ).run(stop)


def _described(config: MetricsConfig, listening: str, console: ConsoleServer | None, rng: random.Random) -> ServiceInfo:
    """What routers learn of this process. Raises OSError when it cannot tell by which addresses others reach it."""
    etcd = config.etcd.split(",")
    address = config.advertise or reachable(listening, etcd)
    return ServiceInfo(
        new_id(rng), address, __version__, f"http://{reachable(console.address, etcd)}" if console else ""
    )
