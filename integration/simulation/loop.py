"""An event loop on which waiting takes no time: when nothing can run, the clock jumps to the next timer."""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from typing_extensions import override

from dstk_service.clock import Clock

T = TypeVar("T")

START_MS = 1_700_000_000_000


class Stuck(Exception):
    """A deadlock: no task can run and no timer is set."""


class _Instant(selectors.BaseSelector):
    """Watches no file; `select` moves the clock on by as long as it was asked to wait."""

    def __init__(self) -> None:
        self.now = 0.0
        self._map: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._map[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._map.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        self.now += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._map


class VirtualLoop(asyncio.SelectorEventLoop):
    """Everything that waits by this loop's time, waits on virtual time."""

    def __init__(self) -> None:
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self._instant.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs to the end. Raises Stuck."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class LoopClock(Clock):
    """The virtual time as a Clock. `skew_ms`: how far the node's wall clock is off."""

    def __init__(self, skew_ms: int = 0) -> None:
        self._skew = skew_ms

    @override
    def now_ms(self) -> int:
        return START_MS + self._skew + int(asyncio.get_running_loop().time() * 1000)

    @override
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @override
    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)
