"""Tracing as a part of a service: the sampler, the recorder and the way to the collector."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import override

from dstk_service.config import ServiceConfig
from dstk_service.observe import Observer
from dstk_service.service import Background, Part
from dstk_service.trace import NEVER, Sampler
from dstk_telemetry.tracing.observer import Makers, TracingObserver
from dstk_telemetry.tracing.queue import Exporter, SpanQueue
from dstk_telemetry.tracing.recorder import SpanRecorder
from dstk_telemetry.tracing.sampler import RatioSampler

FLUSH_SECONDS = 2.0
"""How long a service that stops waits for its last spans to be taken."""


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """`endpoint`: URL of an OTLP collector; empty: tracing is off. `ratio`: of the calls that begin a trace. `slow_seconds`:
    from which on a call is kept in any case.
    """

    endpoint: str = ""
    ratio: float = 0.01
    slow_seconds: float = 1.0

    @classmethod
    def of(cls, config: ServiceConfig) -> "TraceSettings":
        """What the settings of a service say."""
        return cls(config.trace_endpoint, config.trace_ratio, config.trace_slow_seconds)


class Tracing(Part):
    """`observers` make spans of the events that they are given; `sampler` begins traces. Off, there is neither."""

    name = "tracing"
    close_seconds = FLUSH_SECONDS + 1

    def __init__(
        self,
        settings: TraceSettings,
        resource: Mapping[str, str],
        *makers: Makers,
        exporter: Exporter | None = None,
    ) -> None:
        """`resource`: what OpenTelemetry calls the attributes of the process, such as service.name. `exporter`: another one
        than OTLP.
        """
        self.sampler: Sampler = NEVER
        self.observers: tuple[Observer, ...] = ()
        self._queue: SpanQueue | None = None
        self._recorder: SpanRecorder | None = None
        if settings.endpoint or exporter is not None:
            self._queue = SpanQueue(exporter or _otlp(settings.endpoint, resource))
            self._recorder = SpanRecorder(self._queue.put, settings.slow_seconds)
            self.sampler = RatioSampler(settings.ratio)
            self.observers = (TracingObserver(self._recorder, *makers),)

    @property
    def dropped(self) -> int:
        """Spans that were dropped rather than waited for."""
        return sum(each.dropped for each in (self._queue, self._recorder) if each is not None)

    @override
    async def start(self, background: Background) -> None:
        if self._queue is not None:
            self._queue.start()

    @override
    async def close(self) -> None:
        if self._queue is not None:
            await asyncio.to_thread(self._queue.close, FLUSH_SECONDS)


def _otlp(endpoint: str, resource: Mapping[str, str]) -> Exporter:
    # takes 0.3 s of processor time, a third of a node's start: only those that trace import it
    from dstk_telemetry.tracing.otlp import OtelExporter, otlp  # noqa: PLC0415

    return OtelExporter(otlp(endpoint), resource)


def resource(service: str, instance: str, version: str, cluster: str) -> Mapping[str, str]:
    """The attributes that name a process. `instance`: the storage node's id, or another name of the process."""
    return {
        "service.name": f"dstk-{service}",
        "service.version": version,
        "service.namespace": cluster,
        "service.instance.id": instance,
    }
