"""How long a call is waited for that has no lane to watch over it."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

CHECK_SECONDS = 0.25


class Patience:
    """For as long as the block lasts, the call is cancelled once its node is given up: `elsewhere` says so, and has said so for
    `grace` seconds. Then `lost` is true. A timer and no task: a page of a scan costs 2 µs more.
    """

    def __init__(self, call: Any, elsewhere: Callable[[], bool], grace: float) -> None:
        self._call, self._elsewhere, self._grace = call, elsewhere, grace
        self._loop = asyncio.get_running_loop()
        self._good = self._loop.time()
        self.lost = False

    def __enter__(self) -> Self:
        self._timer = self._loop.call_later(CHECK_SECONDS, self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._call = None

    def _look(self) -> None:
        self._timer = self._loop.call_later(CHECK_SECONDS, self._look)
        now = self._loop.time()
        if not self._elsewhere():
            self._good = now
        elif now - self._good >= self._grace:
            self.lost = True
            self._timer.cancel()
            self._call.cancel()
