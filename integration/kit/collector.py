"""A collector of traces in the test's own process, and spans as tests look at them, from it or from Jaeger."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from kit.endpoints import HttpEndpoint

Value = str | int | float | bool


@dataclass(frozen=True)
class SeenSpan:
    """A span as a collector has it; ids are hexadecimal. `process`: service.instance.id. `parent` empty: it is the first."""

    name: str
    service: str
    process: str
    trace: str
    id: str
    parent: str
    attributes: Mapping[str, Value]
    links: frozenset[str]
    """Ids of spans."""
    is_error: bool
    seconds: float


class Collector:
    """Keeps all spans that come. `url`: where it listens."""

    def __init__(self, endpoint: HttpEndpoint) -> None:
        self._endpoint = endpoint
        self.url = f"http://{endpoint.address}"

    def spans(self) -> list[SeenSpan]:
        """What has come so far."""
        return [span for body in self._endpoint.bodies for span in _spans(body)]

    def trace_of(self, name: str, **attributes: Value) -> list[SeenSpan]:
        """The whole trace of the newest span of this name with these attributes, dots in their names as double underscores.
        Raises AssertionError if there is none yet.
        """
        spans = self.spans()
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        found = [each for each in spans if each.name == name and wanted.items() <= each.attributes.items()]
        assert found, f"no {name} with {wanted} among {len(spans)} spans"
        return [each for each in spans if each.trace == found[-1].trace]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of loopback."""
    with HttpEndpoint() as endpoint:
        yield Collector(endpoint)


Edge = tuple[str, str, str]
"""Names of a span and of one that it causes, and whether both are in the same process: "within", else "across"."""


def edges(spans: Iterable[SeenSpan]) -> list[Edge]:
    """All edges of a trace, sorted."""
    by_id = {span.id: span for span in spans}
    found = [(by_id[each.parent], each) for each in by_id.values() if each.parent in by_id]
    return sorted((up.name, each.name, "within" if up.process == each.process else "across") for up, each in found)


def _spans(body: bytes) -> Iterator[SeenSpan]:
    request = ExportTraceServiceRequest.FromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from (_seen(span, resource) for span in scope.spans)


def _seen(span: Span, resource: ResourceSpans) -> SeenSpan:
    process = _attributes(resource.resource.attributes)
    return SeenSpan(
        span.name,
        str(process["service.name"]),
        str(process["service.instance.id"]),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _attributes(span.attributes),
        frozenset(link.span_id.hex() for link in span.links),
        span.status.code == Status.STATUS_CODE_ERROR,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _attributes(given: Iterable[KeyValue]) -> dict[str, Value]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in given}
