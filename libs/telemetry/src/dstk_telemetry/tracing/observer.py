"""The observer that makes spans of events: of calls and operations, of clients, and of what else it is given makers for."""

from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from dstk_service.observe import Event, Observer
from dstk_telemetry.tracing.recorder import SpanRecorder

Maker = Callable[[Any, SpanRecorder], None]
"""Takes an event of one type, and records its spans."""

Makers = Mapping[type[Event], Maker]


class TracingObserver(Observer):
    """Records the spans of events by their types."""

    def __init__(self, recorder: SpanRecorder, *makers: Makers) -> None:
        self._recorder = recorder
        self._makers = {kind: maker for each in makers for kind, maker in each.items()}

    @override
    def observe(self, event: Event) -> None:
        if (maker := self._makers.get(type(event))) is not None:
            maker(event, self._recorder)
