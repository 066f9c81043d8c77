"""The observer of the client inside a service."""

from collections.abc import Callable

from typing_extensions import override

from dstk_client.events import AttemptRetried, BatchAnswered, BatchSent
from dstk_service.observe import Event, Observer
from dstk_telemetry.metrics.instruments import Instruments
from dstk_telemetry.registry import clients


class ClientMetrics(Observer):
    """Counts retries, and measures messages to nodes."""

    def __init__(self, instruments: Instruments) -> None:
        reasons = clients.REASON.values
        self._retries = {reason: instruments.counter(clients.CLIENT_RETRIES, reason) for reason in reasons}
        self._batch = instruments.histogram(clients.CLIENT_BATCH)
        self._seconds = instruments.histogram(clients.CLIENT_SECONDS)

    @override
    def observe(self, event: Event) -> None:
        if isinstance(event, BatchSent):
            self._batch.observe(event.operations)
        elif isinstance(event, BatchAnswered):
            self._seconds.observe(event.seconds)
        elif isinstance(event, AttemptRetried):
            self._retries[event.reason].inc()


def read_queue(instruments: Instruments, queued: Callable[[], int]) -> None:
    """Exports how many operations wait to be sent."""
    instruments.read(lambda: [(clients.CLIENT_QUEUE, (), float(queued()))])
