"""Tracing as a part of a service: the sampler, the recorder and the way to the collector."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter
from typing_extensions import override

from dstk_service.observe import Observer
from dstk_service.service import Background, Part
from dstk_service.trace import NEVER, Sampler
from dstk_telemetry.tracing.convert import SpanConverter
from dstk_telemetry.tracing.observer import Makers, TracingObserver
from dstk_telemetry.tracing.queue import SpanQueue
from dstk_telemetry.tracing.recorder import SpanRecorder
from dstk_telemetry.tracing.sampler import RatioSampler

EXPORT_SECONDS = 5.0
"""For one message to the collector, all attempts included."""

FLUSH_SECONDS = 2.0
"""How long a service that stops waits for its last spans to be taken."""

PATH = "/v1/traces"

# the queue says once that the collector takes nothing, and once that it takes spans again; the exporter would say it every time
logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """`endpoint`: URL of an OTLP collector; empty: tracing is off. `ratio`: of the calls that begin a trace. `slow_seconds`:
    from which on a call is kept in any case.
    """

    endpoint: str = ""
    ratio: float = 0.01
    slow_seconds: float = 1.0


class Tracing(Part):
    """`observers` make spans of the events that they are given; `sampler` begins traces. Off, there is neither."""

    name = "tracing"
    close_seconds = FLUSH_SECONDS + 1

    def __init__(
        self,
        settings: TraceSettings,
        resource: Mapping[str, str],
        *makers: Makers,
        exporter: SpanExporter | None = None,
    ) -> None:
        """`resource`: what OpenTelemetry calls the attributes of the process, such as service.name. `exporter`: for tests."""
        self.sampler: Sampler = NEVER
        self.observers: tuple[Observer, ...] = ()
        self._queue: SpanQueue | None = None
        if settings.endpoint or exporter is not None:
            self._queue = SpanQueue(exporter or otlp(settings.endpoint), SpanConverter(resource))
            self._recorder = SpanRecorder(self._queue.put, settings.slow_seconds)
            self.sampler = RatioSampler(settings.ratio)
            self.observers = (TracingObserver(self._recorder, *makers),)

    @property
    def dropped(self) -> int:
        """Spans that were dropped rather than waited for."""
        return 0 if self._queue is None else self._queue.dropped + self._recorder.dropped

    @override
    async def start(self, background: Background) -> None:
        if self._queue is not None:
            self._queue.start()

    @override
    async def close(self) -> None:
        if self._queue is not None:
            await asyncio.to_thread(self._queue.close, FLUSH_SECONDS)


def otlp(endpoint: str) -> SpanExporter:
    """The exporter to a collector, by OTLP over HTTP: no second gRPC runs in the process. It goes through no proxy."""
    session = requests.Session()
    session.trust_env = False
    url = endpoint if endpoint.endswith(PATH) else endpoint.rstrip("/") + PATH
    return OTLPSpanExporter(url, timeout=EXPORT_SECONDS, session=session)
