"""Instruments made from the registry. A metric that the registry does not have, or a wrong label, is an error at start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from dstk_telemetry.metrics.kept import Counter, Family, Gauge, Histogram, Instrument, Kept
from dstk_telemetry.registry.kinds import Kind, Metric, Owner

log = logging.getLogger(__name__)

Child = TypeVar("Child", bound=Instrument)

Sample = tuple[Metric, tuple[str, ...], float]
"""A metric, the values of its labels, and its value at the moment."""

Reader = Callable[[], Iterable[Sample]]
"""Reads figures at a scrape: cheap, on the event loop, without waiting."""

Refresh = Callable[[], Awaitable[None]]
"""Prepares at a scrape what a Reader reads next. Bounds its own waiting."""


class Instruments(Collector):
    """What one service exports: figures that it keeps, and figures that are looked up at a scrape. They belong to the event
    loop.
    """

    def __init__(self, owner: Owner) -> None:
        self.failures = 0
        """How many times a Reader or a Refresh has raised."""
        self._owner = owner
        self._kept: dict[Metric, Kept] = {}
        self._readers: list[Reader] = []
        self._refreshes: list[Refresh] = []
        self._others: list[Collector] = []
        self._reported: set[object] = set()

    @property
    def collector(self) -> CollectorRegistry:
        """A registry of prometheus-client with everything but what a refresh prepares."""
        registry = CollectorRegistry(auto_describe=False)
        for each in (self, *self._others):
            registry.register(each)
        return registry

    def counter(self, metric: Metric, *values: str) -> Counter:
        """The counter with these label values, which exists from now on."""
        return self._child(Counter, Kind.COUNTER, metric, values)

    def gauge(self, metric: Metric, *values: str) -> Gauge:
        """A gauge that is kept, for what nobody can look up at a scrape."""
        return self._child(Gauge, Kind.GAUGE, metric, values)

    def histogram(self, metric: Metric, *values: str) -> Histogram:
        """The histogram with these label values."""
        return self._child(Histogram, Kind.HISTOGRAM, metric, values)

    def read(self, reader: Reader) -> None:
        """Asks `reader` at each scrape."""
        self._readers.append(reader)

    def refresh(self, refresh: Refresh) -> None:
        """Awaits `refresh` at each scrape, before any reader is asked."""
        self._refreshes.append(refresh)

    def also(self, collector: Collector) -> None:
        """Exports what a collector of prometheus-client collects; it is asked on a thread."""
        self._others.append(collector)

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Everything in the format that the header `accept` asks for, and its content type.

        Figures are read on the event loop and encoded on a thread: 1,200 series take 10 ms.
        """
        for refresh in self._refreshes:
            try:
                await refresh()
            except Exception as error:  # noqa: BLE001 - the other figures are wanted all the more
                self._report(refresh, error)
        encode, content_type = choose_encoder(accept)
        snapshot = CollectorRegistry(auto_describe=False)
        for each in (_Collected(list(self.collect())), *self._others):
            snapshot.register(each)
        return await asyncio.to_thread(encode, snapshot), content_type

    @override
    def collect(self) -> Iterator[Family]:
        for kept in self._kept.values():
            yield kept.family()
        found: dict[Metric, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric, values, value in self._read():
            family = found.get(metric)
            if family is None:
                make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
                family = found[metric] = make(metric.name, metric.help, labels=metric.label_names)
            family.add_metric(values, value)
        yield from found.values()

    def _read(self) -> Iterator[Sample]:
        for reader in self._readers:
            try:
                for sample in reader():
                    self._check(sample[0])
                    yield sample
            except Exception as error:  # noqa: BLE001 - as above
                self._report(reader, error)

    def _report(self, source: object, error: Exception) -> None:
        self.failures += 1
        if source not in self._reported:
            self._reported.add(source)
            log.error("figures could not be read; further failures of this kind are not logged", exc_info=error)

    def _child(self, of: type[Child], kind: Kind, metric: Metric, values: tuple[str, ...]) -> Child:
        self._check(metric)
        assert metric.kind is kind, f"{metric.name} is a {metric.kind}"
        if metric not in self._kept:
            self._kept[metric] = Kept(metric)
        child = self._kept[metric].child(values)
        assert isinstance(child, of)
        return child

    def _check(self, metric: Metric) -> None:
        assert self._owner in metric.owners, f"{metric.name} is not a metric of the {self._owner} service"


class _Collected(Collector):
    """Families that were read before."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    @override
    def collect(self) -> Sequence[Family]:
        return self._families
