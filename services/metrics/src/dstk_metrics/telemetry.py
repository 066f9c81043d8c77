"""What the metrics service measures of itself."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from grpc_health.v1 import health_pb2

from dstk.v1 import metrics_pb2
from dstk_cluster.view import ClusterView
from dstk_metrics import __version__
from dstk_metrics.adapters.cluster_series import ClusterSeries
from dstk_metrics.adapters.every_partition import PATH, every_partition
from dstk_metrics.adapters.gauges import FeedGauges, read_console, read_history, read_watchers
from dstk_metrics.adapters.metrics import FeedMetrics, MeasureMetrics
from dstk_metrics.adapters.node_feeds import NodeFeeds
from dstk_metrics.adapters.spans import METRICS_SPANS
from dstk_metrics.application.recorder import HistoryCounters
from dstk_metrics.config import MetricsConfig
from dstk_metrics.console.server import ConsoleServer
from dstk_metrics.domain.book import Book
from dstk_metrics.domain.pace import Pace
from dstk_metrics.domain.partition_table import partition_table
from dstk_service import logs
from dstk_service.clock import Clock
from dstk_service.config import OFF
from dstk_service.observe import Observer, Observers
from dstk_service.readiness import Readiness
from dstk_service.service import Part
from dstk_telemetry.metrics.coordination import EtcdMetrics, read_map
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.metrics.rpc import CallMetrics, methods_of
from dstk_telemetry.metrics.runtime import RuntimeMetrics
from dstk_telemetry.operations import OperationsServer
from dstk_telemetry.registry.kinds import Owner
from dstk_telemetry.sentry import ErrorReports
from dstk_telemetry.streamed import StreamedText
from dstk_telemetry.tracing.clients import CLIENT_SPANS
from dstk_telemetry.tracing.etcd import ETCD_SPANS
from dstk_telemetry.tracing.servers import SERVER_SPANS
from dstk_telemetry.tracing.tracing import TraceSettings, Tracing, resource

METHODS = methods_of(metrics_pb2.DESCRIPTOR, health_pb2.DESCRIPTOR)
"""What the service serves."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the figures of a scrape are read from. `stale_after_s`: age from which on figures are stale. `console`: None, if it
    is off.
    """

    book: Book
    feeds: NodeFeeds
    pace: Pace
    stale_after_s: float
    history: HistoryCounters
    console: ConsoleServer | None


class MetricsTelemetry:
    """The observers of a metrics service and of its coordinator, and then the parts that export what they count and trace.
    With OFF there are no metrics. `reports` are told a name of the process.
    """

    def __init__(self, config: MetricsConfig, clock: Clock, reports: ErrorReports) -> None:
        self._listen, self._clock, self._history_bytes = config.operations_listen, clock, config.history_bytes
        reports.node = _name()
        metrics: Sequence[Observer] = ()
        etcd: Sequence[Observer] = ()
        if self._listen != OFF:
            made = self._instruments = Instruments(Owner.METRICS)
            metrics = CallMetrics(made, METHODS), FeedMetrics(made), MeasureMetrics(made)
            etcd = (EtcdMetrics(made, clock.monotonic),)
        process, settings = resource("metrics", _name(), __version__, config.cluster), TraceSettings.of(config)
        tracing = self._tracing = Tracing(settings, process, SERVER_SPANS, CLIENT_SPANS, ETCD_SPANS, METRICS_SPANS)
        self.sampler = tracing.sampler
        self._drops = {"traces": lambda: tracing.dropped, "errors": lambda: reports.dropped, "logs": logs.lost}
        self.of_metrics = Observers(*metrics, *tracing.observers)
        self.of_etcd = Observers(*etcd, *tracing.observers)

    def parts(self, view: ClusterView, sources: Sources, readiness: Readiness) -> list[Part]:
        """They start before all others, and close after them."""
        if self._listen == OFF:
            return [self._tracing]
        made = self._instruments
        read_map(made, view)
        table = partial(partition_table, sources.book)
        every = StreamedText(PATH, lambda: every_partition(table()))
        FeedGauges(made, sources.book, lambda: sources.feeds.connected, self._clock.monotonic, sources.stale_after_s)
        ClusterSeries(made, table)
        read_watchers(made, sources.pace)
        read_history(made, sources.history, self._history_bytes, self._clock.now_ms)
        if (console := sources.console) is not None:
            read_console(made, console.figures, lambda: console.connections)
        runtime = RuntimeMetrics(made, __version__, _name(), self.of_metrics, readiness, self._drops)
        return [self._tracing, OperationsServer(self._listen, made, readiness, [every.route]), runtime]


def _name() -> str:
    """The service has no id: the machine and the process tell it from others."""
    return f"{socket.gethostname()}-{os.getpid()}"
