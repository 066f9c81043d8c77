"""The exporter to a collector of OpenTelemetry."""

import logging
from collections.abc import Mapping, Sequence

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from typing_extensions import override

from dstk_telemetry.tracing.convert import SpanConverter
from dstk_telemetry.tracing.finished import FinishedSpan
from dstk_telemetry.tracing.queue import Exporter

EXPORT_SECONDS = 5.0
"""For one message to the collector, all attempts included."""

PATH = "/v1/traces"

# the queue says once that the collector takes nothing, and once that it takes spans again; the exporter would say it every time
logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)


class OtelExporter(Exporter):
    """Exports through an exporter of OpenTelemetry. `resource`: the attributes of the process."""

    def __init__(self, exporter: SpanExporter, resource: Mapping[str, str]) -> None:
        self._exporter, self._convert = exporter, SpanConverter(resource)

    @override
    def export(self, spans: Sequence[FinishedSpan]) -> bool:
        return self._exporter.export(self._convert(spans)) is SpanExportResult.SUCCESS

    @override
    def close(self) -> None:
        self._exporter.shutdown()


def otlp(endpoint: str) -> SpanExporter:
    """The exporter to a collector, by OTLP over HTTP: no second gRPC runs in the process. It goes through no proxy."""
    session = requests.Session()
    session.trust_env = False
    url = endpoint if endpoint.endswith(PATH) else endpoint.rstrip("/") + PATH
    return OTLPSpanExporter(url, timeout=EXPORT_SECONDS, session=session)
