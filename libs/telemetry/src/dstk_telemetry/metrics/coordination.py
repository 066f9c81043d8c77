"""The observer of etcd, and what a service knows of the partition map."""

from collections.abc import Callable, Iterator

from typing_extensions import override

from dstk_cluster.coordinator_events import Request, RequestEnded, WatchBroken, WatchOpened
from dstk_cluster.view import CurrentMap
from dstk_service.observe import Event, Observer
from dstk_telemetry.metrics.instruments import Instruments, Sample
from dstk_telemetry.registry import clients


class EtcdMetrics(Observer):
    """Counts and times requests, and tells for how long the watch has been broken. A service has one watch."""

    def __init__(self, instruments: Instruments, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._broken_since: float | None = monotonic()
        self._seconds = {each: instruments.histogram(clients.ETCD_SECONDS, each) for each in Request}
        self._ended = {
            (each, failed): instruments.counter(clients.ETCD_REQUESTS, each, "failed" if failed else "ok")
            for each in Request
            for failed in (True, False)
        }
        self._restarts = instruments.counter(clients.ETCD_WATCH_RESTARTS)
        instruments.read(self._read)

    @override
    def observe(self, event: Event) -> None:
        match event:
            case RequestEnded(request, seconds, failed):
                self._seconds[request].observe(seconds)
                self._ended[request, failed].inc()
            case WatchOpened():
                self._broken_since = None
            case WatchBroken():
                self._restarts.inc()
                self._broken_since = self._monotonic()

    def _read(self) -> Iterator[Sample]:
        since = self._broken_since
        yield clients.MAP_AGE, (), 0.0 if since is None else self._monotonic() - since


def read_map(instruments: Instruments, view: CurrentMap) -> None:
    """Exports what the service knows of the map."""

    def read() -> Iterator[Sample]:
        current = view.current
        yield clients.MAP_REVISION, (), 0.0 if current is None else float(current.revision)
        yield clients.MAP_PARTITIONS, (), 0.0 if current is None else float(len(current.partitions))

    instruments.read(read)
