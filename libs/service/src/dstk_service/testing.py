"""Helpers for tests: waiting for a condition, a clock that tests move, an observer that keeps what it is told, a sampler."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from typing_extensions import override

from dstk_service.clock import Clock
from dstk_service.observe import Event, Observer
from dstk_service.trace import Sampler, TraceContext

E = TypeVar("E", bound=Event)


PATIENCE_SECONDS = 60.0
"""How long a test waits for what must happen: ten times what it takes on an idle machine, since nothing else depends on it."""


async def eventually(condition: Callable[[], object | Awaitable[object]], *, within: float = PATIENCE_SECONDS) -> None:
    """Returns as soon as `condition` holds; an AssertionError inside it counts as not yet. Fails after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            outcome = condition()
            if asyncio.iscoroutine(outcome):
                outcome = await outcome
            if outcome:
                return
            problem: Exception | None = None
        except AssertionError as error:
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {problem or condition}") from problem
        await asyncio.sleep(0.01)


class ManualClock(Clock):
    """A clock that stands still until `advance`; sleepers wake in the order of their times."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now = now_ms / 1000
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._counter = itertools.count()

    @override
    def now_ms(self) -> int:
        return round(self._now * 1000)

    @override
    def monotonic(self) -> float:
        return self._now

    @override
    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._counter), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Moves time on, waking each sleeper at its moment and letting it run until it waits again."""
        target = self._now + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await _settle()
        self._now = target


class RecordingObserver(Observer):
    """Keeps all events in their order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @override
    def observe(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, the oldest first."""
        return [event for event in self.events if isinstance(event, kind)]


class EverySampler(Sampler):
    """Begins a trace with every call, and with the first one of several at once, and follows all."""

    @override
    def follows(self, context: TraceContext) -> bool:
        return True

    @override
    def pick(self, calls: int = 1) -> int | None:
        return 0


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
